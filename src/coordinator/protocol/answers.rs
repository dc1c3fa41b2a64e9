//! The answers to a batch, as a client reads them.
//!
//! They are read in one pass as this server writes them: in each answer the status stands before every member that the client
//! uses, and tells which type the rest is. Answers with another order are read again, member by member.

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::replies::{BusyReply, LeaseReply, ProblemReply, ReleasedReply};
use super::requests::Operation;

/// The answer to one operation.
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

/// Reads the answers to `operations`, one for each and in their order.
///
/// # Errors
/// What the body is instead.
pub fn read(body: &[u8], operations: &[&Operation]) -> Result<Vec<Answer>, String> {
    read_in_one_pass(body, operations).or_else(|_| read_anew(body, operations))
}

/// Reads answers as this server writes them.
fn read_in_one_pass(body: &[u8], operations: &[&Operation]) -> serde_json::Result<Vec<Answer>> {
    let text = std::str::from_utf8(body).map_err(serde_json::Error::custom)?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let answers = Body(operations).deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(answers)
}

/// Reads answers with members in any order.
fn read_anew(body: &[u8], operations: &[&Operation]) -> Result<Vec<Answer>, String> {
    let other = |error| format!("outra coisa: {error}");
    let Answers { respostas } = serde_json::from_slice(body).map_err(other)?;
    if respostas.len() != operations.len() {
        return Err(format!("{} de {} operações", respostas.len(), operations.len()));
    }
    let answers = operations.iter().zip(respostas).map(|(operation, answer)| Answer::read(operation, answer));
    answers.collect::<Result<_, _>>().map_err(other)
}

/// The body of a batch's answers, not yet read.
#[derive(Deserialize)]
struct Answers<'a> {
    #[serde(borrow)]
    respostas: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Status {
    status: u16,
}

/// The type of an answer.
enum Form {
    Lease,
    Released,
    Busy,
    Problem,
}

impl Form {
    fn of(status: u16, operation: &Operation) -> Self {
        match (status, operation) {
            (200, Operation::Unlock(_)) => Self::Released,
            (200, Operation::Lock(_) | Operation::Renew { .. }) => Self::Lease,
            (409, Operation::Lock(_)) => Self::Busy,
            _ => Self::Problem,
        }
    }
}

impl Answer {
    /// Reads the answer to `operation`. An answer of another form than its status promises is a problem, unless the status is a
    /// success.
    fn read(operation: &Operation, answer: &RawValue) -> serde_json::Result<Self> {
        let text = answer.get();
        let Status { status } = serde_json::from_str(text)?;
        let expected = match Form::of(status, operation) {
            Form::Released => serde_json::from_str(text).map(Self::Released),
            Form::Lease => serde_json::from_str(text).map(Self::Lease),
            Form::Busy => serde_json::from_str(text).map(Self::Busy),
            Form::Problem => return serde_json::from_str(text).map(Self::Problem),
        };
        expected.or_else(|error| if status == 200 { Err(error) } else { serde_json::from_str(text).map(Self::Problem) })
    }
}

/// Reads a whole body in one pass.
struct Body<'a>(&'a [&'a Operation]);

impl<'de> DeserializeSeed<'de> for Body<'_> {
    type Value = Vec<Answer>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Answer>, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Body<'_> {
    type Value = Vec<Answer>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answers to a batch")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<Answer>, A::Error> {
        let mut read = None;
        while let Some(name) = map.next_key::<&str>()? {
            if name == "respostas" && read.is_none() {
                read = Some(map.next_value_seed(List(self.0))?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        read.ok_or_else(|| Error::missing_field("respostas"))
    }
}

/// Reads the list of answers.
struct List<'a>(&'a [&'a Operation]);

impl<'de> DeserializeSeed<'de> for List<'_> {
    type Value = Vec<Answer>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Vec<Answer>, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for List<'_> {
    type Value = Vec<Answer>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of answers")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<Answer>, A::Error> {
        let mut answers = Vec::with_capacity(self.0.len());
        for operation in self.0 {
            let answer = list.next_element_seed(One(operation))?;
            answers.push(answer.ok_or_else(|| Error::invalid_length(answers.len(), &self))?);
        }
        match list.next_element::<IgnoredAny>()? {
            None => Ok(answers),
            Some(_) => Err(Error::invalid_length(self.0.len() + 1, &self)),
        }
    }
}

/// Reads the answer to one operation, whose status comes before the members that the client uses.
struct One<'a>(&'a Operation);

