//! The files of a cluster: units with their settings, those of the proxy and of Patroni, and the composition.

use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::machine::Machine;
use crate::common::{Asked, Services, free_port, http, http_with, run, try_http, wait_until};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Copies the units, with the settings of a cluster beside them, and gives the units.
fn units(folder: &Path) -> Vec<PathBuf> {
    let copy = |name: &str| {
        let unit = std::fs::read_to_string(root().join("examples/systemd").join(format!("{name}.service"))).unwrap();
        // systemd-analyze requires that the program of a unit exists.
        let unit = unit.replace("/usr/local/bin/sctec", env!("CARGO_BIN_EXE_sctec"));
        let path = folder.join(format!("{name}.service"));
        std::fs::write(&path, unit).unwrap();
        let settings = folder.join(format!("{name}.service.d"));
        std::fs::create_dir(&settings).unwrap();
        let example = root().join("examples/cluster").join(format!("{name}.service.d/cluster.conf"));
        std::fs::copy(example, settings.join("cluster.conf")).unwrap();
        path
    };
    let mut units = ["sctec-agendamento", "sctec-coordenador"].map(copy).to_vec();
    let patroni = std::fs::read_to_string(root().join("examples/cluster/patroni.service")).unwrap();
    units.push(folder.join("patroni.service"));
    std::fs::write(&units[2], patroni.replace("/opt/patroni/bin/patroni", "/bin/true")).unwrap();
    units
}

/// Tells `HAProxy` to look up its servers' names in the DNS, again and again.
const NAMES_OF_DNS: &str = "NOMES_DO_DNS";

#[test]
#[ignore = "needs systemd-analyze"]
fn the_units_are_valid_with_the_settings_of_a_cluster() {
    let folder = tempfile::tempdir().unwrap();
    let units = units(folder.path());
    let verified = Command::new("systemd-analyze").args(["verify", "--man=no"]).args(&units).output().unwrap();
    assert!(verified.status.success() && verified.stderr.is_empty(), "{verified:?}");
    // A setting that is wrong is told, so the settings were read.
    let settings = units[0].with_extension("service.d").join("cluster.conf");
    let wrong = std::fs::read_to_string(&settings).unwrap().replace("IPAddressAllow", "IPAddressAlow");
    std::fs::write(&settings, wrong).unwrap();
    let refused = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&units[0]).output().unwrap();
    assert!(String::from_utf8_lossy(&refused.stderr).contains("IPAddressAlow"), "{refused:?}");
}

#[test]
#[ignore = "needs HAProxy"]
fn haproxy_takes_its_files_without_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let map = folder.path().join("celulas.map");
    std::fs::write(&map, "Hubble-Acad celula-1\n").unwrap();
    for name in ["haproxy.cfg", "haproxy-celulas.cfg"] {
        let text = std::fs::read_to_string(root().join("examples/cluster").join(name)).unwrap();
        let file = folder.path().join(name);
        std::fs::write(&file, text.replace("/etc/haproxy/celulas.map", map.to_str().unwrap())).unwrap();
        // Names that nobody knows here are found later, in the DNS.
        let checked = Command::new("haproxy").env(NAMES_OF_DNS, "1").arg("-c").arg("-f").arg(&file).output().unwrap();
        let said = [&checked.stdout[..], &checked.stderr[..]].concat();
        let said = String::from_utf8_lossy(&said);
        let is_warning = |line: &&str| line.contains("WARNING") && !line.contains("could not resolve");
        let warned: Vec<_> = said.lines().filter(is_warning).collect();
        assert!(checked.status.success() && warned.is_empty(), "{name}: {said}");
    }
}

/// Names of `/etc/hosts` are not in the DNS: if `HAProxy` asked it, the answer would take the schedulers out.
#[test]
#[ignore = "needs HAProxy"]
fn haproxy_asks_the_dns_for_its_servers_only_when_it_is_told_to() {
    let text = std::fs::read_to_string(root().join("examples/cluster/haproxy.cfg")).unwrap();
    for asks in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let (dns, port) = (UdpSocket::bind("127.0.0.1:0").unwrap(), free_port());
        let (bind, name_server) =
            (format!("bind 127.0.0.1:{port}"), format!("nameserver a {}", dns.local_addr().unwrap()));
        let file = folder.path().join("haproxy.cfg");
        let text = ["agendamento-1:5000", "agendamento-2:5000"]
            .iter()
            .fold(text.clone(), |text, name| text.replace(name, "localhost:9"))
            .replace("bind :8080", &bind)
            .replace("parse-resolv-conf", &name_server);
        assert!(text.contains(&name_server) && text.contains(&bind));
        std::fs::write(&file, text).unwrap();
        let mut front = Machine::new("frente", folder.path(), None, move || {
            let mut command = Command::new("haproxy");
            command.arg("-db").arg("-f").arg(&file);
            if asks {
                command.env(NAMES_OF_DNS, "1");
            }
            command
        });
        front.start();
        let url = format!("http://127.0.0.1:{port}");
        wait_until("the front answers", || try_http("GET", &url, None).is_ok());
        // It asks for all names when it starts.
        dns.set_read_timeout(Some(Duration::from_secs(if asks { 30 } else { 2 }))).unwrap();
        assert_eq!(dns.recv(&mut [0; 512]).is_ok(), asks);
    }
}

