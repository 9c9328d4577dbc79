//! The whole door: a release record with any manifest and hook is answered in time, for the engine
//! and for a stranger.
//!
//! The first byte chooses the namespace. A text of a few kilobytes may take
//! two seconds; libFuzzer's own `-timeout` is for texts that never end.
#![no_main]

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use fluxkeep::admission::{Answer, ReviewBudget, answer_within};
use fluxkeep::case::facts::Facts;
use fluxkeep::case::policy::Policy;
use fluxkeep::helm::record::{Driver, write};
use fluxkeep::manifest::{Reading, read};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

const MOST: Duration = Duration::from_secs(2);

static FACTS: LazyLock<Facts> = LazyLock::new(|| {
    let snapshot = include_str!("../../cluster/src/built_in.yaml");
    Facts::of(read(snapshot, Reading::default()).unwrap_or_default())
});

fuzz_target!(|data: &[u8]| {
    let Some((choice, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let (manifest, hook) = text.split_at(text.find("\0").unwrap_or(text.len()));
    let (namespace, budget) = match choice % 2 {
        0 => ("apps", ReviewBudget::OTHERS),
        _ => ("flux-system", ReviewBudget::ENGINE),
    };
    let start = Instant::now();
    let answer = answered(namespace, budget, manifest, hook);
    assert_eq!(answer.status, 200);
    assert!(start.elapsed() < MOST, "{:?}", start.elapsed());
});

fn answered(namespace: &str, budget: ReviewBudget, manifest: &str, hook: &str) -> Answer {
    let release = json!({"name": "app", "namespace": namespace, "version": 1,
        "info": {"status": "pending-install"}, "manifest": manifest, "hooks": [{"manifest": hook}]});
    let data = write(&release, Driver::ConfigMap).unwrap_or_default();
    let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"release": data},
        "metadata": {"name": "sh.helm.release.v1.app.v1", "namespace": namespace}});
    let review = json!({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {
        "uid": "1", "kind": {"group": "", "version": "v1", "kind": "ConfigMap"},
        "resource": {"group": "", "version": "v1", "resource": "configmaps"},
        "name": "sh.helm.release.v1.app.v1", "namespace": namespace, "operation": "CREATE",
        "userInfo": {"username": "jane"}, "object": object}});
    let now = "2026-11-24T12:00:00Z".parse().unwrap_or_default();
    answer_within(budget, review.to_string().as_bytes(), &FACTS, &Policy::default(), now)
}
