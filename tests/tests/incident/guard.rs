//! fluxkeep in front of the stage.

use std::process::Command;

use fluxkeep_tests::control_plane::{Webhook, own};

use crate::stage::Stage;

/// The server, asked by the apiserver from when this returns.
pub(crate) async fn guard(stage: &Stage) -> Webhook {
    let snapshot = stage.plane.folder.join("snapshot.json");
    let mut command = Command::new(own("fluxkeep"));
    command.arg("snapshot").arg("--kubeconfig").arg(&stage.cluster.kubeconfig).arg("--output").arg(&snapshot);
    let output = command.output().expect("fluxkeep");
    assert!(output.status.success(), "{output:?}");
    let webhook = Webhook::start(&stage.plane, ["--snapshot".as_ref(), snapshot.as_os_str()]).await;
    webhook.register(&stage.cluster).await;
    webhook
}
