//! hyper servers that decide nothing: with them the services are compared.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Collected, Full};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::Value;
use tokio::net::TcpListener;

use super::Outcome;

/// Answers every request, with the settings of the services' own server, until the process is killed. It prints where it listens.
pub async fn serve<F>(answer: impl Fn(Request<Incoming>) -> F + Clone + Send + 'static) -> Outcome<()>
where
    F: Future<Output = Result<Response<Full<Bytes>>, Infallible>> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("escutando em http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        tokio::spawn(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(60))
                .max_buf_size(16 * 1024)
                .half_close(true)
                .serve_connection(TokioIo::new(stream), service_fn(answer.clone())),
        );
    }
}

/// An answer of JSON.
pub fn json(body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut answer = Response::new(Full::new(body.into()));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// The floor: it parses a body of JSON, and counts in a table how often it had that slot or resource.
pub async fn floor() -> Outcome<()> {
    let table: Arc<Mutex<HashMap<String, u64>>> = Arc::default();
    serve(move |request| {
        let table = Arc::clone(&table);
        async move {
            // A body that breaks off ends its connection, and with it the measurement.
            let body = request.into_body().collect().await.map(Collected::to_bytes).unwrap_or_default();
            let value: Value = serde_json::from_slice(&body).unwrap_or_default();
            let name = value["horario_inicio_utc"].as_str().or_else(|| value["recurso"].as_str()).unwrap_or_default();
            let mut table = table.lock().unwrap_or_else(PoisonError::into_inner);
            let times = table.entry(name.to_owned()).or_default();
            *times += 1;
            Ok(json(format!(r#"{{"nome":"{name}","vezes":{times}}}"#)))
        }
    })
    .await
}
