# Each recipe is one line that can be typed by hand, too.

# Format, lints: what CI refuses first.
check:
    cargo fmt --all --check && cargo clippy --workspace --all-targets -- -D warnings

# The inner loop: the crates of pure decisions, in seconds.
test-core:
    cargo test -p mesh-api -p mesh-proxy-core -p meshd-core

# Everything that needs no privilege and no other package.
test:
    cargo test --workspace

# Transparent capture in network namespaces. Needs nftables (or iptables) and iproute2.
netns:
    cargo test -p mesh-tests --features netns --test netns --test netns_basic

# Protocols with real peers: nginx, Envoy, gRPC, databases. `.ci/peers` installs them.
peers:
    bash .ci/peers && cargo test -p mesh-tests --features peers --test peers

# Write mesh-api/src/generated anew after a change under proto/.
gen:
    MESH_GENERATE=1 cargo test -p mesh-api --test generated

# Accept changed golden files after reading their differences.
golden:
    INSTA_UPDATE=always cargo test -p meshd-core

# Licences, sources, banned crates, known vulnerabilities: what CI checks.
deny:
    bash .ci/deny

# Fuzz one target for some minutes: just fuzz detect 300
fuzz target seconds="300":
    cd tests/fuzz && RUSTC_BOOTSTRAP=1 cargo fuzz run {{target}} -- -max_total_time={{seconds}}

# What CI runs.
ci:
    bash .ci/run
