//! Service-account tokens, checked by the API server (TokenReview, authentication.k8s.io/v1).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared, WeakShared};
use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus};
use kube::api::PostParams;
use kube::{Api, Client};
use mesh_api::WorkloadName;
use mesh_ca::{AuthenticatedCaller, BearerAuthenticator, BearerRefusal};
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::jwt::{self, Claims};
use super::review_cache::{ReviewCache, TokenHash};
use crate::clock;
use crate::kubernetes::client::words;

/// How long a good answer is good: a proxy that asks again soon after, and no longer, so that a
/// token dies with its pod.
const GOOD_FOR: Duration = Duration::from_secs(30);
/// Tokens that are remembered.
const MOST: usize = 4096;
/// Questions to the API server at the same time: all proxies of a cluster may start at once.
const AT_ONCE: usize = 64;
/// How long the API server may take.
const ANSWER: Duration = Duration::from_secs(8);

const USER: &str = "system:serviceaccount:";
/// The pod that a projected token was made for. A proxy that was injected names itself by it
/// (`MESH_WORKLOAD`), and so its certificate is bound to it.
const POD_NAME: &str = "authentication.kubernetes.io/pod-name";

/// Asks the API server who the bearer of a token is. Questions about the same token at the same
/// time are asked once.
pub(super) struct TokenReviews {
    reviewer: Reviewer,
    cache: Mutex<ReviewCache>,
    running: Mutex<HashMap<TokenHash, WeakShared<Review>>>,
}

#[derive(Clone)]
struct Reviewer {
    api: Api<TokenReview>,
    audiences: Arc<[String]>,
    permits: Arc<Semaphore>,
}

type Answer = Result<AuthenticatedCaller, BearerRefusal>;
type Review = BoxFuture<'static, Answer>;

// === impl TokenReviews ===

impl TokenReviews {
    pub(super) fn new(client: Client, audiences: Vec<String>) -> Self {
        Self {
            reviewer: Reviewer {
                api: Api::all(client),
                audiences: audiences.into(),
                permits: Arc::new(Semaphore::new(AT_ONCE)),
            },
            cache: Mutex::new(ReviewCache::new(MOST)),
            running: Mutex::default(),
        }
    }

    async fn review(&self, token: &str, claims: &Claims) -> Answer {
        let hash: TokenHash = Sha256::digest(token).into();
        let known = {
            let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
            cache.get(&hash, clock::instant())
        };
        if let Some(caller) = known {
            return Ok(caller);
        }
        let caller = self.join(hash, token).await?;
        let left = claims.expires.map_or(GOOD_FOR, clock::until);
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.insert(hash, caller.clone(), clock::instant() + left.min(GOOD_FOR));
        Ok(caller)
    }

    /// The question that runs already, or a new one. It ends when nobody waits any more.
    fn join(&self, hash: TokenHash, token: &str) -> Shared<Review> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(review) = running.get(&hash).and_then(WeakShared::upgrade)
            // One that is done has nothing to say about now.
            && review.peek().is_none()
        {
            return review;
        }
        running.retain(|_, review| review.upgrade().is_some_and(|r| r.peek().is_none()));
        let (reviewer, token) = (self.reviewer.clone(), token.to_owned());
        let review = async move { reviewer.ask(token).await }.boxed().shared();
        if let Some(weak) = review.downgrade() {
            running.insert(hash, weak);
        }
        review
    }
}

#[tonic::async_trait]
impl BearerAuthenticator for TokenReviews {
    async fn authenticate(
        &self,
        token: &str,
    ) -> Result<Option<AuthenticatedCaller>, BearerRefusal> {
        let Some(claims) = jwt::claims(token) else {
            return Ok(None);
        };
        refuse_at_once(&claims, &self.reviewer.audiences, clock::now())?;
        self.review(token, &claims).await.map(Some)
    }
}

impl std::fmt::Debug for TokenReviews {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenReviews")
            .field("audiences", &self.reviewer.audiences)
            .finish_non_exhaustive()
    }
}

// === impl Reviewer ===

