//! The command, and a kubelet's part: controllers that become available.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use fluxkeep_tests::control_plane::{Cluster, folder, own, said};
use fluxkeep_tests::flux::HOME;
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

/// Runs `fluxkeep rescue` in a folder of its own.
pub(crate) struct Rescuer {
    kubeconfig: PathBuf,
    pub(crate) folder: PathBuf,
    api: Api<Deployment>,
    pods: Option<JoinHandle<()>>,
}

impl Rescuer {
    /// Deployments become available, as if pods ran.
    pub(crate) fn of(cluster: &Cluster) -> Self {
        let mut rescuer = Self::without_pods(cluster);
        rescuer.run_pods();
        rescuer
    }

    /// Deployments never become available.
    pub(crate) fn without_pods(cluster: &Cluster) -> Self {
        Self {
            kubeconfig: cluster.kubeconfig.clone(),
            folder: folder("rescue"),
            api: Api::namespaced(cluster.client.clone(), HOME),
            pods: None,
        }
    }

    pub(crate) fn run_pods(&mut self) {
        self.pods = Some(tokio::spawn(available(self.api.clone())));
    }

    /// The command as another user, or with another kubeconfig.
    pub(crate) fn run_as(&self, kubeconfig: &Path, arguments: &[&str]) -> Output {
        let mut command = self.command(arguments);
        command.env("FLUXKEEP_KUBECONFIG", kubeconfig);
        tokio::task::block_in_place(|| command.output().expect("fluxkeep"))
    }

    /// Kills the command as soon as it says this.
    pub(crate) fn killed_at(&self, arguments: &[&str], marker: &str) {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        let mut command = self.command(arguments);
        command
            .stdout(writer.try_clone().expect("a pipe"))
            .stderr(writer);
        let mut child = command.spawn().expect("fluxkeep");
        // The command holds the ends for writing; without it the pipe would never end.
        drop(command);
        tokio::task::block_in_place(|| {
            let mut lines = BufReader::new(reader).lines().map_while(Result::ok);
            let mut said = Vec::new();
            let is_said = lines.any(|line| {
                said.push(line.clone());
                line.contains(marker)
            });
            child.kill().expect("a child of this process");
            child.wait().expect("a child of this process");
            assert!(is_said, "{marker}: {said:#?}");
        });
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(own("fluxkeep"));
        command
            .current_dir(&self.folder)
            .env("FLUXKEEP_KUBECONFIG", &self.kubeconfig)
            .arg("rescue")
            .args(arguments);
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        tokio::task::block_in_place(|| self.command(arguments).output().expect("fluxkeep"))
    }

    /// Runs the command, which must succeed; returns what it says.
    pub(crate) fn runs(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        said(&output)
    }

    /// Takes a recovery point into a file.
    pub(crate) fn snapshot(&self) -> String {
        let mut command = Command::new(own("fluxkeep"));
        command
            .env("FLUXKEEP_KUBECONFIG", &self.kubeconfig)
            .args(["snapshot", "--recovery"])
            .arg(self.folder.join("flux.point"));
        let output = command.output().expect("fluxkeep");
        assert!(output.status.success(), "{}", said(&output));
        "flux.point".to_owned()
    }

    /// Writes objects as a manifest.
    pub(crate) fn manifest(&self, name: &str, objects: &[Value]) -> String {
        let documents: Vec<String> = objects.iter().map(Value::to_string).collect();
        std::fs::write(self.folder.join(name), documents.join("\n---\n")).expect("a folder");
        name.to_owned()
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> String {
        std::fs::write(self.folder.join(name), bytes).expect("a folder");
        name.to_owned()
    }
}

impl Drop for Rescuer {
    fn drop(&mut self) {
        if let Some(pods) = &self.pods {
            pods.abort();
        }
    }
}

/// Reports every Deployment as available, for ever.
async fn available(api: Api<Deployment>) {
    loop {
        let listed = api.list(&ListParams::default()).await;
        for deployment in listed.map(|list| list.items).unwrap_or_default() {
            let generation = deployment.metadata.generation;
            let name = deployment.metadata.name.unwrap_or_default();
            let seen = deployment
                .status
                .and_then(|status| status.observed_generation);
            if seen == generation {
                continue;
            }
            let status = json!({"status": {"observedGeneration": generation, "replicas": 1,
                "updatedReplicas": 1, "availableReplicas": 1, "readyReplicas": 1}});
            // A Deployment that is deleted meanwhile has no status.
            let _ = api
                .patch_status(&name, &PatchParams::default(), &Patch::Merge(status))
                .await;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
