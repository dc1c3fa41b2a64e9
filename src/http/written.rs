//! An answer that may be large, written member by member: what it shows is never in memory all at once, nor are its bytes in one buffer.
//! It is JSON, only its list as a table, or a text of another kind.
//!
//! The bytes are cut into chunks, each of which gives its memory back when it is sent. For a client that takes gzip they are compressed
//! on their way into the chunks, unless they are few.

use bytes::Bytes;
use http_body_util::Either;
use hyper::StatusCode;
use hyper::header::{CONTENT_ENCODING, ETAG, HeaderMap, HeaderValue, LINK, VARY};
use serde::Serialize;

use super::bounds::budget::Held;
use super::chunks::Chunks;
use super::gzip;
use super::links::Links;
use super::pieces::Pieces;
use super::prefix::Prefix;
use super::problem::Problem;
use super::represent::{Tagger, asks_for_hal};
use super::response::{self, Response};
use super::table::{self, Rows, Table};

/// An answer in the making.
pub struct Written {
    chunks: Chunks,
    form: Form,
    /// The prefix of the links, which another thread may write.
    prefix: Prefix,
    /// What makes the tag of its bytes, where one is wanted.
    tagger: Option<Tagger>,
    /// The header `Link`, if it is a page of a list.
    link: Option<HeaderValue>,
    /// What stands before the next member or item.
    before: &'static str,
    /// One member or item: a compressor is given few long pieces rather than many short ones.
    scratch: Vec<u8>,
}

/// What is written.
enum Form {
    /// A JSON object.
    Object,
    /// Its list as a table.
    Table(Rows),
    /// A text of this media type.
    Text(&'static str),
}

impl Written {
    /// A list, for a client whose request has these headers: as the table, if it prefers that, and compressed if it takes that. It has a
    /// tag of its bytes.
    ///
    /// # Errors
    /// 406 when the client accepts none of the list's types.
    pub fn of_list(headers: &HeaderMap, table: &'static Table) -> Result<Self, Problem> {
        let rows = table.asked(headers)?;
        // HAL is made of the plain form.
        let packs = gzip::is_accepted(headers) && (rows.is_some() || !asks_for_hal(headers));
        Ok(Self::of(rows.map_or(Form::Object, Form::Table), packs))
    }

    /// A text of a media type, for a client whose request has these headers: compressed if it takes that. It has a tag of its bytes.
    pub fn of_text(headers: &HeaderMap, content_type: &'static str) -> Self {
        Self::of(Form::Text(content_type), gzip::is_accepted(headers))
    }

    fn of(form: Form, packs: bool) -> Self {
        Self {
            chunks: Chunks::new(packs),
            form,
            prefix: Prefix::current(),
            tagger: Some(Tagger::default()),
            link: None,
            before: "{",
            scratch: Vec::new(),
        }
    }

    /// The same without a tag: what it shows is about now.
    #[must_use]
    pub fn untagged(self) -> Self {
        Self { tagger: None, ..self }
    }

    /// Whether it is a table.
    pub fn is_table(&self) -> bool {
        matches!(self.form, Form::Table(_))
    }

    /// Adds to a text.
    pub fn push(&mut self, text: &str) {
        self.text(text);
    }

    /// How many bytes it holds.
    pub fn bytes_held(&self) -> usize {
        self.chunks.held()
    }

    fn bytes(&mut self, bytes: &[u8]) {
        if let Some(tagger) = &mut self.tagger {
            tagger.add(bytes);
        }
        self.chunks.put(bytes);
    }

    fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    fn value(&mut self, value: &impl Serialize) {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        // Answers are structs and maps with text keys: serialising one to memory cannot fail.
        self.prefix.within(|| serde_json::to_writer(&mut scratch, value)).expect("an answer serialises");
        self.bytes(&scratch);
        self.scratch = scratch;
    }

    fn name(&mut self, name: &str) {
        if self.is_table() {
            return;
        }
        let before = std::mem::replace(&mut self.before, ",");
        self.text(before);
        self.value(&name);
        self.text(":");
    }

    /// Adds a member. A table has none beside its list.
    #[must_use]
    pub fn with(mut self, name: &str, value: &impl Serialize) -> Self {
        if !self.is_table() {
            self.name(name);
            self.value(value);
        }
        self
    }

