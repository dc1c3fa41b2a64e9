//! JSON that may be large, written member by member: what it shows is never in memory all at once, nor are its bytes in one buffer.
//!
//! The bytes are cut into chunks, each of which gives its memory back when it is sent. For a client that takes gzip they are compressed
//! on their way into the chunks, unless they are few.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::Either;
use hyper::StatusCode;
use hyper::header::{CONTENT_ENCODING, ETAG, HeaderMap, HeaderValue, LINK, VARY};
use serde::Serialize;

use super::bounds::budget::Held;
use super::gzip;
use super::links::Links;
use super::pieces::Pieces;
use super::prefix::Prefix;
use super::represent::{Tagger, asks_for_hal};
use super::response::{self, Response};

/// The bytes of a chunk. JSON up to this length is sent as it is: compressing it would take longer than sending it.
const CHUNK: usize = 64 * 1024;

/// A JSON object in the making.
pub struct Written {
    sink: Sink,
    /// Whether a long one is to be compressed, where that depends on the client.
    packs: Option<bool>,
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

enum Sink {
    Plain(Cut),
    Packed(Box<GzEncoder<Cut>>),
}

/// Bytes in chunks.
#[derive(Default)]
struct Cut {
    done: Vec<Bytes>,
    open: Vec<u8>,
}

impl Write for Cut {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.open.len() == CHUNK {
            self.done.push(std::mem::take(&mut self.open).into());
            self.open.reserve_exact(CHUNK);
        }
        let taken = bytes.len().min(CHUNK - self.open.len());
        self.open.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Cut {
    fn into_chunks(mut self) -> Vec<Bytes> {
        self.done.push(self.open.into());
        self.done
    }
}

impl Written {
    /// An object without members yet.
    pub fn new() -> Self {
        Self {
            sink: Sink::Plain(Cut::default()),
            packs: None,
            prefix: Prefix::current(),
            tagger: None,
            link: None,
            before: "{",
            scratch: Vec::new(),
        }
    }

    /// The same, for a client whose request has these headers: compressed if it takes that.
    pub fn for_client(headers: &HeaderMap) -> Self {
        // HAL is made of the plain form.
        Self { packs: Some(gzip::is_accepted(headers) && !asks_for_hal(headers)), ..Self::new() }
    }

    /// The same with a tag of its bytes, which stay the same as long as what it shows does. It is not compressed.
    pub fn tagged() -> Self {
        Self { tagger: Some(Tagger::default()), ..Self::new() }
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        if let Some(tagger) = &mut self.tagger {
            tagger.add(bytes);
        }
        match &mut self.sink {
            Sink::Plain(cut) if self.packs == Some(true) && cut.open.len() + bytes.len() > CHUNK => {
                let mut encoder = GzEncoder::new(Cut::default(), Compression::fast());
                encoder.write_all(&cut.open)?;
                encoder.write_all(bytes)?;
                self.sink = Sink::Packed(Box::new(encoder));
                Ok(())
            }
            Sink::Plain(cut) => cut.write_all(bytes),
            Sink::Packed(encoder) => encoder.write_all(bytes),
        }
    }

    fn text(&mut self, text: &str) {
        // Writing to memory does not fail.
        self.put(text.as_bytes()).expect("memory takes bytes");
    }

    fn value(&mut self, value: &impl Serialize) {
        let mut scratch = std::mem::take(&mut self.scratch);
        scratch.clear();
        // Answers are structs and maps with text keys: serialising one to memory cannot fail.
        self.prefix.within(|| serde_json::to_writer(&mut scratch, value)).expect("an answer serialises");
        self.put(&scratch).expect("memory takes bytes");
        self.scratch = scratch;
    }

    fn name(&mut self, name: &str) {
        let before = std::mem::replace(&mut self.before, ",");
        self.text(before);
        self.value(&name);
        self.text(":");
    }

    /// Adds a member.
    #[must_use]
    pub fn with(mut self, name: &str, value: &impl Serialize) -> Self {
        self.name(name);
        self.value(value);
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
        self.name(name);
        self.text("[");
        self.before = "";
    }

