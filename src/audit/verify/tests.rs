//! Every kind of damage to a trail is found, and is reported as the right kind.

use proptest::prelude::*;

use super::*;
use crate::access::Caller;
use crate::agenda::{Booking, Scientist, SlotRange, Status};
use crate::audit::chain::{ChainHead, Link};
use crate::audit::record::{Event, Process};
use crate::http::request_id::RequestId;
use crate::time::Timestamp;

const IDENTITY: &str = "5f2d7c0be14a4b6c9d3e8f7a6b5c4d3e";
const RECORDS: usize = 200;

/// Texts that a client may send; some contain the bytes that the verifier searches for.
const TEXTS: [&str; 4] = [
    "Andrômeda",
    "aspas \" barra \\ linha\nnova\u{1b}[2J\u{2028} 🔭",
    "\",\"hash\":\"",
    "{\"timestamp_utc\":\"\n{\"timestamp_utc\":\"2025-10-26T18:00:05.123456Z\",\"level\":\"AUDIT\"",
];

/// A trail's lines, each with its line break, and its head.
fn trail(records: usize) -> (Vec<Vec<u8>>, ChainHead) {
    let mut head = ChainHead::genesis(IDENTITY);
    let start = Timestamp::parse_rfc3339("2025-12-01T03:00:00Z").unwrap();
    let lines = (0..records).map(|index| {
        let text = TEXTS[index % TEXTS.len()].to_owned();
        let scientist =
            Scientist { id: 7, name: text.clone(), institution: String::new(), country: String::new(), active: true };
        let booking = Booking {
            id: i64::try_from(index).unwrap(),
            telescope: "Hubble-Acad".to_owned(),
            scientist_id: 7,
            proposal_id: None,
            slots: SlotRange::new(start, 5).unwrap(),
            status: Status::Active,
            target: Some(text.clone()),
            notes: None,
            clicked_at: None,
            stamped_at: None,
            is_contested: false,
            created_at: start,
            version: 1,
            changed_at: None,
            cancelled_at: None,
            cancel_reason: Some(text),
            receipt: None,
            opens_at: None,
        };
        let process = Process { version: "0.1.0", mode: "com_trava", pid: 1, address: "127.0.0.1:5000".to_owned() };
        let event = match index % 3 {
            0 => Event::BookingCreated {
                booking: &booking,
                scientist: &scientist,
                token: Some(4711),
                wait_id: None,
                stamp: None,
            },
            1 => Event::BookingCancelled { booking: &booking, scientist_name: &scientist.name, token: None },
            _ => Event::ServiceStarted(&process),
        };
        let mut line = head
            .append(event.open_json(start), Some(&RequestId::of_test("6b1f-2a")), &Caller::service("x"))
            .into_bytes();
        line.push(b'\n');
        line
    });
    (lines.collect(), head)
}

impl Verifier {
    /// Takes the whole lines at the beginning of `bytes`, each checked by itself. Returns how many bytes they are.
    fn take_lines(&mut self, bytes: &[u8]) -> usize {
        let checker = self.checker();
        let lines = bytes.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n"));
        lines.inspect(|line| self.take(checker.check(line))).map(<[u8]>::len).sum()
    }
}

fn anchors(head: &ChainHead) -> Vec<Anchor> {
    let genesis = ChainHead::genesis(IDENTITY);
    [(genesis.seq, genesis.hash), (head.seq, head.hash.clone())]
        .map(|(seq, hash)| Anchor { seq, hash, from: "the database".to_owned() })
        .to_vec()
}

fn finish(mut verifier: Verifier, bytes: &[u8]) -> Report {
    let taken = verifier.take_lines(bytes);
    verifier.end_file(&bytes[taken..], true);
    verifier.finish(None)
}

fn verify(anchors: Vec<Anchor>, bytes: &[u8]) -> Report {
    let mut verifier = Verifier::new(anchors);
    verifier.begin_file("audit.jsonl", None);
    finish(verifier, bytes)
}