    /// Adds the links. Those of a page of a list are in the answer's head too.
    #[must_use]
    pub fn with_links(mut self, links: &Links) -> Self {
        self.link = self.prefix.within(|| links.header());
        self.with("_links", links)
    }

    /// Adds a member that is a list.
    #[must_use]
    pub fn with_list(mut self, name: &str, items: impl IntoIterator<Item = impl Serialize>) -> Self {
        self.begin_list(name);
        for item in items {
            self.item(&item);
        }
        self.end_list();
        self
    }

    /// Begins a member that is a list.
    pub fn begin_list(&mut self, name: &str) {
        if let Form::Table(rows) = &mut self.form {
            let header = rows.begin(name);
            self.bytes(&header);
            return;
        }
        self.name(name);
        self.text("[");
        self.before = "";
    }

    /// Adds an item to the list.
    pub fn item(&mut self, item: &impl Serialize) {
        if let Form::Table(rows) = &self.form {
            let row = rows.row(item);
            self.bytes(&row);
            return;
        }
        let before = std::mem::replace(&mut self.before, ",");
        self.text(before);
        self.value(item);
    }

    /// Ends the list.
    pub fn end_list(&mut self) {
        if self.is_table() {
            return;
        }
        self.text("]");
        self.before = ",";
    }

    /// The answer. Its bytes are counted as those of any other.
    pub fn into_counted(self) -> Response {
        let content_type = self.content_type();
        let (head, chunks) = self.ended();
        let mut answer = response::bytes(StatusCode::OK, content_type, chunks.concat());
        answer.headers_mut().extend(head);
        answer
    }

    /// The answer, whose bytes take the place of the `room` that was held for them. Those of a short one are counted as in any other
    /// answer.
    pub fn into_response(self, room: Held) -> Response {
        if self.chunks.are_few() {
            return self.into_counted();
        }
        let content_type = self.content_type();
        let (head, chunks) = self.ended();
        sent(Pieces::made(chunks, room), content_type, head)
    }

    /// The beginning of an answer of which more is written while it is sent: its headers. It has no tag, since its bytes are not known yet.
    pub(super) fn begin(&mut self) -> (&'static str, HeaderMap) {
        (self.tagger, self.link) = (None, None);
        self.chunks.begin();
        (self.content_type(), self.head(true))
    }

    /// The bytes that were written since they were taken last.
    pub(super) fn take(&mut self) -> Vec<Bytes> {
        self.chunks.take()
    }

    /// The last bytes.
    pub(super) fn end(self) -> Vec<Bytes> {
        self.chunks.end()
    }

    /// Its headers and its bytes.
    fn ended(mut self) -> (HeaderMap, Vec<Bytes>) {
        // The tag is that of all bytes.
        if let Form::Object = self.form {
            self.text("}");
        }
        let is_long = !self.chunks.are_few();
        (self.head(is_long), self.end())
    }

    fn content_type(&self) -> &'static str {
        match self.form {
            Form::Object => "application/json",
            Form::Table(_) => table::CONTENT_TYPE,
            Form::Text(content_type) => content_type,
        }
    }

    /// The headers: its tag, the links of a page, and on which headers of the request its bytes depend.
    fn head(&mut self, is_long: bool) -> HeaderMap {
        let mut head = HeaderMap::new();
        let is_packed = self.chunks.are_packed();
        if let Some(tag) = self.tagger.take().map(Tagger::tag) {
            head.insert(ETAG, if is_packed { gzip::tag(&tag) } else { tag });
        }
        head.extend(self.link.take().map(|link| (LINK, link)));
        let vary = match self.form {
            Form::Object | Form::Table(_) if is_long => Some("Accept, Accept-Encoding"),
            Form::Object | Form::Table(_) => Some("Accept"),
            Form::Text(_) => is_long.then_some("Accept-Encoding"),
        };
        head.extend(vary.map(|vary| (VARY, HeaderValue::from_static(vary))));
        if is_packed {
            head.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        head
    }
}

/// An answer of these pieces.
pub(super) fn sent(pieces: Pieces, content_type: &'static str, head: HeaderMap) -> Response {
    let mut answer = response::bytes(StatusCode::OK, content_type, Vec::new());
    *answer.body_mut() = Either::Right(pieces);
    answer.headers_mut().extend(head);
    answer
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::sync::Arc;

    use http_body_util::BodyExt;
    use hyper::body::Body;
    use hyper::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE};

