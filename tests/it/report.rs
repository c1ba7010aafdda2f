//! `coldwatch report`, from a month that `coldwatch simulate --into` recorded: what the ledger proves is what the hall's
//! own integrals say, within the steps of the registers.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{COLDWATCH, repository};

/// A recorded period with its report.
struct Reported {
    folder: TempDir,
    truth: Value,
    report: Value,
}

fn succeed(command: &mut Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let talk = String::from_utf8_lossy(&stderr);
    assert!(status.success(), "{command:?}\n{talk}");
    String::from_utf8(stdout).unwrap()
}

fn json(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

impl Reported {
    /// The small hall under the shipped scenario, from `start` for so many days.
    fn new(start: &str, days: u32, period: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let days = days.to_string();
        succeed(
            Command::new(COLDWATCH)
                .args(["simulate", "month", "--into", "data", "--step", "60", "--days", &days])
                .args(["--start", start, "--site"])
                .arg(repository("tests/data/month/site.toml"))
                .current_dir(folder.path()),
        );
        let printed = succeed(
            Command::new(COLDWATCH)
                .args(["report", "--data", "data", "--out", "reports"])
                .args(period)
                .current_dir(folder.path()),
        );
        let written: Vec<PathBuf> = printed.lines().map(|line| folder.path().join(line)).collect();
        assert_eq!(written.len(), 2, "{printed}");
        let report = json(written.iter().find(|path| ends_in(path, "json")).unwrap());
        let truth = json(&folder.path().join("data/truth.json"));
        Self { folder, truth, report }
    }

    fn html(&self) -> PathBuf {
        let entries = fs::read_dir(self.folder.path().join("reports")).unwrap();
        let mut paths = entries.map(|entry| entry.unwrap().path());
        paths.find(|path| ends_in(path, "html")).unwrap()
    }

    fn number(&self, pointer: &str) -> f64 {
        let found = self.report.pointer(pointer).and_then(Value::as_f64);
        found.unwrap_or_else(|| panic!("{pointer} in {:#}", self.report))
    }

    fn true_kwh(&self, member: &str) -> f64 {
        self.truth[member].as_f64().unwrap()
    }

    /// The steps of these meters' registers together.
    fn steps_kwh(&self, sum: &str) -> f64 {
        let terms = self.report[sum]["terms"].as_array().unwrap();
        let meter = |term: &Value| &self.truth["meters"][term["meter"].as_str().unwrap()];
        terms.iter().map(|term| meter(term)["register_step_kwh"].as_f64().unwrap()).sum()
    }

    fn flag(&self, flag: &str) -> &Value {
        let flags = self.report["flags"].as_array().unwrap();
        flags.iter().find(|line| line["flag"] == flag).unwrap_or_else(|| panic!("{flags:#?}"))
    }

    fn meter(&self, name: &str) -> &Value {
        let meters = self.report["meters"].as_array().unwrap();
        meters.iter().find(|meter| meter["name"] == name).unwrap()
    }

    /// Both energies are the hall's own, and so is their ratio.
    fn proves_what_is_true(&self) {
        assert_eq!(self.report["period"]["from"], self.truth["from"]);
        assert_eq!(self.report["period"]["to"], self.truth["to"]);
        assert_eq!(
            self.report["figures"][0]["verdict"], "reported",
            "{:#}",
            self.report["figures"][0]
        );
        // In this hall nothing lies between the IT meters and the racks, so the racks' energy is IT energy.
        let (facility, it) = (self.true_kwh("facility_kwh"), self.true_kwh("it_kwh"));
        let (facility_steps, it_steps) = (self.steps_kwh("facility"), self.steps_kwh("it"));
        assert!((facility_steps - 2.0).abs() < 1e-9 && (it_steps - 4.0).abs() < 1e-9);
        let (facility_found, it_found) = (self.number("/facility/kwh"), self.number("/it/kwh"));
        assert!((facility_found - facility).abs() <= facility_steps, "{facility_found} {facility}");
        assert!((it_found - it).abs() <= it_steps, "{it_found} {it}");
        let ratio = facility / it;
        let slack = ratio * (facility_steps / facility + it_steps / it);
        let found = self.number("/figures/0/value");
        assert!((found - ratio).abs() <= slack, "{found} for {ratio} ± {slack}");
        for (name, truth) in self.truth["meters"].as_object().unwrap() {
            let found_kwh = self.meter(name)["amount"].as_f64().unwrap();
            let true_kwh = truth["energy_kwh"].as_f64().unwrap();
            assert!((found_kwh - true_kwh).abs() <= 1.0, "{name}: {found_kwh} for {true_kwh}");
        }
    }

    /// The register of one meter turned over; another could not be reached for nine hours.
    fn says_what_befell(&self) {
        assert_eq!(self.flag("rollover")["meters"][0], "utility-a");
        let turned = self.meter("utility-a");
        assert_eq!(turned["rollovers"], 1);
        assert!(turned["last"]["value"].as_f64() < turned["first"]["value"].as_f64());
        let by_register = turned["register_difference"].as_f64().unwrap();
        assert!((by_register - turned["amount"].as_f64().unwrap()).abs() < 1e-6);
        let unheard = &self.meter("row-1-a")["completeness"];
        // From the last answer before to the first after: nine hours and a minute, over 36 or 37 quarter-hours.
        let bridged = unheard["bridged_quarters"].as_f64().unwrap();
        assert!((36.0..=38.0).contains(&bridged), "{unheard:#}");
        assert!((unheard["energy"].as_f64().unwrap() - 1.0).abs() < 1e-9);
        assert!(self.number("/it/bridged_share") > 0.0);
        let days = self.report["days"].as_array().unwrap();
        let bridged_days = days.iter().filter(|day| day["bridged_share"].as_f64() > Some(0.0));
        assert_eq!(bridged_days.count(), 2, "the night lies on two days");
    }
}

fn ends_in(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|extension| extension == ending)
}