    /// Adds an item to the list.
    pub fn item(&mut self, item: &impl Serialize) {
        let before = std::mem::replace(&mut self.before, ",");
        self.text(before);
        self.value(item);
    }

    /// Ends the list.
    pub fn end_list(&mut self) {
        self.text("]");
        self.before = ",";
    }

    /// The object as an answer. Its bytes are counted as those of any other.
    pub fn into_counted(mut self) -> Response {
        self.text("}");
        let headers = self.headers();
        let Sink::Plain(cut) = self.sink else { unreachable!("only an object for a client is compressed") };
        let mut answer = response::bytes(StatusCode::OK, "application/json", cut.into_chunks().concat());
        answer.headers_mut().extend(headers);
        answer
    }

    /// The headers of the whole object: its tag, and the links of a page.
    fn headers(&mut self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(tagger) = self.tagger.take() {
            headers.insert(ETAG, tagger.tag());
            headers.insert(VARY, HeaderValue::from_static("Accept"));
        }
        headers.extend(self.link.take().map(|link| (LINK, link)));
        headers
    }

    /// The object as an answer whose bytes take the place of the `room` that was held for them. Those of a short one are counted as in
    /// any other answer.
    pub fn into_response(mut self, room: Held) -> Response {
        self.text("}");
        let headers = self.headers();
        let (chunks, packed) = match self.sink {
            Sink::Plain(cut) if cut.done.is_empty() => {
                let mut answer = response::bytes(StatusCode::OK, "application/json", cut.open);
                answer.headers_mut().extend(headers);
                return answer;
            }
            Sink::Plain(cut) => (cut.into_chunks(), false),
            // Writing to memory does not fail.
            Sink::Packed(encoder) => (encoder.finish().expect("memory takes bytes").into_chunks(), true),
        };
        let mut answer = response::bytes(StatusCode::OK, "application/json", Vec::new());
        *answer.body_mut() = Either::Right(Pieces::made(chunks, room));
        answer.headers_mut().extend(headers);
        if self.packs.is_some() {
            answer.headers_mut().insert(VARY, HeaderValue::from_static("Accept-Encoding"));
        }
        if packed {
            answer.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::sync::Arc;

    use http_body_util::BodyExt;
    use hyper::body::Body;
    use hyper::header::ACCEPT_ENCODING;

    use super::*;
    use crate::http::bounds::budget::Budget;

    /// The body of the answer, its room while it is sent, and whether it is compressed.
    async fn answered(written: Written, server: &Arc<Budget>) -> (Vec<u8>, usize, bool) {
        let mut room = Held::none(&Arc::new(Budget::new(1 << 20)), server);
        room.grow(1 << 19).unwrap();
        let answer = written.into_response(room);
        let packed = answer.headers().contains_key(CONTENT_ENCODING);
        let (held, length) = (server.held(), answer.body().size_hint().exact());
        let body = answer.into_body().collect().await.unwrap().to_bytes().to_vec();
        assert_eq!(length, Some(body.len() as u64));
        assert_eq!(server.held(), 0);
        (body, held, packed)
    }

    #[tokio::test]
    async fn an_object_is_the_same_short_or_long_and_compressed() {
        let server = Arc::new(Budget::new(1 << 20));
        let takes_gzip = HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("gzip"))]);
        for count in [0, 3, 20_000] {
            let items: Vec<String> = (0..count).map(|number| format!("\"{number}\"")).collect();
            let expected = serde_json::json!({"a": 1, "itens": items, "z": null});
            let filled = |written: Written| written.with("a", &1).with_list("itens", &items).with("z", &None::<u8>);
            let (body, held, packed) = answered(filled(Written::new()), &server).await;
            assert_eq!(String::from_utf8(body.clone()).unwrap(), expected.to_string());
            assert_eq!((held, packed), (if count > 3 { body.len() } else { 0 }, false));
            let (body, held, packed) = answered(filled(Written::for_client(&takes_gzip)), &server).await;
            assert_eq!((held > 0, packed), (count > 3, count > 3));
            if packed {
                let mut plain = String::new();
                flate2::read::GzDecoder::new(&body[..]).read_to_string(&mut plain).unwrap();
                assert_eq!((plain, held), (expected.to_string(), body.len()));
            }
        }
    }
}
