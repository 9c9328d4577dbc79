//! The server as a process, and its memory from /proc.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use fluxkeep_tests::control_plane::free_port;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::sleep;

/// Longest wait for readiness; longer than the slowest start.
const PATIENCE: Duration = Duration::from_mins(2);
/// Wait before memory is read. Memory freed after the start returns to Linux in much less time.
const SETTLE: Duration = Duration::from_secs(5);

/// A running server.
pub(crate) struct Program {
    child: Child,
    observe: u16,
    began: Instant,
}

impl Program {
    /// Starts the server as it is released.
    pub(crate) fn start(kubeconfig: &Path) -> anyhow::Result<Self> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/dist/fluxkeep-webhook");
        ensure!(
            path.exists(),
            "{} is missing; run make following",
            path.display()
        );
        let observe = free_port();
        let mut command = Command::new(&path);
        command.arg("--kubeconfig").arg(kubeconfig).args([
            "--listen=127.0.0.1:0",
            "--linger=0",
            "--log-format=text",
        ]);
        command
            .arg(format!("--observe=127.0.0.1:{observe}"))
            .stdin(Stdio::null());
        let began = Instant::now();
        Ok(Self {
            child: command
                .spawn()
                .with_context(|| format!("starting {}", path.display()))?,
            observe,
            began,
        })
    }

    /// Returns a row of the table: time to readiness, memory at rest, and peak memory.
    pub(crate) async fn row(mut self, what: &str) -> anyhow::Result<String> {
        while !self.is_ready().await {
            ensure!(
                self.began.elapsed() < PATIENCE,
                "{what}: not ready within {PATIENCE:?}"
            );
            ensure!(self.child.try_wait()?.is_none(), "{what}: the server ended");
            sleep(Duration::from_millis(10)).await;
        }
        let ready = self.began.elapsed();
        sleep(SETTLE).await;
        let (rest, peak) = (self.mib("VmRSS:")?, self.mib("VmHWM:")?);
        Ok(format!(
            "| {what} | {:.2} s | {rest:.1} MiB | {peak:.1} MiB |",
            ready.as_secs_f64()
        ))
    }

    async fn is_ready(&self) -> bool {
        let ask = async {
            let mut stream = TcpStream::connect(("127.0.0.1", self.observe)).await?;
            stream
                .write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                .await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            std::io::Result::Ok(answer.starts_with("HTTP/1.1 200"))
        };
        ask.await.unwrap_or(false)
    }

    fn mib(&self, key: &str) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))
            .context("reading /proc")?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix(key))
            .context("a figure of memory")?;
        let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib / 1024.0)
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
