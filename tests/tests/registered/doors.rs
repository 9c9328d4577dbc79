//! The requests that are sent, and their fate while the server is down.

use fluxkeep_tests::control_plane::validated;
use fluxkeep_tests::deletes::deletions;
use serde_json::{Value, json};

use crate::objects::{
    BUCKETS, THINGS, binding, helm_release, one_version, release_record, renamed, two_versions,
};
use crate::stage::{BY_WEBHOOK, DOWN, Stage, written};

/// A write, with its door and share.
pub(crate) struct Write {
    pub(crate) door: &'static str,
    pub(crate) object: Value,
    /// True for the engine's share, which fails closed.
    pub(crate) closed: bool,
    /// The server's refusal; empty if it lets the write pass.
    pub(crate) refusal: &'static str,
}

impl Write {
    /// Asserts that the server answered, and as it should.
    pub(crate) fn is_judged(&self, said: &str) {
        let Self {
            object, refusal, ..
        } = self;
        assert!(said.contains(refusal), "{object}: {said}");
        assert_eq!(said.is_empty(), refusal.is_empty(), "{object}: {said}");
    }
}

/// Writes that each door must see once, in a feasible order.
pub(crate) fn writes() -> Vec<Write> {
    let write = |door, object, closed| Write {
        door,
        object,
        closed,
        refusal: "",
    };
    let unbound = Write {
        refusal: "denied the request: engine-rights-lost: ",
        ..write("engine", binding(&[]), true)
    };
    let status = |mut object: Value| {
        object["status"] = json!({"storedVersions": ["v1", "v2"]});
        object
    };
    vec![
        write("crd", two_versions(THINGS), false),
        write("crd", two_versions(BUCKETS), true),
        write("crd-status", status(two_versions(THINGS)), false),
        write("crd-status", status(two_versions(BUCKETS)), true),
        write("helm-release", helm_release("shop", "elsewhere"), false),
        write(
            "helm-release",
            helm_release("fluxkeep", "flux-system"),
            false,
        ),
        write("helm-release", helm_release("flux", "flux-system"), true),
        write("release-record", release_record("shop", "elsewhere"), false),
        write(
            "release-record",
            release_record("fluxkeep", "flux-system"),
            false,
        ),
        write(
            "release-record",
            release_record("flux", "flux-system"),
            true,
        ),
        // A label that is taken off only warns, so an outage does not stop it.
        write("engine", renamed(&json!({})), false),
        unbound,
    ]
}

/// Writes in which no rule finds anything.
fn quiet() -> Vec<Value> {
    let secret = |name: &str| json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": "flux-system"}});
    let noted = renamed(
        &json!({"labels": {"app.kubernetes.io/part-of": "flux"}, "annotations": {"note": "x"}}),
    );
    let mut release = helm_release("quiet", "flux-system");
    release["metadata"]["annotations"] = json!({"note": "x"});
    vec![
        secret("token"),
        noted,
        release,
        two_versions("items.example.org"),
        one_version(THINGS),
        one_version(BUCKETS),
        binding(&["source-controller", "other"]),
    ]
}

/// The objects before the writes: CRDs with one version, a renamed labelled controller, a release.
pub(crate) fn before() -> Vec<Value> {
    let definitions = [THINGS, BUCKETS, "helmreleases.helm.toolkit.fluxcd.io"].map(one_version);
    let labelled = renamed(&json!({"labels": {"app.kubernetes.io/part-of": "flux"}}));
    let source = deletions()
        .into_iter()
        .find(|one| one.resource == "deployments")
        .unwrap()
        .object;
    let bound = binding(&["source-controller"]);
    definitions
        .into_iter()
        .chain([
            labelled,
            source,
            bound,
            helm_release("quiet", "flux-system"),
        ])
        .collect()
}

impl Stage {
    /// Registers, and waits until the apiserver asks in both phases.
    pub(crate) async fn registered(&self) {
        self.register(&[]);
        self.until(BY_WEBHOOK).await;
        validated(&self.cluster).await;
    }

    async fn asked_in_all(&self) -> u32 {
        let mut sum = 0;
        for door in [
            "crd",
            "crd-status",
            "helm-release",
            "release-record",
            "engine",
            "none",
        ] {
            sum += self.reviews(door).await;
        }
        sum
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_door_is_reached_and_nobody_is_asked_about_what_no_rule_looks_at() {
    let stage = Stage::set("each_door").await;
    stage.cluster.apply_all(&before()).await;
    stage.registered().await;
    let start = stage.asked_in_all().await;
    for object in quiet() {
        assert_eq!(written(&stage.cluster, &object).await, "", "{object}");
    }
    assert_eq!(
        stage.asked_in_all().await,
        start,
        "quiet writes are not sent"
    );
    for write in writes() {
        let Write { door, object, .. } = &write;
        let before = stage.reviews(door).await;
        let said = written(&stage.cluster, object).await;
        assert_eq!(
            stage.reviews(door).await - before,
            1,
            "{door} is asked about {object}: {said}"
        );
        write.is_judged(&said);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_server_down_the_engine_is_closed_and_everything_else_goes_on() {
    let mut stage = Stage::set("server_down").await;
    stage.cluster.apply_all(&before()).await;
    stage.registered().await;
    stage.webhook.process.kill();
    stage.until(DOWN).await;
    for object in quiet() {
        assert_eq!(written(&stage.cluster, &object).await, "", "{object}");
    }
    for Write { object, closed, .. } in writes() {
        let said = written(&stage.cluster, &object).await;
        assert_eq!(
            said.contains("failed calling webhook"),
            closed,
            "{object}: {said}"
        );
        assert_eq!(said.is_empty(), !closed, "{object}: {said}");
    }
    stage.run("unregister", &[]);
    stage.until("").await;
}