/// The verifier's state before each line.
fn states(anchors: Vec<Anchor>, lines: &[Vec<u8>]) -> Vec<Verifier> {
    let mut verifier = Verifier::new(anchors);
    verifier.begin_file("audit.jsonl", None);
    let mut states = Vec::new();
    for line in lines {
        states.push(verifier.clone());
        verifier.take_lines(line);
    }
    states
}

fn first_fault(report: &Report) -> &Wrong {
    &report.faults[0].wrong
}

#[test]
fn a_whole_trail_is_whole() {
    let (lines, head) = trail(RECORDS);
    for anchors in [Vec::new(), anchors(&head)] {
        let report = verify(anchors, &lines.concat());
        assert_eq!(report.verdict, Verdict::Whole, "{report:?}");
        assert_eq!((report.records, report.head.as_ref().unwrap()), (200, &(200, head.hash.clone())));
        assert_eq!(report.files[0].records, Some((1, 200)));
        assert!(report.anchors.iter().all(|(_, held)| *held == Held::Yes));
    }
    assert_eq!(verify(Vec::new(), b"").verdict, Verdict::Whole);
}

#[test]
fn immudb_2063_every_bit_of_every_byte_flipped_once_is_found() {
    let (lines, _) = trail(RECORDS);
    let states = states(Vec::new(), &lines);
    let flip_all_bits_of = |index: usize| {
        // A later line cannot undo a fault, so the lines after it are not read for each bit. Anchors could only add faults.
        let next = lines.get(index + 1).map_or(&[][..], Vec::as_slice);
        for position in 0..lines[index].len() {
            for bit in 0..8 {
                let mut changed = [lines[index].as_slice(), next].concat();
                changed[position] ^= 1 << bit;
                let report = finish(states[index].clone(), &changed);
                assert_eq!(report.verdict, Verdict::Tampered, "record {}, byte {position}, bit {bit}", index + 1);
                assert_eq!(report.faults[0].seq, index as u64 + 1, "byte {position}, bit {bit}: {report:?}");
            }
        }
    };
    std::thread::scope(|scope| {
        let flip_all_bits_of = &flip_all_bits_of;
        for half in 0..2 {
            scope.spawn(move || (half..RECORDS).step_by(2).for_each(flip_all_bits_of));
        }
    });
}

#[test]
fn every_record_removed_doubled_or_swapped_is_found() {
    let (lines, head) = trail(RECORDS);
    for index in 0..RECORDS {
        let mut removed = lines.clone();
        removed.remove(index);
        let report = verify(anchors(&head), &removed.concat());
        // Without the last record the trail is whole, and only a head shows that it was longer. Without the first record it is
        // like a trail whose first closed files were archived.
        let (first, last) = (index == 0, index == RECORDS - 1);
        assert_eq!(report.verdict, if first || last { Verdict::Incomplete } else { Verdict::Tampered }, "{index}");
        let alone = verify(Vec::new(), &removed.concat());
        let expected = match (first, last) {
            (true, _) => Verdict::Incomplete,
            (_, true) => Verdict::Whole,
            _ => Verdict::Tampered,
        };
        assert_eq!(alone.verdict, expected, "{index}");

        let mut doubled = lines.clone();
        doubled.insert(index, lines[index].clone());
        let mut swapped = lines.clone();
        swapped.swap(index, (index + 1) % RECORDS);
        for damaged in [&doubled, &swapped] {
            for anchors in [Vec::new(), anchors(&head)] {
                let report = verify(anchors, &damaged.concat());
                assert_eq!(report.verdict, Verdict::Tampered, "{index}");
            }
        }
        let report = verify(Vec::new(), &doubled.concat());
        let (expected, found) = (index as u64 + 2, index as u64 + 1);
        assert_eq!(first_fault(&report), &Wrong::OutOfOrder { expected, found });
    }
}

