//! The Job of docs/migrate.md: the apiserver takes it, its rights are those that are printed, and its
//! account migrates with them.

use std::path::Path;

use fluxkeep::flux::catalogue::Catalogue;
use fluxkeep_tests::control_plane::{ControlPlane, eventually, said};
use fluxkeep_tests::flux::Flux;
use serde_json::Value;

use crate::stage::Stage;

const HOME: &str = "flux-system";
const NAME: &str = "fluxkeep-migrate";

/// The objects of the page's YAML.
fn objects() -> Vec<Value> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/migrate.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let block = page.split("```yaml\n").nth(1).expect("a block of YAML");
    let yaml = block.split("```").next().expect("the block's end");
    fluxkeep::yaml::values(yaml).expect("YAML")
}

fn of_kind(objects: &[Value], kind: &str) -> Value {
    let found = objects.iter().find(|object| object["kind"] == kind);
    found.expect("an object of this kind").clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_job_of_the_guide_is_taken_and_its_account_may_migrate() {
    let objects = objects();
    let job = of_kind(&objects, "Job");
    let container = &job["spec"]["template"]["spec"]["containers"][0];
    let words = container["args"].as_array().expect("arguments").iter();
    let words = words.map(|word| word.as_str().expect("a word"));
    let words = std::iter::once("fluxkeep").chain(words).map(Into::into);
    fluxkeep_cli::Cli::read(words.collect()).expect("a command");

    let plane = ControlPlane::start().await;
    let cluster = plane.cluster("migrate-job").await;
    let newest = Catalogue::built_in().newest().expect("a release");
    let definitions = Flux::release(&newest.version.to_string()).definitions();
    cluster.apply_all(&definitions).await;
    let print = Stage::command_as(&cluster.kubeconfig, &["--print-rbac"]).output();
    let printed: Value =
        serde_json::from_slice(&print.expect("fluxkeep").stdout).expect("a ClusterRole");
    assert_eq!(of_kind(&objects, "ClusterRole"), printed);

    cluster.namespace(HOME).await;
    cluster.apply_all(&objects).await;
    let kubeconfig = plane.account(&cluster, HOME, NAME).await;
    // The apiserver learns of the rights a moment later.
    eventually("the account migrates", async || {
        let done = Stage::command_as(&kubeconfig, &[])
            .output()
            .expect("fluxkeep");
        let told = said(&done);
        if done.status.success() && told.contains("migrating in context ") {
            return Ok(());
        }
        Err(told)
    })
    .await;
}
