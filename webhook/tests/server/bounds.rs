use std::pin::pin;
use std::time::Duration;

use fluxkeep::admission::LONGEST_BODY;
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http2;
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_rustls::client::TlsStream;

use crate::client::{NEVER, Server, counted, deletion, soon};

/// The longest body that is read to its end.
const LONGEST_READ: usize = 32 << 20;

type Stream = TlsStream<TcpStream>;

/// A new connection with this request written to it.
async fn written(server: &Server, path: &str, head: &str, body: &[u8]) -> Stream {
    let mut stream = server.connect("http/1.1").await;
    let head = format!("POST {path} HTTP/1.1\r\nhost: here\r\n{head}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(body).await.unwrap();
    // TLS may hold back the end of a long body. A server that has answered already may have closed.
    let _ = stream.flush().await;
    stream
}

/// The server's output until it closes the connection.
async fn answered(mut stream: Stream) -> String {
    let mut answer = Vec::new();
    soon(stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8(answer).unwrap()
}

async fn raw(server: &Server, head: &str, body: &[u8]) -> String {
    answered(written(server, "/validate", head, body).await).await
}

/// A connection on which the last byte of the body is missing.
async fn held_back(server: &Server, path: &str, length: usize) -> Stream {
    let head = format!("content-length: {length}");
    written(server, path, &head, &vec![b' '; length - 1]).await
}

async fn is_judged(server: &Server) {
    for path in ["/validate/engine", "/validate/others"] {
        for mut client in [server.client().await, server.client2().await] {
            let body = deletion("source-controller");
            let answer = client.ask(Method::POST, path, body).await;
            assert_eq!(answer.response()["allowed"], false, "{path}");
        }
    }
}

#[tokio::test]
async fn a_body_that_says_it_is_too_long_is_turned_away_unread() {
    let server = Server::start(|_| {}).await;
    let answer = raw(
        &server,
        &format!("content-length: {}", LONGEST_READ + 1),
        b"",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(
        answer.contains("connection: close") && answer.contains("longer than 8388608 bytes"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_body_that_turns_out_too_long_is_turned_away() {
    let server = Server::start(|limits| limits.body = NEVER).await;
    let mut body = format!("{:x}\r\n", LONGEST_READ + 1).into_bytes();
    body.resize(body.len() + LONGEST_READ + 1, b' ');
    let answer = raw(&server, "transfer-encoding: chunked", &body).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
}

#[tokio::test]
async fn a_review_over_the_bound_is_refused_about_the_engine_and_passes_about_a_stranger() {
    let server = Server::start(|_| {}).await;
    for (path, allowed) in [("/validate/engine", false), ("/validate/others", true)] {
        for mut client in [server.client().await, server.client2().await] {
            for length in [LONGEST_BODY, LONGEST_READ - (4 << 10)] {
                let review = deletion("a").replace("flux-system", "apps");
                let body = review.replace("hunter2", &"x".repeat(length));
                let answer = client.ask(Method::POST, path, body).await;
                assert_eq!(answer.response()["allowed"], allowed, "{path}");
                assert!(answer.text.contains("8 MiB"), "{}", answer.text);
            }
        }
    }
}

#[tokio::test]
async fn a_body_over_the_bound_that_is_no_review_is_turned_away() {
    let server = Server::start(|_| {}).await;
    let body = vec![b' '; LONGEST_BODY + 1];
    let mut client = server.client().await;
    let answer = client.ask(Method::POST, "/validate", body).await;
    assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_given_up() {
    let server = Server::start(|limits| limits.body = Duration::from_millis(50)).await;
    let answer = raw(&server, "content-length: 100", b"{").await;
    assert!(
        answer.starts_with("HTTP/1.1 408 ") && answer.contains("connection: close"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_handshake_that_does_not_come_is_given_up() {
    let server = Server::start(|limits| limits.handshake = Duration::from_millis(50)).await;
    let mut silent = TcpStream::connect(server.admission).await.unwrap();
    assert_eq!(soon(silent.read(&mut [0])).await.unwrap(), 0);
}

#[tokio::test]
async fn clients_that_say_nothing_crowd_out_each_other_and_not_the_apiserver() {
    let server = Server::start(|limits| (limits.handshakes, limits.handshake) = (4, NEVER)).await;
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(TcpStream::connect(server.admission).await.unwrap());
    }
    let answer = server
        .client()
        .await
        .review(deletion("source-controller"))
        .await;
    assert_eq!(answer.response()["allowed"], false);
    for first in &mut silent[..36] {
        assert_eq!(soon(first.read(&mut [0])).await.unwrap(), 0);
    }
}

#[tokio::test]
async fn bodies_that_hold_back_their_last_byte_crowd_out_each_other_and_not_the_apiserver() {
    for path in ["/validate/engine", "/validate/others"] {
        let server = Server::start(|limits| (limits.body, limits.bodies) = (NEVER, 1 << 20)).await;
        let mut held = Vec::new();
        for _ in 0..10 {
            held.push(held_back(&server, path, 300 << 10).await);
        }
        is_judged(&server).await;
        let lane = path.trim_start_matches("/validate/");
        let line = format!(r#"fluxkeep_turned_away_total{{lane="{lane}",reason="no-room"}} 7"#);
        counted(&server, &line).await;
        let answer = answered(held.remove(6)).await;
        assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
        assert!(
            answer.contains("retry-after: 1") && answer.contains("connection: close"),
            "{answer}"
        );
        for last in &mut held[6..] {
            last.write_all(b" ").await.unwrap();
            last.flush().await.unwrap();
            let mut answer = [0; 12];
            soon(last.read_exact(&mut answer)).await.unwrap();
            assert_eq!(&answer, b"HTTP/1.1 400", "it is read to its end");
        }
    }
}

/// Both lanes together hold two sums of bodies, whoever sends how many.
#[tokio::test]
async fn with_the_limits_as_they_are_forty_held_bodies_of_a_mebibyte_leave_fifteen_in_memory() {
    const HELD: usize = 40;
    let server = Server::start(|limits| limits.body = NEVER).await;
    let most = fluxkeep_webhook::Limits::default().bodies / ((1 << 20) + (8 << 10));
    assert_eq!(most, 15);
    let mut held = Vec::new();
    for _ in 0..HELD {
        held.push(held_back(&server, "/validate/others", 1 << 20).await);
    }
    let given_up = HELD - most;
    let line =
        format!(r#"fluxkeep_turned_away_total{{lane="others",reason="no-room"}} {given_up}"#);
    counted(&server, &line).await;
    for first in held.drain(..given_up) {
        let answer = answered(first).await;
        assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
    }
    for last in &mut held {
        let read = timeout(Duration::ZERO, last.read(&mut [0])).await;
        assert!(read.is_err(), "it is still read");
    }
    is_judged(&server).await;
}

#[tokio::test]
async fn a_body_takes_room_as_it_comes_and_not_as_it_is_announced() {
    let server = Server::start(|limits| (limits.body, limits.bodies) = (NEVER, 1 << 20)).await;
    let mut held = Vec::new();
    for _ in 0..50 {
        let head = format!("content-length: {LONGEST_BODY}");
        held.push(written(&server, "/validate", &head, b"{").await);
    }
    is_judged(&server).await;
    for first in &mut held {
        assert!(timeout(Duration::ZERO, first.read(&mut [0])).await.is_err());
    }
}

#[tokio::test]
async fn a_connection_that_is_idle_gives_way_and_one_that_asks_stays() {
    let server = Server::start(|limits| limits.connections = 4).await;
    let mut kept = server.client().await;
    let mut idle = Vec::new();
    for _ in 0..20 {
        idle.push(server.connect("http/1.1").await);
        assert_eq!(kept.review(deletion("a")).await.response()["allowed"], true);
    }
    for first in &mut idle[..17] {
        assert!(matches!(soon(first.read(&mut [0])).await, Ok(0) | Err(_)));
    }
    let mut last = idle.pop().unwrap();
    assert!(timeout(Duration::ZERO, last.read(&mut [0])).await.is_err());
    let metrics = server.observe("/metrics").await.text;
    assert!(
        metrics.contains(r#"connections_given_way_total{stage="open"} 17"#),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_connection_over_http2_has_so_many_requests_at_once_and_no_more() {
    let server = Server::start(|limits| limits.streams = 3).await;
    let stream = TokioIo::new(server.connect("h2").await);
    let made = http2::handshake::<_, _, Empty<Bytes>>(TokioExecutor::new(), stream).await;
    let (mut sender, connection) = made.unwrap();
    let mut connection = pin!(connection);
    let ask = Request::get("https://localhost/").body(Empty::new());
    // The server's HTTP/2 settings arrive before its first answer.
    tokio::select! {
        ended = connection.as_mut() => panic!("{ended:?}"),
        answer = sender.send_request(ask.unwrap()) => assert_eq!(answer.unwrap().status(), 404),
    }
    assert_eq!(connection.current_max_send_streams(), 3);
}

#[tokio::test]
async fn a_head_that_does_not_end_is_not_kept() {
    let server = Server::start(|limits| limits.headers = NEVER).await;
    let mut stream = server.connect("http/1.1").await;
    let endless = [
        b"POST /validate HTTP/1.1\r\nx: ".to_vec(),
        vec![b'x'; 100 << 10],
    ]
    .concat();
    // The server may close the connection before the write ends.
    let _ = stream.write_all(&endless).await;
    let mut answer = Vec::new();
    let _ = soon(stream.read_to_end(&mut answer)).await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(
        answer.is_empty() || answer.starts_with("HTTP/1.1 431 "),
        "{answer}"
    );
}

#[tokio::test]
async fn idle_connections_do_not_stand_in_the_way() {
    let server = Server::start(|_| {}).await;
    let mut idle = Vec::new();
    for _ in 0..200 {
        idle.push(server.connect("http/1.1").await);
    }
    let answer = server
        .client()
        .await
        .review(deletion("source-controller"))
        .await;
    assert_eq!(answer.response()["allowed"], false);
}

#[tokio::test]
async fn a_closed_connection_leaves_no_task_behind() {
    let server = Server::start(|_| {}).await;
    drop(server.observe("/livez").await);
    let before = Handle::current().metrics().num_alive_tasks();
    for _ in 0..20 {
        drop(TcpStream::connect(server.admission).await.unwrap());
        drop(server.connect("http/1.1").await);
        drop(server.client().await.review(deletion("a")).await);
        drop(server.client2().await.review(deletion("a")).await);
        drop(server.observe("/livez").await);
    }
    soon(async {
        while Handle::current().metrics().num_alive_tasks() > before {
            tokio::task::yield_now().await;
        }
    })
    .await;
}