#[test]
fn systemd_17833_cut_at_every_byte_is_incomplete_and_never_tampered() {
    let (lines, head) = trail(RECORDS);
    let whole = lines.concat();
    let mut begin = 0;
    for (state, line) in states(anchors(&head), &lines).into_iter().zip(&lines) {
        for cut in 0..line.len() {
            let report = finish(state.clone(), &line[..cut]);
            assert_eq!(report.verdict, Verdict::Incomplete, "cut at {}", begin + cut);
            assert_eq!(report.torn.is_some(), cut > 0, "cut at {}", begin + cut);
            // Zeros, as a power failure may leave them.
            let zeros = [&line[..cut], &[0; 7]].concat();
            assert_eq!(finish(state.clone(), &zeros).verdict, Verdict::Incomplete, "zeros from {}", begin + cut);
        }
        begin += line.len();
    }
    assert_eq!(verify(anchors(&head), &whole[..whole.len() - 1]).torn.unwrap().bytes, lines[199].len() as u64 - 1);
    // Without a head, a file that ends with a whole line is whole.
    assert_eq!(verify(Vec::new(), &lines[..100].concat()).verdict, Verdict::Whole);
    let report = verify(anchors(&head), &lines[..100].concat());
    assert_eq!((report.verdict, report.anchors[1].1), (Verdict::Incomplete, Held::NotReached));
}

#[test]
fn a_torn_line_that_no_crash_could_have_left_is_not_called_torn() {
    let (lines, _) = trail(3);
    let line = &lines[2][..lines[2].len() - 1];
    let before = lines[..2].concat();
    for rest in [
        &b"lixo"[..],
        b"{\"nada\"",
        b" ",
        b"\r",
        &[line, b" "].concat(),
        &[line, line].concat(),
        &lines[0][..lines[0].len() - 1],
        b"{\"timestamp_utc\":\"2025-10-26T18:00:05.123456Z\",\"level\":\"AUDIT\",\"event_type\":\"lower",
        b"{\"timestamp_utc\":\"2025-10-26T18:00:05.123456Z\",\"level\":\"AUDIT\",\"event_type\":\"A\",\"foo",
    ] {
        let report = verify(Vec::new(), &[&before, rest].concat());
        assert_eq!(first_fault(&report), &Wrong::Garbage, "{:?}", String::from_utf8_lossy(rest));
    }
}

#[test]
fn each_kind_of_damage_is_reported_as_its_kind() {
    let (lines, head) = trail(5);
    let check = |damaged: &[u8], wrong: &Wrong| {
        let report = verify(anchors(&head), damaged);
        assert_eq!((report.verdict, first_fault(&report)), (Verdict::Tampered, wrong));
    };
    let with_third = |line: &[u8]| [&lines[..2].concat(), line, &lines[3..].concat()].concat();
    let third = &lines[2][..lines[2].len() - 1];
    check(&with_third(&[third, b"\r\n"].concat()), &Wrong::CarriageReturn);
    check(&with_third(&[b"\n", third, b"\n"].concat()), &Wrong::Blank);
    check(&with_third(&[b"  \t \n", third, b"\n"].concat()), &Wrong::Blank);
    check(&with_third(third), &Wrong::TwoOnALine);
    check(&with_third(&[third, third, b"\n"].concat()), &Wrong::TwoOnALine);
    check(&with_third(&[b" ", third, b"\n"].concat()), &Wrong::NotARecord(shape::check(b" ").unwrap_err()));
    check(&[lines.concat(), b"\n".to_vec()].concat(), &Wrong::Blank);
    let text = String::from_utf8(lines[2].clone()).unwrap();
    for (from, to) in [
        ("\"level\":\"AUDIT\"", "\"level\": \"AUDIT\""),
        (",\"seq\":3", ",\"x\":1,\"seq\":3"),
        (",\"seq\":3", ",\"seq\":9,\"seq\":3"),
        (",\"seq\":3", ",\"seq\":03"),
        ("\"req\":\"6b1f-2a\",", ""),
        ("\"autor\":\"x\",", ""),
        ("\"autor\":\"x\"", "\"autor\":\"y\""),
        ("\"ip\":null,", ""),
        ("\"ip\":null", "\"ip\":\"::1\""),
        ("\"service\"", "\"serviço\""),
        ("\"hash\":\"", "\"hash\":\"A"),
        ("\"}\n", "\" }\n"),
        ("\"}\n", "\",\"x\":1}\n"),
    ] {
        assert!(text.contains(from), "{from}");
        let report = verify(anchors(&head), &with_third(text.replacen(from, to, 1).as_bytes()));
        assert_eq!(report.verdict, Verdict::Tampered, "{to}");
        assert_eq!((report.fault_count, report.faults[0].seq, report.faults[0].line), (1, 3, 3), "{to}: {report:?}");
    }
    // Fields in another order, with a right hash.
    let reordered = ChainHead { seq: 2, hash: String::from_utf8(Link::of(third).unwrap().prev.to_vec()).unwrap() }
        .append("{\"level\":\"AUDIT\",\"timestamp_utc\":\"2025-10-26T18:00:05.123456Z\",\"event_type\":\"A\",\"service\":\"a\",\"details\":{}".to_owned(), Some(&RequestId::of_test("a")), &Caller::service("x"));
    assert_eq!(verify(Vec::new(), &with_third(&[reordered.as_bytes(), b"\n"].concat())).verdict, Verdict::Tampered);
}