#[test]
#[ignore = "needs HAProxy"]
fn a_front_finds_the_cell_of_a_telescope_and_reads_an_agenda_once_a_second() {
    let cells = [Services::start(&[]), Services::start(&[])];
    let folder = tempfile::tempdir().unwrap();
    let (map, port) = (folder.path().join("celulas.map"), free_port());
    std::fs::write(&map, "Hubble-Acad celula-1\nWebb-Acad celula-2\n").unwrap();
    let mut text = std::fs::read_to_string(root().join("examples/cluster/haproxy-celulas.cfg")).unwrap();
    let (map, bind) = (map.to_str().unwrap().to_owned(), format!("bind 127.0.0.1:{port}"));
    let addresses = [0, 1].map(|nth: usize| cells[nth].agenda_address());
    for (from, to) in [
        ("/etc/haproxy/celulas.map", map.as_str()),
        ("bind :8080", &bind),
        ("celula-1:8080", &addresses[0]),
        ("celula-2:8080", &addresses[1]),
    ] {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    let file = folder.path().join("haproxy.cfg");
    std::fs::write(&file, text).unwrap();
    let mut front = Machine::new("frente", folder.path(), None, move || {
        let mut command = Command::new("haproxy");
        command.arg("-db").arg("-f").arg(&file);
        command
    });
    front.start();
    let url = format!("http://127.0.0.1:{port}");
    wait_until("the front serves", || try_http("GET", &url, None).is_ok_and(|answer| answer.status == 200));
    let book = |telescope: Option<&str>, start: &str| {
        let asked = Asked::by(7, start);
        let asked = telescope.map_or(asked.clone(), |telescope| asked.on(telescope));
        let answer = http("POST", &format!("{url}/agendamentos"), Some(("application/json", &asked.text())));
        assert_eq!(answer.status, 201, "{}", answer.body);
    };
    book(None, "2040-01-01T00:00:00Z");
    book(Some("Hubble-Acad"), "2040-01-01T00:05:00Z");
    book(Some("Webb-Acad"), "2040-01-01T00:10:00Z");
    let of = |cell: &Services| {
        let list = cell.list("").into_iter();
        list.map(|booking| booking["telescopio"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!((of(&cells[0]), of(&cells[1])), (vec!["Hubble-Acad".into(); 2], vec!["Webb-Acad".into()]));

    let period = "de=2040-01-01T00:00:00Z&ate=2040-01-01T01:00:00Z";
    let agenda = |headers: &[(&str, &str)]| {
        http_with("GET", &format!("{url}/telescopios/Webb-Acad/agenda?{period}"), None, headers)
    };
    let count = || {
        let asked =
            |line: &&str| line.contains("_requests_total{") && line.contains("agenda\"") && line.contains("\"200\"");
        let metrics = http("GET", &cells[1].agenda("/metrics"), None).body;
        metrics.lines().filter(asked).filter_map(|line| line.rsplit_once(' ')?.1.parse::<u32>().ok()).sum::<u32>()
    };
    let answers: Vec<_> = (0..50).map(|_| agenda(&[])).collect();
    assert!(answers.iter().all(|answer| answer.status == 200));
    // They took far less than some seconds.
    assert!((1..10).contains(&count()), "{}", count());
    // What depends on who asks is asked each time.
    let before = count();
    (0..20).for_each(|_| assert_eq!(agenda(&[("Authorization", "Bearer x")]).status, 200));
    assert_eq!(count(), before + 20);
}

/// The variables of sctec in a text.
fn variables(text: &str) -> BTreeSet<String> {
    let is_part = |letter: char| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_';
    let words = text.split(|letter: char| !is_part(letter));
    words.filter(|word| word.starts_with("SCTEC_")).map(str::to_owned).collect()
}

#[test]
fn every_variable_of_the_compositions_and_units_is_one_of_a_service() {
    let help = ["serve-scheduler", "serve-coordinator"].map(|command| run(&[command, "--help"]).stdout).concat();
    let known = variables(&String::from_utf8(help).unwrap());
    // What the compositions and Patroni's script read themselves.
    let others = ["SCTEC_BIND", "SCTEC_PORT", "SCTEC_PORT_2", "SCTEC_COORDINATOR_PORT", "SCTEC_BANCO_SENHA"];
    let files = [
        "compose.yml",
        "compose.scale.yml",
        "compose.coordinator.yml",
        "compose.race.yml",
        "compose.cluster.yml",
        "examples/cluster/sctec-agendamento.service.d/cluster.conf",
        "examples/cluster/sctec-coordenador.service.d/cluster.conf",
        "examples/systemd/sctec-agendamento.service",
        "examples/systemd/sctec-coordenador.service",
    ];
    for file in files {
        let used = variables(&std::fs::read_to_string(root().join(file)).unwrap());
        let unknown: Vec<_> =
            used.iter().filter(|name| !known.contains(*name) && !others.contains(&name.as_str())).collect();
        assert!(!used.is_empty() && unknown.is_empty(), "{file}: {unknown:?}");
    }
}

#[test]
fn the_passwords_of_a_cluster_are_made_once_and_are_in_no_log() {
    let folder = tempfile::tempdir().unwrap();
    let secrets = folder.path().join("segredos");
    let make = || Command::new("sh").arg(root().join("examples/cluster/segredos")).arg(&secrets).output().unwrap();
    let read = || {
        let names = ["postgres", "replicacao", "rebobinar", "banco"];
        names.map(|name| std::fs::read_to_string(secrets.join(name)).unwrap())
    };
    let made = make();
    assert!(made.status.success() && made.stdout.is_empty() && made.stderr.is_empty(), "{made:?}");
    let first = read();
    assert!(
        first.iter().all(|one| one.len() > 30 && one.bytes().all(|byte| byte.is_ascii_alphanumeric())),
        "{first:?}"
    );
    assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), 4);
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&secrets).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o700);
    assert!(make().status.success());
    assert_eq!(read(), first, "they stay");
}

