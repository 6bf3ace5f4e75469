//! Requests to servers on loopback that answer well, badly, slowly, or not at all.

use std::future::Future;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::Request as Seen;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{any, get, post};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

fn run<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(work)
}

/// Serves in the background; the URL of its root comes back.
async fn serve(router: Router) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Url::parse(&url).expect("a URL")
}

/// What a server does when it has said what it says.
#[derive(Clone, Copy)]
enum Then {
    Close,
    Nothing,
}

/// Answers each connection with these bytes, once the request's head is there.
async fn serve_bytes(bytes: &'static [u8], then: Then) -> Url {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut head = [0; 4096];
                let _ = stream.read(&mut head).await;
                let _ = stream.write_all(bytes).await;
                match then {
                    Then::Close => drop(stream),
                    Then::Nothing => std::future::pending().await,
                }
            });
        }
    });
    Url::parse(&url).expect("a URL")
}

fn at(base: &Url, path: &str) -> Url {
    base.join(path).expect("a URL")
}

fn text(error: &HttpError) -> String {
    format!("{error}: {}", error.why)
}

#[test]
fn what_is_sent_arrives_and_the_answer_comes_back() {
    type Heads = Arc<Mutex<Vec<(String, HeaderMap, Vec<u8>)>>>;
    let seen: Heads = Heads::default();
    let kept = Arc::clone(&seen);
    let router = Router::new().fallback(any(move |request: Seen| {
        let kept = Arc::clone(&kept);
        async move {
            let (parts, body) = request.into_parts();
            let body = axum::body::to_bytes(body, 1 << 20).await.expect("a body").to_vec();
            kept.lock().expect("a lock").push((
                format!("{} {}", parts.method, parts.uri),
                parts.headers,
                body,
            ));
            r#"{"a":1}"#
        }
    }));
    run(async {
        let base = serve(router).await;
        let client = Client::new();
        let url = at(&base, "/x?y=1");
        let got: serde_json::Value = client.fetch_json(&Request::get(&url)).await.expect("an answer");
        assert_eq!(got["a"], 1);
        let post = Request::post(&url, "{}").authorized("Bearer secret");
        assert_eq!(client.publish(&post).await.expect("an answer"), Sent::New);
        assert_eq!(client.fetch(&Request::delete(&url)).await.expect("an answer"), br#"{"a":1}"#);
        // The password of the URL is sent as browsers send it, and gives way to a token.
        let mut with_password = url.clone();
        with_password.set_username("me").expect("a host");
        with_password.set_password(Some("pw")).expect("a host");
        client.fetch(&Request::get(&with_password)).await.expect("an answer");
        client.fetch(&Request::get(&with_password).authorized("Bearer t")).await.expect("an answer");
    });
    let seen = seen.lock().expect("a lock");
    let lines: Vec<&str> = seen.iter().map(|(line, ..)| line.as_str()).collect();
    assert_eq!(lines, ["GET /x?y=1", "POST /x?y=1", "DELETE /x?y=1", "GET /x?y=1", "GET /x?y=1"]);
    let all = |at: usize, name| {
        seen[at].1.get_all(name).iter().map(|v| v.to_str().expect("text")).collect::<Vec<_>>()
    };
    assert_eq!(all(1, header::AUTHORIZATION), ["Bearer secret"]);
    assert_eq!(all(1, header::CONTENT_TYPE), ["application/json"]);
    assert_eq!(seen[1].2, b"{}");
    assert_eq!(all(0, header::AUTHORIZATION), Vec::<&str>::new());
    assert_eq!(all(3, header::AUTHORIZATION), ["Basic bWU6cHc="]);
    assert_eq!(all(4, header::AUTHORIZATION), ["Bearer t"]);
}

#[test]
fn statuses_are_told_apart() {
    let status = |code: u16, body: &'static str| {
        any(move || async move { (StatusCode::from_u16(code).expect("a status"), body) })
    };
    let router = Router::new()
        .route("/conflict", status(409, "there"))
        .route("/nothing", status(404, "no lock"))
        .route("/wrong", status(500, "all\n broken"))
        .route("/json", status(200, r#"{"a":"#));
    run(async {
        let base = serve(router).await;
        let client = Client::new();
        let url = at(&base, "/conflict");
        assert_eq!(client.publish(&Request::post(&url, "{}")).await.expect("fine"), Sent::AlreadyThere);
        assert!(client.fetch(&Request::get(&url)).await.is_err());
        let url = at(&base, "/nothing");
        assert_eq!(client.find(&Request::get(&url)).await.expect("fine"), None);
        let error = client.fetch(&Request::get(&url)).await.expect_err("refused");
        assert_eq!(text(&error), format!("GET {base}nothing: the answer is 404: no lock"));
        let url = at(&base, "/wrong");
        let error = client.publish(&Request::post(&url, "{}")).await.expect_err("refused");
        assert_eq!(text(&error), format!("POST {base}wrong: the answer is 500: all broken"));
        assert!(error.may_have_arrived());
        let url = at(&base, "/json");
        let error = client.fetch_json::<serde_json::Value>(&Request::get(&url)).await.expect_err("refused");
        assert!(text(&error).contains("is not understood: EOF"), "{error:?}");
    });
}

#[test]
fn errors_have_no_secret() {
    let router = Router::new().fallback(any(|headers: HeaderMap, request: String| async move {
        let token = headers[header::AUTHORIZATION].to_str().expect("text").to_owned();
        (StatusCode::BAD_REQUEST, format!("{token} and {request} and apikey-in-query {}", "x".repeat(5000)))
    }));
    run(async {
        let base = serve(router).await;
        let client = Client::new();
        let mut url = at(&base, "/path-is-a-key?q=apikey-in-query");
        url.set_username("me").expect("a host");
        url.set_password(Some("hunter2")).expect("a host");
        let hidden = [Zeroizing::new("password-of-a-keystore".to_owned())];
        let request = Request {
            hidden: &hidden,
            ..Request::post(&url, "password-of-a-keystore").authorized("Bearer t0k3n")
        };
        let error = client.fetch(&request).await.expect_err("refused");
        for text in [text(&error), format!("{error:?}")] {
            for secret in ["t0k3n", "password-of", "hunter2", "apikey"] {
                assert!(!text.contains(secret), "{secret}: {text}");
            }
            assert!(text.contains("(hidden) and (hidden) and (hidden) xxx") && text.len() < 600, "{text}");
        }
        let error =
            client.fetch(&Request { shown: Shown::Origin, ..request.clone() }).await.expect_err("refused");
        assert!(
            text(&error).starts_with(&format!("POST {}: the", base.as_str().trim_end_matches('/'))),
            "{error:?}"
        );
        assert!(!format!("{error:?}").contains("path-is"), "{error:?}");
        // Neither where nobody answers, nor where the token can be no header.
        let mut nobody = url.clone();
        nobody.set_port(Some(closed_port())).expect("a host");
        let request = Request { url: &nobody, ..request };
        let error = client.fetch(&request).await.expect_err("nobody there");
        assert!(matches!(error.why, Why::Connect(_)) && !error.may_have_arrived(), "{error:?}");
        assert!(!format!("{error:?}").contains("apikey"), "{error:?}");
        let error = client.fetch(&request.clone().authorized("t0k3n\n")).await.expect_err("no header");
        assert!(!format!("{error:?}").contains("t0k3n"), "{error:?}");
        assert!(matches!(error.why, Why::Client(_)), "{error:?}");
    });
    assert!(!parse_url("ftp://me:hunter2@host").expect_err("refused").contains("hunter2"));
    assert!(!parse_url("https://me:hunter2@").expect_err("refused").contains("hunter2"));
    assert!(parse_url("localhost:80").is_err() && parse_url("").is_err() && parse_url("/x").is_err());
}

/// A port on which nobody listens.
fn closed_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port()
}

#[test]
fn large_and_endless_answers_end() {
    let router = Router::new()
        .route("/exact", get(|| async { "x".repeat(1000) }))
        .route("/endless", get(|| async { endless(StatusCode::OK) }))
        .route("/refusal", get(|| async { endless(StatusCode::BAD_GATEWAY) }));
    run(async {
        let base = serve(router).await;
        let client = Client::new();
        fn limited(url: &Url, max_answer_bytes: usize) -> Request<'_> {
            Request { max_answer_bytes, ..Request::get(url) }
        }
        let url = at(&base, "/exact");
        assert_eq!(client.fetch(&limited(&url, 1000)).await.expect("an answer").len(), 1000);
        for (path, limit) in [("/exact", 999), ("/endless", 1 << 20)] {
            let url = at(&base, path);
            let error = client.fetch(&limited(&url, limit)).await.expect_err("too large");
            assert!(matches!(error.why, Why::TooLarge(l) if l == limit), "{error:?}");
        }
        let url = at(&base, "/refusal");
        let answer = client.send(&Request::get(&url)).await.expect("an answer");
        assert_eq!((answer.status, answer.body.len()), (502, MAX_REFUSAL_BYTES));
    });
}

