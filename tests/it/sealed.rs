//! Sealed reports: made with a key, checked on another machine, and found out when anything in them was changed.

use std::{
    fs::{self, File},
    io::Read as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use links::broker::Broker;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{COLDWATCH, Program, coldwatch_in, repository};

const PERIOD: [&str; 4] = ["--from", "2026-10-23", "--to", "2026-10-25"];
const SEAL: [&str; 16] = [
    "report",
    "--data",
    "data",
    "--seal",
    "--lang",
    "en,zh-CN",
    "--by",
    "ada",
    "--method",
    "iso-iec-30134-2,cn-targets",
    "--out",
    "reports",
    PERIOD[0],
    PERIOD[1],
    PERIOD[2],
    PERIOD[3],
];

/// A recorded weekend with a key.
struct Hall {
    folder: TempDir,
    key: String,
}

impl Hall {
    fn recorded() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let site = repository("tests/data/month/site.toml");
        let hall = Self { folder, key: String::new() };
        let mut simulate: Vec<&str> =
            "simulate month --into data --step 60 --days 3 --start 2026-10-23 --site"
                .split(' ')
                .collect();
        simulate.push(site.to_str().unwrap());
        hall.succeeds(&simulate);
        let key = hall.succeeds(&["key", "create", "--data", "data", "--by", "ada"]);
        assert_eq!(key.trim().len(), 64);
        Self { key: key.trim().to_owned(), ..hall }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn runs(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let Output { status, stdout, stderr } = Command::new(COLDWATCH)
            .args(arguments)
            .current_dir(self.folder.path())
            .output()
            .unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code(), text(stdout), text(stderr))
    }

    fn succeeds(&self, arguments: &[&str]) -> String {
        let (code, stdout, stderr) = self.runs(arguments);
        assert_eq!(code, Some(0), "{arguments:?}\n{stdout}{stderr}");
        stdout
    }

    fn sealed(&self) -> PathBuf {
        let mut arguments =
            vec!["report", "--data", "data", "--seal", "--lang", "en,zh-CN", "--by", "ada"];
        arguments.extend(["--method", "iso-iec-30134-2,cn-targets", "--out", "reports"]);
        arguments.extend(PERIOD);
        let printed = self.succeeds(&arguments);
        let last = printed.lines().last().unwrap();
        assert!(last.ends_with("-2026-10-23-to-2026-10-25.sealed.zip"), "{printed}");
        assert_eq!(printed.lines().count(), 4, "two pages, JSON, and the sealed file: {printed}");
        self.path(last)
    }

    /// What `report verify` says of a bundle: whether it holds, and what it says of each check.
    fn verify(&self, bundle: &Path, more: &[&str]) -> (bool, Value) {
        let mut arguments = vec!["report", "verify", bundle.to_str().unwrap(), "--json"];
        arguments.extend(more);
        let (code, stdout, stderr) = self.runs(&arguments);
        let answer: Value =
            serde_json::from_str(&stdout).unwrap_or_else(|_| panic!("{stdout}{stderr}"));
        assert_eq!(code == Some(0), answer["verified"] == true);
        (code == Some(0), answer)
    }
}

fn unpack(bundle: &Path, into: &Path) {
    zip::ZipArchive::new(File::open(bundle).unwrap()).unwrap().extract(into).unwrap();
}

/// What failed, in words.
fn failed(answer: &Value) -> Vec<String> {
    let findings = answer["findings"].as_array().unwrap().iter();
    let failed = findings.filter(|finding| finding["holds"] == false);
    failed
        .map(|finding| {
            format!("{}: {}", finding["check"].as_str().unwrap(), finding["told"].as_str().unwrap())
        })
        .collect()
}

#[test]
fn a_sealed_report_is_checked_anywhere_and_what_was_changed_is_named() {
    let hall = Hall::recorded();
    let bundle = hall.sealed();
    // Another machine has nothing but the file.
    let elsewhere = tempfile::tempdir().unwrap();
    let moved = elsewhere.path().join("report.zip");
    fs::rename(&bundle, &moved).unwrap();
    let (holds, answer) = hall.verify(&moved, &["--key", &hall.key]);
    assert!(holds, "{answer:#}");
    assert_eq!(answer["by"], "ada");
    let title = answer["figures"][0]["title"].as_str().unwrap();
    assert_eq!(title, "iPUE2 (2026-10-23:2026-10-25)");
    let unpacked = elsewhere.path().join("unpacked");
    unpack(&moved, &unpacked);
    assert!(hall.verify(&unpacked, &[]).0);
    let (holds, answer) = hall.verify(&unpacked, &["--key", &"ab".repeat(32)]);
    assert!(!holds && failed(&answer)[0].contains("not by the key that you were given"));
    finds_every_changed_byte(&hall, &unpacked);
    survives_any_damage(&hall, &moved);
    finds_what_was_added_or_left_out(&hall, &unpacked);
}

