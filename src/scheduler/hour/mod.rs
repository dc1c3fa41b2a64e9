//! `GET /time`: the official time; and, for a client that sends a nonce, a time token. And what a token is worth to a booking: its stamp.

pub mod history;
pub mod openings;
pub mod seeds;
pub mod vouching;
pub mod windows;

use std::sync::{Arc, LazyLock};

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
use crate::http::forwarded::Sender;
use crate::http::links::FixedLinks;
use crate::http::parameters::Parameters;
use crate::http::problem::Problem;
use crate::http::server::Request;
use crate::http::wrong::FieldCode;
use crate::http::{self, Response};
use crate::time::Timestamp;

/// The path of the time.
const PATH: &str = "/time";
/// The links of an answer without a token.
static LINKS: LazyLock<FixedLinks> = LazyLock::new(|| FixedLinks::new(links::self_and_entry(PATH)));
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
    http::json(StatusCode::OK, &TimeView::of(received, app.clock.now().max(received), &LINKS))
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

/// The caller of a request, as far as time tokens go.
struct Caller {
    /// Whose time tokens it may bring.
    holder: Holder,
    /// Whether a round trip to it can be known. It cannot behind a proxy that is not trusted.
    is_measured: bool,
    /// The shortest round trip of its connection, if that leads to the caller itself.
    connection_us: Option<u32>,
    /// Whether its history counts. Callers without a name share their address with others, who may be nearer.
    has_history: bool,
}

impl Caller {
    fn of(request: &Request) -> Self {
        let (address, connection_us, is_measured) = match request.sender() {
            Sender::Peer => (request.peer.ip(), request.hosting.least_round_trip_us(), true),
            Sender::Behind(address) => (address, None, true),
            Sender::Unknown => (request.peer.ip(), None, false),
        };
        let holder = Holder::of(&request.who.author().to_string(), &AddressKey::at(address).to_string());
        let has_history = is_measured && matches!(request.who, Who::Known(_));
        Self { holder, is_measured, connection_us, has_history }
    }

    /// Notes the shortest of the round trips that were seen now, and gives it.
    fn note(&self, app: &App, of_token: Option<u32>, now: Timestamp) -> Option<u32> {
        let shortest = [of_token, self.connection_us].into_iter().flatten().min();
        if let Some(round_trip_us) = shortest.filter(|_| self.has_history) {
            app.history.note(&self.holder, round_trip_us, now);
        }
        shortest
    }
}

/// The stamp of a booking's request that brings a time token: the instant of its click, as far as this scheduler vouches for it.
pub async fn stamp(app: &App, request: &Request, claim: Option<Timestamp>, text: &str) -> Stamp {
    let (arrived, caller) = (request.received, Caller::of(request));
    let token = if caller.is_measured {
        app.vouching.open(means(app), text, &caller.holder).await
    } else {
        Err(NotValid::Proxied)
    };
    let account_us = caller.has_history.then(|| app.history.shortest(&caller.holder, arrived)).flatten();
    caller.note(app, None, arrived);
    let token = token.as_ref().map(Vouched::from).map_err(|wrong| *wrong);
    Evidence { arrived, claim, token, connection_us: caller.connection_us, account_us }.stamp()
}

/// The official time with a token, which continues the series of the token that the client brings.
async fn vouched(app: &App, asked: Asked, request: &Request) -> Response {
    let (received, caller) = (request.received, Caller::of(request));
    app.vouching.renew_if_due(means(app)).await;
    if app.gate.locking().is_some() {
        app.seeds.prepare(&*app.store, &app.log).await;
    }
    let previous = match &asked.previous {
        None => Err(ABSENT),
        Some(text) => match app.vouching.open(means(app), text, &caller.holder).await {
            Ok(token) => Ok((token, text)),
            Err(wrong) => Err(NotValid::name(wrong)),
        },
    };
    let sent = app.clock.now().max(received);
    let (nonce, holder, process) = (asked.nonce, caller.holder.clone(), app.vouching.process().to_owned());
    let exchange = Exchange { nonce, received, sent, holder, process };
    let (token, before) = match previous {
        Ok((previous, text)) => (Some(previous.following(text, exchange)), ACCEPTED),
        Err(word) => (vouching::new_session().map(|session| TimeToken::first(exchange, session)), word),
    };
    let sealed = token.as_ref().and_then(|token| app.vouching.seal(token));
    let token = token.filter(|_| sealed.is_some());
    if let Some(token) = &token {
        let shortest = caller.note(app, token.round_trip_us, sent);
        // Who gets no credit is not waited for.
        if caller.is_measured {
            app.windows.given(shortest, token.expires_at());
        }
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
