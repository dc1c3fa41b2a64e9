//! `GET /chaves`: the public keys with which anybody checks a time token or a receipt. Old ones too: a receipt is checked long after.

use hyper::StatusCode;
use serde_json::json;

use super::app::App;
use super::links;
use super::problems::not_read;
use crate::clock::jws::PublishedKey;
use crate::http::problem::Problem;
use crate::http::server::Request;
use crate::http::{self, Response};

/// The most keys that are published. There is one more each day, so these are those of more than a year.
const PUBLISHED_MAX: u32 = 400;

/// `GET /chaves`: a JSON Web Key Set, the newest key first.
pub async fn published(app: &App, request: &Request) -> Result<Response, Problem> {
    let keys = app.store.signing_keys(PUBLISHED_MAX).await.map_err(|error| not_read(&request.log, &error))?;
    let keys: Vec<_> = keys.iter().rev().map(|key| PublishedKey::of(&key.public, key.made_at)).collect();
    let body = json!({"keys": keys, "_links": links::self_and_entry(links::KEYS_PATH)});
    Ok(http::json(StatusCode::OK, &body))
}