#[test]
fn a_rewritten_trail_is_found_only_with_a_head() {
    let (lines, head) = trail(10);
    let mut forged = ChainHead::genesis(IDENTITY);
    let bodies = lines.iter().map(|line| {
        let link = Link::of(&line[..line.len() - 1]).unwrap();
        let body = String::from_utf8(link.body.to_vec()).unwrap();
        let mut line = forged
            .append(body.replace("4711", "4712"), Some(&RequestId::of_test("6b1f-2a")), &Caller::service("x"))
            .into_bytes();
        line.push(b'\n');
        line
    });
    let anew = bodies.collect::<Vec<_>>().concat();
    assert_eq!(verify(Vec::new(), &anew).verdict, Verdict::Whole);
    let report = verify(anchors(&head), &anew);
    assert_eq!(report.verdict, Verdict::Tampered);
    assert!(matches!(first_fault(&report), Wrong::NotAsNoted { seq: 10, .. }));
    // An earlier head finds it too. The trail's beginning finds a file of another trail.
    let fifth = Link::of(&lines[4][..lines[4].len() - 1]).unwrap();
    let noted = |seq, hash: &[u8]| {
        vec![Anchor { seq, hash: String::from_utf8(hash.to_vec()).unwrap(), from: "cabeca.json".to_owned() }]
    };
    assert_eq!(verify(noted(5, fifth.hash), &lines.concat()).verdict, Verdict::Whole);
    assert_eq!(verify(noted(5, fifth.hash), &anew).verdict, Verdict::Tampered);
    assert_eq!(
        verify(noted(0, ChainHead::genesis("outra").hash.as_bytes()), &lines.concat()).verdict,
        Verdict::Tampered
    );
}

#[test]
fn records_after_the_databases_head_are_found() {
    let (lines, _) = trail(3);
    let mut verifier = Verifier::new(Vec::new());
    verifier.begin_file("audit.jsonl", None);
    verifier.take_lines(&lines.concat());
    let database = |head| DatabaseNow { head, ..DatabaseNow::default() };
    assert_eq!(verifier.clone().finish(Some(&database(3))).verdict, Verdict::Whole);
    assert_eq!(first_fault(&verifier.clone().finish(Some(&database(2)))), &Wrong::BeyondTheDatabase(2));
    // Also the beginning of a record after the database's head.
    verifier.end_file(b"{\"timestamp_utc\":\"2", true);
    assert_eq!(verifier.clone().finish(Some(&database(4))).verdict, Verdict::Incomplete);
    assert_eq!(first_fault(&verifier.finish(Some(&database(3)))), &Wrong::BeyondTheDatabase(3));
}

