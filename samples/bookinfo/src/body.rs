//! Reading bodies, never more than [`MAX_BODY`] bytes of them.

use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;

use crate::MAX_BODY;

#[derive(Debug)]
pub(crate) enum BodyError {
    TooLarge,
    Broken(hyper::Error),
}

pub(crate) async fn collect(body: Incoming) -> Result<Bytes, BodyError> {
    match Limited::new(body, MAX_BODY).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) => Err(match error.downcast::<hyper::Error>() {
            Ok(error) => BodyError::Broken(*error),
            Err(other) => {
                debug_assert!(other.is::<LengthLimitError>());
                BodyError::TooLarge
            }
        }),
    }
}
