//! Several operations in one exchange: the body of `POST /lote`, its entries, and their answers.

use std::borrow::Cow;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::limits::{BATCH_MAX, BODY_BYTES};
use super::plain::Plain;
use super::replies::{BriefBusy, LeaseReply, ReleasedReply, ShownLease};
use super::requests::{Operation, OperationKind};
use crate::http::fields::Fields;
use crate::http::fields::object::Object;
use crate::http::problem::{FieldError, Problem};
use crate::http::request_id::RequestId;
use crate::http::unknown::Unknown;
use crate::http::wrong::FieldCode;
use crate::json;

/// The fields of an entry besides its operation's own, as [`Operation::read`] is told of them.
const ENTRY_FIELDS: &str = ", op, req, req_cliente, traceparent, tracestate";

/// What is wrong with a `tracestate` alone.
const BESIDE_TRACEPARENT: &str = "só pode vir ao lado de traceparent";

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
    pub fn add(&mut self, req: &RequestId, operation: &Operation) {
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

/// A batch as the schedulers send it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch<'a> {
    #[serde(borrow)]
    operacoes: Vec<&'a RawValue>,
}

/// The texts of a batch's entries. Unknown fields beside them are noted.
///
/// # Errors
/// 400 or 422 when the body is not a batch.
pub fn entries<'a>(body: &'a [u8], unknown: &mut Unknown) -> Result<Vec<&'a RawValue>, Problem> {
    match json::from_slice(body) {
        Ok(Object(Batch { operacoes })) if (1..=BATCH_MAX).contains(&operacoes.len()) => Ok(operacoes),
        _ => entries_of_fields(body, unknown),
    }
}

/// The entries of a batch that has other fields, or that is none.
fn entries_of_fields<'a>(body: &'a [u8], unknown: &mut Unknown) -> Result<Vec<&'a RawValue>, Problem> {
    let mut fields = Fields::parse(body)?;
    let entries = fields.take("operacoes").map(|raw| serde_json::from_str::<Vec<&RawValue>>(raw.get()));
    let entries = match entries {
        Some(Ok(entries)) if (1..=BATCH_MAX).contains(&entries.len()) => entries,
        Some(Ok(entries)) => {
            let words = format!("deve ter de 1 a {BATCH_MAX} operações; tem {}", entries.len());
            fields.reject("operacoes", FieldCode::Length.says(words));
            Vec::new()
        }
        Some(Err(_)) => {
            fields.reject("operacoes", FieldCode::Kind.says("deve ser uma lista de operações, entre [ e ]"));
            Vec::new()
        }
        None => {
            fields.reject("operacoes", FieldCode::Missing.says("é obrigatório"));
            Vec::new()
        }
    };
    fields.finish_noting("", "operacoes", unknown).map_err(Problem::invalid_fields)?;
    Ok(entries)
}

/// An entry of a batch.
pub struct Entry<'a> {
    /// The request that caused the operation, where the entry names it.
    pub req: Option<RequestId>,
    operation: Reading<'a>,
}

/// How far the operation of an entry is read.
enum Reading<'a> {
    Done(Operation),
    Fields(Fields<'a>),
}

impl<'a> Entry<'a> {
    /// Reads the request that the entry names, and its operation where nothing is wrong with that: errors in it are logged and answered
    /// under that name.
    ///
    /// # Errors
    /// When it is no object, or the name is not a request's.
    pub fn read(raw: &'a RawValue) -> Result<Self, Vec<FieldError>> {
        if let Some(read) = Self::read_plain(raw) {
            return Ok(read);
        }
        let mut fields = Fields::from_raw(raw).map_err(|error| vec![error])?;
        let mut named = |name| text(&mut fields, name);
        let (req, client) = (named("req")?, named("req_cliente")?);
        let (trace, state) = (named("traceparent")?, named("tracestate")?);
        let req = request(req.as_deref(), client.as_deref(), trace.as_deref(), state.as_deref());
        Ok(Self { req: req.map_err(|error| vec![error])?, operation: Reading::Fields(fields) })
    }

    /// An entry with which nothing is wrong.
    fn read_plain(raw: &'a RawValue) -> Option<Self> {
        let plain = Plain::read(raw.get())?;
        let req = request(plain.req, plain.req_cliente, plain.traceparent, plain.tracestate).ok()?;
        let kind = OperationKind::named(plain.op?)?;
        let operation = plain.operation(kind)?;
        Some(Self { req, operation: Reading::Done(operation) })
    }

    /// Reads the operation. Its unknown fields are noted.
    ///
    /// # Errors
    /// When it is none of the operations; else every wrong field.
    pub fn operation(self, unknown: &mut Unknown) -> Result<Operation, Vec<FieldError>> {
        let mut fields = match self.operation {
            Reading::Done(operation) => return Ok(operation),
            Reading::Fields(fields) => fields,
        };
        let Some(op) = text(&mut fields, "op")? else {
            let missing = FieldCode::Missing.says("é obrigatório: \"lock\", \"unlock\" ou \"renew\"");
            return Err(vec![FieldError::new("op", missing)]);
        };
        let kind = OperationKind::named(&op)
            .ok_or_else(|| vec![FieldError::new("op", "deve ser \"lock\", \"unlock\" ou \"renew\"")])?;
        Operation::read(kind, fields, ENTRY_FIELDS, unknown)
    }
}

