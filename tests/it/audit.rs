//! `sctec audit`: the real executable on files of every kind, and on the trail of a real service.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use tempfile::TempDir;

use crate::common::trail::{CANCELLED, CURIE, NASTY, audit, fail, file, gzip, lines, numbered, succeed, texts};
use crate::common::{Services, wait_until};

/// Lines of the application log that are not records.
const LOG_LINES: [&str; 4] = [
    "INFO:2025-10-26T18:00:04.500Z:servico-agendamento:Requisição recebida para POST /agendamentos req=6b1f-2a",
    r#"INFO:2025-10-26T18:00:04.500Z:servico-agendamento:{"level":"AUDIT"} req=6b1f-2a"#,
    r#"{"timestamp_utc":"2025-10-26T18:00:04.500Z","level":"INFO","msg":"\"level\":\"AUDIT\""}"#,
    "",
];

/// A log with the three records among those lines.
fn app_log(folder: &TempDir) -> String {
    let lines = [&LOG_LINES[..], &[CURIE], &LOG_LINES, &[NASTY], &LOG_LINES, &[CANCELLED], &LOG_LINES].concat();
    file(folder, "app.log", &lines)
}

#[test]
fn each_filter_prints_the_bytes_of_the_records() {
    let folder = TempDir::new().unwrap();
    let log = app_log(&folder);
    let cases: [(&[&str], &[&str]); 22] = [
        (&[], &[CURIE, NASTY, CANCELLED]),
        (&["--event", "AGENDAMENTO_CRIADO"], &[CURIE, NASTY]),
        (&["--event", "AGENDAMENTO_CANCELADO"], &[CANCELLED]),
        (&["--event", "agendamento_cancelado"], &[CANCELLED]),
        (&["--event", "AGENDAMENTO"], &[]),
        (&["--scientist", "7"], &[CURIE, CANCELLED]),
        (&["--booking", "124"], &[NASTY]),
        (&["--booking", "12"], &[]),
        (&["--since", "2025-10-26T18:00:06Z"], &[NASTY, CANCELLED]),
        (&["--until", "2025-10-26T16:00:00-03:00"], &[CURIE, NASTY]),
        (&["--since", "2025-10-26T18:00:06Z", "--until", "2025-10-26T18:00:06.000001Z"], &[NASTY]),
        (&["--scientist", "7", "--event", "AGENDAMENTO_CRIADO", "--booking", "123"], &[CURIE]),
        (&["--scientist", "8", "--event", "AGENDAMENTO_CANCELADO"], &[]),
        (&["--slot", "2025-12-01T03:00:00Z"], &[CURIE, CANCELLED]),
        (&["--slot", "2025-12-01T00:09:59.5-03:00"], &[NASTY]),
        (&["--slot", "2025-12-01T03:10:00Z"], &[]),
        (&["--telescope", "Hubble-Acad"], &[CURIE, NASTY, CANCELLED]),
        (&["--telescope", "Hubble"], &[]),
        (&["--req", "6b1f-2b"], &[NASTY]),
        (&["--req", "6b1f-2"], &[]),
        (&["--req", "6b1f-2b", "--slot", "2025-12-01T03:05:00Z", "--telescope", "Hubble-Acad"], &[NASTY]),
        (&["--scientist", "7", "--slot", "2025-12-01T03:05:00Z"], &[]),
    ];
    for (filters, records) in cases {
        let (printed, said) = succeed(&[&[log.as_str()], filters].concat());
        assert_eq!(printed, lines(records), "{filters:?}");
        // A message says that the event is unknown, or that the telescope may be.
        assert_eq!(
            said.contains("AGENDAMENTO_CRIADO, AGENDAMENTO_ALTERADO, AGENDAMENTO_CANCELADO"),
            filters.contains(&"AGENDAMENTO"),
            "{said}"
        );
        assert_eq!(said.is_empty(), !filters.contains(&"AGENDAMENTO") && !filters.contains(&"Hubble"), "{said}");
    }
}

#[test]
fn the_count_is_the_number_of_matching_records() {
    let folder = TempDir::new().unwrap();
    let log = app_log(&folder);
    for (filters, count) in [(&[][..], "3\n"), (&["--scientist", "7"], "2\n"), (&["--booking", "9"], "0\n")] {
        assert_eq!(succeed(&[&[log.as_str(), "--count"], filters].concat()).0, count, "{filters:?}");
    }
}

