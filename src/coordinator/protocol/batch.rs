//! Several operations in one exchange: the body of `POST /lote`, its entries, and their answers.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::limits::{BATCH_MAX, BODY_BYTES};
use super::replies::{BusyReply, LeaseReply, ProblemReply, ReleasedReply};
use super::requests::{Kind, Operation};
use crate::http::fields::Fields;
use crate::http::problem::{FieldError, Problem};
use crate::http::request_id::RequestId;
use crate::http::unknown::Unknown;

/// The fields of an entry besides its operation's own, as [`Operation::read`] is told of them.
const ENTRY_FIELDS: &str = ", op, req";

/// Writes a batch, entry by entry.
#[derive(Debug, Default)]
pub struct BatchWriter {
    body: Vec<u8>,
    count: usize,
}

impl BatchWriter {
    /// Whether one more entry may be added.
    pub fn has_room(&self) -> bool {
        self.count < BATCH_MAX && self.body.len() < BODY_BYTES
    }

    /// Adds an operation that the request `req` caused.
    pub fn add(&mut self, req: &str, operation: &Operation) {
        self.body.extend_from_slice(if self.count == 0 { b"{\"operacoes\":[" } else { b"," });
        self.count += 1;
        // A struct of texts, numbers and lists: serialising it to memory cannot fail.
        serde_json::to_writer(&mut self.body, &operation.written(req)).expect("an operation serialises");
    }

    /// The body, of at least one entry.
    pub fn finish(mut self) -> Bytes {
        self.body.extend_from_slice(b"]}");
        self.body.into()
    }
}

/// The entries of a batch, not yet read. Unknown fields beside them are noted.
///
/// # Errors
/// 400 or 422 when the body is not a batch.
pub fn entries<'a>(body: &'a [u8], unknown: &mut Unknown) -> Result<Vec<&'a RawValue>, Problem> {
    let mut fields = Fields::parse(body)?;
    let entries = fields.take("operacoes").map(|raw| serde_json::from_str::<Vec<&RawValue>>(raw.get()));
    let entries = match entries {
        Some(Ok(entries)) if (1..=BATCH_MAX).contains(&entries.len()) => entries,
        Some(Ok(entries)) => {
            fields.reject("operacoes", format!("deve ter de 1 a {BATCH_MAX} operações; tem {}", entries.len()));
            Vec::new()
        }
        Some(Err(_)) => {
            fields.reject("operacoes", "deve ser uma lista de operações");
            Vec::new()
        }
        None => {
            fields.reject("operacoes", "é obrigatório");
            Vec::new()
        }
    };
    fields.finish_noting("", "operacoes", unknown).map_err(Problem::invalid_fields)?;
    Ok(entries)
}

/// An entry of a batch whose operation is not read yet.
pub struct Entry<'a> {
    /// The request that caused the operation, where the entry names it.
    pub req: Option<RequestId>,
    fields: Fields<'a>,
}

impl<'a> Entry<'a> {
    /// Reads the request that the entry names, and no more: errors in the operation are logged and answered under that name.
    ///
    /// # Errors
    /// When it is no object, or the name is not a request's.
    pub fn read(raw: &'a RawValue) -> Result<Self, Vec<FieldError>> {
        let mut fields = Fields::from_raw(raw).map_err(|error| vec![error])?;
        let not_one = "deve ter de 1 a 64 caracteres de A–Z a–z 0–9 . _ -, e uma letra ou um algarismo";
        let read = |text: String| RequestId::parse(&text).ok_or_else(|| wrong("req", not_one));
        let req = text(&mut fields, "req")?.map(read).transpose()?;
        Ok(Self { req, fields })
    }

