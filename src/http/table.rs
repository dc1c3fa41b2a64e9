//! A list as a table: CSV ([RFC 4180](https://www.rfc-editor.org/rfc/rfc4180)), for those who prefer it to JSON.

use std::borrow::Cow;

use csv::{Terminator, WriterBuilder};
use hyper::header::{ACCEPT, HeaderMap};
use serde::Serialize;
use serde_json::Value;

use super::accept::Accepted;
use super::cell::cell;
use super::kind;
use super::problem::Problem;

/// The media type.
const CSV: &str = "text/csv";
/// The media type with what is always so: the first row has the names.
pub(super) const CONTENT_TYPE: &str = "text/csv; charset=utf-8; header=present";
/// The media types of each list besides.
const JSON: [&str; 2] = ["application/json", "application/hal+json"];
/// A byte order mark in UTF-8. Some spreadsheets read a file as UTF-8 only if it begins with one.
const MARK: &str = "\u{feff}";
/// The parameter of the media type that asks for the mark.
const WITH_MARK: &str = "bom=true";
/// The bytes of a row for which there is room at once.
const ROW_BYTES: usize = 512;

/// A list that can be a table.
#[derive(Debug)]
pub struct Table {
    /// The member of the answer that is the list.
    pub list: &'static str,
    /// Its columns: the members of an item. `a.b` is the member `b` of the member `a`. A list, or an object without names known before,
    /// is one cell, as JSON.
    pub columns: &'static [&'static str],
    /// The other media types that the list has, besides those of JSON.
    pub also: &'static [&'static str],
}

impl Table {
    /// Whether a client wants the table, by the headers of its request; and then how.
    ///
    /// # Errors
    /// 406 when it accepts no type of the list.
    pub fn asked(&'static self, headers: &HeaderMap) -> Result<Option<Rows>, Problem> {
        let accepted = Accepted::read(headers, &ACCEPT);
        if accepted.is_empty() {
            return Ok(None);
        }
        let others = || JSON.iter().chain(self.also);
        if accepted.media_type(CSV) <= 0.0 && others().all(|other| accepted.media_type(other) <= 0.0) {
            return Err(self.not_acceptable());
        }
        if !others().all(|other| accepted.prefers(CSV, other)) {
            return Ok(None);
        }
        Ok(Some(Rows { table: self, marked: asks_for_mark(headers), begun: false, open: false }))
    }

    fn not_acceptable(&self) -> Problem {
        let types: Vec<&str> = JSON.iter().chain([&CSV]).chain(self.also).copied().collect();
        let detail = format!(
            "Esta lista não existe em nenhum dos formatos que o cabeçalho Accept aceita. Os formatos dela são {}.",
            types.join(", ")
        );
        Problem::new(kind::NOT_ACCEPTABLE, detail).with("formatos", types)
    }
}

/// Whether the media type of a request asks for the mark.
fn asks_for_mark(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).any(|entry| {
        let mut parts = entry.split(';').map(str::trim);
        parts.next().is_some_and(|name| name.eq_ignore_ascii_case(CSV))
            && parts.any(|part| part.eq_ignore_ascii_case(WITH_MARK))
    })
}

/// The rows of a table in the making.
#[derive(Debug)]
pub struct Rows {
    table: &'static Table,
    /// Whether it begins with a byte order mark.
    marked: bool,
    /// Whether its header is written.
    begun: bool,
    /// Whether the list that it shows is being written. The document may have others.
    open: bool,
}

impl Rows {
    /// Begins a list of the document. Returns the header, if this is the table's list, and the header is not written yet.
    pub(super) fn begin(&mut self, list: &str) -> Vec<u8> {
        self.open = list == self.table.list;
        if !self.open || std::mem::replace(&mut self.begun, true) {
            return Vec::new();
        }
        let mut header = if self.marked { MARK.as_bytes().to_vec() } else { Vec::new() };
        header.extend(row(self.table.columns.iter().map(|name| Cow::Borrowed(*name))));
        header
    }

    /// The row of an item, if it is one of the table's list.
    pub(super) fn row(&self, item: &impl Serialize) -> Vec<u8> {
        if !self.open {
            return Vec::new();
        }
        // Answers are structs and maps with text keys: making a value of one cannot fail.
        let item = serde_json::to_value(item).expect("an answer serialises");
        row(self.table.columns.iter().map(|column| shown(member(&item, column))))
    }
}

/// A member of an item; `null` where it is missing.
fn member<'a>(item: &'a Value, column: &str) -> &'a Value {
    column.split('.').try_fold(item, |value, name| value.get(name)).unwrap_or(&Value::Null)
}

