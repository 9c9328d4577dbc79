use std::io::Write;
use std::time::Duration;

use fluxkeep::admission::LONGEST_BODY;
use fluxkeep_webhook::Settings;
use hyper::{Method, StatusCode};

use crate::client::{Server, UID, counted, deletion};

const PATHS: [&str; 6] = [
    "/validate",
    "/validate/engine",
    "/validate/others",
    "/mutate",
    "/mutate/engine",
    "/mutate/others",
];

#[tokio::test]
async fn http_1_1_and_http_2_get_the_same_answers_on_a_kept_connection() {
    let server = Server::start(|_| {}).await;
    for mut client in [server.client().await, server.client2().await] {
        for path in PATHS {
            let refused = client
                .ask(Method::POST, path, deletion("source-controller"))
                .await;
            assert_eq!(
                (refused.status, refused.header("content-type")),
                (StatusCode::OK, "application/json")
            );
            assert_eq!(refused.header("connection"), "");
            let response = refused.response();
            assert_eq!(
                (&response["uid"], &response["allowed"]),
                (&UID.into(), &false.into()),
                "{response}"
            );
            let allowed = client.ask(Method::POST, path, deletion("a-stranger")).await;
            assert_eq!(allowed.response()["allowed"], true, "{allowed:?}");
        }
    }
}

#[tokio::test]
async fn what_is_no_review_is_told_so_in_text_and_the_connection_goes_on() {
    let server = Server::start(|_| {}).await;
    let mut client = server.client().await;
    let cases = [
        (Method::POST, "/validate", StatusCode::BAD_REQUEST),
        (Method::GET, "/validate", StatusCode::METHOD_NOT_ALLOWED),
        (Method::POST, "/other", StatusCode::NOT_FOUND),
    ];
    for (method, path, status) in cases {
        let answer = client.ask(method, path, "").await;
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (status, "text/plain; charset=utf-8")
        );
        assert!(answer.text.contains("AdmissionReview"), "{answer:?}");
    }
    assert_eq!(
        client.ask(Method::GET, "/mutate", "").await.header("allow"),
        "POST"
    );
}

#[tokio::test]
async fn the_longest_body_is_read_and_larger_than_an_http_framework_allows() {
    let server = Server::start(|_| {}).await;
    for mut client in [server.client().await, server.client2().await] {
        let mut body = deletion("source-controller").into_bytes();
        body.resize(LONGEST_BODY, b' ');
        assert_eq!(client.review(body).await.response()["allowed"], false);
    }
}

#[tokio::test]
async fn a_changed_policy_counts_and_a_bad_one_leaves_the_one_before() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    let mut settings = Settings::loopback();
    settings.policy = Some(file.path().to_owned());
    settings.limits.tick = Duration::from_millis(5);
    let server = Server::with(settings).await;
    let mut client = server.client().await;
    assert_eq!(
        client
            .review(deletion("source-controller"))
            .await
            .response()["allowed"],
        false
    );
    file.write_all(b"levels: {engine-deleted: warn}\n").unwrap();
    counted(
        &server,
        r#"fluxkeep_policy_reloads_total{result="success"} 1"#,
    )
    .await;
    assert_eq!(
        client
            .review(deletion("source-controller"))
            .await
            .response()["allowed"],
        true
    );
    file.write_all(b"levles: {}\n").unwrap();
    counted(
        &server,
        r#"fluxkeep_policy_reloads_total{result="error"} 1"#,
    )
    .await;
    assert_eq!(
        client
            .review(deletion("source-controller"))
            .await
            .response()["allowed"],
        true
    );
}

#[tokio::test]
async fn only_what_is_sent_to_mutate_is_changed_and_it_is_counted() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(b"mutate: {helmReleases: true}\n").unwrap();
    let settings = Settings {
        policy: Some(file.path().to_owned()),
        ..Settings::loopback()
    };
    let server = Server::with(settings).await;
    let mut client = server.client().await;
    let review = r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"1",
        "kind":{"group":"helm.toolkit.fluxcd.io","version":"v2","kind":"HelmRelease"},
        "resource":{"resource":"helmreleases"},"name":"flux","namespace":"flux-system","operation":"CREATE",
        "userInfo":{"username":"jane"},"object":{"metadata":{"name":"flux","namespace":"flux-system"},
        "spec":{"chart":{"spec":{"chart":"flux2","version":"2.14.1"}}}}}}"#;
    let judged = client.review(review).await.response();
    assert_eq!(
        (judged.get("patch"), &judged["allowed"]),
        (None, &true.into()),
        "{judged}"
    );
    counted(&server, "fluxkeep_mutations_total 0").await;
    let changed = client.ask(Method::POST, "/mutate", review).await.response();
    assert_eq!(
        (&changed["patchType"], &changed["allowed"]),
        (&"JSONPatch".into(), &true.into()),
        "{changed}"
    );
    counted(&server, "fluxkeep_mutations_total 1").await;
}

#[tokio::test]
async fn a_changed_catalogue_counts_and_a_bad_one_leaves_the_one_before() {
    let folder = tempfile::tempdir().unwrap();
    let [policy, catalogue] = ["policy.yaml", "new.json"].map(|name| folder.path().join(name));
    // The file is renamed into place, so that no look reads half of it.
    let write = |version: &str| {
        let text = format!(
            r#"[{{"version": "{version}", "helm": "4.9.9", "charts": [], "controllers": {CONTROLLERS}}}]"#
        );
        let half = folder.path().join("half");
        std::fs::write(&half, text).unwrap();
        std::fs::rename(&half, &catalogue).unwrap();
    };
    write("9.9.1");
    std::fs::write(&policy, "catalogue: new.json\n").unwrap();
    let mut settings = Settings::loopback();
    settings.policy = Some(policy);
    settings.limits.tick = Duration::from_millis(5);
    let server = Server::with(settings).await;
    counted(&server, r#"fluxkeep_engine_info{version="9.9.1"} 1"#).await;
    write("9.9.2");
    counted(&server, r#"fluxkeep_engine_info{version="9.9.2"} 1"#).await;
    write("none");
    counted(
        &server,
        r#"fluxkeep_policy_reloads_total{result="error"} 1"#,
    )
    .await;
    counted(&server, "fluxkeep_policy_loaded 0").await;
    counted(&server, r#"fluxkeep_engine_info{version="9.9.2"} 1"#).await;
}

/// The controllers of Flux 2.4.0.
const CONTROLLERS: &str = r#"{"helm-controller": "1.1.0", "image-automation-controller": "0.39.0",
    "image-reflector-controller": "0.33.0", "kustomize-controller": "1.4.0", "notification-controller": "1.4.0",
    "source-controller": "1.4.1"}"#;
