//! `DELETE /locks/{recurso}`: an operator takes a lock away. The order is recorded durably first; without its record it is not carried
//! out.

use std::path::PathBuf;
use std::sync::Arc;

use hyper::StatusCode;
use slog::{Logger, error};

use super::answers::{ForcedAnswer, no_lock};
use super::audit_line::{self, Order};
use super::record_file::{NotRecorded, RecordFile};
use super::rights::Rights;
use crate::audit::record::{Cause, LOCK_FORCED, LOCK_NOT_FORCED};
use crate::coordinator::kinds;
use crate::coordinator::protocol::BODY_MAX;
use crate::coordinator::service::Service;
use crate::coordinator::table::ForceTarget;
use crate::http::fields::{Fields, TextRule};
use crate::http::identity::read_json;
use crate::http::links::{Link, Links};
use crate::http::problem::Problem;
use crate::http::server::Request;
use crate::http::{self, Response};
use crate::logging::Logs;

/// The reason that an operator gives.
const REASON: TextRule = TextRule { max_chars: 500, multiline: false };

/// Carries out operators' orders.
#[derive(Clone)]
pub struct Forcing {
    records: RecordFile,
    logs: Logs,
}

impl Forcing {
    /// Each order is recorded in the file at `record_path`, and shown on the console of `logs`.
    pub fn new(record_path: PathBuf, logs: Logs) -> Self {
        Self { records: RecordFile::new(record_path), logs }
    }

    /// Answers the request for one resource.
    pub async fn force(
        &self,
        service: &Arc<Service>,
        request: &mut Request,
        resource: &str,
        rights: Rights,
    ) -> Result<Response, Problem> {
        rights.check_taking([resource])?;
        let bytes = read_json(request, BODY_MAX).await?;
        let mut fields = if bytes.is_empty() { Fields::none() } else { Fields::parse(&bytes)? };
        let reason = fields.text("motivo", REASON);
        fields.finish("motivo").map_err(Problem::invalid_fields)?;
        let cause = Cause { request_id: request.id.clone(), caller: request.who.at(request.peer), keeping: None };
        let order = Order { resource: resource.to_owned(), reason, cause };
        let (this, service, log) = (self.clone(), Arc::clone(service), request.log.clone());
        // In a task of its own: if the operator disconnects after the record, the order is carried out all the same.
        let done = tokio::spawn(async move { this.carry_out(&service, &log, &order, &rights).await }).await;
        done.unwrap_or_else(|error| Err(Problem::internal(format!("a trava forçada: {error}"))))
    }

    async fn carry_out(
        &self,
        service: &Service,
        log: &Logger,
        order: &Order,
        rights: &Rights,
    ) -> Result<Response, Problem> {
        let resource = &order.resource;
        let Some(seen) = service.force_target(resource) else {
            return Err(free_to_force(resource));
        };
        // The lease may have other names too.
        rights.check_taking(seen.ended.resources.iter().map(AsRef::as_ref))?;
        if let Err(NotRecorded { error, stands }) = self.record(service, LOCK_FORCED, &seen, order).await {
            error!(log, "Trava não retirada, o registro não pôde ser gravado: {}", error);
            if stands {
                self.take_back(service, log, &seen, order).await;
            }
            return Err(not_recorded(&error));
        }
        if service.force(log, resource, &seen) {
            return Ok(http::json(StatusCode::OK, &ForcedAnswer::new(resource, seen)));
        }
        self.take_back(service, log, &seen, order).await;
        Err(if service.force_target(resource).is_none() { free_to_force(resource) } else { changed(resource) })
    }

    /// Says in the record that it was not done after all.
    async fn take_back(&self, service: &Service, log: &Logger, seen: &ForceTarget, order: &Order) {
        if let Err(NotRecorded { error, .. }) = self.record(service, LOCK_NOT_FORCED, seen, order).await {
            error!(log, "O registro diz que a trava foi retirada, e não foi: {}", error);
        }
    }

    async fn record(
        &self,
        service: &Service,
        event: &str,
        seen: &ForceTarget,
        order: &Order,
    ) -> Result<(), NotRecorded> {
        // The log's own lines until now come first: the grant of this lock may be among them.
        let logs = self.logs.clone();
        let caught_up = tokio::task::spawn_blocking(move || logs.flush_file()).await;
        let lost = |error| NotRecorded { error: std::io::Error::other(error), stands: true };
        caught_up.map_err(|error| NotRecorded { stands: false, ..lost(error) })?;
        let line = audit_line::line(event, service.now(), seen, order);
        let (records, logs) = (self.records.clone(), self.logs.clone());
        let written = tokio::task::spawn_blocking(move || {
            records.append(&line)?;
            logs.raw_on_console(&line);
            Ok(())
        });
        written.await.unwrap_or_else(|error| Err(lost(error)))
    }
}

fn not_recorded(error: &std::io::Error) -> Problem {
    let detail = format!(
        "O log do coordenador não pôde ser gravado ({error}), e nenhuma trava é retirada sem o seu registro: nada foi feito."
    );
    Problem::new(kinds::NOT_RECORDED, detail).retry_after_s(1).already_logged()
}

fn changed(resource: &str) -> Problem {
    let detail = format!(
        "A trava de {resource} terminou por si enquanto a ordem era registrada, e o recurso já tem outra: nada foi feito."
    );
    Problem::new(kinds::CHANGED, detail).with_links(Links::new().with("travas", Link::get("/locks")))
}

fn free_to_force(resource: &str) -> Problem {
    no_lock(format!("O recurso {resource} não está travado nem retido: não há o que liberar."))
}