    use super::*;
    use crate::http::bounds::budget::Budget;

    static TABLE: Table = Table { list: "itens", columns: &["n"], also: &[] };

    /// What was answered: its headers, its body, and its room while it is sent.
    struct Answered {
        head: HeaderMap,
        body: Vec<u8>,
        held: usize,
    }

    impl Answered {
        fn is_packed(&self) -> bool {
            self.head.contains_key(CONTENT_ENCODING)
        }

        /// The body as it was before it was compressed.
        fn text(&self) -> String {
            let mut text = String::new();
            let read = if self.is_packed() {
                flate2::read::GzDecoder::new(&self.body[..]).read_to_string(&mut text)
            } else {
                (&self.body[..]).read_to_string(&mut text)
            };
            read.unwrap();
            text
        }
    }

    async fn answered(written: Written, server: &Arc<Budget>) -> Answered {
        let mut room = Held::none(&Arc::new(Budget::new(1 << 20)), server);
        room.grow(1 << 19).unwrap();
        let answer = written.into_response(room);
        let (held, length, head) = (server.held(), answer.body().size_hint().exact(), answer.headers().clone());
        let body = answer.into_body().collect().await.unwrap().to_bytes().to_vec();
        assert_eq!(length, Some(body.len() as u64));
        assert_eq!(server.held(), 0);
        Answered { head, body, held }
    }

    fn list(headers: &[(hyper::header::HeaderName, &'static str)]) -> Written {
        let headers = headers.iter().map(|(name, value)| (name.clone(), HeaderValue::from_static(value))).collect();
        Written::of_list(&headers, &TABLE).unwrap()
    }

    #[tokio::test]
    async fn an_object_is_the_same_short_or_long_and_compressed() {
        let server = Arc::new(Budget::new(1 << 20));
        for count in [0, 3, 20_000] {
            let items: Vec<_> = (0..count).map(|number| serde_json::json!({"n": number})).collect();
            let expected = serde_json::json!({"a": 1, "itens": items, "z": null}).to_string();
            let filled = |written: Written| written.with("a", &1).with_list("itens", &items).with("z", &None::<u8>);
            let is_long = count > 3;
            let vary = if is_long { "Accept, Accept-Encoding" } else { "Accept" };
            let plain = answered(filled(list(&[])), &server).await;
            assert_eq!(
                (plain.text(), &plain.head[VARY], plain.is_packed()),
                (expected.clone(), &HeaderValue::from_static(vary), false)
            );
            assert_eq!(plain.held, if is_long { plain.body.len() } else { 0 });
            let packed = answered(filled(list(&[(ACCEPT_ENCODING, "gzip")])), &server).await;
            assert_eq!((packed.text(), packed.held > 0, packed.is_packed()), (expected, is_long, is_long));
            // A strong tag names bytes.
            assert_eq!(packed.head[ETAG] != plain.head[ETAG], is_long);
            let untagged = answered(filled(list(&[]).untagged()), &server).await;
            assert!(!untagged.head.contains_key(ETAG));
        }
    }

    #[tokio::test]
    async fn a_table_has_its_list_and_nothing_else() {
        let server = Arc::new(Budget::new(1 << 20));
        for count in [0, 3, 40_000] {
            let items: Vec<_> = (0..count).map(|number| serde_json::json!({"n": number, "m": 1})).collect();
            let rows = (0..count).map(|number| format!("{number}\r\n"));
            let expected: String = ["n\r\n".to_owned()].into_iter().chain(rows).collect();
            for packs in [false, true] {
                let encoding = if packs { "gzip" } else { "identity" };
                let written = list(&[(ACCEPT, "text/csv"), (ACCEPT_ENCODING, encoding)]).with("a", &1);
                let written = written.with_list("outros", &items).with_list("itens", &items).with("z", &1);
                let table = answered(written, &server).await;
                assert_eq!((table.text(), table.is_packed()), (expected.clone(), packs && count > 3));
                assert_eq!(table.head[CONTENT_TYPE], table::CONTENT_TYPE);
            }
        }
    }
}