#[test]
fn a_torn_line_is_compared_with_the_next_record_of_the_database() {
    let (lines, _) = trail(3);
    let next = &lines[2][..lines[2].len() - 1];
    let database = DatabaseNow { head: 3, next: Some(next.to_vec()), ..DatabaseNow::default() };
    let mut verifier = Verifier::new(Vec::new());
    verifier.begin_file("audit.jsonl", None);
    verifier.take_lines(&lines[..2].concat());
    let with = |rest: &[u8]| {
        let mut verifier = verifier.clone();
        verifier.end_file(rest, true);
        verifier.finish(Some(&database))
    };
    for cut in 1..=next.len() {
        assert_eq!(with(&next[..cut]).verdict, Verdict::Incomplete, "cut at {cut}");
        assert_eq!(with(&[&next[..cut], &[0; 7]].concat()).verdict, Verdict::Incomplete, "zeros from {cut}");
    }
    let details = memchr::memmem::find(next, b"{\"versao").unwrap();
    let changed = [&next[..=details], b"x"].concat();
    assert_eq!(first_fault(&with(&changed)), &Wrong::NotTheNext(3));
    // Without the database, the bytes have the form of a torn record.
    verifier.end_file(&changed, true);
    assert_eq!(verifier.finish(None).verdict, Verdict::Incomplete);
}

#[test]
fn a_whole_record_without_its_line_break_is_torn_if_it_fits_the_anchors() {
    let (lines, _) = trail(3);
    let third = &lines[2][..lines[2].len() - 1];
    let hash = |line: &[u8]| String::from_utf8(Link::of(&line[..line.len() - 1]).unwrap().hash.to_vec()).unwrap();
    let anchor = |seq, hash| vec![Anchor { seq, hash, from: "x".to_owned() }];
    for known in [Vec::new(), anchor(2, hash(&lines[1])), anchor(3, hash(&lines[2]))] {
        let report = verify(known, third);
        assert_eq!((report.verdict, report.torn.is_some()), (Verdict::Incomplete, true), "{report:?}");
    }
    for known in [anchor(2, "0".repeat(64)), anchor(3, "0".repeat(64))] {
        assert_eq!(first_fault(&verify(known, third)), &Wrong::Garbage);
    }
}

#[test]
fn the_database_confirms_the_records_before_the_files() {
    let (lines, _) = trail(5);
    let before = |index: usize, fills_a_file| {
        let link = Link::of(&lines[index][..lines[index].len() - 1]).unwrap();
        Some(Before { hash: String::from_utf8(link.hash.to_vec()).unwrap(), fills_a_file })
    };
    for named in [None, Some(3)] {
        let mut verifier = Verifier::new(Vec::new());
        verifier.begin_file("audit.jsonl", named);
        verifier.take_lines(&lines[2..].concat());
        assert_eq!(verifier.begins_after(), Some(2));
        let with = |before| verifier.clone().finish(Some(&DatabaseNow { head: 5, before, next: None }));
        let report = with(before(1, true));
        assert_eq!((report.verdict, report.elsewhere), (Verdict::Whole, 2), "{report:?}");
        assert_eq!((with(None).verdict, with(None).missing_before), (Verdict::Incomplete, 2));
        // The database has another hash, or too few records to have filled a file.
        assert!(matches!(first_fault(&with(before(0, true))), Wrong::NotAsNoted { seq: 2, .. }));
        assert_eq!(first_fault(&with(before(1, false))), &Wrong::Missing { expected: 1, found: 3 });
    }
}

