//! The interface of a running gateway: the real binary, asked over real sockets.

mod client;
mod stream;

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use proptest::prelude::*;
use serde_json::{Value, json};

use self::client::{Answer, Gateway, SITE, request, throw};

const USERS: &str = r#"
[[api.user]]
name = "anna"
role = "operator"
token = "${env:ANNA}"

[[api.user]]
name = "guest"
role = "viewer"
token = "${env:GUEST}"
"#;
const ANNA: &str = "anna-0123456789abcdef";
const GUEST: &str = "guest-0123456789abcdef";

fn with_users() -> Gateway {
    Gateway::start(USERS, &[], &[("ANNA", ANNA), ("GUEST", GUEST)])
}

/// Method and path of every route that the document names.
fn routes(gateway: &Gateway) -> Vec<(String, String)> {
    let document = gateway.get("/api/v1/openapi.json").json();
    let paths = document["paths"].as_object().expect("paths").clone();
    let methods = |(path, item): (String, Value)| {
        let methods = item.as_object().expect("operations").keys().cloned().collect::<Vec<_>>();
        methods.into_iter().map(move |method| (method.to_uppercase(), path.clone()))
    };
    paths.into_iter().flat_map(methods).collect()
}

#[test]
fn nobody_without_a_credential_gets_more_than_health() {
    let gateway = Gateway::start("", &[], &[]);
    let routes = routes(&gateway);
    assert!(routes.len() >= 8, "{routes:?}");
    for (method, path) in &routes {
        for credential in [None, Some("Bearer wrong"), Some("Basic cm9vdDpyb290"), Some("")] {
            let credential = credential.map(|value| ("Authorization", value));
            let answer = gateway.ask(method, path, credential.as_slice(), b"");
            if path == "/healthz" {
                assert_eq!(answer.status, 200);
                continue;
            }
            assert_eq!(answer.status, 401, "{method} {path}");
            let body = answer.json();
            assert!(body["error"].is_string() && body["remedy"].is_string(), "{body}");
        }
    }
    // Nor does anybody learn what there is.
    assert_eq!(gateway.ask("GET", "/nothing", &[], b"").status, 401);
    assert_eq!(gateway.get("/nothing").status, 404);
    assert_eq!(gateway.ask("GET", "/api/v1/snapshot?token=x&access_token=x", &[], b"").status, 401);
}

#[test]
fn the_document_is_openapi_and_names_every_route() {
    let gateway = Gateway::start("", &[], &[]);
    let document = gateway.get("/api/v1/openapi.json").json();
    assert!(document["openapi"].as_str().unwrap().starts_with("3.1."), "{document:#}");
    let served: BTreeSet<String> = routes(&gateway).into_iter().map(|(_, path)| path).collect();
    let known = [
        "/api/v1/alarms",
        "/api/v1/commands",
        "/api/v1/history",
        "/api/v1/journal",
        "/api/v1/ledger",
        "/api/v1/openapi.json",
        "/api/v1/reload",
        "/api/v1/snapshot",
        "/api/v1/stream",
        "/healthz",
        "/metrics",
        "/readyz",
    ];
    for path in known {
        assert!(served.contains(path), "{path} is not described");
    }
    for (method, path) in routes(&gateway) {
        let operation = &document["paths"][&path][method.to_lowercase()];
        assert!(operation["summary"].is_string(), "{path} has no summary");
        let refused = operation["responses"].get("401").is_some();
        assert_eq!(refused, path != "/healthz", "{path}");
        // Without what it needs it says so, as an error that one can act on.
        let answer = gateway.ask(&method, &path, &[gateway.bearer().as_pair()], b"");
        assert!(matches!(answer.status, 200 | 400 | 415 | 501 | 503), "{path}: {}", answer.status);
    }
    let text = document.to_string();
    for reference in text.split("\"$ref\":\"#/").skip(1) {
        let pointer = format!("/{}", reference.split('"').next().unwrap());
        assert!(document.pointer(&pointer).is_some(), "{pointer} leads nowhere");
    }
}

