//! A real control plane for a test: etcd and kube-apiserver on free loopback ports. It is ready in
//! seconds, and starts further programs on demand.
//!
//! A test that touches cluster-scoped objects starts its own control plane. Others share their test
//! binary's control plane and use a namespace each. Without nodes, Deployments get no pods, and
//! controllers run as processes.

mod account;
mod cluster;
mod credentials;
mod flux_operator;
mod helm;
mod helm_controller;
mod inventory;
mod ports;
mod process;
mod programs;
mod prometheus;
mod registration;
mod stored;
mod webhook;
mod wire;

pub use cluster::{Cluster, eventually};
pub use credentials::{Credentials, serving};
pub use flux_operator::{FluxOperator, flux_instance};
pub use helm::{Helm, chart, said, umbrella};
pub use helm_controller::{HelmController, helm_release};
pub use inventory::Inventory;
pub use ports::free_port;
pub use process::{Process, folder};
pub use programs::{installed, own, program};
pub use prometheus::{Prometheus, Series};
pub use registration::{asked, validated};
pub use webhook::{Webhook, fetch};
pub use wire::Wire;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Limit for any wait in a test: far longer than needed, even on a busy machine.
pub const PATIENCE: Duration = Duration::from_mins(2);

/// etcd and kube-apiserver, and the folder with their data, logs and credentials.
#[derive(Debug)]
pub struct ControlPlane {
    /// The folder for all files.
    pub folder: PathBuf,
    /// Certificates, tokens, kubeconfigs.
    pub credentials: Credentials,
    /// The apiserver's port on 127.0.0.1.
    pub port: u16,
    /// The store.
    pub etcd: Process,
    /// The apiserver.
    pub apiserver: Process,
    /// Additional arguments for the apiserver when it is restarted.
    pub apiserver_arguments: Vec<String>,
    etcd_port: u16,
    controllers: Option<Process>,
}

impl ControlPlane {
    /// Starts a control plane and waits until it is ready.
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

    /// Also starts Kubernetes' own controllers: garbage collection, namespaces, service accounts.
    pub async fn with_controllers() -> Self {
        let mut plane = Self::start().await;
        plane.start_controllers();
        plane
    }

    /// Starts Kubernetes' own controllers.
    pub fn start_controllers(&mut self) {
        let log = self.folder.join("kube-controller-manager.log");
        self.controllers = Some(Process::start(controllers(self), &log));
    }

    /// The control plane that the tests of a binary share.
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

    /// A connection as `admin`. If the test fails, the cluster's state is written out.
    pub async fn cluster(&self, test: &str) -> Cluster {
        Cluster::connect(test, &self.kubeconfig(), &self.folder).await
    }

    /// A connection as the user of this kubeconfig.
    pub async fn cluster_as(&self, test: &str, kubeconfig: &Path) -> Cluster {
        Cluster::connect(test, kubeconfig, &self.folder).await
    }

    /// Kills the apiserver and restarts it on the same port. A graceful stop would wait a minute
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
        // Without controllers, no namespace gets a default service account.
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
