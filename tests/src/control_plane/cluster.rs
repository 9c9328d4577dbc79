//! What a test does in a cluster, and the picture that it leaves when it fails.

use std::fmt::{Debug, Write as _};
use std::fs::{copy, create_dir_all, write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use kube::api::{Api, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use kube::discovery::{Scope, pinned_kind};
use kube::{Client, Config};
use serde_json::{Value, json};

use super::{PATIENCE, program};

/// A connection to a cluster, for one test.
pub struct Cluster {
    /// The test's name.
    pub test: String,
    /// Speaks as the user of the kubeconfig.
    pub client: Client,
    /// The user's kubeconfig.
    pub kubeconfig: PathBuf,
    logs: PathBuf,
}

impl Cluster {
    pub(super) async fn connect(test: &str, kubeconfig: &Path, logs: &Path) -> Self {
        let client = Self::client(kubeconfig).await;
        Self {
            test: test.to_owned(),
            client,
            kubeconfig: kubeconfig.to_owned(),
            logs: logs.to_owned(),
        }
    }

    pub(super) async fn client(kubeconfig: &Path) -> Client {
        let read = Kubeconfig::read_from(kubeconfig).expect("a kubeconfig that the harness wrote");
        let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await;
        Client::try_from(config.expect("a kubeconfig that the harness wrote")).expect("a client")
    }

    /// The collection that an object belongs to.
    pub async fn api(&self, object: &Value) -> Api<DynamicObject> {
        let text = |pointer: &str| {
            object
                .pointer(pointer)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        let (group, version) = text("/apiVersion")
            .split_once('/')
            .unwrap_or(("", text("/apiVersion")));
        let kind = GroupVersionKind::gvk(group, version, text("/kind"));
        let (resource, capabilities) = eventually(&format!("{kind:?} is served"), async || {
            pinned_kind(&self.client, &kind)
                .await
                .map_err(|error| error.to_string())
        })
        .await;
        match (capabilities.scope, text("/metadata/namespace")) {
            (Scope::Cluster, _) => Api::all_with(self.client.clone(), &resource),
            (Scope::Namespaced, "") => {
                Api::namespaced_with(self.client.clone(), "default", &resource)
            }
            (Scope::Namespaced, namespace) => {
                Api::namespaced_with(self.client.clone(), namespace, &resource)
            }
        }
    }

    /// Applies an object as kubectl does with `--server-side --force-conflicts`.
    ///
    /// # Errors
    /// With what the apiserver says.
    pub async fn apply(&self, object: &Value) -> kube::Result<DynamicObject> {
        let patch = PatchParams::apply("a-test").force();
        self.api(object)
            .await
            .patch(name(object), &patch, &Patch::Apply(object))
            .await
    }

    /// Applies all of them, in their order.
    pub async fn apply_all(&self, objects: &[Value]) {
        for object in objects {
            if let Err(error) = self.apply(object).await {
                panic!("applying {} {}: {error}", object["kind"], name(object));
            }
        }
    }

    /// Creates an object.
    ///
    /// # Errors
    /// With what the apiserver says.
    pub async fn create(&self, object: &Value) -> kube::Result<DynamicObject> {
        let object_read = serde_json::from_value(object.clone()).expect("an object with metadata");
        self.api(object)
            .await
            .create(&PostParams::default(), &object_read)
            .await
    }

    /// The object as it lives, by the apiVersion, kind and name of this one.
    ///
    /// # Errors
    /// With what the apiserver says.
    pub async fn get(&self, object: &Value) -> kube::Result<Value> {
        let found = self.api(object).await.get(name(object)).await?;
        Ok(serde_json::to_value(found).expect("an object"))
    }

    /// Deletes an object.
    ///
    /// # Errors
    /// With what the apiserver says.
    pub async fn delete(&self, object: &Value) -> kube::Result<()> {
        self.api(object)
            .await
            .delete(name(object), &DeleteParams::default())
            .await
            .map(|_| ())
    }

    /// Takes a CRD away, what the apiserver does before it lets go left out: while storages are made anew that
    /// fails, and is tried again minutes later.
    pub async fn take_away(&self, definition: &Value) {
        self.delete(definition).await.expect("a CRD that is there");
        let api = self.api(definition).await;
        let freed = Patch::Merge(json!({"metadata": {"finalizers": null}}));
        eventually("a CRD is gone", async || {
            match api
                .patch(name(definition), &PatchParams::default(), &freed)
                .await
            {
                Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
                left => Err(left.map(|left| left.metadata.finalizers)),
            }
        })
        .await;
    }

    /// Writes an object's status with a merge patch, as its controller would.
    ///
    /// # Errors
    /// With what the apiserver says.
    pub async fn patch_status(
        &self,
        object: &Value,
        status: &Value,
    ) -> kube::Result<DynamicObject> {
        let patch = Patch::Merge(serde_json::json!({"status": status}));
        self.api(object)
            .await
            .patch_status(name(object), &PatchParams::default(), &patch)
            .await
    }

    /// Makes a namespace for a test.
    pub async fn namespace(&self, name: &str) {
        let object = serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        self.apply_all(&[object]).await;
    }

    /// How many writes the apiserver has not answered yet: the most in the last second.
    pub async fn writes_that_wait(&self) -> u64 {
        let request = http::Request::get("/metrics")
            .body(Vec::new())
            .expect("a request");
        let metrics = self.client.request_text(request).await.expect("metrics");
        let sample = r#"apiserver_current_inflight_requests{request_kind="mutating"} "#;
        metrics
            .lines()
            .find_map(|line| line.strip_prefix(sample)?.parse().ok())
            .unwrap_or_default()
    }

    /// Runs kubectl as this user.
    #[must_use]
    pub fn kubectl(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(program("kubectl"));
        command
            .arg("--kubeconfig")
            .arg(&self.kubeconfig)
            .args(arguments);
        self.remembering(&mut command).output().expect("kubectl")
    }

    /// Has a client remember beside this cluster what it serves. In its user's home it would find what
    /// another cluster served at the same address.
    pub fn remembering<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("KUBECACHEDIR", self.logs.join("served"))
    }

    /// Objects, events and logs, in a folder below `target`; its path is printed.
    fn leave_a_picture(&self) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../target/failed-tests")
            .join(&self.test);
        let shown = |arguments: &[&str]| self.kubectl(arguments).stdout;
        let _ = create_dir_all(&folder);
        let _ = write(
            folder.join("objects.txt"),
            shown(&["get", "all,crd,secrets,configmaps", "-A", "-o", "wide"]),
        );
        let _ = write(
            folder.join("releases.yaml"),
            shown(&["get", "helmreleases,helmcharts", "-A", "-o", "yaml"]),
        );
        let _ = write(
            folder.join("events.txt"),
            shown(&["get", "events", "-A", "--sort-by=.lastTimestamp"]),
        );
        let logs = std::fs::read_dir(&self.logs)
            .into_iter()
            .flatten()
            .flatten();
        for log in logs.filter(|entry| entry.path().extension().is_some_and(|end| end == "log")) {
            let _ = copy(log.path(), folder.join(log.file_name()));
        }
        let events = String::from_utf8_lossy(&shown(&["get", "events", "-A"])).into_owned();
        let mut told = format!(
            "{} failed; what was there: {}\n",
            self.test,
            folder.display()
        );
        let _ = write!(
            told,
            "{}",
            events.lines().rev().take(10).collect::<Vec<_>>().join("\n")
        );
        #[allow(clippy::print_stderr)]
        {
            eprintln!("{told}");
        }
    }
}

impl Debug for Cluster {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Cluster")
            .field("test", &self.test)
            .finish_non_exhaustive()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.leave_a_picture();
        }
    }
}

/// Looks until it sees what it looks for. What it saw last is in the panic when that never comes.
pub async fn eventually<T, E: Debug>(what: &str, mut look: impl AsyncFnMut() -> Result<T, E>) -> T {
    let start = Instant::now();
    loop {
        match look().await {
            Ok(found) => return found,
            Err(seen) => assert!(
                start.elapsed() < PATIENCE,
                "{what}: not within {PATIENCE:?}; seen last: {seen:?}"
            ),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn name(object: &Value) -> &str {
    object
        .pointer("/metadata/name")
        .and_then(Value::as_str)
        .unwrap_or_default()
}
