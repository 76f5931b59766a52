//! Where messages end (RFC 9112 section 6.3).

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Method, StatusCode, Version};

use super::Malformed;

/// How long a message's body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// There is none.
    None,
    /// So many octets.
    Exact(u64),
    /// Told chunk by chunk.
    Chunked,
    /// All until the connection ends.
    UntilClose,
}

// === impl Length ===

impl Length {
    /// The length of a request.
    ///
    /// # Errors
    /// [`Malformed`] if the fields contradict each other: whoever stands behind this proxy could
    /// see another request in it.
    pub fn of_request(
        method: &Method,
        version: Version,
        fields: &HeaderMap,
    ) -> Result<Self, Malformed> {
        let length = match (transfer_coding(fields)?, content_length(fields)?) {
            (Coding::Absent, None) => Self::None,
            (Coding::Absent, Some(0)) => Self::None,
            (Coding::Absent, Some(count)) => Self::Exact(count),
            (_, Some(_)) => return Err(Malformed::TwoLengths),
            _ if version < Version::HTTP_11 => return Err(Malformed::TransferCodingInHttp10),
            (Coding::Chunked, None) => Self::Chunked,
            (Coding::Identity, None) => return Err(Malformed::TransferCoding),
        };
        if *method == Method::CONNECT && length != Self::None {
            return Err(Malformed::ConnectWithBody);
        }
        Ok(length)
    }

    /// The length of a response to a request with this method.
    ///
    /// # Errors
    /// As [`Length::of_request`].
    pub fn of_response(
        method: &Method,
        status: StatusCode,
        fields: &HeaderMap,
    ) -> Result<Self, Malformed> {
        let bodiless = status.is_informational()
            || status == StatusCode::NO_CONTENT
            || status == StatusCode::NOT_MODIFIED
            || *method == Method::HEAD
            || *method == Method::CONNECT && status.is_success();
        if bodiless {
            return Ok(Self::None);
        }
        match (transfer_coding(fields)?, content_length(fields)?) {
            (Coding::Absent, None) => Ok(Self::UntilClose),
            (Coding::Absent | Coding::Identity, Some(0)) => Ok(Self::None),
            (Coding::Absent | Coding::Identity, Some(count)) => Ok(Self::Exact(count)),
            (Coding::Chunked, Some(_)) => Err(Malformed::TwoLengths),
            (Coding::Chunked, None) => Ok(Self::Chunked),
            (Coding::Identity, None) => Ok(Self::UntilClose),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Coding {
    Absent,
    // Of old servers: no coding at all.
    Identity,
    Chunked,
}

fn transfer_coding(fields: &HeaderMap) -> Result<Coding, Malformed> {
    let mut values = fields.get_all(TRANSFER_ENCODING).iter();
    let Some(value) = values.next() else {
        return Ok(Coding::Absent);
    };
    if values.next().is_some() {
        return Err(Malformed::TransferCoding);
    }
    let value = value.as_bytes();
    if value.eq_ignore_ascii_case(b"chunked") {
        Ok(Coding::Chunked)
    } else if value.eq_ignore_ascii_case(b"identity") {
        Ok(Coding::Identity)
    } else {
        Err(Malformed::TransferCoding)
    }
}

fn content_length(fields: &HeaderMap) -> Result<Option<u64>, Malformed> {
    let mut values = fields.get_all(CONTENT_LENGTH).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let digits = value.as_bytes();
    // Rust's numbers may begin with a sign.
    if values.next().is_some() || digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return Err(Malformed::ContentLength);
    }
    let text = value.to_str().map_err(|_| Malformed::ContentLength)?;
    text.parse().map(Some).map_err(|_| Malformed::ContentLength)
}
