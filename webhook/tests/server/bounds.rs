use std::time::Duration;

use fluxkeep::admission::LONGEST_BODY;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Handle;

use crate::client::{NEVER, Server, deletion, soon};

/// Writes and reads on a connection of its own, until the server closes it.
async fn raw(server: &Server, head: &str, body: &[u8]) -> String {
    let mut stream = server.connect("http/1.1").await;
    stream
        .write_all(format!("POST /validate HTTP/1.1\r\nhost: here\r\n{head}\r\n\r\n").as_bytes())
        .await
        .unwrap();
    stream.write_all(body).await.unwrap();
    let mut answer = Vec::new();
    soon(stream.read_to_end(&mut answer)).await.unwrap();
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn a_body_that_says_it_is_too_long_is_turned_away_unread() {
    let server = Server::start(|_| {}).await;
    let answer = raw(
        &server,
        &format!("content-length: {}", LONGEST_BODY + 1),
        b"",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(
        answer.contains("connection: close") && answer.contains("8388608 bytes at most"),
        "{answer}"
    );
}

#[tokio::test]
async fn a_body_that_turns_out_too_long_is_turned_away() {
    let server = Server::start(|_| {}).await;
    let mut body = format!("{:x}\r\n", LONGEST_BODY + 1).into_bytes();
    body.resize(body.len() + LONGEST_BODY + 1, b' ');
    let answer = raw(&server, "transfer-encoding: chunked", &body).await;
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
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
