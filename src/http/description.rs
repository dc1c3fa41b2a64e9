//! `GET /openapi.json`: the description of a service's API for programs (`OpenAPI` 3.1), which the entry point names by the relation
//! `service-desc`.
//!
//! The relation is that of [RFC 8631](https://www.rfc-editor.org/rfc/rfc8631). The documents are written by hand, in `assets/openapi`;
//! tests hold them to the routers and to the answers.

use super::files::File;
use super::links::Link;

/// The path.
pub const PATH: &str = "/openapi.json";
/// The relation of the entry point's link.
pub const RELATION: &str = "service-desc";

/// The entry point's link.
pub fn link() -> Link {
    Link::titled(PATH, "A descrição desta API, para programas (OpenAPI)")
}

/// The document as it is served.
pub fn file(document: &'static str) -> File {
    File::new(PATH, document)
}
