//! What the tests and benches share: the real executable on free ports, in folders of its own.

pub mod access;
mod asked;
mod background;
pub mod bookers;
pub mod certificates;
pub mod contract;
pub mod etcd;
mod executable;
pub mod identity_provider;
pub mod listener;
mod locks;
mod log_lines;
pub mod network;
pub mod peer;
pub mod pending;
mod pictures;
pub mod podman;
mod requests;
mod server;
mod services;
mod sources;
pub mod stranger;
pub mod terminal;
pub mod trail;
mod wait;

pub use asked::Asked;
pub use background::Background;
pub use executable::{coordinator_command, deaf, pause, run, scheduler_command, sctec, signal};
pub use locks::Locks;
pub use log_lines::{request_of, stamp};
pub use pictures::picture;
pub use requests::{Answer, at_once, contest, http, http_below, http_with, nobody, try_http};
pub use server::Server;
pub use services::{Services, count, without_rules};
pub use sources::sources;
pub use wait::wait_until;
