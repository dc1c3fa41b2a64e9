//! `GET /metrics`: a service's counters and gauges in the format of Prometheus (`OpenMetrics` 1.0.0).

use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use super::response::{self, Response};

/// Its type on the wire.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The answer with all that is in a registry.
pub fn answer(registry: &Registry) -> Response {
    let mut text = String::new();
    // Writing to a `String` cannot fail.
    let _ = encode(&mut text, registry);
    response::text(CONTENT_TYPE, text)
}
