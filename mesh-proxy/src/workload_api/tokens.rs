//! JWT-SVIDs of the Workload API (SPIFFE Workload API, section 6).

use mesh_api::spiffe_workload::json_value::Kind;
use mesh_api::spiffe_workload::{
    JsonArray, JsonObject, JsonValue, Jwtsvid, JwtsvidRequest, JwtsvidResponse,
    ValidateJwtsvidRequest, ValidateJwtsvidResponse,
};
use mesh_proxy_core::ir::Mesh;
use mesh_proxy_core::jwt::{JwtSvid, KeySet};
use serde_json::{Map, Value};
use tonic::{Code, Status};

use crate::clock;
use crate::identity::{AppIdentity, CaError};

/// A token of the workload.
pub(super) async fn fetch(
    app: &AppIdentity,
    request: JwtsvidRequest,
) -> Result<JwtsvidResponse, Status> {
    if request.audience.is_empty() || request.audience.iter().any(String::is_empty) {
        return Err(Status::invalid_argument("name at least one audience"));
    }
    // Whom the token is to name is asked before: no other one is made.
    let own = app.own_id().await.ok_or_else(ended)?;
    if !request.spiffe_id.is_empty() && request.spiffe_id != own {
        return Err(Status::permission_denied(format!(
            "the workload is {own}, and nobody else"
        )));
    }
    let token = app.tokens().get(request.audience).await;
    let token = token.map_err(|error| refused(&error))?.ok_or_else(ended)?;
    let svid = Jwtsvid {
        spiffe_id: token.id.clone(),
        svid: token.text.to_string(),
        hint: String::new(),
    };
    Ok(JwtsvidResponse { svids: vec![svid] })
}

fn ended() -> Status {
    Status::unavailable("the proxy ends")
}

fn refused(error: &CaError) -> Status {
    let code = match error {
        CaError::Refused(status) if status.code() == Code::InvalidArgument => Code::InvalidArgument,
        CaError::Refused(status) if status.code() == Code::ResourceExhausted => {
            Code::ResourceExhausted
        }
        _ => Code::Unavailable,
    };
    tracing::warn!(%error, "no token for the application");
    Status::new(code, error.to_string())
}

/// Whether a token holds for an audience, by the keys that the control plane gives.
///
/// # Errors
/// Why it does not.
pub fn validate(
    mesh: &Mesh,
    request: &ValidateJwtsvidRequest,
) -> Result<ValidateJwtsvidResponse, Status> {
    if request.audience.is_empty() {
        return Err(Status::invalid_argument("name the audience"));
    }
    let now = u64::try_from(clock::unix_seconds(clock::wall())).unwrap_or(0);
    let keys = |domain: &str| keys(mesh, domain);
    let svid = JwtSvid::verify(&request.svid, &request.audience, keys, now)
        .map_err(|error| Status::invalid_argument(error.to_string()))?;
    Ok(ValidateJwtsvidResponse {
        spiffe_id: svid.id,
        claims: Some(object(svid.claims)),
    })
}

// The keys of a domain vouch for that domain only.
fn keys(mesh: &Mesh, domain: &str) -> Option<KeySet> {
    if mesh.is_own_domain(domain) {
        return KeySet::parse(&mesh.jwks).ok();
    }
    let mut bundles = mesh.federated.iter();
    let bundle = bundles.find(|bundle| bundle.trust_domain.as_str() == domain)?;
    KeySet::parse(&bundle.jwks).ok()
}

fn object(members: Map<String, Value>) -> JsonObject {
    let fields = members
        .into_iter()
        .map(|(name, member)| (name, value(member)));
    JsonObject {
        fields: fields.collect(),
    }
}

// As deep as the parser of JSON let it be.
fn value(value_of: Value) -> JsonValue {
    let kind = match value_of {
        Value::Null => Kind::NullValue(0),
        Value::Bool(truth) => Kind::BoolValue(truth),
        Value::Number(number) => Kind::NumberValue(number.as_f64().unwrap_or_default()),
        Value::String(text) => Kind::StringValue(text),
        Value::Array(list) => Kind::ListValue(JsonArray {
            values: list.into_iter().map(value).collect(),
        }),
        Value::Object(members) => Kind::StructValue(object(members)),
    };
    JsonValue { kind: Some(kind) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_keep_their_form() {
        let claims = serde_json::json!({"a": [1, true, null], "b": {"c": "d"}});
        let Value::Object(claims) = claims else {
            unreachable!()
        };
        let object = object(claims);
        let Some(Kind::ListValue(list)) = &object.fields["a"].kind else {
            panic!("{object:?}");
        };
        let kinds: Vec<_> = list.values.iter().map(|value| value.kind.clone()).collect();
        let wanted = [
            Kind::NumberValue(1.0),
            Kind::BoolValue(true),
            Kind::NullValue(0),
        ];
        assert_eq!(kinds, wanted.map(Some));
        let Some(Kind::StructValue(inner)) = &object.fields["b"].kind else {
            panic!("{object:?}");
        };
        assert_eq!(
            inner.fields["c"].kind,
            Some(Kind::StringValue("d".to_owned()))
        );
    }

    #[test]
    fn without_audience_nothing_holds() {
        let request = ValidateJwtsvidRequest::default();
        let refused = validate(&Mesh::default(), &request).unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().contains("audience"), "{refused}");
    }
}