impl Reviewer {
    async fn ask(self, token: String) -> Answer {
        let unavailable = |why: &str| BearerRefusal::Unavailable(why.to_owned());
        let review = TokenReview {
            spec: TokenReviewSpec {
                token: Some(token),
                audiences: Some(self.audiences.to_vec()),
            },
            ..TokenReview::default()
        };
        let params = PostParams::default();
        let asking = async {
            let _permit = self.permits.acquire().await;
            self.api.create(&params, &review).await
        };
        let answer = timeout(ANSWER, asking)
            .await
            .map_err(|_| unavailable("the API server does not answer in time"))?;
        match answer {
            Ok(review) => caller(&review.status.unwrap_or_default(), &self.audiences),
            Err(error) => Err(BearerRefusal::Unavailable(match &error {
                kube::Error::Api(status) if status.is_forbidden() => format!(
                    "meshd may not create tokenreviews.authentication.k8s.io ({}): check its ClusterRole",
                    words(&error)
                ),
                _ => format!("the API server: {}", words(&error)),
            })),
        }
    }
}

/// What the API server need not be asked.
fn refuse_at_once(
    claims: &Claims,
    audiences: &[String],
    now: SystemTime,
) -> Result<(), BearerRefusal> {
    if let Some(expires) = claims.expires
        && let Ok(ago) = now.duration_since(expires)
    {
        return Err(BearerRefusal::Expired {
            ago_seconds: ago.as_secs(),
        });
    }
    // A token of the old kind names none; the API server knows whom it is for.
    let ours = |audience: &String| audiences.contains(audience);
    if !claims.audiences.is_empty() && !claims.audiences.iter().any(ours) {
        return Err(wrong_audience(&claims.audiences, audiences));
    }
    Ok(())
}

fn wrong_audience(found: &[String], wanted: &[String]) -> BearerRefusal {
    let text = |names: &[String]| -> String { names.join(", ").chars().take(256).collect() };
    BearerRefusal::Audience {
        found: text(found),
        wanted: text(wanted),
    }
}

/// Who the bearer of a service-account token is, by the status of a TokenReview (JSON) about it;
/// none if the token is no JWT. The way that every token goes, without the API server.
pub fn service_account_of(
    token: &str,
    status: &[u8],
    audiences: &[String],
    now: SystemTime,
) -> Option<Result<AuthenticatedCaller, BearerRefusal>> {
    let claims = jwt::claims(token)?;
    if let Err(refusal) = refuse_at_once(&claims, audiences, now) {
        return Some(Err(refusal));
    }
    let status = serde_json::from_slice(status).unwrap_or_default();
    Some(caller(&status, audiences))
}