impl<'de> DeserializeSeed<'de> for One<'_> {
    type Value = Answer;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Answer, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for One<'_> {
    type Value = Answer;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an answer")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Answer, A::Error> {
        let status = loop {
            match map.next_key::<&str>()? {
                Some("status") => break map.next_value::<u16>()?,
                // A problem document begins with these.
                Some("type" | "title") => _ = map.next_value::<IgnoredAny>()?,
                _ => return Err(Error::custom("the status does not come first")),
            }
        };
        let rest = MapAccessDeserializer::new(map);
        match Form::of(status, self.0) {
            Form::Released => ReleasedReply::deserialize(rest).map(Answer::Released),
            Form::Lease => LeaseReply::deserialize(rest).map(Answer::Lease),
            Form::Busy => BusyReply::deserialize(rest).map(Answer::Busy),
            Form::Problem => {
                ProblemReply::deserialize(rest).map(|reply| Answer::Problem(ProblemReply { status, ..reply }))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, LazyLock};
    use std::time::Duration;

    use serde::Serialize;
    use serde_json::json;

    use super::*;
    use crate::coordinator::kinds;
    use crate::coordinator::protocol::batch::WrittenAnswer;
    use crate::coordinator::protocol::replies::{BriefBusy, ShownLease};
    use crate::coordinator::table::{Acquire, LeaseId, Release};
    use crate::http::links::{FixedLinks, Link, Links};
    use crate::http::problem::Problem;
    use crate::time::Timestamp;

    fn lock() -> Operation {
        Operation::Lock(Acquire {
            resources: [Arc::from("X")].into(),
            owner: None,
            request_id: None,
            ttl: Duration::from_secs(1),
            wait: Duration::ZERO,
            min_token: 0,
            despite_retention: false,
            contest: None,
        })
    }

    fn lease() -> LeaseReply {
        LeaseReply {
            status: Some(200),
            situacao: "concedido",
            trava_id: LeaseId(3),
            token: 4,
            ttl_ms: 1000,
            resta_ms: Some(999),
            esperou_ms: None,
            disputa: None,
            sorteio: None,
        }
    }

    static LINKS: LazyLock<FixedLinks> =
        LazyLock::new(|| FixedLinks::new(Links::new().with("renovar", Link::get("/renew"))));

    fn shown() -> WrittenAnswer {
        let (recursos, expira_em_utc) = (["X"].map(Arc::from).into(), Timestamp::MIN.micros());
        WrittenAnswer::Lease(ShownLease { lease: lease(), recursos, dono: None, expira_em_utc, links: &LINKS })
    }

    fn read(operation: &Operation, answer: &impl Serialize) -> Answer {
        let answer = serde_json::to_value(answer).unwrap();
        let body = serde_json::to_vec(&json!({"respostas": [answer]})).unwrap();
        let read_of = |body: &[u8]| super::read(body, &[operation]).unwrap().remove(0);
        // With the status last, it is the same.
        let mut members = answer.as_object().unwrap().clone();
        if let Some(status) = members.shift_remove("status") {
            members.insert("status".to_owned(), status);
        }
        let turned = serde_json::to_vec(&json!({"more": [1], "respostas": [members]})).unwrap();
        let read = read_of(&body);
        assert_eq!(format!("{read:?}"), format!("{:?}", read_of(&turned)));
        read
    }

    #[test]
    fn an_answer_that_the_server_writes_is_the_one_that_a_client_reads() {
        let unlock = Operation::Unlock(Release::ById { lease: LeaseId(3), retention: Duration::ZERO });
        for written in [shown(), WrittenAnswer::BriefLease(lease())] {
            let Answer::Lease(read_lease) = read(&lock(), &written) else { panic!("no lease") };
            assert_eq!((read_lease.trava_id, read_lease.token), (LeaseId(3), 4));
            assert_eq!((read_lease.ttl_ms, read_lease.resta_ms), (1000, Some(999)));
        }
        let released = ReleasedReply { status: Some(200), liberado: false, motivo: Some("expirado".into()) };
        let Answer::Released(released) = read(&unlock, &WrittenAnswer::Released(released)) else { panic!("no unlock") };
        assert_eq!((released.liberado, released.motivo.as_deref()), (false, Some("expirado")));
        let busy = json!({"status": 409, "codigo": "ocupado", "detail": "em uso", "recurso": "X", "token": 3});
        assert!(matches!(read(&lock(), &busy), Answer::Busy(busy) if &*busy.recurso == "X"));
        // A refusal of another form than the operation's is a problem.
        for problem in [json!({"status": 409, "codigo": "trava_perdida", "detail": "Venceu."}), json!({"status": 503})]
        {
            assert!(matches!(read(&lock(), &problem), Answer::Problem(_)), "{problem}");
        }
        let granted = br#"{"respostas": [{"status": 200, "token": "7", "trava_id": "x", "ttl_ms": 1}]}"#;
        assert!(super::read(granted, &[&lock()]).unwrap_err().contains("expected u64"));
        let wrong = |body: &[u8]| super::read(body, &[&unlock]).unwrap_err();
        assert!(wrong(br#"{"respostas": [{}]}"#).contains("status"));
        assert_eq!(wrong(br#"{"respostas": [{"status": 200}, {"status": 200}]}"#), "2 de 1 operações");
        assert_eq!(wrong(br#"{"respostas": []}"#), "0 de 1 operações");
        for other in [&b"[]"[..], b"{}", b"", br#"{"respostas": [{"status": 200}]} more"#] {
            assert!(wrong(other).starts_with("outra coisa: "));
        }
    }

    #[test]
    fn the_servers_own_answers_are_read_in_one_pass() {
        let unlock = Operation::Unlock(Release::ById { lease: LeaseId(3), retention: Duration::ZERO });
        let busy = Problem::new(kinds::BUSY, "em uso").with("recurso", "X").to_value("r-1");
        let brief = BriefBusy { status: 409, codigo: kinds::BUSY.code(), recurso: "X".into() };
        let written = [
            (shown(), lock()),
            (WrittenAnswer::BriefLease(lease()), lock()),
            (WrittenAnswer::Released(ReleasedReply { status: Some(200), liberado: true, motivo: None }), unlock),
            (WrittenAnswer::Other(busy), lock()),
            (WrittenAnswer::BriefBusy(brief), lock()),
        ];
        let (answers, operations): (Vec<_>, Vec<_>) = written.into_iter().unzip();
        let body = serde_json::to_vec(&json!({ "respostas": answers })).unwrap();
        let read = read_in_one_pass(&body, &operations.iter().collect::<Vec<_>>()).unwrap();
        let expected = matches!(
            &read[..],
            [Answer::Lease(_), Answer::Lease(_), Answer::Released(_), Answer::Busy(_), Answer::Busy(_)]
        );
        assert!(expected, "{read:?}");
    }
}