#[test]
fn csv_has_every_column_and_no_text_is_a_formula() {
    let folder = TempDir::new().unwrap();
    let (printed, _) = succeed(&[&app_log(&folder), "--format", "csv"]);
    let mut csv = csv::Reader::from_reader(printed.as_bytes());
    let header: Vec<String> = csv.headers().unwrap().iter().map(str::to_owned).collect();
    assert_eq!(
        header.join(","),
        "seq,timestamp_utc,event_type,agendamento_id,cientista_id,cientista_nome,telescopio,horario_inicio_utc,\
         horario_fim_utc,token,alvo,motivo,codigo,instante_clique_utc,req,hash,ocupado_por,service,prev,versao,modo,\
         endereco,ativo_ha_ms,pid,autor,ip,recurso,dono,estado_anterior,req_cliente"
    );
    let rows: Vec<csv::StringRecord> = csv.records().map(Result::unwrap).collect();
    let column = |name: &str| {
        let position = header.iter().position(|column| column == name).unwrap();
        rows.iter().map(|row| row[position].to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(column("seq"), ["1", "2", "3"]);
    assert_eq!(column("cientista_nome"), ["Marie Curie", "A \"B\"\n\\u001b[2J🔭\\u202e, Ç", "Marie Curie"]);
    assert_eq!(column("token"), ["4711", "", "4712"]);
    assert_eq!(column("alvo"), ["\",\"event_type\":\"AGENDAMENTO_CANCELADO\",\"x\":\"", "", ""]);
    assert_eq!(column("motivo"), ["", "", "'=1+1, \"nuvens\""]);
    assert_eq!(column("instante_clique_utc"), ["2025-10-26T18:00:05.000001Z", "", ""]);
    assert_eq!(column("hash"), ["aa", "bb", "cc"]);
    assert_eq!(column("prev"), ["00", "aa", "bb"]);
    assert_eq!(column("service"), ["servico-agendamento"; 3]);
    let others = r#"{"level":"AUDIT","details":{"ocupado_por":9,"versao":"1","modo":"m","endereco":"e","ativo_ha_ms":8,"pid":7,"recurso":"r","dono":"d","estado_anterior":"a"},"autor":"x","ip":"::1"}"#;
    let (printed, _) = succeed(&[&file(&folder, "others", &[others]), "--format", "csv"]);
    assert_eq!(printed.lines().nth(1).unwrap(), format!("{}9,,,1,m,e,8,7,x,::1,r,d,a,", ",".repeat(16)));

    let (nothing, _) = succeed(&[&app_log(&folder), "--format", "csv", "--booking", "0"]);
    assert_eq!(nothing.lines().count(), 1, "{nothing}");
}

#[test]
fn csv_begins_with_a_byte_order_mark_if_bom_is_given() {
    let folder = TempDir::new().unwrap();
    let log = app_log(&folder);
    let (plain, _) = succeed(&[&log, "--format", "csv"]);
    let (marked, _) = succeed(&[&log, "--format", "csv", "--bom"]);
    assert_eq!(marked, format!("\u{feff}{plain}"));
    for format in [&["--format", "jsonl"][..], &["--format", "table"], &[]] {
        assert!(fail(&[&[log.as_str(), "--bom"], format].concat()).contains("--format csv"));
    }
    for other in ["--count", "--verify"] {
        assert_ne!(audit(&[&log, "--bom", other]).output().unwrap().status.code(), Some(0), "{other}");
    }
}

#[test]
fn the_signs_of_a_formula_get_an_apostrophe_in_texts_and_none_in_numbers() {
    let folder = TempDir::new().unwrap();
    let record = |details: &str| format!(r#"{{"level":"AUDIT","seq":-1,"details":{{{details}}}}}"#);
    let lines = [
        record(r#""alvo":"=HYPERLINK(\"http://x\",\"clique\")","motivo":"@SUM(A1)","token":-7"#),
        record(r#""alvo":"\t=1","motivo":"\r=1","token":"=1+1""#),
        record(r#""alvo":"M31;=1+1","motivo":"\u200fx\u061c","token":1"#),
    ];
    let path = file(&folder, "formulas", &lines.each_ref().map(String::as_str));
    let (printed, _) = succeed(&[&path, "--format", "csv"]);
    let mut csv = csv::Reader::from_reader(printed.as_bytes());
    let rows: Vec<csv::StringRecord> = csv.records().map(Result::unwrap).collect();
    let cells: Vec<[&str; 4]> = rows.iter().map(|row| [&row[0], &row[10], &row[11], &row[9]]).collect();
    assert_eq!(
        cells,
        [
            ["-1", "'=HYPERLINK(\"http://x\",\"clique\")", "'@SUM(A1)", "-7"],
            ["-1", "'\t=1", "'\r=1", "'=1+1"],
            ["-1", "M31;'=1+1", "\\u200fx\\u061c", "1"],
        ]
    );
}

#[test]
fn a_table_is_safe_on_a_terminal_and_ends_with_the_count() {
    let folder = TempDir::new().unwrap();
    let log = app_log(&folder);
    let (printed, _) = succeed(&[&log, "--format", "table"]);
    assert!(!printed.contains(|c: char| (c.is_control() && c != '\n') || c == '\u{202e}'), "{printed}");
    assert!(printed.contains(r#"8 A "B"\n\u001b[2J🔭\u202e, Ç"#), "{printed}");
    assert!(printed.contains("7 Marie Curie") && printed.contains("2025-10-26T18:00:05.123456Z"), "{printed}");
    assert!(printed.ends_with("\n3 records\n"), "{printed}");
    assert!(succeed(&[&log, "--format", "table", "--booking", "124"]).0.ends_with("\n1 record\n"));
    assert_eq!(succeed(&[&log, "--format", "table", "--booking", "0"]).0, "0 records\n");
}

#[test]
fn lines_that_are_not_whole_are_skipped_and_counted() {
    let folder = TempDir::new().unwrap();
    let torn = |name, length| {
        let path = folder.path().join(name);
        std::fs::write(&path, format!("{CURIE}\n{}", &NASTY[..length])).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (late, early) = (torn("late.jsonl", 200), torn("early.jsonl", 40));
    assert_eq!(succeed(&[&early]).1, "1 line looks like an audit record but is not whole; sctec skipped it\n");
    for filters in [&[][..], &["--event", "AGENDAMENTO_CRIADO"]] {
        let (printed, said) = succeed(&[&[late.as_str(), &early], filters].concat());
        assert_eq!(printed, lines(&[CURIE, CURIE]));
        assert_eq!(said, "2 lines look like audit records but are not whole; sctec skipped them\n");
    }
}

#[test]
fn a_record_with_a_field_twice_is_counted_and_not_lost() {
    let folder = TempDir::new().unwrap();
    let twice = CURIE.replace("\"cientista_id\":7", "\"cientista_id\":7,\"cientista_id\":8");
    let path = file(&folder, "twice.jsonl", &[&twice]);
    for scientist in ["7", "8"] {
        let (printed, said) = succeed(&[&path, "--scientist", scientist]);
        assert_eq!(printed, "");
        assert_eq!(said, "1 line looks like an audit record but is not whole; sctec skipped it\n");
    }
    assert_eq!(succeed(&[&path]), (lines(&[&twice]), String::new()));
    let (printed, said) = succeed(&[&path, "--format", "csv"]);
    assert!(
        printed.contains("AGENDAMENTO_CRIADO") && said.starts_with("1 record has details that cannot be read"),
        "{said}"
    );
}

#[test]
fn a_record_is_found_however_it_is_written() {
    let folder = TempDir::new().unwrap();
    let forms = [
        CURIE.replace("AUDIT", "AUD\\u0049T"),
        CURIE.replace("\"level\"", "\"l\\u0065vel\""),
        format!("  {CURIE}"),
        CURIE.replace("\"cientista_id\":7", "\"cientista_id\":7.0"),
    ];
    let forms: Vec<&str> = forms.iter().map(String::as_str).collect();
    let marked = format!("\u{feff}{CURIE}");
    let path = file(&folder, "forms.jsonl", &[&[marked.as_str()], &forms[..]].concat());
    for filters in [&[][..], &["--scientist", "7", "--event", "AGENDAMENTO_CRIADO", "--booking", "123"]] {
        let (printed, said) = succeed(&[&[path.as_str()], filters].concat());
        assert_eq!((printed, said), (lines(&[&[CURIE], &forms[..]].concat()), String::new()));
    }
}

/// The output and the messages of a search that exits 1.
fn incomplete(arguments: &[&str]) -> (String, String) {
    let output = audit(arguments).output().unwrap();
    let (printed, said) = texts(&output);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {printed}{said}");
    (printed, said)
}

#[test]
fn records_missing_between_two_files_or_within_one_are_reported() {
    let folder = TempDir::new().unwrap();
    let files = [(1, 3), (4, 4), (8, 9), (11, 11)].map(|(first, last)| {
        let path = folder.path().join(format!("{first}"));
        std::fs::write(&path, numbered(first, last)).unwrap();
        path.to_str().unwrap().to_owned()
    });
    let (printed, said) = incomplete(&[&files[0], &files[1], &files[2], &files[3], "--count"]);
    let [_, fourth, eighth, eleventh] = &files;
    assert_eq!(printed, "7\n");
    assert_eq!(
        said,
        format!(
            "sctec: records 5 to 7 are missing between {fourth} and {eighth}\n\
             sctec: record 10 is missing between {eighth} and {eleventh}\n"
        )
    );
    let within = folder.path().join("within");
    for bytes in [numbered(1, 3) + &numbered(7, 9), String::new()] {
        // Plain, and compressed in two gzip members.
        let pieces = [gzip(numbered(1, 3).as_bytes()), gzip(numbered(7, 9).as_bytes())].concat();
        std::fs::write(&within, if bytes.is_empty() { pieces } else { bytes.into_bytes() }).unwrap();
        let (printed, said) = incomplete(&[within.to_str().unwrap(), "--count"]);
        assert!(printed == "6\n" && said.contains("3 records are missing within"), "{printed}{said}");
    }
}

#[test]
fn compressed_closed_files_are_read_and_missing_ones_are_reported() {
    let folder = TempDir::new().unwrap();
    let data_dir = folder.path().to_str().unwrap();
    let write = |name: &str, bytes: &[u8]| std::fs::write(folder.path().join(name), bytes).unwrap();
    write("audit-000000000001.jsonl", numbered(1, 3).as_bytes());
    write("audit-000000000004.jsonl", numbered(4, 6).as_bytes());
    write("audit.jsonl", numbered(7, 8).as_bytes());
    let all = numbered(1, 8);
    assert_eq!(succeed(&["--data-dir", data_dir]), (all.clone(), String::new()));
    // While gzip is writing, both forms exist, and the compressed one is not complete.
    let packed = gzip(numbered(1, 3).as_bytes());
    write("audit-000000000001.jsonl.gz", &packed[..packed.len() / 2]);
    assert_eq!(succeed(&["--data-dir", data_dir]), (all.clone(), String::new()));
    write("audit-000000000001.jsonl.gz", &packed);
    std::fs::remove_file(folder.path().join("audit-000000000001.jsonl")).unwrap();
    assert_eq!(succeed(&["--data-dir", data_dir]), (all.clone(), String::new()));
    // Of a cut file, the records before the cut are printed, and the missing ones are reported.
    write("audit-000000000001.jsonl.gz", &packed[..packed.len() - 4]);
    let (printed, said) = incomplete(&["--data-dir", data_dir, "--format", "jsonl"]);
    assert!(printed.ends_with(&numbered(4, 8)) && said.contains("the file was cut"), "{printed}{said}");
    let mut damaged = packed.clone();
    let middle = damaged.len() - 6;
    damaged[middle] ^= 0xff;
    write("audit-000000000001.jsonl.gz", &damaged);
    let (printed, said) = incomplete(&["--data-dir", data_dir]);
    assert!(printed.ends_with(&numbered(4, 8)) && said.contains("gzip data is damaged"), "{printed}{said}");
    // A file in a form that cannot be read, and then no file.
    std::fs::remove_file(folder.path().join("audit-000000000001.jsonl.gz")).unwrap();
    write("audit-000000000001.jsonl.zst", b"\x28\xb5\x2f\xfd");
    let (printed, said) = incomplete(&["--data-dir", data_dir]);
    assert_eq!(printed, numbered(4, 8));
    assert!(said.contains("audit-000000000001.jsonl.zst") && said.contains("records 1 to 3 are missing"), "{said}");
    std::fs::remove_file(folder.path().join("audit-000000000001.jsonl.zst")).unwrap();
    let (printed, said) = incomplete(&["--data-dir", data_dir]);
    assert_eq!(printed, numbered(4, 8));
    assert!(said.starts_with("sctec: records 1 to 3 are missing before "), "{said}");
    // Files that are named may begin with any record.
    let fourth = folder.path().join("audit-000000000004.jsonl");
    assert_eq!(succeed(&[fourth.to_str().unwrap()]), (numbered(4, 6), String::new()));
    // A missing file in the middle.
    write("audit-000000000001.jsonl", numbered(1, 3).as_bytes());
    std::fs::remove_file(fourth).unwrap();
    assert!(incomplete(&["--data-dir", data_dir]).1.contains("records 4 to 6 are missing between "));
}

#[test]
fn gzip_is_read_under_any_name_in_several_members_and_from_standard_input() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("a");
    std::fs::write(&path, [gzip(lines(&[CURIE]).as_bytes()), gzip(lines(&[NASTY, CANCELLED]).as_bytes())].concat())
        .unwrap();
    let all = (lines(&[CURIE, NASTY, CANCELLED]), String::new());
    assert_eq!(succeed(&[path.to_str().unwrap()]), all);
    let output = audit(&["-"]).stdin(std::fs::File::open(&path).unwrap()).output().unwrap();
    assert_eq!((texts(&output), output.status.code()), (all, Some(0)));
}

#[test]
fn audit_userspace_299_a_file_that_is_not_lines_is_reported() {
    let folder = TempDir::new().unwrap();
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let noise: Vec<u8> = (0..4096_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    for (name, bytes, what) in [
        ("a.zst", b"\x28\xb5\x2f\xfd....".to_vec(), "compressed with zstd"),
        ("a.xz", b"\xfd7zXZ\0..".to_vec(), "compressed with xz"),
        ("a.bz2", b"BZh91AY".to_vec(), "compressed with bzip2"),
        ("bom", [b"\xff\xfe".to_vec(), utf16(CURIE)].concat(), "text in UTF-16"),
        ("utf16", utf16(CURIE), "text in UTF-16"),
        ("noise", noise, "binary"),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let path = path.to_str().unwrap();
        // The files that can be read are searched.
        let (printed, said) = incomplete(&[path, &app_log(&folder)]);
        assert_eq!(printed, lines(&[CURIE, NASTY, CANCELLED]), "{name}");
        assert!(said.contains(&format!("cannot read {path}: it is {what}")), "{said}");
    }
    assert!(fail(&["/dev/zero"]).contains("it is a device"));
}

#[test]
fn last_prints_the_last_records_that_match() {
    let folder = TempDir::new().unwrap();
    let log = app_log(&folder);
    assert_eq!(succeed(&[&log, "--last", "2"]).0, lines(&[NASTY, CANCELLED]));
    assert_eq!(succeed(&[&log, "--last", "1", "--event", "AGENDAMENTO_CRIADO"]).0, lines(&[NASTY]));
    assert_eq!(succeed(&[&log, "--last", "9"]).0, lines(&[CURIE, NASTY, CANCELLED]));
    assert_eq!(succeed(&[&log, "--last", "9", "--reverse"]).0, lines(&[CANCELLED, NASTY, CURIE]));
    assert_eq!(succeed(&[&log, "--last", "0"]).0, "");
    for wrong in ["-1", "x", "100001", ""] {
        let output = audit(&[&log, &format!("--last={wrong}")]).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{wrong}");
    }
}

#[test]
fn a_line_that_is_too_long_is_skipped_and_reported() {
    let folder = TempDir::new().unwrap();
    let long = format!("{{\"level\":\"AUDIT\",\"x\":\"{}\"}}", "x".repeat(17 << 20));
    let path = file(&folder, "long.jsonl", &[CURIE, &long, NASTY]);
    let (printed, said) = succeed(&[&path]);
    assert_eq!(printed, lines(&[CURIE, NASTY]));
    assert_eq!(said, "1 line is longer than 16 MiB; sctec skipped it\n");
}

#[test]
fn files_are_read_in_order_and_a_dash_is_standard_input() {
    let folder = TempDir::new().unwrap();
    let (last, first) = (file(&folder, "a", &[CANCELLED]), file(&folder, "b", &[CURIE]));
    let input = std::fs::File::open(file(&folder, "c", &[NASTY])).unwrap();
    let output = audit(&[&first, "-", &last]).stdin(input).output().unwrap();
    assert_eq!(texts(&output), (lines(&[CURIE, NASTY, CANCELLED]), String::new()));
    assert!(output.status.success());
}

#[test]
fn records_from_a_pipe_are_printed_before_the_pipe_ends() {
    let mut child = audit(&["-"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    writeln!(input, "{CURIE}").unwrap();
    let mut printed = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut printed).unwrap();
    assert_eq!(printed, lines(&[CURIE]));
    drop(input);
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_closed_output_pipe_is_a_normal_end() {
    let folder = TempDir::new().unwrap();
    // The output is larger than a pipe's buffer, so the command is still writing when the pipe is closed.
    let path = file(&folder, "many.jsonl", &vec![CURIE; 20_000]);
    for format in ["jsonl", "csv", "table"] {
        let mut child =
            audit(&[&path, "--format", format]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(!line.is_empty());
        assert_eq!(texts(&output).1, "", "{format}");
        assert!(output.status.success(), "{format}");
    }
}

#[test]
fn an_input_that_cannot_be_read_is_reported_with_advice() {
    let folder = TempDir::new().unwrap();
    let data_dir = folder.path().to_str().unwrap();
    let said = fail(&["--data-dir", data_dir]);
    assert!(said.contains("audit.jsonl; name a file, or the data folder with --data-dir"), "{said}");
    assert!(!said.contains("corrida"), "{said}");
    file(&folder, "corrida-audit.jsonl", &[CURIE]);
    assert!(fail(&["--data-dir", data_dir]).contains("corrida-audit.jsonl"));

    let missing = folder.path().join("missing").to_str().unwrap().to_owned();
    assert!(fail(&[&missing]).contains(&missing));
    assert!(fail(&[data_dir]).contains(data_dir), "a folder is no file");
    // Records that were found before the error are printed.
    let output = audit(&[&file(&folder, "a", &[CURIE]), &missing]).output().unwrap();
    assert_eq!((texts(&output).0, output.status.code()), (lines(&[CURIE]), Some(2)));
}

#[test]
fn wrong_instants_are_refused_with_a_right_example() {
    let folder = TempDir::new().unwrap();
    let log = app_log(&folder);
    for (instant, part) in [
        ("depois", "2026-11-25T10:00:00Z"),
        ("2025-13-26", "calendar"),
        ("2025-02-30T00:00:00Z", "calendar"),
        ("1969-01-01T00:00:00Z", "1970"),
    ] {
        for option in ["--since", "--until"] {
            let said = fail(&[&log, option, instant]);
            assert!(said.contains(option) && said.contains(instant) && said.contains(part), "{said}");
        }
    }
    let said = fail(&[&log, "--since", "2025-10-27T00:00:00Z", "--until", "2025-10-26T00:00:00Z"]);
    assert!(said.contains("--since") && said.contains("--until"), "{said}");
    let said = fail(&[&log, "--since", "2025-10-27T00:00:00Z", "--until", "2025-10-27T00:00:00Z"]);
    assert!(said.contains("make --until later"), "{said}");
}

#[test]
fn a_booking_is_found_in_the_trail_and_in_the_log() {
    let services = Services::start(&[]);
    assert_eq!(services.book(7, "2025-12-01T03:00:00Z").0, 201);
    let folder = services.data_dir().to_str().unwrap();
    let log = format!("{folder}/app.log");
    let find = |arguments: &[&str]| {
        let mut printed = String::new();
        wait_until("it is found", || {
            printed = succeed(arguments).0;
            !printed.is_empty()
        });
        printed
    };
    let trail = find(&["--event", "AGENDAMENTO_CRIADO", "--data-dir", folder]);
    assert_eq!(trail.lines().count(), 1, "{trail}");
    assert_eq!(find(&["--event", "AGENDAMENTO_CRIADO", "--scientist", "7", &log]), trail);
    assert_eq!(succeed(&["--event", "AGENDAMENTO_CANCELADO", "--data-dir", folder]).0, "");
}

#[test]
fn a_search_without_a_match_says_what_may_be_mistyped() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder, "audit.jsonl", &[CURIE]);
    let said = |filter: [&str; 2]| texts(&audit(&[&path]).args(filter).output().unwrap()).1;
    assert!(said(["--event", "criado"]).contains("did you mean AGENDAMENTO_CRIADO?"));
    assert!(said(["--telescope", "hubble"]).contains("check the telescope \"hubble\""));
    assert_eq!(said(["--telescope", "Hubble-Acad"]), "");
}