/// Who the bearer is by the API server's answer.
fn caller(status: &TokenReviewStatus, audiences: &[String]) -> Answer {
    if status.authenticated != Some(true) {
        let why = status.error.as_deref().unwrap_or_default();
        // The API server may see the end before us.
        if why.contains("expired") {
            return Err(BearerRefusal::Expired { ago_seconds: 0 });
        }
        return Err(BearerRefusal::Unauthenticated(match why {
            "" => "the API server does not know it".to_owned(),
            why => why.chars().take(512).collect(),
        }));
    }
    // One that ignores audiences would vouch for tokens that are for others.
    let granted = status.audiences.as_deref().unwrap_or_default();
    if !granted.iter().any(|audience| audiences.contains(audience)) {
        return Err(wrong_audience(granted, audiences));
    }
    let user = status.user.as_ref();
    let name = user.and_then(|user| user.username.as_deref());
    let name = name.unwrap_or_default();
    let account = name
        .strip_prefix(USER)
        .and_then(|rest| rest.split_once(':'))
        .filter(|(namespace, account)| {
            !namespace.is_empty() && !account.is_empty() && !account.contains(':')
        });
    let Some((namespace, service_account)) = account else {
        return Err(BearerRefusal::Identity(name.chars().take(256).collect()));
    };
    let pod = user
        .and_then(|user| user.extra.as_ref()?.get(POD_NAME)?.first())
        .map(|pod| WorkloadName::new(namespace, pod))
        .transpose()
        .map_err(|error| BearerRefusal::Identity(error.to_string()))?;
    Ok(AuthenticatedCaller {
        namespace: namespace.to_owned(),
        service_account: service_account.to_owned(),
        workload: pod,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ours() -> Vec<String> {
        vec!["istio-ca".to_owned(), "mesh".to_owned()]
    }

    fn answer(json: serde_json::Value) -> Answer {
        caller(&serde_json::from_value(json).unwrap(), &ours())
    }

    fn good(username: &str, audiences: &[&str]) -> serde_json::Value {
        serde_json::json!({
            "authenticated": true,
            "audiences": audiences,
            "user": {
                "username": username,
                "groups": ["system:serviceaccounts"],
                "extra": { (POD_NAME): ["reviews-v1-abc"], "authentication.kubernetes.io/pod-uid": ["1"] },
            },
        })
    }

    #[test]
    fn a_service_account_is_who_it_says() {
        let caller = answer(good("system:serviceaccount:shop:reviews", &["mesh"])).unwrap();
        assert_eq!(
            caller,
            AuthenticatedCaller {
                namespace: "shop".to_owned(),
                service_account: "reviews".to_owned(),
                workload: Some("shop/reviews-v1-abc".parse().unwrap()),
            }
        );
        let mut bare = good("system:serviceaccount:shop:reviews", &["istio-ca"]);
        bare["user"]["extra"] = serde_json::Value::Null;
        assert_eq!(answer(bare).unwrap().workload, None);
        let mut strange = good("system:serviceaccount:shop:reviews", &["mesh"]);
        strange["user"]["extra"][POD_NAME][0] = "Not/a/pod".into();
        assert!(matches!(answer(strange), Err(BearerRefusal::Identity(_))));
    }

    #[test]
    fn everybody_else_is_refused() {
        let account = "system:serviceaccount:shop:reviews";
        type Expected = fn(&BearerRefusal) -> bool;
        let cases: [(serde_json::Value, Expected); 10] = [
            (serde_json::json!({}), |e| {
                matches!(e, BearerRefusal::Unauthenticated(_))
            }),
            (
                serde_json::json!({ "authenticated": false, "error": "token signature is invalid" }),
                |e| matches!(e, BearerRefusal::Unauthenticated(why) if why.contains("signature")),
            ),
            (
                serde_json::json!({ "error": "[invalid bearer token, service account token has expired]" }),
                |e| matches!(e, BearerRefusal::Expired { .. }),
            ),
            (good(account, &[]), |e| {
                matches!(e, BearerRefusal::Audience { .. })
            }),
            (
                good(account, &["https://kubernetes.default.svc"]),
                |e| matches!(e, BearerRefusal::Audience { found, .. } if found.contains("default")),
            ),
            (good("kubernetes-admin", &["mesh"]), |e| {
                matches!(e, BearerRefusal::Identity(_))
            }),
            (good("system:serviceaccount:shop", &["mesh"]), |e| {
                matches!(e, BearerRefusal::Identity(_))
            }),
            (good("system:serviceaccount::a", &["mesh"]), |e| {
                matches!(e, BearerRefusal::Identity(_))
            }),
            (good("system:serviceaccount:a:b:c", &["mesh"]), |e| {
                matches!(e, BearerRefusal::Identity(_))
            }),
            (
                serde_json::json!({ "authenticated": true, "audiences": ["mesh"] }),
                |e| matches!(e, BearerRefusal::Identity(_)),
            ),
        ];
        for (json, expected) in cases {
            let error = answer(json.clone()).unwrap_err();
            assert!(expected(&error), "{json}: {error:?}");
        }
    }

    #[test]
    fn some_are_refused_without_asking() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let claims = |audience: Option<&str>, expires: Option<u64>| Claims {
            audiences: audience.into_iter().map(str::to_owned).collect(),
            expires: expires.map(|s| SystemTime::UNIX_EPOCH + Duration::from_secs(s)),
        };
        let refused = |claims: &Claims| refuse_at_once(claims, &ours(), now);
        assert_eq!(refused(&claims(Some("istio-ca"), Some(1001))), Ok(()));
        assert_eq!(refused(&claims(None, None)), Ok(()));
        assert_eq!(
            refused(&claims(Some("istio-ca"), Some(990))),
            Err(BearerRefusal::Expired { ago_seconds: 10 })
        );
        let error = refused(&claims(Some("vault"), None))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("vault") && error.contains("istio-ca"),
            "{error}"
        );
    }
}