    /// Reads the operation. Its unknown fields are noted.
    ///
    /// # Errors
    /// When it is none of the operations; else every wrong field.
    pub fn operation(mut self, unknown: &mut Unknown) -> Result<Operation, Vec<FieldError>> {
        let kind = match text(&mut self.fields, "op")?.as_deref() {
            Some("lock") => Kind::Lock,
            Some("renew") => Kind::Renew,
            Some("unlock") => Kind::Unlock,
            _ => return Err(wrong("op", "deve ser \"lock\", \"unlock\" ou \"renew\"")),
        };
        Operation::read(kind, self.fields, ENTRY_FIELDS, unknown)
    }
}

fn text(fields: &mut Fields<'_>, name: &str) -> Result<Option<String>, Vec<FieldError>> {
    let Some(raw) = fields.take(name) else { return Ok(None) };
    serde_json::from_str(raw.get()).map(Some).map_err(|_| wrong(name, "deve ser um texto"))
}

fn wrong(field: &str, message: &str) -> Vec<FieldError> {
    vec![FieldError::new(field, message)]
}

/// The answer to one operation, as the server writes it: the members that it would have alone, and its status.
#[derive(Serialize)]
#[serde(untagged)]
pub enum WrittenAnswer {
    /// A lease.
    Lease(LeaseReply),
    /// What became of an unlock.
    Released(ReleasedReply),
    /// A problem document, which has its status already, or an answer with notices.
    Other(Value),
}

/// The answer to one operation, as a client reads it.
#[derive(Debug)]
pub enum Answer {
    /// 200 to a lock or a renewal.
    Lease(LeaseReply),
    /// 200 to an unlock.
    Released(ReleasedReply),
    /// 409 to a lock: a resource is not free.
    Busy(BusyReply),
    /// Any other answer.
    Problem(ProblemReply),
}

impl Answer {
    /// Reads the answer to `operation`.
    ///
    /// # Errors
    /// When it has no status.
    pub fn read(operation: &Operation, answer: &RawValue) -> serde_json::Result<Self> {
        let text = answer.get();
        let Status { status } = serde_json::from_str(text)?;
        let expected = match (status, operation) {
            (200, Operation::Unlock(_)) => serde_json::from_str(text).map(Self::Released),
            (200, Operation::Lock(_) | Operation::Renew { .. }) => serde_json::from_str(text).map(Self::Lease),
            (409, Operation::Lock(_)) => serde_json::from_str(text).map(Self::Busy),
            _ => return serde_json::from_str(text).map(Self::Problem),
        };
        expected.or_else(|_| serde_json::from_str(text).map(Self::Problem))
    }
}

#[derive(Deserialize)]
struct Status {
    status: u16,
}