#[test]
fn the_chain_continues_across_files_and_begins_where_a_name_or_a_head_says() {
    let (lines, _) = trail(9);
    let run = |anchors: Vec<Anchor>, files: &[(Option<u64>, &[u8])]| {
        let mut verifier = Verifier::new(anchors);
        for (index, (starts_at, bytes)) in files.iter().enumerate() {
            verifier.begin_file(&index.to_string(), *starts_at);
            let taken = verifier.take_lines(bytes);
            verifier.end_file(&bytes[taken..], index + 1 == files.len());
        }
        verifier.finish(None)
    };
    let (first, second, third) = (lines[..3].concat(), lines[3..6].concat(), lines[6..].concat());
    let report = run(Vec::new(), &[(Some(1), &first), (Some(4), &second), (None, &third)]);
    assert_eq!(report.verdict, Verdict::Whole, "{report:?}");
    assert_eq!(report.files[1].records, Some((4, 6)));

    // The result does not depend on the number in the name; one name has a date.
    for named in [Some(4), None, Some(202_511_231_250)] {
        let report = run(Vec::new(), &[(named, &second), (None, &third)]);
        assert_eq!((report.verdict, report.missing_before), (Verdict::Incomplete, 3));
    }
    assert_eq!(run(Vec::new(), &[(Some(202_511_231_250), &first)]).verdict, Verdict::Whole);
    let before = Link::of(&lines[2][..lines[2].len() - 1]).unwrap();
    let noted = Anchor { seq: 3, hash: String::from_utf8(before.hash.to_vec()).unwrap(), from: "x".to_owned() };
    assert_eq!(run(vec![noted.clone()], &[(None, &second), (None, &third)]).verdict, Verdict::Whole);
    let other = Anchor { hash: "0".repeat(64), ..noted };
    assert_eq!(run(vec![other], &[(Some(4), &second)]).verdict, Verdict::Tampered);

    for (files, wrong) in [
        (vec![(Some(1), &first[..]), (None, &third[..])], Wrong::Missing { expected: 4, found: 7 }),
        (vec![(Some(1), &first[..]), (None, &first[..])], Wrong::SeenAlready(1)),
        (vec![(None, &second[..]), (None, &third[..]), (None, &second[..])], Wrong::SeenAlready(4)),
        (vec![(Some(4), &second[..]), (Some(1), &first[..])], Wrong::FilesOutOfOrder { before: 6, found: 1 }),
        // A file is closed only after its last line was written.
        (vec![(Some(1), &first[..first.len() - 1])], Wrong::ClosedWithinALine),
        (vec![(Some(1), &first[..]), (Some(4), &second[..9])], Wrong::ClosedWithinALine),
        (vec![(Some(1), &first[..first.len() - 1]), (None, &second[..])], Wrong::EndsWithinALine),
    ] {
        let report = run(Vec::new(), &files);
        assert_eq!((report.verdict, first_fault(&report)), (Verdict::Tampered, &wrong));
    }
    // A copy with a date in its name is not a closed file.
    let torn = &first[..first.len() - 1];
    assert_eq!(run(Vec::new(), &[(Some(202_511_231_250), torn)]).verdict, Verdict::Incomplete);
}

#[test]
fn control_characters_in_a_name_are_escaped_in_the_report() {
    let (lines, _) = trail(2);
    let anchor = Anchor { seq: 1, hash: "0".repeat(64), from: "\u{1b}[2J\u{202e}".to_owned() };
    let said = first_fault(&verify(vec![anchor], &lines.concat())).to_string();
    assert!(!said.contains(['\u{1b}', '\u{202e}']) && said.contains("\\u001b"), "{said}");
}

#[test]
fn a_line_that_is_too_long_is_one_fault() {
    let (lines, _) = trail(2);
    let mut verifier = Verifier::new(Vec::new());
    verifier.begin_file("audit.jsonl", None);
    verifier.take_lines(&lines[0]);
    verifier.take_too_long(b"{", 17 << 20);
    let report = verifier.finish(None);
    assert_eq!(
        (report.verdict, report.faults[0].line, report.files[0].bytes),
        (Verdict::Tampered, 2, (17 << 20) + lines[0].len() as u64)
    );
}

