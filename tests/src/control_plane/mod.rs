//! A real control plane for a test: etcd and kube-apiserver on free loopback ports, ready in
//! seconds, and beside them what a test asks for.
//!
//! A test that touches what is cluster-scoped starts one of its own; others share the one of their
//! test binary and take a namespace. There are no nodes: a Deployment gets no pods, and a controller
//! runs as a process.

mod account;
mod cluster;
mod credentials;
mod helm;
mod helm_controller;
mod inventory;
mod ports;
mod process;
mod programs;
mod registration;
mod webhook;
mod wire;

pub use cluster::{Cluster, eventually};
pub use credentials::{Credentials, serving};
pub use helm::{Helm, said, umbrella};
pub use helm_controller::{HelmController, helm_release};
pub use inventory::Inventory;
pub use ports::free_port;
pub use process::{Process, folder};
pub use programs::{own, program};
pub use registration::{asked, validated};
pub use webhook::{Webhook, fetch};
pub use wire::Wire;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How long anything may take before a test gives up: far more than it does, on a busy machine.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// etcd and kube-apiserver, and the folder with their data, logs and credentials.
#[derive(Debug)]
pub struct ControlPlane {
    /// The folder with everything.
    pub folder: PathBuf,
    /// Certificates, tokens, kubeconfigs.
    pub credentials: Credentials,
    /// Where the apiserver listens on 127.0.0.1.
    pub port: u16,
    /// The store.
    pub etcd: Process,
    /// The apiserver.
    pub apiserver: Process,
    /// What it is told beside the rest when it is restarted.
    pub apiserver_arguments: Vec<String>,
    etcd_port: u16,
    controllers: Option<Process>,
}

impl ControlPlane {
    /// Starts one, and waits until it is ready.
    pub async fn start() -> Self {
        let folder = folder("control-plane");
        let credentials = Credentials::write(&folder);
        let (etcd_port, peer_port, port) = (free_port(), free_port(), free_port());
        let etcd = Process::start(
            etcd(&folder, etcd_port, peer_port),
            &folder.join("etcd.log"),
        );
        let apiserver = Process::start(
            apiserver(&folder, &credentials, etcd_port, port),
            &folder.join("kube-apiserver.log"),
        );
        let mut plane = Self {
            folder,
            credentials,
            port,
            etcd,
            apiserver,
            apiserver_arguments: Vec::new(),
            etcd_port,
            controllers: None,
        };
        plane.ready().await;
        plane
    }

    /// Starts one with Kubernetes' own controllers: garbage collection, namespaces, service accounts.
    pub async fn with_controllers() -> Self {
        let mut plane = Self::start().await;
        let log = plane.folder.join("kube-controller-manager.log");
        plane.controllers = Some(Process::start(controllers(&plane), &log));
        plane
    }

    /// The one that the tests of a binary share.
    pub async fn shared() -> &'static Self {
        static SHARED: OnceLock<ControlPlane> = OnceLock::new();
        static STARTING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
        let _one = STARTING.lock().await;
        if let Some(plane) = SHARED.get() {
            return plane;
        }
        let plane = Self::start().await;
        SHARED.get_or_init(|| plane)
    }

    /// A kubeconfig of the user `admin`.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.credentials
            .kubeconfig("admin.kubeconfig", self.port, None)
    }

    /// What a test does in the cluster, as `admin`. A test that fails leaves a picture of it.
    pub async fn cluster(&self, test: &str) -> Cluster {
        Cluster::connect(test, &self.kubeconfig(), &self.folder).await
    }

    /// The same as the user of this kubeconfig.
    pub async fn cluster_as(&self, test: &str, kubeconfig: &Path) -> Cluster {
        Cluster::connect(test, kubeconfig, &self.folder).await
    }

    /// Kills the apiserver and starts it again on the same port. Asked to stop, it would wait a minute
    /// for watches to end.
    pub async fn restart_apiserver(&mut self) {
        self.apiserver.kill();
        let mut command = apiserver(&self.folder, &self.credentials, self.etcd_port, self.port);
        command.args(&self.apiserver_arguments);
        self.apiserver = Process::start(command, &self.folder.join("kube-apiserver.log"));
        self.ready().await;
    }

    async fn ready(&mut self) {
        let start = Instant::now();
        let client = Cluster::client(&self.kubeconfig()).await;
        loop {
            self.etcd.is_running();
            self.apiserver.is_running();
            let request = http::Request::get("/readyz")
                .body(Vec::new())
                .expect("a request");
            match client.request_text(request).await {
                Ok(_) => return,
                Err(error) => {
                    let log = self.apiserver.tail(20);
                    assert!(
                        start.elapsed() < PATIENCE,
                        "kube-apiserver is not ready: {error}\n{log}"
                    );
                }
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn etcd(folder: &Path, port: u16, peer: u16) -> Command {
    let mut command = Command::new(program("etcd"));
    let [url, peer] = [port, peer].map(|port| format!("http://127.0.0.1:{port}"));
    command.arg("--data-dir").arg(folder.join("etcd"));
    command.args([
        "--listen-client-urls",
        &url,
        "--advertise-client-urls",
        &url,
        "--listen-peer-urls",
        &peer,
    ]);
    command.args([
        "--initial-advertise-peer-urls",
        &peer,
        "--initial-cluster",
        &format!("default={peer}"),
    ]);
    command.args(["--unsafe-no-fsync", "--log-level", "warn"]);
    command
}

fn apiserver(folder: &Path, credentials: &Credentials, etcd: u16, port: u16) -> Command {
    let mut command = Command::new(program("kube-apiserver"));
    let file = |flag: &str, name: &str| format!("--{flag}={}", credentials.file(name).display());
    command.args([
        format!("--etcd-servers=http://127.0.0.1:{etcd}"),
        format!("--cert-dir={}", folder.join("apiserver").display()),
        format!("--secure-port={port}"),
        file("tls-cert-file", "tls.crt"),
        file("tls-private-key-file", "tls.key"),
        file("service-account-key-file", "accounts.pub"),
        file("service-account-signing-key-file", "accounts.key"),
        file("token-auth-file", "tokens.csv"),
    ]);
    command.args([
        "--bind-address=127.0.0.1",
        "--service-account-issuer=https://kubernetes.default.svc",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--authorization-mode=RBAC",
        "--allow-privileged",
        // Nothing makes the default account of a namespace where no controllers run.
        "--disable-admission-plugins=ServiceAccount",
    ]);
    command
}

fn controllers(plane: &ControlPlane) -> Command {
    let mut command = Command::new(program("kube-controller-manager"));
    command.arg("--kubeconfig").arg(plane.kubeconfig());
    command
        .arg("--service-account-private-key-file")
        .arg(plane.credentials.file("accounts.key"));
    command
        .arg("--root-ca-file")
        .arg(plane.credentials.authority());
    command.args(["--leader-elect=false", "--secure-port=0"]);
    command
}
