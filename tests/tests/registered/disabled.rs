//! Losing Flux without Helm and without a deletion: an older manifest, and rights moved to a second
//! Flux.

use fluxkeep::helm::record::Driver;
use fluxkeep_tests::control_plane::{eventually, validated};
use fluxkeep_tests::flux::{Flux, HOME, Names};
use fluxkeep_tests::{packed, secret};
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use crate::stage::{BY_WEBHOOK, Stage, said, written};

const OLDER: &str = "denied the request: engine-disabled: ";
const RIGHTS: &str = "denied the request: engine-rights-lost: ";

impl Stage {
    /// A guarded cluster with a release of Flux.
    async fn with_flux(test: &str, version: &str) -> Self {
        let stage = Self::set(test).await;
        let flux = Flux::release(version).installed(Names::Install);
        stage.cluster.apply_all(&flux).await;
        stage.register(&[]);
        stage.until(BY_WEBHOOK).await;
        validated(&stage.cluster).await;
        stage
    }

    /// The answer to a merge patch of source-controller or its scale.
    async fn patched(&self, subresource: &str, patch: &Value) -> String {
        let deployments = self.cluster.api(&named("apps/v1", "Deployment")).await;
        let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
        let name = "source-controller";
        if subresource.is_empty() {
            said(deployments.patch(name, &params, &patch).await)
        } else {
            let patched = deployments.patch_subresource(subresource, name, &params, &patch);
            said(patched.await)
        }
    }
}

fn named(api_version: &str, kind: &str) -> Value {
    json!({"apiVersion": api_version, "kind": kind,
        "metadata": {"name": "source-controller", "namespace": HOME}})
}

