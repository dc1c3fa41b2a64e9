//! What a search finds in a line, and in a piece of a file, each by itself: it can be found on any core.

use std::ops::Range;

use super::lines::Line;
use crate::audit::chain::Link;
use crate::audit::fields::Record;
use crate::audit::filter::{Filter, Verdict, is_record, reads_as_record, without_mark};

/// What a line is to a search.
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and nobody keeps it")]
pub enum Judged<'a> {
    /// A record that is wanted: the line without a mark, and what it says.
    Wanted(&'a [u8], Record<'a>),
    /// It had to be a record and is none.
    NotARecord,
    /// It looks like a record but is not whole.
    Broken,
    /// It is too long.
    TooLong,
    /// Something else.
    Other,
}

impl<'a> Judged<'a> {
    /// Judges a line. If `must_be_record` is true, the service wrote the file, which has nothing but records.
    pub fn of(line: &Line<'a>, filter: &Filter, must_be_record: bool) -> Self {
        let Line::Bytes(bytes) = line else {
            return if must_be_record { Self::NotARecord } else { Self::TooLong };
        };
        let unmarked = without_mark(bytes);
        match filter.judge(unmarked) {
            Verdict::Wanted(record) => Self::Wanted(unmarked, record),
            Verdict::Broken if must_be_record && !reads_as_record(bytes) => Self::NotARecord,
            Verdict::Broken => Self::Broken,
            Verdict::Other if must_be_record && !is_record(bytes) => Self::NotARecord,
            Verdict::Other => Self::Other,
        }
    }
}

/// What was found in whole lines.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct JudgedLines {
    /// How many lines.
    pub lines: u64,
    /// The records that are wanted, where they stand.
    pub wanted: Vec<Wanted>,
    /// Lines that look like records but are not whole.
    pub broken: u64,
    /// Lines that had to be records and are none.
    pub not_records: u64,
    /// The first of them, counted from 1.
    pub first_not_record: Option<u64>,
    /// The number of the last record.
    pub reached: Option<u64>,
}

/// Records that are wanted and stand together.
#[derive(Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Their bytes, without the last line break.
    pub place: Range<usize>,
    /// How many they are.
    pub count: u64,
}

impl JudgedLines {
    /// Judges whole lines, each with its line break.
    pub fn of(bytes: &[u8], filter: &Filter, must_be_records: bool) -> Self {
        let (mut found, mut begin) = (Self::default(), 0);
        for end in memchr::memchr_iter(b'\n', bytes) {
            let line = &bytes[begin..end];
            begin = end + 1;
            found.lines += 1;
            if filter.surely_wants(line) {
                found.want(end - line.len()..end);
                continue;
            }
            match Judged::of(&Line::Bytes(line), filter, must_be_records) {
                Judged::Wanted(line, _) => found.want(end - line.len()..end),
                Judged::Broken => found.broken += 1,
                Judged::NotARecord => {
                    found.not_records += 1;
                    found.first_not_record = found.first_not_record.or(Some(found.lines));
                }
                Judged::TooLong | Judged::Other => {}
            }
        }
        found.reached = bytes.rsplit(|byte| *byte == b'\n').find_map(Link::of).map(|link| link.seq);
        found
    }

    fn want(&mut self, place: Range<usize>) {
        match self.wanted.last_mut() {
            Some(last) if last.place.end + 1 == place.start => {
                last.place.end = place.end;
                last.count += 1;
            }
            _ => self.wanted.push(Wanted { place, count: 1 }),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::audit::filter;

    /// Lines of many kinds: records that are wanted and others, lines that are broken, and what is none of them.
    fn line() -> impl Strategy<Value = Vec<u8>> {
        let whole = |event: &str| {
            format!(
                "{{\"timestamp_utc\":\"2025-10-26T18:00:05.123456Z\",\"level\":\"AUDIT\",\"event_type\":\"{event}\",\
                 \"service\":\"a\",\"details\":{{\"x\":\"{event}\"}}}}"
            )
        };
        let fixed = [
            whole("A"),
            whole("B"),
            whole("\\u0041"),
            format!("\u{feff}{}", whole("A")),
            format!("{}\r", whole("A")),
            format!("{} {}", whole("B"), whole("A")),
            whole("A")[..70].to_owned(),
            whole("A").replace("\"a\",", "\"a\""),
            "{\"level\":\"INFO\",\"event_type\":\"A\"}".to_owned(),
            "{\"level\":\"AUDIT\",\"event_type\":\"A\"}".to_owned(),
            "INFO:x".to_owned(),
            String::new(),
        ];
        let cut = (Just(whole("A")), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(line, at, byte)| {
            let mut line = line.into_bytes();
            let at = at.index(line.len());
            line[at] = if byte == b'\n' { 0 } else { byte };
            line
        });
        prop_oneof![prop::sample::select(fixed.to_vec()).prop_map(String::into_bytes), cut]
    }

    proptest! {
        #[test]
        fn a_piece_has_what_its_lines_have_one_by_one(
            lines in prop::collection::vec(line(), 0..12),
            must_be_records in any::<bool>(),
            is_filtered in any::<bool>(),
        ) {
            let wanted = filter::Wanted { event: is_filtered.then(|| "A".to_owned()), ..filter::Wanted::default() };
            let filter = Filter::new(wanted);
            let bytes: Vec<u8> = lines.iter().flat_map(|line| [line, &b"\n"[..]].concat()).collect();
            let found = JudgedLines::of(&bytes, &filter, must_be_records);
            let mut expected = JudgedLines { lines: lines.len() as u64, ..JudgedLines::default() };
            let mut records: Vec<&[u8]> = Vec::new();
            for (nth, line) in (1..).zip(&lines) {
                match Judged::of(&Line::Bytes(line), &filter, must_be_records) {
                    Judged::Wanted(line, _) => records.push(line),
                    Judged::Broken => expected.broken += 1,
                    Judged::NotARecord => {
                        expected.not_records += 1;
                        expected.first_not_record.get_or_insert(nth);
                    }
                    Judged::TooLong | Judged::Other => {}
                }
            }
            let places = found.wanted.iter().map(|wanted| &bytes[wanted.place.clone()]);
            let of_piece: Vec<&[u8]> = places.flat_map(|lines| lines.split(|byte| *byte == b'\n')).collect();
            prop_assert_eq!(of_piece, records);
            let count: u64 = found.wanted.iter().map(|wanted| wanted.count).sum();
            prop_assert_eq!(count, found.wanted.iter().map(|wanted| {
                bytes[wanted.place.clone()].split(|byte| *byte == b'\n').count() as u64
            }).sum::<u64>());
            let counted = JudgedLines { wanted: Vec::new(), ..found };
            prop_assert_eq!(counted, expected);
        }
    }
}
