//! `GET /metrics`: a service's counters and gauges in the format of Prometheus: `OpenMetrics` 1.0.0, or the older text format 0.0.4 to
//! those who ask for it.

use hyper::header::{ACCEPT, HeaderMap, HeaderValue, VARY};
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use super::accept::Accepted;
use super::response::{self, Response};

/// Its type on the wire.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
/// The older format's.
const PLAIN_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The answer with all that is in a registry, in the format that the client prefers.
pub fn answer(registry: &Registry, headers: &HeaderMap) -> Response {
    let mut text = String::new();
    // Writing to a `String` cannot fail.
    let _ = encode(&mut text, registry);
    let plain = Accepted::read(headers, &ACCEPT).prefers("text/plain", "application/openmetrics-text");
    let mut response =
        if plain { response::text(PLAIN_TYPE, as_plain(&text)) } else { response::text(CONTENT_TYPE, text) };
    response.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
    response
}

/// `OpenMetrics` in [the older format](https://prometheus.io/docs/instrumenting/exposition_formats/). There the name of a family is that
/// of its samples, an information is a gauge, and there are neither units nor an end.
fn as_plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    // The help of a family stands before its type, which says how the family is called.
    let mut help = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            help = rest.split_once(' ').map(|(_, help)| help);
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) {
            let (ending, kind) = match kind {
                "counter" => ("_total", "counter"),
                "info" => ("_info", "gauge"),
                "unknown" => ("", "untyped"),
                kind => ("", kind),
            };
            if let Some(help) = help.take() {
                plain.extend(["# HELP ", name, ending, " ", help, "\n"]);
            }
            plain.extend(["# TYPE ", name, ending, " ", kind, "\n"]);
        } else if !line.starts_with('#') {
            plain.extend([line, "\n"]);
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_older_format_names_a_family_as_its_samples() {
        let text = "# HELP a_seconds How long.\n# TYPE a_seconds gauge\n# UNIT a_seconds seconds\na_seconds 1\n\
                    # HELP b Some.\n# TYPE b counter\nb_total{x=\"# HELP\"} 2\n\
                    # HELP c About.\n# TYPE c info\nc_info{v=\"1\"} 1\n# EOF\n";
        let plain = "# HELP a_seconds How long.\n# TYPE a_seconds gauge\na_seconds 1\n\
                     # HELP b_total Some.\n# TYPE b_total counter\nb_total{x=\"# HELP\"} 2\n\
                     # HELP c_info About.\n# TYPE c_info gauge\nc_info{v=\"1\"} 1\n";
        assert_eq!(as_plain(text), plain);
    }
}
