use std::time::Duration;

use hyper::StatusCode;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::client::{NEVER, Server, deletion, soon};

#[tokio::test]
async fn no_client_holds_up_the_end() {
    let server = Server::start(|limits| {
        (limits.handshake, limits.headers, limits.body) = (NEVER, NEVER, NEVER);
        limits.drain = Duration::from_millis(50);
    })
    .await;
    let mut silent = TcpStream::connect(server.admission).await.unwrap();
    let mut idle = server.connect("http/1.1").await;
    let mut half = server.connect("http/1.1").await;
    half.write_all(b"POST /validate HTTP/1.1\r\nhost: here\r\ncontent-length: 9\r\n\r\n{")
        .await
        .unwrap();
    let mut plain = TcpStream::connect(server.observe).await.unwrap();
    plain.write_all(b"GET /livez").await.unwrap();
    let (mut kept, kept2) = (server.client().await, server.client2().await);
    kept.review(deletion("a")).await;

    server.ended().await;

    for stream in [&mut silent, &mut plain] {
        assert!(matches!(soon(stream.read(&mut [0])).await, Ok(0) | Err(_)));
    }
    for stream in [&mut idle, &mut half] {
        assert!(matches!(soon(stream.read(&mut [0])).await, Ok(0) | Err(_)));
    }
    kept.closed().await;
    kept2.closed().await;
}

#[tokio::test]
async fn before_the_end_it_is_not_ready_and_asks_every_client_to_close() {
    let server = Server::start(|limits| limits.linger = NEVER).await;
    let (mut kept, kept2) = (server.client().await, server.client2().await);
    assert_eq!(kept.review(deletion("a")).await.header("connection"), "");
    assert_eq!(server.observe("/readyz").await.status, StatusCode::OK);

    let server = server.told_to_stop();

    soon(async { while server.observe("/readyz").await.status == StatusCode::OK {} }).await;
    assert!(server.observe("/readyz").await.text.contains("stopping"));
    assert_eq!(server.observe("/livez").await.status, StatusCode::OK);
    let answer = kept.review(deletion("source-controller")).await;
    assert_eq!(
        (answer.header("connection"), &answer.response()["allowed"]),
        ("close", &false.into())
    );
    kept.closed().await;
    kept2.closed().await;
    for mut late in [server.client().await, server.client2().await] {
        assert_eq!(
            late.review(deletion("source-controller")).await.response()["allowed"],
            false
        );
    }
}

#[tokio::test]
async fn an_answer_that_is_on_its_way_still_arrives() {
    let server = Server::start(|limits| limits.drain = NEVER).await;
    let mut stream = server.connect("http/1.1").await;
    let body = deletion("source-controller");
    let head = format!(
        "POST /validate HTTP/1.1\r\nhost: here\r\nexpect: 100-continue\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut proceed = [0; 25];
    soon(stream.read_exact(&mut proceed)).await.unwrap();
    assert_eq!(&proceed, b"HTTP/1.1 100 Continue\r\n\r\n");

    let server = server.told_to_stop();

    soon(async { while TcpStream::connect(server.admission).await.is_ok() {} }).await;
    stream.write_all(body.as_bytes()).await.unwrap();
    let mut answer = String::new();
    soon(stream.read_to_string(&mut answer)).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.contains("engine-deleted"),
        "{answer}"
    );
    server.ended().await;
}