/// The answers to a batch, not yet read.
#[derive(Deserialize)]
pub struct Answers<'a> {
    /// One for each entry, in order.
    #[serde(borrow)]
    pub respostas: Vec<&'a RawValue>,
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::coordinator::protocol::limits::{LARGE_BODY_MAX, NAME_MAX_BYTES, RESOURCES_MAX};
    use crate::coordinator::table::{Acquire, LeaseId, Release};
    use crate::http::links::Links;
    use crate::http::unknown::Handling;

    const MS: Duration = Duration::from_millis(1);

    fn lock() -> Operation {
        Operation::Lock(Acquire {
            resources: ["X", "Y \"é\""].map(Arc::from).into(),
            owner: Some("a".into()),
            request_id: Some("r-1".into()),
            ttl: 1500 * MS,
            wait: 20 * MS,
            min_token: 7,
            despite_retention: true,
        })
    }

    fn written(operations: &[Operation]) -> Bytes {
        let mut batch = BatchWriter::default();
        for operation in operations {
            assert!(batch.has_room());
            batch.add("req-1", operation);
        }
        batch.finish()
    }

    #[test]
    fn an_operation_that_a_client_writes_is_the_one_that_the_server_reads() {
        let simple = Acquire {
            resources: [Arc::from("X")].into(),
            owner: None,
            request_id: None,
            ttl: 100 * MS,
            wait: Duration::ZERO,
            min_token: 0,
            despite_retention: false,
        };
        let operations = [
            lock(),
            Operation::Lock(simple),
            Operation::Renew { lease: LeaseId(0x1f), ttl: Some(100 * MS) },
            Operation::Renew { lease: LeaseId(0x1f), ttl: None },
            Operation::Unlock(Release::ById { lease: LeaseId(u128::MAX), retention: 60_000 * MS }),
            Operation::Unlock(Release::ByName { resource: "X".to_owned(), retention: Duration::ZERO }),
        ];
        let body = written(&operations);
        let mut strict = Unknown::new(Some(Handling::Strict));
        let entries = entries(&body, &mut strict).unwrap();
        assert_eq!(entries.len(), operations.len());
        for (operation, raw) in operations.iter().zip(entries) {
            let entry = Entry::read(raw).unwrap();
            assert_eq!(entry.req.as_deref(), Some("req-1"));
            assert_eq!(entry.operation(&mut strict).unwrap(), *operation);
        }
    }

    #[test]
    fn a_full_batch_stays_below_what_the_server_takes() {
        let resource = "x".repeat(NAME_MAX_BYTES);
        let longest = Operation::Lock(Acquire {
            resources: std::iter::repeat_n(Arc::from(resource), RESOURCES_MAX).collect(),
            owner: None,
            request_id: None,
            ttl: 100 * MS,
            wait: Duration::ZERO,
            min_token: 0,
            despite_retention: false,
        });
        let mut batch = BatchWriter::default();
        while batch.has_room() {
            batch.add(&"r".repeat(64), &longest);
        }
        let body = batch.finish();
        assert!((BODY_BYTES..=LARGE_BODY_MAX).contains(&body.len()), "{}", body.len());
    }

    fn read(operation: &Operation, answer: &impl Serialize) -> Answer {
        let raw = serde_json::value::to_raw_value(answer).unwrap();
        Answer::read(operation, &raw).unwrap()
    }

    #[test]
    fn an_answer_that_the_server_writes_is_the_one_that_a_client_reads() {
        let unlock = Operation::Unlock(Release::ById { lease: LeaseId(3), retention: Duration::ZERO });
        let lease = LeaseReply {
            status: Some(200),
            situacao: "concedido",
            recursos: ["X"].map(Arc::from).into(),
            trava_id: LeaseId(3),
            token: 4,
            dono: None,
            ttl_ms: 1000,
            resta_ms: Some(999),
            expira_em_utc: String::new(),
            esperou_ms: None,
            links: Links::new(),
        };
        let Answer::Lease(read_lease) = read(&lock(), &WrittenAnswer::Lease(lease)) else { panic!("no lease") };
        assert_eq!((read_lease.trava_id, read_lease.token), (LeaseId(3), 4));
        assert_eq!((read_lease.ttl_ms, read_lease.resta_ms), (1000, Some(999)));
        let released = ReleasedReply { status: Some(200), liberado: false, motivo: Some("expirado".into()) };
        let Answer::Released(released) = read(&unlock, &WrittenAnswer::Released(released)) else { panic!("no unlock") };
        assert_eq!((released.liberado, released.motivo.as_deref()), (false, Some("expirado")));
        let busy =
            serde_json::json!({"status": 409, "codigo": "ocupado", "detail": "em uso", "recurso": "X", "token": 3});
        assert!(matches!(read(&lock(), &busy), Answer::Busy(busy) if &*busy.recurso == "X"));
        // An answer of another form than the operation's is a problem, whatever its status.
        for problem in [
            serde_json::json!({"status": 409, "codigo": "trava_perdida", "detail": "Venceu."}),
            serde_json::json!({"status": 200, "token": 1, "trava_id": "x", "ttl_ms": 1}),
            serde_json::json!({"status": 503}),
        ] {
            assert!(matches!(read(&lock(), &problem), Answer::Problem(_)), "{problem}");
        }
        let empty = serde_json::value::to_raw_value(&serde_json::json!({})).unwrap();
        assert!(Answer::read(&unlock, &empty).is_err());
    }
}
