//! A file that changes, and an API that answers: what holds is what was good last.

#[path = "../../../crates/dv-cluster/tests/support/made.rs"]
mod made;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::post;
use coxswain_dv_crypto::bls::SecretKey;
use coxswain_dv_crypto::k1::Address;
use coxswain_dv_types::registration::{Registration, SignedRegistration};
use made::{ADDRESS, Cluster, NETWORK};

use super::*;
use crate::dv::obol_api::ObolApi;
use crate::dv::serve::{self, Limits};

const LOCK_TIME: u64 = 1_742_213_400;

fn message(key: &SecretKey, timestamp: u64, payee: u8) -> Registration {
    let pubkey = key.public().to_bytes();
    Registration { fee_recipient: Address([payee; 20]), gas_limit: 60_000_000, timestamp, pubkey }
}

fn entry(key: &SecretKey, timestamp: u64, payee: u8) -> String {
    let message = message(key, timestamp, payee);
    let signature = key.sign(&message.signing_root(NETWORK)).to_bytes();
    format!("{{\"version\":\"v1\",\"v1\":{}}}", SignedRegistration { message, signature }.to_json())
}

struct Lab {
    dir: tempfile::TempDir,
    /// Of the first validator.
    key: SecretKey,
    shares: Vec<Vec<SecretKey>>,
    updates: Updates,
}

impl Lab {
    fn new() -> Lab {
        let dir = tempfile::tempdir().expect("a directory");
        let Cluster { lock, secrets, shares } = made::cluster(31, "registrations", LOCK_TIME);
        let key = secrets.into_iter().next().expect("one of two");
        let sources = Sources { file: dir.path().join("newer.json"), api: None };
        let updates = Updates::new(Registrar::of(&lock).expect("a lock"), sources);
        Lab { dir, key, shares, updates }
    }

    fn write(&self, text: &str) {
        let temporary = self.dir.path().join("temporary");
        fs::write(&temporary, text).expect("written");
        fs::rename(&temporary, &self.updates.sources.file).expect("renamed");
    }

    #[track_caller]
    fn check(&self, timestamp: u64, payee: &str) {
        let registered = self.updates.registered();
        assert_eq!(registered.registrations[0].message.timestamp, timestamp);
        assert_eq!(registered.fee_recipients[&self.key.public().to_bytes()].to_string(), payee);
        assert_eq!(payees(&registered).len(), 2);
    }

    /// What the API has of a registration that these nodes have signed.
    fn answer(&self, timestamp: u64, nodes: &[usize]) -> String {
        let message = message(&self.key, timestamp, 9);
        let root = message.signing_root(NETWORK);
        let partial = |node: &usize| {
            let signature = hex::encode(self.shares[*node][0].sign(&root).to_bytes());
            format!("{{\"share_index\":{},\"signature\":\"0x{signature}\"}}", node + 1)
        };
        let partials: Vec<String> = nodes.iter().map(partial).collect();
        let text = SignedRegistration { message, signature: [0; 96] }.to_json();
        let message = &text["{\"message\":".len()..text.find(",\"signature\"").expect("a signature")];
        format!(
            "{{\"validators\":[{{\"pubkey\":\"0x\",\"builder_registrations\":[{{\"message\":{message},\
             \"partial_signatures\":[{}],\"quorum\":{}}}]}}]}}",
            partials.join(","),
            nodes.len() >= 3
        )
    }
}

#[test]
fn a_file_counts_from_when_it_is_there_until_it_is_gone() {
    let mut lab = Lab::new();
    assert!(!lab.updates.look());
    lab.check(LOCK_TIME, ADDRESS);
    lab.write(&format!("[{}]", entry(&lab.key, LOCK_TIME + 1, 0xaa)));
    assert!(lab.updates.look());
    assert!(!lab.updates.look(), "it is read once");
    lab.check(LOCK_TIME + 1, &Address([0xaa; 20]).to_string());
    lab.write(&format!("[{}]", entry(&lab.key, LOCK_TIME + 2, 0xbb)));
    assert!(lab.updates.look());
    lab.check(LOCK_TIME + 2, &Address([0xbb; 20]).to_string());
    fs::remove_file(&lab.updates.sources.file).expect("removed");
    assert!(lab.updates.look());
    lab.check(LOCK_TIME, ADDRESS);
}