#[test]
fn a_page_of_another_origin_and_a_foreign_name_are_refused_everywhere() {
    let gateway = Gateway::start("[api]\nhosts = [\"gw.example\"]\n", &[], &[]);
    let token = gateway.bearer();
    for (method, path) in routes(&gateway) {
        let ask = |headers: &[(&str, &str)]| {
            let headers: Vec<_> = [token.as_pair()].iter().chain(headers).copied().collect();
            gateway.ask(&method, &path, &headers, b"").status
        };
        assert_eq!(ask(&[("Origin", "http://evil.example")]), 403, "{path}");
        assert_eq!(ask(&[("Origin", "null")]), 403, "{path}");
        assert_eq!(ask(&[("Host", "evil.example:7420")]), 421, "{path}");
        assert!(!matches!(ask(&[("Host", "gw.example")]), 403 | 421), "{path}");
    }
    let handshake = client::handshake(&[("Origin", "http://evil.example"), token.as_pair()]);
    assert_eq!(request(&gateway.network(), handshake.as_bytes()).status, 403);
}

#[test]
fn a_viewer_looks_and_an_operator_acts_in_their_own_name() {
    let gateway = with_users();
    let ask = |token: &str, body: &Value| {
        let credential = format!("Bearer {token}");
        let headers = [("Authorization", &*credential), ("Content-Type", "application/json")];
        gateway.ask("POST", "/api/v1/commands", &headers, body.to_string().as_bytes())
    };
    let ack =
        json!({ "key": "k1", "action": { "ack": { "alarm": "none@hall", "occurrence": 1 } } });
    let refused = ask(GUEST, &ack);
    assert_eq!(refused.status, 403);
    assert!(refused.text.contains("guest is viewer"), "{}", refused.text);
    assert_eq!(ask(ANNA, &ack).status, 200);
    let mut forged = ack.clone();
    forged["by"] = json!("root");
    assert_eq!(ask(ANNA, &forged).status, 403, "nobody acts as somebody else");
    for wrong in [json!({}), json!({ "key": "k", "action": "melt" }), json!([])] {
        let answer = ask(ANNA, &wrong);
        assert!(matches!(answer.status, 400 | 422), "{wrong}: {}", answer.status);
        assert!(answer.json()["error"].is_string());
    }
    for key in [String::new(), "k".repeat(200)] {
        let mut command = ack.clone();
        command["key"] = json!(key);
        assert_eq!(ask(ANNA, &command).status, 422);
    }
    let look = [("Authorization", &*format!("Bearer {GUEST}"))];
    assert_eq!(gateway.ask("GET", "/api/v1/snapshot", &look, b"").status, 200);

    let events = gateway.until("both commands are told", |snapshot| {
        let events = snapshot["events"].as_array().unwrap();
        events.iter().any(|event| event["what"]["rejected"]["by"] == "anna").then(|| events.clone())
    });
    assert!(!events.iter().any(|event| event["what"]["rejected"]["by"] == "guest"));
}

#[test]
fn the_socket_knows_who_asks_and_only_its_owner_may_name_another() {
    let gateway = Gateway::start("", &[], &[]);
    let socket = gateway.folder.path().join("api.sock");
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o660);
    let token = gateway.folder.path().join("data/token");
    assert_eq!(fs::metadata(&token).unwrap().permissions().mode() & 0o777, 0o600);
    let send = |key: &str, by: Option<&str>| {
        let action = json!({ "reset": { "alarm": "none@hall" } });
        let body = json!({ "key": key, "action": action, "by": by }).to_string();
        let head = format!(
            "POST /api/v1/commands HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n\
             Connection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        request(&gateway.local(), format!("{head}{body}").as_bytes())
    };
    assert_eq!(send("k1", None).status, 200);
    assert_eq!(send("k2", Some("anna")).status, 200);
    assert_eq!(send("k3", Some("two\nlines")).status, 422);
    let name = Command::new("id").arg("-un").output().unwrap().stdout;
    let name = String::from_utf8(name).unwrap().trim().to_owned();
    gateway.until("both are journaled", |snapshot| {
        let events = snapshot["events"].as_array().unwrap();
        let by = |who: &str| events.iter().any(|event| event["what"]["rejected"]["by"] == *who);
        (by(&name) && by("anna")).then_some(())
    });
    assert!(gateway.program.terminate(), "it ends well");
    assert!(!socket.exists(), "and takes its socket with it");
}