/// The request that an entry names: its identifier, the one of its client, and its trace with what other systems keep in it.
fn request(
    req: Option<&str>,
    client: Option<&str>,
    trace: Option<&str>,
    state: Option<&str>,
) -> Result<Option<RequestId>, FieldError> {
    let Some(req) = req else {
        let alone = [("req_cliente", client), ("traceparent", trace)].into_iter().find(|(_, text)| text.is_some());
        return match alone {
            Some((field, _)) => Err(FieldError::new(field, "só pode vir ao lado de req")),
            None if state.is_some() => Err(FieldError::new("tracestate", BESIDE_TRACEPARENT)),
            None => Ok(None),
        };
    };
    let not_one = "deve ter de 1 a 64 caracteres de A–Z a–z 0–9 . _ -, e uma letra ou um algarismo";
    let mut id = RequestId::parse(req).ok_or_else(|| FieldError::new("req", not_one))?;
    if let Some(client) = client {
        id = id.beside(client).ok_or_else(|| FieldError::new("req_cliente", not_one))?;
    }
    if let Some(trace) = trace {
        let not_one = "deve ter a forma de um traceparent (W3C Trace Context)";
        id = id.traced(trace).ok_or_else(|| FieldError::new("traceparent", not_one))?;
    }
    if let Some(state) = state {
        if trace.is_none() {
            return Err(FieldError::new("tracestate", BESIDE_TRACEPARENT));
        }
        let not_one = "deve ter a forma de um tracestate (W3C Trace Context), de até 512 bytes";
        id = id.with_state(state).ok_or_else(|| FieldError::new("tracestate", not_one))?;
    }
    Ok(Some(id))
}

fn text<'a>(fields: &mut Fields<'a>, name: &str) -> Result<Option<Cow<'a, str>>, Vec<FieldError>> {
    /// Borrowed from the body unless an escape is in it.
    #[derive(Deserialize)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);
    let Some(raw) = fields.take(name) else { return Ok(None) };
    let read = serde_json::from_str(raw.get()).map(|Text(text)| Some(text));
    read.map_err(|_| vec![FieldError::new(name, FieldCode::Kind.says("deve ser um texto"))])
}

/// The answer to one operation, as the server writes it: the members that it would have alone, and its status.
#[derive(Serialize)]
#[serde(untagged)]
pub enum WrittenAnswer {
    /// A lease.
    Lease(ShownLease),
    /// A lease, for a client that asked for short answers.
    BriefLease(LeaseReply),
    /// A resource is not free, for such a client.
    BriefBusy(BriefBusy),
    /// What became of an unlock.
    Released(ReleasedReply),
    /// A problem document, which has its status already, or an answer with notices.
    Other(Value),
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;
    use crate::coordinator::protocol::limits::{DECISION, LARGE_BODY_MAX, NAME_MAX_BYTES, RESOURCES_MAX};
    use crate::coordinator::table::{Acquire, Contest, LeaseId, Release, Tie};
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
            contest: None,
        })
    }

    fn request() -> RequestId {
        let context = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let in_trace = RequestId::of_test("req-1").beside("clique-7").unwrap().traced(context).unwrap();
        in_trace.with_state("rojo=00f067aa0ba902b7,congo=t61rcWkgMzE").unwrap()
    }

    fn written(operations: &[Operation]) -> Bytes {
        let mut batch = BatchWriter::default();
        for operation in operations {
            assert!(batch.has_room());
            batch.add(&request(), operation);
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
            contest: None,
        };
        let tie = Tie { within_us: 5000, seed: Some("s".into()), group: Some("7".into()) };
        let contest = Some(Contest { stamp_us: 5, window: 150 * MS, entry: Some("r-1 7".into()), tie });
        let contested = Acquire { contest, wait: 150 * MS + DECISION, ..simple.clone() };
        let operations = [
            lock(),
            Operation::Lock(contested),
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
        for (operation, fields) in operations.iter().zip(entries) {
            let entry = Entry::read(fields).unwrap();
            assert_eq!(entry.req.as_ref(), Some(&request()));
            assert_eq!(entry.operation(&mut strict).unwrap(), *operation);
        }
    }

    #[test]
    fn a_batch_is_read_the_same_in_one_pass_and_entry_by_entry() {
        let read = |body: &str| {
            let mut unknown = Unknown::new(None);
            let texts = |entries: Vec<&RawValue>| -> Vec<_> {
                entries.into_iter().map(|entry| Entry::read(entry).map(|entry| entry.operation(&mut unknown))).collect()
            };
            entries(body.as_bytes(), &mut Unknown::new(None)).map(texts).map_err(|problem| problem.log_text())
        };
        let entries =
            r#"{"op": "lock", "recurso": "X", "recurso": "Y"}, {"op": "unlock", "recurso": "\u00e9", "z": 1}, {}"#;
        let plain = read(&format!(r#" {{"operacoes": [{entries}]}}"#)).unwrap();
        assert_eq!(plain.len(), 3);
        let beside = read(&format!(r#"{{"more": [null], "operacoes": [{entries}, 7]}}"#)).unwrap();
        assert_eq!(format!("{plain:?}"), format!("{:?}", &beside[..3]));
        assert!(beside[3].is_err());
        for wrong in [
            "[[{}]]",
            r#"{"operacoes": []}"#,
            r#"{"operacoes": {}}"#,
            r#"{"operacoes": [{}], "operacoes": [{}]}"#,
            "{}",
            "",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
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
            contest: None,
        });
        let mut batch = BatchWriter::default();
        while batch.has_room() {
            batch.add(&RequestId::of_test(&"r".repeat(64)).beside(&"c".repeat(64)).unwrap(), &longest);
        }
        let body = batch.finish();
        assert!((BODY_BYTES..=LARGE_BODY_MAX).contains(&body.len()), "{}", body.len());
    }
}