#[test]
fn a_bad_file_leaves_what_was_known() {
    let mut lab = Lab::new();
    lab.write(&format!("[{}]", entry(&lab.key, LOCK_TIME + 1, 0xaa)));
    assert!(lab.updates.look());
    let known = Address([0xaa; 20]).to_string();
    for text in ["", "[", "{}", "\"v1\""] {
        lab.write(text);
        assert!(!lab.updates.look(), "{text}");
        lab.check(LOCK_TIME + 1, &known);
    }
    let large = File::create(&lab.updates.sources.file).expect("created");
    large.set_len(MAX_FILE_BYTES + 1).expect("a hole");
    assert!(!lab.updates.look());
    fs::remove_file(&lab.updates.sources.file).expect("removed");
    fs::create_dir(&lab.updates.sources.file).expect("a directory");
    assert!(!lab.updates.look());
    lab.check(LOCK_TIME + 1, &known);
    // An entry that is wrong is another matter: the file is read, and says less.
    fs::remove_dir(&lab.updates.sources.file).expect("removed");
    lab.write(&format!("[{},7]", entry(&lab.key, LOCK_TIME + 3, 1).replace("60000000", "60000001")));
    assert!(lab.updates.look());
    lab.check(LOCK_TIME, ADDRESS);
}

#[test]
fn the_api_is_asked_again_sooner_while_something_is_missing() {
    let lab = Lab::new();
    let answer = lab.answer(LOCK_TIME + 5, &[0, 2, 3]);
    let (whole, some) = (lab.answer(LOCK_TIME + 6, &[1, 2, 3]), lab.answer(LOCK_TIME + 9, &[1]));
    let mut updates = lab.updates;
    let mut check = |answer: Result<Option<&str>, &str>, pause: Duration, timestamp: u64| {
        let (known, file) = (updates.registrar.clone(), updates.file.clone());
        let (api, sources) = (updates.api.clone(), updates.sources.clone());
        let now = Updates { registrar: known, sources, seen: Seen::Absent, file, api };
        let answer = answer.map(|text| text.map(|text| text.as_bytes().to_vec())).map_err(str::to_owned);
        let (now, next) = Work::Api(answer).done(now);
        assert_eq!(next, Some(pause));
        assert_eq!(now.registered().registrations[0].message.timestamp, timestamp);
        updates = now;
    };
    check(Ok(None), DAY, LOCK_TIME);
    check(Ok(Some(&answer)), DAY, LOCK_TIME + 5);
    check(Err("no connection"), HOUR, LOCK_TIME + 5);
    check(Ok(Some("no JSON")), HOUR, LOCK_TIME + 5);
    check(Ok(Some(&whole)), DAY, LOCK_TIME + 6);
    // What it withholds, or has an older one of, is known all the same.
    check(Ok(Some(&some)), HOUR, LOCK_TIME + 6);
    check(Ok(Some(&answer)), DAY, LOCK_TIME + 6);
    check(Ok(None), DAY, LOCK_TIME + 6);
}

/// A server that answers everything like this, where it is asked as charon asks.
async fn server(status: StatusCode, body: &'static str) -> (serve::Server, Api) {
    let answer = move |sent: String| async move {
        let is_question = sent == r#"{"pubkeys":null}"#;
        if is_question { (status, body) } else { (StatusCode::BAD_REQUEST, "another question") }
    };
    let router = Router::new().route("/fee_recipient/0xabcd", post(answer));
    let limits = Limits { connections: 4, lasts: Duration::from_secs(60) };
    let server =
        serve::start("127.0.0.1:0".parse().expect("an address"), router, limits).await.expect("a server");
    let base = Url::parse(&format!("http://{}/v1", server.address())).expect("a URL");
    let url = ObolApi::new(base).fee_recipients(&[0xab, 0xcd]);
    (server, Api { url, timeout: Duration::from_secs(60) })
}

#[tokio::test]
async fn the_api_is_asked_where_charon_asks_it() {
    let check = |status, body, expected: Result<Option<&'static str>, &'static str>| async move {
        let (server, api) = server(status, body).await;
        let got = ask(&Client::new(), &api).await;
        server.stop().await;
        match expected {
            Ok(expected) => assert_eq!(got, Ok(expected.map(|text| text.as_bytes().to_vec()))),
            Err(text) => {
                let error = got.expect_err(text);
                assert!(error.contains(text), "{error}");
            }
        }
    };
    check(StatusCode::OK, "{\"validators\":[]}", Ok(Some("{\"validators\":[]}"))).await;
    check(StatusCode::NOT_FOUND, "{\"message\":\"no partial registrations found\"}", Ok(None)).await;
    check(StatusCode::NOT_FOUND, "{\"message\":\"lock not found\"}", Err("publish its lock first")).await;
    check(StatusCode::NOT_FOUND, "nothing", Err("404")).await;
    check(StatusCode::INTERNAL_SERVER_ERROR, "broken", Err("500")).await;
}