/// Changes a byte in every file, at its beginning, in the middle and near its end.
fn finds_every_changed_byte(hall: &Hall, unpacked: &Path) {
    let names = [
        ("report.json", "figures: report.json"),
        ("report.html", "documents: report.html says something else than the ledger, from line"),
        ("report.zh-CN.html", "documents: report.zh-CN.html says something else"),
        ("report.csv", "documents: report.csv says something else"),
        ("ledger.jsonl", "ledger: "),
        ("catalog.json", "figures: it cannot be computed again: catalog.json"),
        ("limits/iso-iec-30134-2.toml", "files: limits/iso-iec-30134-2.toml was altered"),
        ("limits/cn-targets.toml", "files: limits/cn-targets.toml was altered"),
        ("keys.jsonl", ""),
        ("manifest.json", ""),
        ("signature.json", "signature: "),
    ];
    for (name, told) in names {
        let path = unpacked.join(name);
        let sound = fs::read(&path).unwrap();
        for place in [0, sound.len() / 3, sound.len() / 2, sound.len().saturating_sub(3)] {
            if sound.is_empty() {
                continue;
            }
            let mut altered = sound.clone();
            // One bit: a digit or a letter becomes another one.
            altered[place] ^= 1;
            fs::write(&path, &altered).unwrap();
            let bundle = unpacked.to_str().unwrap();
            let (code, stdout, stderr) = hall.runs(&["report", "verify", bundle]);
            assert_eq!(code, Some(1), "{name}, byte {place}\n{stdout}{stderr}");
            let said = stdout + &stderr;
            let file = name.split('/').next_back().unwrap();
            assert!(said.contains(file) || said.contains("manifest"), "{name}: {said}");
            if place == sound.len() / 2 && !told.is_empty() {
                let words = told.split(": ").last().unwrap();
                assert!(said.contains(words), "{name}: {said}");
            }
        }
        fs::write(&path, &sound).unwrap();
    }
    assert!(hall.verify(unpacked, &[]).0, "put back as it was");
}

/// Whatever byte of the archive is another one, the answer is that, or the content is what was sealed all the same.
fn survives_any_damage(hall: &Hall, bundle: &Path) {
    const TRIES: usize = 60;
    let sound = fs::read(bundle).unwrap();
    let damaged = bundle.with_extension("damaged.zip");
    for attempt in 0..TRIES {
        let mut bytes = sound.clone();
        // The last kilobyte is the table of contents: half of the tries go there.
        let (from, length) =
            if attempt % 2 == 0 { (0, sound.len()) } else { (sound.len() - 1024, 1024) };
        let place = from + attempt * length / TRIES;
        bytes[place] = bytes[place].wrapping_add(u8::try_from(attempt + 1).unwrap());
        fs::write(&damaged, &bytes).unwrap();
        let (code, stdout, stderr) = hall.runs(&["report", "verify", damaged.to_str().unwrap()]);
        match code {
            Some(0) => assert!(stdout.contains("verified")),
            Some(1) => assert!(!(stdout + &stderr).is_empty()),
            other => panic!("byte {place}: {other:?}\n{stderr}"),
        }
        fs::write(&damaged, &sound[..place]).unwrap();
        let (code, _, stderr) = hall.runs(&["report", "verify", damaged.to_str().unwrap()]);
        assert_eq!(code, Some(1), "cut at {place}: {stderr}");
    }
}

fn finds_what_was_added_or_left_out(hall: &Hall, unpacked: &Path) {
    let note = unpacked.join("note.txt");
    fs::write(&note, "trust me").unwrap();
    assert_eq!(
        failed(&hall.verify(unpacked, &[]).1),
        ["files: note.txt was not sealed with the others"]
    );
    fs::remove_file(&note).unwrap();
    let page = unpacked.join("report.html");
    let sound = fs::read(&page).unwrap();
    fs::remove_file(&page).unwrap();
    let faults = failed(&hall.verify(unpacked, &[]).1);
    assert!(faults.len() == 2 && faults[0].contains("report.html cannot be read"), "{faults:?}");
    fs::write(&page, sound).unwrap();
}