/// The composition of a cluster, as YAML's reader for Python, which podman-compose brings along, has it.
fn composition() -> Value {
    let program = "import json, sys, yaml; print(json.dumps(yaml.safe_load(open(sys.argv[1]))))";
    let file = root().join("compose.cluster.yml");
    let read = Command::new("/usr/bin/python3").args(["-c", program]).arg(file).output().unwrap();
    assert!(read.status.success(), "{read:?}");
    serde_json::from_slice(&read.stdout).unwrap()
}

#[test]
#[ignore = "needs podman-compose"]
fn in_the_composition_of_a_cluster_all_parts_are_there_and_only_the_front_is_published() {
    let composition = composition();
    let services = composition["services"].as_object().unwrap();
    let names: BTreeSet<&str> = services.keys().map(String::as_str).collect();
    let twice = ["agendamento", "banco", "coordenador", "etcd"].map(|part| [1, 2].map(|nth| format!("{part}-{nth}")));
    let expected: Vec<String> = twice.into_iter().flatten().chain(["etcd-3".into(), "entrada".into()]).collect();
    assert_eq!(names, expected.iter().map(String::as_str).collect());
    let texts = |value: &Value| -> Vec<String> {
        let items = value.as_array().into_iter().flatten();
        items.map(|item| item.as_str().unwrap().to_owned()).collect()
    };
    for (name, service) in services {
        assert_eq!(
            (&service["restart"], texts(&service["cap_drop"])),
            (&"always".into(), vec!["ALL".to_owned()]),
            "{name}"
        );
        assert!(service["mem_limit"].is_string() && service["pids_limit"].is_u64(), "{name}");
        let published = texts(&service["ports"]);
        let front = vec!["${SCTEC_BIND:-127.0.0.1}:${SCTEC_PORT:-5000}:8080".to_owned()];
        assert_eq!(published, if name == "entrada" { front } else { Vec::new() }, "{name}");
        assert!(texts(&service["depends_on"]).iter().all(|other| names.contains(other.as_str())), "{name}");
        for volume in texts(&service["volumes"]) {
            let volume = volume.split(':').next().unwrap();
            assert!(composition["volumes"].get(volume).is_some(), "{name}: no volume {volume}");
        }
        for secret in texts(&service["secrets"]) {
            let file = composition["secrets"][&secret]["file"].as_str();
            assert_eq!(file, Some(format!("./segredos/{secret}").as_str()), "{name}");
        }
    }
    // What has data has it in a volume of its own.
    for name in expected.iter().filter(|name| *name != "entrada") {
        let own = format!("{name}:");
        assert!(texts(&services[name]["volumes"]).iter().any(|volume| volume.starts_with(&own)), "{name}");
    }
}