fn endless(status: StatusCode) -> Response {
    let chunks = futures::stream::repeat_with(|| Ok::<_, std::io::Error>(vec![b'x'; 8192]));
    (status, Body::from_stream(chunks)).into_response()
}

#[test]
fn servers_that_say_half_nothing_or_nonsense() {
    run(async {
        let client = Client::new();
        // Silent; silent after half of its body; and one that closes at that place.
        let half = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";
        for bytes in [&b""[..], half] {
            let url = serve_bytes(bytes, Then::Nothing).await;
            let request = Request { timeout: Duration::from_millis(200), ..Request::get(&url) };
            let error = client.fetch(&request).await.expect_err("slow");
            assert!(matches!(error.why, Why::Slow(_)) && error.may_have_arrived(), "{error:?}");
            assert!(text(&error).contains("no whole answer within 0.2 s"), "{}", text(&error));
        }
        for bytes in [&b""[..], half, b"SSH-2.0-x\r\n\r\n"] {
            let url = serve_bytes(bytes, Then::Close).await;
            let error = client.fetch(&Request::get(&url)).await.expect_err("broken");
            assert!(matches!(error.why, Why::Broken(_)) && error.may_have_arrived(), "{error:?}");
        }
    });
}

#[test]
fn redirects_are_followed_as_far_as_is_safe() {
    let to = |code: u16, place: &str| {
        let place = place.to_owned();
        any(
            move || async move { (StatusCode::from_u16(code).expect("a status"), [(header::LOCATION, place)]) },
        )
    };
    // What arrives in the end: the method, whether it was authorized, the body.
    let end = Router::new().route(
        "/end",
        any(|method: axum::http::Method, headers: HeaderMap, body: String| async move {
            format!("{method} {} {body}", headers.contains_key(header::AUTHORIZATION))
        }),
    );
    run(async {
        let other = serve(end.clone()).await;
        let router = end
            .route("/302", to(302, "/end"))
            .route("/307", to(307, "/end"))
            .route("/away", to(307, at(&other, "/end").as_str()))
            .route("/loop", to(307, "/loop"));
        let base = serve(router).await;
        let client = Client::new();
        let ask = async |path: &str, method: Method, redirects: Redirects| {
            let url = at(&base, path);
            let request = match method {
                Method::Get => Request::get(&url),
                Method::Post | Method::Delete => Request::post(&url, "b"),
            };
            let request = Request { redirects, ..request.authorized("Bearer t") };
            match client.fetch(&request).await {
                Ok(body) => String::from_utf8(body).expect("text"),
                Err(error) => text(&error).replace(base.as_str(), "/").replace(other.as_str(), "O/"),
            }
        };
        let (get, post) = (Method::Get, Method::Post);
        assert_eq!(ask("/302", get, Redirects::Follow).await, "GET true ");
        assert_eq!(ask("/307", post, Redirects::Repeat).await, "POST true b");
        assert_eq!(ask("/away", post, Redirects::Repeat).await, "POST false b");
        assert_eq!(
            ask("/302", post, Redirects::Repeat).await,
            "POST /302: the answer is 302: it points to /end"
        );
        assert_eq!(
            ask("/away", post, Redirects::Never).await,
            "POST /away: the answer is 307: it points to O/end"
        );
        assert!(ask("/loop", get, Redirects::Follow).await.contains("too many redirects"));
        assert!(ask("/loop", post, Redirects::Repeat).await.contains("too many redirects"));
    });
}

/// Routes of axum that only some methods have.
#[test]
fn a_method_that_is_refused_is_told() {
    run(async {
        let base = serve(Router::new().route("/", post(|| async { "x" }))).await;
        let error = Client::new().fetch(&Request::get(&base)).await.expect_err("refused");
        assert!(matches!(error.why, Why::Status { status: 405, .. }), "{error:?}");
    });
}
