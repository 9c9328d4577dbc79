//! A test's access to a cluster, and the state that a failed test leaves behind.

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

/// A test's connection to a cluster.
pub struct Cluster {
    /// The test's name.
    pub test: String,
    /// The client, which acts as the kubeconfig's user.
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

    /// The API of the object's kind and namespace.
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
    /// The apiserver's refusal.
    pub async fn apply(&self, object: &Value) -> kube::Result<DynamicObject> {
        let patch = PatchParams::apply("a-test").force();
        self.api(object)
            .await
            .patch(name(object), &patch, &Patch::Apply(object))
            .await
    }

    /// Applies all objects in order; panics on a refusal.
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
    /// The apiserver's refusal.
    pub async fn create(&self, object: &Value) -> kube::Result<DynamicObject> {
        let object_read = serde_json::from_value(object.clone()).expect("an object with metadata");
        self.api(object)
            .await
            .create(&PostParams::default(), &object_read)
            .await
    }

    /// The live object with the apiVersion, kind and name of `object`.
    ///
    /// # Errors
    /// The apiserver's refusal.
    pub async fn get(&self, object: &Value) -> kube::Result<Value> {
        let found = self.api(object).await.get(name(object)).await?;
        Ok(serde_json::to_value(found).expect("an object"))
    }

    /// Waits until the object has this condition for this reason, and returns the condition's message.
    pub async fn condition(&self, object: &Value, condition: &str, reason: &str) -> String {
        let awaited = format!("{} is {condition}: {reason}", name(object));
        eventually(&awaited, async || {
            let live = self.get(object).await.map_err(|error| error.to_string())?;
            let conditions = live.pointer("/status/conditions").and_then(Value::as_array);
            let conditions = conditions.cloned().unwrap_or_default();
            let found = conditions
                .iter()
                .find(|one| one["type"] == condition && one["reason"] == reason);
            let message = |one: &Value| one["message"].as_str().unwrap_or_default().to_owned();
            let seen = || Value::Array(conditions.clone()).to_string();
            found.map(message).ok_or_else(seen)
        })
        .await
    }

    /// Deletes an object.
    ///
    /// # Errors
    /// The apiserver's refusal.
    pub async fn delete(&self, object: &Value) -> kube::Result<()> {
        self.api(object)
            .await
            .delete(name(object), &DeleteParams::default())
            .await
            .map(|_| ())
    }

    /// Deletes a CRD and removes its finalizers. The apiserver's own cleanup fails while storages
    /// are rebuilt, and retries only minutes later.
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
    /// The apiserver's refusal.
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

    /// Creates a namespace for a test.
    pub async fn namespace(&self, name: &str) {
        let object = serde_json::json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
        self.apply_all(&[object]).await;
    }

    /// The number of writes that wait for an answer: the maximum of the last second.
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

    /// Makes a client cache the cluster's API discovery in this cluster's folder. The user's home
    /// could hold the cache of another cluster at the same address.
    pub fn remembering<'a>(&self, command: &'a mut Command) -> &'a mut Command {
        command.env("KUBECACHEDIR", self.logs.join("served"))
    }

    /// Writes objects, events and logs to a folder below `target`, and prints its path.
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

/// Repeats `look` until it succeeds. On a timeout, the panic shows the last error.
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