#[test]
fn energies_of_a_simulated_weekend_are_the_halls_own() {
    // The scenario's outage is in the night to its third day, here the one with 25 hours.
    let reported = Reported::new("2026-10-23", 3, &["--from", "2026-10-23", "--to", "2026-10-25"]);
    reported.proves_what_is_true();
    reported.says_what_befell();
    let title = reported.report["figures"][0]["title"].as_str().unwrap();
    assert_eq!(title, "iPUE2 (2026-10-23:2026-10-25)");
    assert!((reported.number("/period/hours") - 73.0).abs() < 1e-9);
    let html = fs::read_to_string(reported.html()).unwrap();
    for words in [title, "SIMULATED", "register rolled over", "Example Colocation", "row-1-a"] {
        assert!(html.contains(words), "{words}");
    }
    refuses_what_is_not_there(&reported);
}

/// A month of which only three days were recorded.
fn refuses_what_is_not_there(reported: &Reported) {
    let report = |arguments: &[&str]| {
        let mut command = Command::new(COLDWATCH);
        command.args(["report", "--data", "data", "--out", "refused", "--format", "json"]);
        command.args(arguments).current_dir(reported.folder.path()).output().unwrap()
    };
    let month = report(&["--month", "2026-10"]);
    assert_eq!(month.status.code(), Some(0), "a refusal is a report, too");
    let talk = String::from_utf8(month.stderr).unwrap();
    assert!(talk.contains("not reported: ") && talk.contains("is needed"), "{talk}");
    let answer = json(&reported.folder.path().join("refused/month-hall-2026-10.json"));
    assert_eq!(answer["figures"][0]["verdict"], "refused");
    assert_eq!(answer["figures"][0]["value"], Value::Null);
    assert_eq!(answer["figures"][0]["refusals"][0]["code"], "low_coverage");
    let elsewhere = report(&["--month", "2025-02"]);
    assert!(String::from_utf8(elsewhere.stderr).unwrap().contains("no energy in this period"));
}

#[test]
fn a_report_from_nowhere_and_one_without_a_period_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let report = |arguments: &[&str]| {
        let out = Command::new(COLDWATCH)
            .arg("report")
            .args(arguments)
            .current_dir(folder.path())
            .output()
            .unwrap();
        (out.status.code(), String::from_utf8(out.stderr).unwrap())
    };
    let (code, talk) = report(&["--data", "nowhere", "--month", "2026-10"]);
    assert!(code == Some(1) && talk.contains("no such directory"), "{talk}");
    for wrong in [
        vec!["--month", "2026-10"],
        vec!["--data", ".", "--month", "2026-13"],
        vec!["--data", ".", "--from", "2026-10-01"],
        vec!["--data", ".", "--month", "2026-10", "--format", "docx"],
        vec!["--data", ".", "--month", "2026-10", "--year", "2026"],
        vec!["--data", ".", "--lang", "fr"],
    ] {
        assert_eq!(report(&wrong).0, Some(2), "{wrong:?}");
    }
    let (code, talk) = report(&["--data", ".", "--from", "2025-01-01", "--to", "2026-03-01"]);
    assert!(code == Some(1) && talk.contains("longer than 12 months"), "{talk}");
    assert!(fs::read_dir(folder.path()).unwrap().next().is_none(), "nothing was written");
}