#[test]
fn what_is_too_large_is_refused_and_not_read() {
    let gateway = Gateway::start("", &[], &[]);
    let token = gateway.bearer();
    let headers = [token.as_pair(), ("Content-Type", "application/json")];
    let body = vec![b' '; 70 * 1024];
    assert_eq!(gateway.ask("POST", "/api/v1/commands", &headers, &body).status, 413);
    let long = "x".repeat(40 * 1024);
    let answer = gateway.ask("GET", "/healthz", &[("X-Long", &long)], b"");
    assert!(matches!(answer.status, 431 | 0), "{}", answer.status);
    let answer = gateway.ask("GET", &format!("/{long}"), &[], b"");
    assert!(matches!(answer.status, 414 | 431 | 0), "{}", answer.status);
    assert_eq!(gateway.get("/healthz").status, 200);
}

#[test]
fn garbage_is_answered_or_dropped_and_harms_nobody() {
    let gateway = Gateway::start("", &[], &[]);
    let network = gateway.network();
    let sane = |gateway: &Gateway| assert_eq!(gateway.get("/readyz").status, 200);
    for bytes in [
        &b"\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET http://evil.example/healthz HTTP/1.1\r\nHost: evil.example\r\n\r\n",
        b"POST /api/v1/commands HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
        b"POST /api/v1/commands HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /api/v1/commands HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET /api/v1/stream HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\r\n",
        b"GET /%00%ff/../..//healthz HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"CONNECT localhost:22 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ] {
        let answer = throw(&network, bytes);
        assert!(!(200..300).contains(&answer.status), "{bytes:?}: {}", answer.status);
        sane(&gateway);
    }
    proptest!(ProptestConfig::with_cases(64), |(bytes in proptest::collection::vec(any::<u8>(), 0..200))| {
        throw(&network, &bytes);
    });
    proptest!(ProptestConfig::with_cases(64), |(
        method in "[A-Z]{1,7}", path in "/[ -~]{0,40}", header in "[!-~]{1,10}: [ -~]{0,20}"
    )| {
        throw(&network, format!("{method} {path} HTTP/1.1\r\n{header}\r\n\r\n").as_bytes());
    });
    sane(&gateway);
}

#[test]
fn the_metrics_are_named_as_prometheus_asks() {
    let gateway = Gateway::start("", &[], &[]);
    gateway.get("/metrics");
    let text = gateway.get("/metrics").text;
    for line in [
        "coldwatch_alarms{site=\"hall\",letter=\"B\",priority=\"1\"} 0",
        "coldwatch_point_missing{site=\"hall\",asset=\"hall\",kind=\"site\",quantity=\"it_power\",reason=",
        "coldwatch_gateway_clock_trusted{site=\"hall\",gateway=\"gw\"} 1.0",
        "# TYPE coldwatch_api_requests counter",
        "coldwatch_build_info{version=",
        "# EOF",
    ] {
        assert!(text.contains(line), "{line} is not in\n{text}");
    }
    let samples = text.lines().filter(|line| !line.starts_with('#'));
    let names: BTreeSet<&str> = samples.filter_map(|line| line.split(['{', ' ']).next()).collect();
    assert!(names.iter().all(|name| name.starts_with("coldwatch_")), "{names:?}");
}

/// Everything that a secret could leak into, with everything turned on.
#[test]
fn no_secret_is_in_any_answer_log_line_or_metric() {
    let secrets = ["influx-SECRET-token", "mqtt-SECRET-password", "anna-SECRET-0123456789"];
    let more = r#"
[influxdb]
url = "http://127.0.0.1:9"
org = "o"
bucket = "b"
token = "${env:INFLUX}"

[[sensor]]
id = "air-1"
room = "room"

[[device]]
id = "broker"
url = "mqtt://127.0.0.1:9"
profile = "generic-room-sensor"
assets = ["air-*"]
user = "coldwatch"
password = "${env:MQTT}"

[[api.user]]
name = "anna"
role = "operator"
token = "${env:ANNA}"
"#;
    let variables = [
        ("INFLUX", secrets[0]),
        ("MQTT", secrets[1]),
        ("ANNA", secrets[2]),
        ("COLDWATCH_LOG", "trace"),
    ];
    let gateway = Gateway::start(more, &[], &variables);
    let file_token = gateway.token.clone();
    let mut said = String::new();
    for (method, path) in routes(&gateway) {
        for token in [secrets[2], &file_token] {
            let credential = format!("Bearer {token}");
            let headers = [("Authorization", &*credential), ("Content-Type", "application/json")];
            said += &gateway.ask(&method, &path, &headers, b"{\"key\":1}").text;
            // In the wrong places, where people put them by mistake.
            let wrong = format!("{path}?token={token}&points={token}");
            gateway.ask(&method, &wrong, &[("Authorization", &*format!("Basic {token}"))], b"");
            gateway.ask(&method, &format!("/{token}"), &[("X-Token", token)], b"");
        }
    }
    gateway.until("a while of life", |snapshot| (snapshot["seq"].as_u64() > Some(3)).then_some(()));
    said += &fs::read_to_string(gateway.log()).unwrap();
    for secret in secrets.iter().copied().chain([file_token.as_str()]) {
        assert!(!is_kept(&gateway.folder.path().join("data"), secret), "a secret is kept");
        let place = said.find(secret).map(|at| &said[at.saturating_sub(200)..at]);
        assert_eq!(place, None, "a secret is told behind this");
    }
}

