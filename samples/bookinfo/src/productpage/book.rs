//! The one book in the shop.

use serde_json::{Value, json};

pub(super) const ID: u64 = 0;
pub(super) const TITLE: &str = "The Comedy of Errors";
pub(super) const SUMMARY_URL: &str = "https://en.wikipedia.org/wiki/The_Comedy_of_Errors";
pub(super) const SUMMARY: &str = "One of William Shakespeare\u{2019}s earliest comedies, and \
    his shortest play. Two sets of identical twins are in the same town on the same day without \
    knowing it, and everybody is taken for somebody else.";

/// `GET /api/v1/products`
pub(super) fn products() -> Value {
    let html = format!("<a href=\"{SUMMARY_URL}\">Wikipedia Summary</a>: {SUMMARY}");
    json!([{ "id": ID, "title": TITLE, "descriptionHtml": html }])
}