#[test]
fn a_simulation_does_not_mix_with_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("ledger.db"), "precious").unwrap();
    let out = Command::new(COLDWATCH)
        .args(["simulate", "month", "--days", "1", "--into"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert_eq!(out.status.code(), Some(1));
    assert!(String::from_utf8(out.stderr).unwrap().contains("is not empty"));
    assert_eq!(fs::read_to_string(folder.path().join("ledger.db")).unwrap(), "precious");
}

/// Runs a browser without a screen on a page and gives what it printed and what it complained of.
fn browse(folder: &Path, arguments: &[&str], page: &Path) -> (String, String) {
    let chromium = std::env::var("COLDWATCH_CHROMIUM").unwrap_or_else(|_| "chromium".to_owned());
    let out = Command::new(chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        // What it looks up on its own account it does not find.
        .args(["--enable-logging=stderr", "--v=0", "--host-resolver-rules=MAP * ~NOTFOUND"])
        .arg(format!("--user-data-dir={}", folder.join("browser").display()))
        .args(arguments)
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("chromium starts: install it, or name it in COLDWATCH_CHROMIUM");
    assert!(out.status.success());
    (String::from_utf8(out.stdout).unwrap(), String::from_utf8_lossy(&out.stderr).into_owned())
}

#[test]
#[ignore = "needs chromium"]
fn a_month_is_reported_and_a_browser_shows_it_without_asking_anybody() {
    let reported = Reported::new("2026-10-01", 31, &["--month", "2026-10"]);
    reported.proves_what_is_true();
    reported.says_what_befell();
    assert!((reported.number("/period/hours") - 745.0).abs() < 1e-9);
    let folder = reported.folder.path();
    shows_a_page(&reported, &reported.html(), "en");
    succeed(
        Command::new(COLDWATCH)
            .args(["report", "--data", "data", "--out", "reports", "--month", "2026-10"])
            .args(["--format", "html", "--lang", "zh-CN"])
            .current_dir(folder),
    );
    let chinese = folder.join("reports/month-hall-2026-10.zh-CN.html");
    shows_a_page(&reported, &chinese, "zh-CN");
}

/// A browser shows it with no complaint, asks nobody for anything, and can print it.
fn shows_a_page(reported: &Reported, page: &Path, language: &str) {
    let folder = reported.folder.path();
    // A page that asked anybody would be told in the log of the network.
    let net_log = folder.join(format!("net.{language}.json"));
    let net_log_argument = format!("--log-net-log={}", net_log.display());
    let (dom, complaints) = browse(folder, &["--dump-dom", &net_log_argument], page);
    let title = reported.report["figures"][0]["title"].as_str().unwrap();
    assert_eq!(title, "iPUE2 (2026-10-01:2026-10-31)");
    assert!(dom.contains(title) && dom.contains("<svg"), "{dom}");
    assert!(dom.contains(&format!("lang=\"{language}\"")), "{dom}");
    for word in ["CONSOLE", "Refused to", "violates"] {
        assert!(!complaints.contains(word), "{complaints}");
    }
    let log = fs::read_to_string(&net_log).unwrap();
    // The browser has errands of its own with those who make it.
    let urls = log.split("\"url\":\"").skip(1).filter_map(|rest| rest.split('"').next());
    let asked: Vec<&str> = urls.filter(|url| !url.contains("google")).collect();
    assert!(asked.is_empty(), "the page asked for {asked:?}");
    let picture = folder.join(format!("report.{language}.png"));
    let screenshot = format!("--screenshot={}", picture.display());
    browse(folder, &["--window-size=1200,4200", "--hide-scrollbars", &screenshot], page);
    assert!(fs::metadata(&picture).unwrap().len() > 100_000, "an empty page is smaller");
    let paper = folder.join(format!("report.{language}.pdf"));
    browse(
        folder,
        &["--no-pdf-header-footer", &format!("--print-to-pdf={}", paper.display())],
        page,
    );
    assert!(fs::read(&paper).unwrap().starts_with(b"%PDF"));
    if let Some(kept) = std::env::var_os("COLDWATCH_KEEP_REPORT") {
        let kept = PathBuf::from(kept);
        fs::create_dir_all(&kept).unwrap();
        for path in [picture.as_path(), paper.as_path(), page] {
            fs::copy(path, kept.join(path.file_name().unwrap())).unwrap();
        }
    }
}