/// True when a file of this folder holds the secret, besides the one that is there to hold it.
fn is_kept(folder: &Path, secret: &str) -> bool {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| !path.ends_with("data/token")).any(|path| {
        if path.is_dir() {
            return is_kept(&path, secret);
        }
        let bytes = fs::read(&path).unwrap_or_default();
        bytes.windows(secret.len()).any(|window| window == secret.as_bytes())
    })
}

/// Sends a command over the network, and gives status and body of the answer.
fn command(gateway: &Gateway, key: &str) -> (u16, Value) {
    let body = json!({ "key": key, "action": { "reset": { "alarm": "none@hall" } } }).to_string();
    let token = gateway.bearer();
    let headers = [token.as_pair(), ("Content-Type", "application/json")];
    let answer = gateway.ask("POST", "/api/v1/commands", &headers, body.as_bytes());
    (answer.status, answer.json())
}

#[test]
fn a_command_acts_once_and_the_journal_tells_it_page_by_page() {
    let gateway = Gateway::start("", &[], &[]);
    let answers: Vec<_> = ["k1", "k2", "k1"].map(|key| command(&gateway, key)).into();
    assert_eq!(answers[0].0, 200);
    assert!(answers[0].1["rejected"]["why"].is_string(), "{:#}", answers[0].1);
    assert_eq!(answers[2], answers[0], "the same key, the same answer");
    let keys = |journal: &Value| -> Vec<String> {
        let lines = journal["lines"].as_array().unwrap();
        let keys =
            lines.iter().filter_map(|line| line["entry"]["command"]["command"]["key"].as_str());
        keys.map(str::to_owned).collect()
    };
    let all = gateway.until_at("/api/v1/journal", "both are journaled", |journal| {
        (keys(journal).len() > 1).then(|| journal.clone())
    });
    assert_eq!(keys(&all), ["k2", "k1"], "newest first, each once");
    let lines = all["lines"].as_array().unwrap();
    let mut before = String::new();
    for line in lines {
        let page = gateway.get(&format!("/api/v1/journal?limit=1{before}")).json();
        assert_eq!(page["lines"], json!([line]));
        before = format!("&before={}", line["line"]);
    }
    let recent = gateway.get("/api/v1/journal?from=-1h&to=now").json();
    assert_eq!(recent["lines"].as_array().unwrap().len(), lines.len());
    assert_eq!(gateway.get("/api/v1/journal?to=-1h").json()["lines"], json!([]));
    assert_eq!(gateway.get("/api/v1/ledger").json()["rows"], json!([]));
    assert_eq!(gateway.get("/api/v1/ledger?resolution=1h").json()["rows"], json!([]));
    for wrong in [
        "journal?from=then",
        "journal?limit=x",
        "ledger?from=now&to=-1d",
        "ledger?from=-9e9d",
        "ledger?resolution=5m",
    ] {
        let answer = gateway.get(&format!("/api/v1/{wrong}"));
        assert_eq!(answer.status, 400, "{wrong}");
        assert!(answer.json()["remedy"].is_string(), "{wrong}");
    }
}

