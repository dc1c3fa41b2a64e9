//! HTTP on hyper, without any domain: a server and a client, a router, the fields of requests, answers and problem documents,
//! links, embedded files, streams of events, and advice where there is no connection.

pub mod accept;
pub(crate) mod blocking;
pub mod body;
mod causes;
pub mod channel;
pub mod client;
pub mod fields;
pub mod files;
pub mod head;
pub mod kind;
pub mod links;
pub mod parameters;
mod pieces;
pub mod presence;
pub mod problem;
pub mod request_id;
mod response;
pub mod router;
pub mod server;
pub mod socket;
pub mod sse;
mod stream;
mod suggest;
pub mod unknown;
pub mod unreachable;
pub mod wrong;

pub use causes::in_words;
pub use response::{Body, Response, bytes, json, json_in_pieces, options, text};