/// The objects of a kind.
fn of_kind(objects: Vec<Value>, kind: &str) -> Vec<Value> {
    let wanted = objects.into_iter().filter(|object| object["kind"] == kind);
    wanted.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn applying_an_older_install_yaml_moves_no_controller_that_would_not_start_and_ordinary_work_asks_nobody()
 {
    let stage = Stage::with_flux("older_manifest", "2.8.0").await;
    let older = Flux::release("2.3.0").installed(Names::Install);
    // The other controllers of 2.3 read what 2.8 still serves.
    let stops = ["helm", "kustomize", "source"].map(|name| format!("{name}-controller"));
    let would_stop = |one: &Value| stops.iter().any(|name| one["metadata"]["name"] == **name);
    let mut deployments = of_kind(older, "Deployment");
    deployments.retain(&would_stop);
    assert_eq!(deployments.len(), stops.len());
    for deployment in &deployments {
        eventually("an older controller is refused", async || {
            let said = written(&stage.cluster, deployment).await;
            if said.contains(OLDER) {
                Ok(())
            } else {
                Err(said)
            }
        })
        .await;
    }
    let newer = Flux::release("2.8.0").installed(Names::Install);
    for running in of_kind(newer, "Deployment") {
        let live = stage.cluster.get(&running).await.unwrap();
        let image = "/spec/template/spec/containers/0/image";
        assert_eq!(live.pointer(image), running.pointer(image), "{running}");
    }
    let before = stage.reviews("engine").await;
    let restart = json!({"kubectl.kubernetes.io/restartedAt": "2026-11-24T12:00:00Z"});
    let template = json!({"metadata": {"annotations": restart}});
    let restarted = json!({"spec": {"template": template}});
    assert_eq!(stage.patched("", &restarted).await, "");
    let two = json!({"spec": {"replicas": 2}});
    assert_eq!(
        stage.patched("scale", &two).await,
        "",
        "as an autoscaler does"
    );
    assert_eq!(
        stage.patched("", &json!({"spec": {"replicas": 1}})).await,
        ""
    );
    assert_eq!(stage.reviews("engine").await, before);
    let zero = json!({"spec": {"replicas": 0}});
    assert_eq!(stage.patched("scale", &zero).await, "", "it warns");
    assert_eq!(stage.reviews("engine").await, before + 1);
    assert_eq!(stage.patched("scale", &two).await, "", "started again");
    assert_eq!(stage.reviews("engine").await, before + 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_crd_of_flux_gets_a_schema_without_spec_and_an_annotation_on_it_passes() {
    let stage = Stage::with_flux("schema_without_spec", "2.8.0").await;
    let name = "gitrepositories.source.toolkit.fluxcd.io";
    let flux = of_kind(
        Flux::release("2.8.0").installed(Names::Install),
        "CustomResourceDefinition",
    );
    let mut crd = flux
        .into_iter()
        .find(|one| one["metadata"]["name"] == name)
        .unwrap();
    crd["metadata"]["annotations"]["example.org/owner"] = json!("platform");
    assert_eq!(written(&stage.cluster, &crd).await, "");
    let whole = crd.clone();
    for version in crd["spec"]["versions"].as_array_mut().unwrap() {
        version["schema"] =
            json!({"openAPIV3Schema": {"type": "object", "properties": {"x": {"type": "string"}}}});
    }
    eventually("the schema is refused", async || {
        let said = written(&stage.cluster, &crd).await;
        if said.contains(OLDER) {
            Ok(())
        } else {
            Err(said)
        }
    })
    .await;
    assert_eq!(written(&stage.cluster, &whole).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_flux_takes_no_rights_from_the_first() {
    let stage = Stage::with_flux("second_flux", "2.4.0").await;
    let flux = Flux::release("2.4.0").installed(Names::Install);
    let mut second = of_kind(flux, "ClusterRoleBinding");
    for subject in second[0]["subjects"].as_array_mut().unwrap() {
        subject["namespace"] = json!("flux");
    }
    eventually("the binding is refused", async || {
        let said = written(&stage.cluster, &second[0]).await;
        if said.contains(RIGHTS) {
            Ok(())
        } else {
            Err(said)
        }
    })
    .await;
    stage.cluster.namespace("flux").await;
    let data = packed(
        "second",
        "flux",
        &second[0].to_string(),
        &[],
        Driver::Secret,
    );
    let mut record = secret(&data);
    record["metadata"]["name"] = json!("sh.helm.release.v1.second.v1");
    record["metadata"]["namespace"] = json!("flux");
    let said_of_record = said(stage.cluster.create(&record).await);
    assert!(said_of_record.contains(RIGHTS), "{said_of_record}");
    let mut added = stage.cluster.get(&second[0]).await.unwrap();
    added["metadata"]["managedFields"] = Value::Null;
    let third = json!({"kind": "ServiceAccount", "namespace": "flux", "name": "helm-controller"});
    added["subjects"].as_array_mut().unwrap().push(third);
    assert_eq!(
        written(&stage.cluster, &added).await,
        "",
        "adding takes nothing"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_of_flux_keeps_what_the_controllers_need_and_may_gain_more() {
    let stage = Stage::with_flux("narrowed_role", "2.4.0").await;
    let flux = Flux::release("2.4.0").installed(Names::Install);
    let mut roles = of_kind(flux, "ClusterRole").into_iter();
    let role = roles.find(|role| role["metadata"]["name"] == "crd-controller");
    let role = role.unwrap();
    let with = |rules: Value| {
        let mut changed = role.clone();
        changed["rules"] = rules;
        changed
    };
    let groups = ["source", "kustomize", "helm", "notification"];
    let groups = groups.map(|name| format!("{name}.toolkit.fluxcd.io"));
    let read = json!([{"apiGroups": groups, "resources": ["*"], "verbs": ["get"]}]);
    eventually("the narrowed role is refused", async || {
        let said = written(&stage.cluster, &with(read.clone())).await;
        if said.contains(RIGHTS) && said.contains("leases.coordination.k8s.io") {
            Ok(())
        } else {
            Err(said)
        }
    })
    .await;
    let before = stage.reviews("engine").await;
    let everything = json!({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]});
    let mut more = role["rules"].clone();
    more.as_array_mut().unwrap().push(everything.clone());
    assert_eq!(written(&stage.cluster, &with(more)).await, "");
    let equal = json!([everything]);
    assert_eq!(written(&stage.cluster, &with(equal)).await, "");
    assert_eq!(stage.reviews("engine").await, before, "nobody is asked");
}
