//! `GET /time`: the official time; and, for a client that sends a nonce, a time token. And what a token is worth to a booking: its stamp.

pub mod history;
pub mod seeds;
pub mod vouching;
pub mod windows;

use std::sync::Arc;

use hyper::StatusCode;
use serde_json::json;

use self::vouching::Means;
use super::app::App;
use super::links;
use super::views::TimeView;
use crate::access::principal::Who;
use crate::agenda::stamp::{Evidence, Stamp, Vouched};
use crate::clock::token::{ACCEPTED, BYTES_MAX, Exchange, Holder, NONCE_CHARS_MAX, NotValid, TimeToken, is_nonce};
use crate::http::bounds::address::AddressKey;
use crate::http::parameters::Parameters;
use crate::http::problem::Problem;
use crate::http::server::Request;
use crate::http::wrong::FieldCode;
use crate::http::{self, Response};
use crate::time::Timestamp;

/// The path of the time.
const PATH: &str = "/time";
/// What the answer says of the token before this one, if the client brought none.
const ABSENT: &str = "ausente";

/// `GET /time`. The instant of sending is taken as late as possible.
pub async fn time(app: &Arc<App>, request: &Request) -> Result<Response, Problem> {
    let received = request.received;
    match asked(request.head.uri.query())? {
        None => Ok(plain(app, received)),
        Some(asked) => Ok(vouched(app, asked, request).await),
    }
}

/// The official time, and nothing else.
fn plain(app: &App, received: Timestamp) -> Response {
    let links = links::self_and_entry(PATH);
    http::json(StatusCode::OK, &TimeView::of(received, app.clock.now().max(received), links))
}

/// What a client asks for that wants a token.
struct Asked {
    nonce: String,
    /// The token of the exchange before.
    previous: Option<String>,
}

/// Reads the two parameters. Any other one is passed over, as some clients add one against caches.
fn asked(query: Option<&str>) -> Result<Option<Asked>, Problem> {
    let mut parameters = Parameters::parse(query);
    if !parameters.has("nonce") && !parameters.has("anterior") {
        return Ok(None);
    }
    if !parameters.has("nonce") {
        parameters
            .reject("nonce", FieldCode::Missing.says("falta: o token de hora traz o nonce que o cliente escolheu"));
    }
    let nonce = parameters.parsed("nonce", |text| {
        let words = || format!("deve ter de 1 a {NONCE_CHARS_MAX} caracteres de A–Z a–z 0–9 . _ ~ -");
        is_nonce(text).then(|| text.to_owned()).ok_or_else(|| FieldCode::Other.says(words()))
    });
    let previous = parameters.parsed("anterior", |text| {
        let fits = text.len() <= BYTES_MAX;
        let words = || format!("tem mais de {BYTES_MAX} bytes; um token de hora nunca os tem");
        fits.then(|| text.to_owned()).ok_or_else(|| FieldCode::Length.says(words()))
    });
    parameters.finish_with_others()?;
    Ok(nonce.map(|nonce| Asked { nonce, previous }))
}

/// What the keys need of the service.
fn means(app: &App) -> Means<'_> {
    (&*app.store, app.clock.now(), &app.log)
}

/// Whose time tokens a request may bring.
fn holder_of(request: &Request) -> Holder {
    Holder::of(&request.who.author().to_string(), &AddressKey::of(request.peer).to_string())
}

/// Whether the history of a caller counts. Callers without a name share their address with others, who may be nearer.
fn is_known(request: &Request) -> bool {
    matches!(request.who, Who::Known(_))
}

/// The stamp of a booking's request that brings a time token: the instant of its click, as far as this scheduler vouches for it.
pub async fn stamp(app: &App, request: &Request, claim: Option<Timestamp>, text: &str) -> Stamp {
    let (arrived, holder) = (request.received, holder_of(request));
    let token = app.vouching.open(means(app), text, &holder).await;
    let account_us = is_known(request).then(|| app.history.shortest(&holder, arrived)).flatten();
    Evidence { arrived, claim, token: token.as_ref().map(Vouched::from).map_err(|wrong| *wrong), account_us }.stamp()
}

/// The official time with a token, which continues the series of the token that the client brings.
async fn vouched(app: &App, asked: Asked, request: &Request) -> Response {
    let (received, holder) = (request.received, holder_of(request));
    app.vouching.renew_if_due(means(app)).await;
    if app.gate.locking().is_some() {
        app.seeds.prepare(&*app.store, &app.log).await;
    }
    let previous = match &asked.previous {
        None => Err(ABSENT),
        Some(text) => match app.vouching.open(means(app), text, &holder).await {
            Ok(token) => Ok((token, text)),
            Err(wrong) => Err(NotValid::name(wrong)),
        },
    };
    let sent = app.clock.now().max(received);
    let exchange = Exchange { nonce: asked.nonce, received, sent, holder, process: app.vouching.process().to_owned() };
    let (token, before) = match previous {
        Ok((previous, text)) => {
            let token = previous.following(text, exchange);
            if let Some(round_trip_us) = token.round_trip_us.filter(|_| is_known(request)) {
                app.history.note(&token.holder, round_trip_us, sent);
            }
            (Some(token), ACCEPTED)
        }
        Err(word) => (vouching::new_session().map(|session| TimeToken::first(exchange, session)), word),
    };
    let sealed = token.as_ref().and_then(|token| app.vouching.seal(token));
    let token = token.filter(|_| sealed.is_some());
    if let Some(token) = &token {
        app.windows.given(token.round_trip_us, token.expires_at());
    }
    let mut body = json!({
        "timestamp_utc": "",
        "recebido_utc": received.micros().to_string(),
        "enviado_utc": "",
        "nonce": token.as_ref().map(|token| &token.nonce),
        "token_hora": sealed,
        "expira_em_utc": token.as_ref().map(|token| token.expires_at().micros().to_string()),
        "sequencia": token.as_ref().map(|token| token.number),
        "ida_volta_us": token.as_ref().and_then(|token| token.round_trip_us),
        "anterior": before,
        "_links": links::self_and_entry(PATH),
    });
    // Last: the signature is made, and only the answer's few bytes are still to be written.
    let sent = app.clock.now().max(sent).micros().to_string();
    (body["timestamp_utc"], body["enviado_utc"]) = (sent.clone().into(), sent.into());
    http::json(StatusCode::OK, &body)
}