/// A trail that somebody has damaged in several ways, one after the other.
fn damaged() -> impl Strategy<Value = (Vec<u8>, Vec<Anchor>)> {
    const MOST: usize = 12;
    let damages = prop::collection::vec((0..8usize, any::<prop::sample::Index>(), any::<u8>()), 0..6);
    let noted = prop::collection::vec((0..=MOST, prop::bool::weighted(0.8)), 0..3);
    (damages, noted).prop_map(|(damages, noted)| {
        let (mut lines, _) = trail(MOST);
        let hashes: Vec<String> = lines
            .iter()
            .map(|line| String::from_utf8(Link::of(&line[..line.len() - 1]).unwrap().hash.to_vec()).unwrap())
            .collect();
        let noted = noted.into_iter().map(|(seq, is_right)| {
            let hash = if seq == 0 { ChainHead::genesis(IDENTITY).hash } else { hashes[seq - 1].clone() };
            let seq = if is_right { seq } else { seq + 1 };
            Anchor { seq: seq as u64, hash, from: "x".to_owned() }
        });
        for (kind, at, byte) in damages {
            if lines.is_empty() {
                break;
            }
            let index = at.index(lines.len());
            let at_byte = at.index(lines[index].len().max(1));
            match kind {
                0 => drop(lines.remove(index)),
                1 => lines.insert(index, lines[index].clone()),
                2 => lines.swap(index, usize::from(byte) % MOST % (index + 1)),
                3 => lines[index].truncate(at_byte),
                4 => lines.insert(index, b"\n".repeat(usize::from(byte % 9))),
                5 => lines.insert(index, vec![byte; 3]),
                6 => drop(lines[index].pop()),
                _ => {
                    let line = &mut lines[index];
                    line.splice(line.len().saturating_sub(1).., *b"\r\n");
                }
            }
        }
        (lines.concat(), noted.collect())
    })
}

proptest! {
    #[test]
    fn lines_that_were_checked_together_give_the_report_of_lines_checked_one_by_one(
        (bytes, anchors) in damaged(),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..4),
        named in prop::option::of(1..4u64),
        second in any::<bool>(),
    ) {
        let files = if second { vec![&bytes[..], &bytes[..]] } else { vec![&bytes[..]] };
        let report = |take: &dyn Fn(&mut Verifier, &[u8])| {
            let mut verifier = Verifier::new(anchors.clone());
            for (nth, bytes) in files.iter().enumerate() {
                verifier.begin_file("x", named);
                let whole = memchr::memrchr(b'\n', bytes).map_or(0, |end| end + 1);
                take(&mut verifier, &bytes[..whole]);
                verifier.end_file(&bytes[whole..], nth + 1 == files.len());
            }
            verifier.finish(None)
        };
        let one_by_one = report(&|verifier, bytes| assert_eq!(verifier.take_lines(bytes), bytes.len()));
        let together = report(&|verifier, bytes| {
            let mut ends: Vec<usize> = memchr::memchr_iter(b'\n', bytes).map(|end| end + 1).collect();
            if !ends.is_empty() {
                let mut wanted: Vec<usize> = cuts.iter().map(|cut| ends[cut.index(ends.len())]).collect();
                wanted.sort_unstable();
                ends = wanted;
            }
            let checker = verifier.checker();
            let begins = std::iter::once(0).chain(ends.iter().copied());
            let ends = ends.iter().copied().chain([bytes.len()]);
            // The last piece is checked first: the order makes no difference.
            let mut checked: Vec<Checked> = Vec::new();
            for (begin, end) in begins.zip(ends).collect::<Vec<_>>().into_iter().rev() {
                checked.push(checker.check(&bytes[begin..end]));
            }
            checked.into_iter().rev().for_each(|checked| verifier.take(checked));
        });
        prop_assert_eq!(format!("{one_by_one:?}"), format!("{together:?}"));
    }
}