/// A value as the text of a cell.
fn shown(value: &Value) -> Cow<'_, str> {
    match value {
        Value::Null => Cow::Borrowed(""),
        Value::Bool(_) | Value::Number(_) => Cow::Owned(value.to_string()),
        Value::String(text) => cell(Cow::Borrowed(text)),
        Value::Array(_) | Value::Object(_) => cell(Cow::Owned(value.to_string())),
    }
}

/// One row.
fn row<'a>(cells: impl Iterator<Item = Cow<'a, str>>) -> Vec<u8> {
    let mut writer =
        WriterBuilder::new().terminator(Terminator::CRLF).buffer_capacity(ROW_BYTES).from_writer(Vec::new());
    for cell in cells {
        // Writing to memory does not fail.
        writer.write_field(cell.as_bytes()).expect("memory takes bytes");
    }
    // An empty record ends the row.
    writer.write_record(None::<&[u8]>).expect("memory takes bytes");
    writer.into_inner().expect("memory takes bytes")
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;
    use serde_json::json;

    use super::*;

    static TABLE: Table =
        Table { list: "itens", columns: &["id", "nome", "regras.cota", "membros"], also: &["application/jsonl"] };

    fn asked(accept: &'static str) -> Result<Option<Rows>, Problem> {
        TABLE.asked(&HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]))
    }

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_table_is_for_those_who_prefer_it() {
        for accept in [
            "text/csv",
            "Text/CSV ; charset=utf-8",
            "text/*",
            "text/csv, application/json;q=0.9, */*;q=0.1",
            "text/csv, */*",
            "application/jsonl;q=0.2, text/csv;q=0.3",
        ] {
            assert!(asked(accept).unwrap().is_some_and(|rows| !rows.marked), "{accept}");
        }
        for accept in [
            "",
            "*/*",
            "application/json",
            "text/html, */*;q=0.8",
            "text/csv;q=0.5, application/json",
            "text/csv, application/json",
            "text/csv;q=0, */*",
            "application/jsonl",
        ] {
            assert!(asked(accept).unwrap().is_none(), "{accept}");
        }
        assert!(TABLE.asked(&HeaderMap::new()).unwrap().is_none());
        assert!(asked("text/html, text/csv; BOM=true").unwrap().is_some_and(|rows| rows.marked));
    }

    #[test]
    fn a_client_that_accepts_no_type_of_the_list_is_told_all_of_them() {
        for accept in ["text/html", "text/csv;q=0", "image/*", "application/xml, text/plain"] {
            let problem = asked(accept).unwrap_err().to_value("r");
            assert_eq!((&problem["status"], &problem["codigo"]), (&json!(406), &json!("formato_nao_disponivel")));
            let types = ["application/json", "application/hal+json", "text/csv", "application/jsonl"];
            assert_eq!(problem["formatos"], json!(types), "{accept}");
        }
    }

    #[test]
    fn a_row_has_the_members_of_its_item_and_no_formula() {
        let mut rows = asked("text/csv").unwrap().unwrap();
        assert_eq!(text(rows.begin("outros")), "");
        assert_eq!(text(rows.row(&json!({"id": 1}))), "", "another list");
        assert_eq!(text(rows.begin("itens")), "id,nome,regras.cota,membros\r\n");
        assert_eq!(text(rows.begin("itens")), "", "the next page");
        for (item, expected) in [
            (
                json!({"id": -7, "nome": "a, \"b\"\nc", "regras": {"cota": 1.5}, "membros": [1, 2]}),
                "-7,\"a, \"\"b\"\"\nc\",1.5,\"[1,2]\"\r\n",
            ),
            (json!({"id": true, "nome": null, "_links": {}}), "true,,,\r\n"),
            (json!({"id": 1, "nome": "=1+1"}), "1,'=1+1,,\r\n"),
            (json!({"id": 1, "nome": "-7"}), "1,'-7,,\r\n"),
            (json!({"id": 1, "nome": "\tx"}), "1,'\tx,,\r\n"),
            (json!({"id": 1, "nome": "\r=x"}), "1,\"'\r=x\",,\r\n"),
            (json!({"id": 1, "nome": "＠x"}), "1,'＠x,,\r\n"),
            (json!({"id": 1, "nome": "a=1 ç"}), "1,a=1 ç,,\r\n"),
        ] {
            assert_eq!(text(rows.row(&item)), expected, "{item}");
        }
        let mut marked = asked("text/csv;bom=true").unwrap().unwrap();
        assert!(text(marked.begin("itens")).starts_with("\u{feff}id,"));
    }
}
