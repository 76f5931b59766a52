use clap::Parser;

use super::*;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    args: CaptureArgs,
}

fn options(words: &[&str]) -> Result<CaptureOptions, InvalidCapture> {
    let cli = Cli::try_parse_from(["capture"].iter().chain(words)).unwrap();
    CaptureOptions::try_from(&cli.args)
}

fn text(words: &[&str], backend: Backend, operation: Operation) -> String {
    let steps = plan(&options(words).unwrap(), backend, operation);
    let line = |step: &Step| {
        let mark = if step.may_fail { " || true" } else { "" };
        format!(
            "$ {} {}{mark}\n{}",
            step.program,
            step.arguments.join(" "),
            step.input
        )
    };
    steps.iter().map(line).collect()
}

const EVERYTHING: &[&str] = &[
    "--include-inbound-ports=9080,9090",
    "--exclude-inbound-ports=22,15020",
    "--include-outbound-ip-ranges=10.0.0.0/8,fd00::/8",
    "--exclude-outbound-ip-ranges=10.1.2.3,10.9.9.9/16",
    "--include-outbound-ports=443",
    "--exclude-outbound-ports=53,25",
    "--exclude-interfaces=docker0",
    "--own-mark=0x539",
    "--outbound-port=16001",
    "--inbound-port=16006",
];

#[test]
fn defaults_are_istios() {
    assert_eq!(options(&[]).unwrap(), CaptureOptions::default());
}

#[test]
fn nft_default() {
    insta::assert_snapshot!(text(&[], Backend::Nft, Operation::Install));
}

#[test]
fn nft_everything() {
    insta::assert_snapshot!(text(EVERYTHING, Backend::Nft, Operation::Install));
}

#[test]
fn nft_remove() {
    insta::assert_snapshot!(text(&[], Backend::Nft, Operation::Remove));
}

#[test]
fn iptables_default() {
    insta::assert_snapshot!(text(&[], Backend::Iptables, Operation::Install));
}

#[test]
fn iptables_everything() {
    insta::assert_snapshot!(text(EVERYTHING, Backend::Iptables, Operation::Install));
}

#[test]
fn iptables_remove_without_ipv6() {
    insta::assert_snapshot!(text(&["--no-ipv6"], Backend::Iptables, Operation::Remove));
}

#[test]
fn nothing_captured_inbound() {
    let text = text(
        &["--include-inbound-ports="],
        Backend::Iptables,
        Operation::Install,
    );
    assert!(
        !text.contains("ISTIO_INBOUND -p tcp -j ISTIO_IN_REDIRECT"),
        "{text}"
    );
}

#[test]
fn wrong_options_are_named() {
    for (words, option) in [
        (["--include-inbound-ports=0"], "include-inbound-ports"),
        (["--exclude-outbound-ports=http"], "exclude-outbound-ports"),
        (
            ["--include-outbound-ip-ranges=10.0.0.0/33"],
            "include-outbound-ip-ranges",
        ),
        (
            ["--exclude-interfaces=a; flush ruleset"],
            "exclude-interfaces",
        ),
        (["--own-mark=0"], "own-mark"),
    ] {
        let error = options(&words).unwrap_err().to_string();
        assert!(error.contains(option), "{error}");
    }
}

const DNS: &[&str] = &["--dns", "--dns-servers=10.96.0.10,fd00::a"];

#[test]
fn nft_dns() {
    insta::assert_snapshot!(text(DNS, Backend::Nft, Operation::Install));
}

#[test]
fn iptables_dns() {
    insta::assert_snapshot!(text(DNS, Backend::Iptables, Operation::Install));
}

#[test]
fn iptables_remove() {
    insta::assert_snapshot!(text(&[], Backend::Iptables, Operation::Remove));
}

#[test]
fn dns_servers_on_a_loopback_address_have_no_zones() {
    for backend in [Backend::Nft, Backend::Iptables] {
        let text = text(
            &["--dns", "--dns-servers=127.0.0.11", "--own-mark=7"],
            backend,
            Operation::Install,
        );
        assert!(
            text.contains("127.0.0.11") && text.contains("15053"),
            "{text}"
        );
        assert!(!text.contains("zone"), "{text}");
    }
}

#[test]
fn an_excluded_port_53_is_no_dns() {
    let words = [
        "--dns",
        "--dns-servers=10.0.0.1",
        "--exclude-outbound-ports=53",
    ];
    for backend in [Backend::Nft, Backend::Iptables] {
        let text = text(&words, backend, Operation::Install);
        assert!(!text.contains("15053"), "{text}");
    }
}

#[test]
fn dns_servers_are_addresses() {
    let error = options(&["--dns", "--dns-servers=kube-dns"]).unwrap_err();
    assert!(error.to_string().contains("dns-servers"), "{error}");
    assert!(Cli::try_parse_from(["capture", "--dns-servers=10.0.0.1"]).is_err());
}
