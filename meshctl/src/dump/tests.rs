use serde_json::json;

use super::*;

#[test]
fn says_what_a_sidecar_runs() {
    let origin = |line: u32| json!({"source": "reviews.yaml", "line": line});
    let dump: Dump = serde_json::from_value(json!({
        "revision": 7,
        "digest": "0123456789abcdef",
        "resources": [
            {"name": "inbound/self", "version": "1", "inbound": {
                "workload": "default/productpage-v1",
                "identity": "spiffe://cluster.local/ns/default/sa/p",
                "ports": [{"port": 9080, "protocol": "PROTOCOL_HTTP", "mtls": "MTLS_MODE_STRICT",
                    "mtlsOrigin": origin(2), "service": "productpage.default.svc.cluster.local", "servicePort": 9080}],
                "defaultMtls": "MTLS_MODE_PERMISSIVE",
                "policies": [{"name": "default/p", "action": "AUTHORIZATION_ACTION_ALLOW", "rules": [{}], "origin": origin(9)}]
            }},
            {"name": "routes/reviews:9080", "version": "1", "routes": {
                "host": "reviews.default.svc.cluster.local", "port": 9080, "protocol": "PROTOCOL_HTTP",
                "http": [
                    {"name": "jason", "origin": origin(12),
                     "matches": [{"headers": [{"name": "end-user", "value": {"exact": "jason"}}]}],
                     "fault": {"delayPerMillion": 1_000_000, "delayMs": "7000"},
                     "forward": {"destinations": [{"host": "reviews.default.svc.cluster.local", "port": 9080, "subset": "v2", "weight": 1}]}},
                    {"forward": {
                        "destinations": [
                            {"host": "reviews.default.svc.cluster.local", "port": 9080, "subset": "v1", "weight": 50},
                            {"host": "reviews.default.svc.cluster.local", "port": 9080, "subset": "v3", "weight": 50}],
                        "timeoutMs": "1000",
                        "retry": {"attempts": 2, "retryOn": ["5xx"], "origin": origin(20)}}}
                ]}},
            {"name": "service/reviews.default.svc.cluster.local", "version": "1",
                "service": {"hostname": "reviews.default.svc.cluster.local"}},
            {"name": "workload/default/reviews-v1", "version": "1", "workload": {
                "uid": "default/reviews-v1", "address": "127.64.0.3", "health": "HEALTH_HEALTHY",
                "identity": "spiffe://cluster.local/ns/default/sa/r",
                "backs": [{"service": "reviews.default.svc.cluster.local",
                    "ports": [{"servicePort": 9080, "targetPort": 9080, "mutualTls": true}]}]}}
        ]
    }))
    .unwrap();
    let want = "\
revision 7 (0123456789ab), 4 resources

INBOUND default/productpage-v1 as spiffe://cluster.local/ns/default/sa/p
  PORT    PROTOCOL  MUTUAL TLS  BY              SERVICE
  9080    HTTP      STRICT      reviews.yaml:2  productpage.default.svc.cluster.local:9080
  others  detected  PERMISSIVE  default         -
  AuthorizationPolicy default/p ALLOW, 1 rule (reviews.yaml:9)

DESTINATIONS
  routes/reviews:9080: reviews.default.svc.cluster.local:9080 HTTP
    1. jason header end-user = jason -> delay 7000 ms for 100%, then reviews.default.svc.cluster.local:9080 subset v2 (reviews.yaml:12)
    2. all -> reviews.default.svc.cluster.local:9080 subset v1 weight 50, reviews.default.svc.cluster.local:9080 subset v3 weight 50, timeout 1000 ms, 2 retries on 5xx (default)

ENDPOINTS
  SERVICE                                 ENDPOINT            ADDRESS          MUTUAL TLS  HEALTH   IDENTITY
  reviews.default.svc.cluster.local:9080  default/reviews-v1  127.64.0.3:9080  yes         healthy  spiffe://cluster.local/ns/default/sa/r";
    assert_eq!(dump.to_string(), want);
}