/// A line of the ledger and the report are changed, and whoever has the key signs everything anew: only what was kept
/// outside tells.
#[test]
fn a_ledger_that_was_written_anew_does_not_fit_what_was_kept_outside() {
    let hall = Hall::recorded();
    let first = hall.sealed();
    let mut ledger = String::new();
    let mut archive = zip::ZipArchive::new(File::open(&first).unwrap()).unwrap();
    archive.by_name("ledger.jsonl").unwrap().read_to_string(&mut ledger).unwrap();
    let line: Value = serde_json::from_str(ledger.lines().nth(50).unwrap()).unwrap();
    let anchor = serde_json::json!({"day": "2026-10-23", "line": line["body"]["line"], "head": line["hash"]});
    let anchors = hall.path("anchors.jsonl");
    fs::write(&anchors, anchor.to_string()).unwrap();
    let anchors = ["--anchors", anchors.to_str().unwrap()];
    assert!(hall.verify(&first, &anchors).0);
    forge(&hall.path("data/ledger.db"));
    let (code, _, talk) = hall.runs(&SEAL);
    assert!(code == Some(1) && talk.contains("what is sealed is not replaced"), "{talk}");
    let kept = hall.path("first.zip");
    fs::rename(&first, &kept).unwrap();
    let forged = hall.sealed();
    let (holds, answer) = hall.verify(&forged, &["--key", &hall.key]);
    assert!(holds, "whoever has the key can write everything anew: {answer:#}");
    let (holds, answer) = hall.verify(&forged, &anchors);
    assert!(!holds);
    assert!(failed(&answer)[0].contains("not the one that was anchored"), "{answer:#}");
    // Both reports are there: what was forged is found.
    let (_, changes, _) =
        hall.runs(&["report", "diff", kept.to_str().unwrap(), forged.to_str().unwrap()]);
    assert!(changes.contains("/indicators/heat_capture/value: 0.9"), "{changes}");
}

/// Lowers one amount and hashes everything behind it again.
fn forge(database: &Path) {
    use rules::chain::Chain;
    let connection = rusqlite::Connection::open(database).unwrap();
    let mut statement = connection.prepare("SELECT line, body FROM ledger ORDER BY line").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)));
    let lines: Vec<(i64, String)> = rows.unwrap().map(Result::unwrap).collect();
    let mut chain = Chain::empty("ledger");
    let mut lowered = false;
    for (line, mut body) in lines {
        let mut document: Value = serde_json::from_str(&body).unwrap();
        if let Some(amount) =
            document.pointer_mut("/quarter/amount/0").filter(|_| line > 20 && !lowered)
        {
            let was = amount.to_string();
            body = body.replacen(&format!("[{was},"), "[0.5,", 1);
            lowered = true;
        }
        let hash = chain.add(body.as_bytes()).to_string();
        connection
            .execute("UPDATE ledger SET body = ?2, hash = ?3 WHERE line = ?1", (line, &body, &hash))
            .unwrap();
    }
    assert!(lowered);
    let head = serde_json::to_string(&chain).unwrap();
    assert!(!head.is_empty());
    let end = [("ledger_lines", chain.lines.to_string()), ("ledger_head", chain.head.to_string())];
    for (name, value) in end {
        let changed = connection
            .execute("UPDATE meta SET value = ?2 WHERE name = ?1", (name, &value))
            .unwrap();
        assert_eq!(changed, 1, "{name}");
    }
}

#[test]
fn a_report_is_sealed_with_a_key_and_when_its_period_is_over() {
    let hall = Hall::recorded();
    let bare = tempfile::tempdir().unwrap();
    let copy = bare.path().join("ledger.db");
    fs::copy(hall.path("data/ledger.db"), &copy).unwrap();
    fs::rename(hall.path("data/key"), hall.path("kept")).unwrap();
    let seal = |period: &[&str]| {
        let mut arguments = vec!["report", "--data", "data", "--seal", "--out", "reports"];
        arguments.extend(period);
        hall.runs(&arguments)
    };
    let (code, _, talk) = seal(&PERIOD);
    assert!(code == Some(1) && talk.contains("coldwatch key lost"), "{talk}");
    let (code, _, talk) = seal(&["--year", "2098"]);
    assert!(code == Some(1) && talk.contains("the period is over on"), "{talk}");
    fs::rename(hall.path("kept"), hall.path("data/key")).unwrap();
    let (code, _, talk) = seal(&["--month", "2025-02"]);
    assert!(code == Some(1) && talk.contains("nothing to seal"), "{talk}");
    let left: Vec<_> = fs::read_dir(hall.path("reports"))
        .map(|entries| entries.map(|entry| entry.unwrap().file_name()).collect())
        .unwrap_or_default();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("sealed")), "{left:?}");
}

