//! HTTP on hyper, without any domain: a server and a client, a router, the fields of requests, answers and problem documents,
//! links, rates, counters, embedded files, explanations of problems, streams of events, TLS, and advice where there is no connection.

pub(crate) mod accept;
pub(crate) mod answered;
pub(crate) mod blocking;
pub(crate) mod body;
pub mod bounds;
mod causes;
pub(crate) mod channel;
pub mod client;
pub(crate) mod cookie;
pub(crate) mod description;
pub(crate) mod explained;
pub(crate) mod fields;
pub(crate) mod files;
pub mod guard;
pub(crate) mod gzip;
pub(crate) mod head;
pub(crate) mod html;
pub mod identity;
pub mod kind;
pub(crate) mod links;
pub(crate) mod metrics;
pub(crate) mod no_room;
pub(crate) mod parameters;
pub(crate) mod pass;
mod pieces;
pub(crate) mod precondition;
pub(crate) mod presence;
pub(crate) mod problem;
pub mod rates;
pub mod request_id;
mod response;
pub mod router;
pub mod server;
pub(crate) mod socket;
pub(crate) mod sse;
pub(crate) mod steps;
mod stream;
pub(crate) mod suggest;
pub mod tls;
pub(crate) mod unknown;
pub(crate) mod unreachable;
pub(crate) mod written;
pub mod wrong;

pub(crate) use causes::in_words;
pub(crate) use response::{Response, bytes, json, json_in_pieces, no_content, options, text};