#[test]
fn the_past_is_told_as_finely_as_asked_and_not_more_than_can_be_taken() {
    let gateway = Gateway::start("", &[], &[]);
    let told = |query: &str| format!("/api/v1/history?points=hall.storage.*&{query}");
    let raw =
        gateway.until_at(&told("resolution=raw&from=-5m"), "two samples are kept", |history| {
            let rows = history["series"][0]["rows"].as_array()?;
            (rows.len() > 1).then(|| history.clone())
        });
    assert_eq!(raw["series"][0]["point"], "hall.storage.state");
    let rows = raw["series"][0]["rows"].as_array().unwrap();
    assert_eq!(rows[0]["value"], json!({ "state": 1 }), "it is stored");
    let times: Vec<i64> = rows.iter().map(|row| row["at_ms"].as_i64().unwrap()).collect();
    assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
    let exact =
        gateway.get("/api/v1/history?points=hall.storage.state,no.such&resolution=raw").json();
    assert_eq!(exact["series"].as_array().unwrap().len(), 1);
    let minutes = gateway.get(&told("from=-5m")).json();
    assert_eq!(minutes["resolution"], "1m");
    let large = gateway.get(&told("resolution=raw&from=-30d"));
    assert_eq!(large.status, 413);
    assert!(large.text.contains("coarser resolution"), "{}", large.text);
    for wrong in ["resolution=1s", "from=then", "from=now&to=-1h"] {
        assert_eq!(gateway.get(&told(wrong)).status, 400, "{wrong}");
    }
    assert_eq!(gateway.get("/api/v1/history").status, 400);
}

#[test]
fn a_reload_takes_an_admin_and_says_what_is_wrong_with_the_file() {
    let gateway = with_users();
    let reload = |headers: &[(&str, &str)]| gateway.ask("POST", "/api/v1/reload", headers, b"");
    assert_eq!(reload(&[("Authorization", &format!("Bearer {ANNA}"))]).status, 403);
    let own = gateway.bearer();
    assert_eq!(reload(&[own.as_pair()]).status, 200);
    let site = gateway.folder.path().join("site.toml");
    let sound = fs::read_to_string(&site).unwrap();
    fs::write(&site, sound.replace("240 m2", "240 sqft")).unwrap();
    let refused = reload(&[own.as_pair()]);
    assert_eq!(refused.status, 422);
    assert!(refused.json()["error"].as_str().unwrap().contains("unknown unit"), "{}", refused.text);
    fs::write(&site, format!("{sound}\n[[room]]\nid = \"annex\"\narea = \"1 m2\"\n")).unwrap();
    assert_eq!(reload(&[own.as_pair()]).status, 200);
    gateway.until("the new room is there", |snapshot| {
        let assets = snapshot["plant"]["assets"].as_array().unwrap();
        assets.iter().any(|asset| asset["name"] == "annex").then_some(())
    });
    assert_eq!(gateway.get("/readyz").status, 200);
}

#[test]
fn beyond_this_machine_it_is_served_with_tls_and_a_token_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let site = folder.path().join("site.toml");
    fs::write(&site, SITE).unwrap();
    let run = |listen: &str| {
        let out = Command::new(client::COLDWATCH)
            .env("COLDWATCH_DATA", folder.path().join("data"))
            .args(["run", "--listen", listen, "--site"])
            .arg(&site)
            .output()
            .unwrap();
        (out.status.code(), String::from_utf8(out.stderr).unwrap())
    };
    let (code, talk) = run("0.0.0.0:0");
    assert_eq!(code, Some(1), "{talk}");
    assert!(talk.contains("served only with TLS"), "{talk}");

    let certified = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.path().join("tls.pem"), folder.path().join("tls.key"));
    fs::write(&certificate, certified.cert.pem()).unwrap();
    fs::write(&key, certified.signing_key.serialize_pem()).unwrap();
    let tls = format!("[api]\ntls = {{ certificate = {certificate:?}, key = {key:?} }}\n");
    fs::write(&site, format!("{SITE}{tls}")).unwrap();
    let (code, talk) = run("0.0.0.0:0");
    assert_eq!(code, Some(1), "{talk}");
    assert!(talk.contains("users with a token"), "{talk}");

    let more = format!("{tls}{USERS}");
    let variables = [("ANNA", ANNA), ("GUEST", GUEST)];
    let gateway = Gateway::start(&more, &["--listen", "0.0.0.0:0"], &variables);
    // One that shakes no hand holds nobody up.
    let _silent = std::net::TcpStream::connect(gateway.network().address()).unwrap();
    let plain = request(&gateway.network(), b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(!plain.text.contains("ok"), "plain text is not served: {}", plain.text);
    let trust = links::tls_client::Trust::in_file(&certificate).unwrap();
    let secure = gateway.secure(trust);
    let head = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n";
    assert_eq!(request(&secure, format!("{head}\r\n").as_bytes()).status, 401);
    let with_token = format!("{head}Authorization: Bearer {ANNA}\r\n\r\n");
    let answer: Answer = request(&secure, with_token.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text);
}