#[test]
fn what_is_no_sealed_report_is_refused_with_what_was_expected() {
    let folder = tempfile::tempdir().unwrap();
    let verify = |path: &Path| {
        let out = Command::new(COLDWATCH).args(["report", "verify"]).arg(path).output().unwrap();
        (out.status.code(), String::from_utf8(out.stderr).unwrap())
    };
    let (code, talk) = verify(&folder.path().join("nowhere"));
    assert!(code == Some(1) && talk.contains("failed to read"), "{talk}");
    let text = folder.path().join("text.zip");
    fs::write(&text, "hello").unwrap();
    assert!(verify(&text).1.contains("is no sealed report"));
    assert!(verify(folder.path()).1.contains("expected what report --seal writes"));
    fs::write(folder.path().join("manifest.json"), "{}").unwrap();
    assert!(verify(folder.path()).1.contains("it was altered"));
}

/// A gateway on what the hall recorded. Its devices are not there, which is no matter here.
fn gateway(hall: &Hall, broker: SocketAddr) -> Program {
    let site = hall.path("site.toml");
    let text = fs::read_to_string(repository("tests/data/month/site.toml")).unwrap();
    fs::create_dir_all(hall.path("profiles")).unwrap();
    for entry in fs::read_dir(repository("tests/data/month/profiles")).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, hall.path("profiles").join(path.file_name().unwrap())).unwrap();
    }
    fs::write(&site, format!("{text}\n[anchors]\nurl = \"mqtt://{broker}\"\n")).unwrap();
    Program::start(
        coldwatch_in(hall.folder.path())
            .args(["run", "--stream", "--trust-clock", "--site"])
            .arg(&site)
            .stderr(Stdio::null()),
    )
}

/// What the broker keeps for whoever asks later.
async fn retained(broker: &Broker) -> String {
    let kept = async {
        loop {
            if let Some(message) = broker.retained("coldwatch/gw-month/anchor") {
                return String::from_utf8(message.to_vec()).unwrap();
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), kept).await.expect("an anchor in time")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_ledger_gets_outside_and_into_the_next_report() {
    let hall = Hall::recorded();
    let broker = Broker::start("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let running = gateway(&hall, broker.address());
    let message = retained(&broker).await;
    assert!(running.terminate());
    broker.stop().await;
    // A run of the same day does not note it again, but says it to a broker that has forgotten.
    let broker = Broker::start("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let running = gateway(&hall, broker.address());
    assert_eq!(retained(&broker).await, message);
    // The running gateway is asked to enter the seal.
    let out = coldwatch_in(hall.folder.path()).args(SEAL).current_dir(hall.folder.path()).output();
    let Output { status, stdout, stderr } = out.unwrap();
    assert!(status.success(), "{}", String::from_utf8_lossy(&stderr));
    assert!(running.terminate());
    broker.stop().await;
    let printed = String::from_utf8(stdout).unwrap();
    let bundle = hall.path(printed.lines().last().unwrap());
    let anchors = hall.path("anchors.jsonl");
    fs::write(&anchors, &message).unwrap();
    let (holds, answer) = hall.verify(&bundle, &["--anchors", anchors.to_str().unwrap()]);
    assert!(holds, "{answer:#}");
    let report = hall.path("reports/month-hall-2026-10-23-to-2026-10-25.json");
    let report: Value = serde_json::from_slice(&fs::read(report).unwrap()).unwrap();
    let message: Value = serde_json::from_str(&message).unwrap();
    assert_eq!(message["gateway"], "gw-month");
    let printed = report["ledger"]["anchors"].as_array().unwrap();
    assert_eq!(printed.len(), 1, "once a day");
    for member in ["day", "line", "head"] {
        assert_eq!(printed[0][member], message[member]);
    }
}
