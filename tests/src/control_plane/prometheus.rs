//! A Prometheus of the machine, over servers of a test and its apiserver.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;
use std::process::Command;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{ControlPlane, Process, Webhook, eventually, fetch, folder, free_port, installed};

/// A running Prometheus, which scrapes and evaluates its rules each second.
#[derive(Debug)]
pub struct Prometheus {
    /// The process.
    pub process: Process,
    url: String,
    targets: PathBuf,
}

/// A series of an answer.
#[derive(Debug, Clone, Deserialize)]
pub struct Series {
    /// Its labels.
    #[serde(rename = "metric")]
    pub labels: BTreeMap<String, String>,
    #[serde(default)]
    value: Option<(f64, String)>,
    #[serde(default)]
    values: Vec<(f64, String)>,
}

impl Series {
    /// Times in seconds, with values.
    #[must_use]
    pub fn samples(&self) -> Vec<(f64, f64)> {
        let all = self.value.iter().chain(&self.values);
        all.map(|(time, value)| (*time, value.parse().expect("a number")))
            .collect()
    }
}

impl Prometheus {
    /// Starts Prometheus with these groups of rules over the apiserver of `plane`. `None` if the machine
    /// has no Prometheus.
    pub async fn start(plane: &ControlPlane, groups: &Value) -> Option<Self> {
        let program = installed("prometheus")?;
        let folder = folder("prometheus");
        let targets = folder.join("targets.json");
        std::fs::write(&targets, "[]").expect("a writable folder");
        let file = |name: &str, content: &Value| {
            let path = folder.join(name);
            std::fs::write(&path, content.to_string()).expect("a writable folder");
            path
        };
        let rules = file("rules.yaml", &json!({"groups": groups}));
        let servers = json!({"job_name": "fluxkeep",
            "file_sd_configs": [{"files": [targets], "refresh_interval": "1s"}]});
        let apiserver = json!({"job_name": "apiserver", "scheme": "https",
            "authorization": {"credentials": plane.credentials.token()},
            "tls_config": {"ca_file": plane.credentials.authority()},
            "static_configs": [{"targets": [format!("127.0.0.1:{}", plane.port)]}]});
        let config = json!({"global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [rules], "scrape_configs": [servers, apiserver]});
        let address = format!("127.0.0.1:{}", free_port());
        let mut command = Command::new(program);
        command
            .arg("--config.file")
            .arg(file("prometheus.yaml", &config))
            .arg("--storage.tsdb.path")
            .arg(folder.join("data"))
            .args(["--web.listen-address", &address, "--log.level", "warn"]);
        let process = Process::start(command, &plane.folder.join("prometheus.log"));
        let mut prometheus = Self {
            process,
            url: format!("http://{address}"),
            targets,
        };
        prometheus.ready().await;
        Some(prometheus)
    }

    async fn ready(&mut self) {
        let address = format!("{}/-/ready", self.url);
        let process = &mut self.process;
        eventually("Prometheus is ready", async || {
            process.is_running();
            match fetch(&address).await {
                Ok((200, _)) => Ok(()),
                other => Err(other),
            }
        })
        .await;
        self.holds("apiserver", r#"up{job="apiserver"} == 1"#).await;
    }

    /// Scrapes this server in place of any other, and waits until counters can be compared: until it was
    /// scraped twice.
    pub async fn scrape(&self, webhook: &Webhook) {
        let address = webhook.observe.trim_start_matches("http://");
        let targets = json!([{"targets": [address]}]).to_string();
        // Renamed into place, since Prometheus reads the file at any time.
        let written = self.targets.with_extension("new");
        std::fs::write(&written, targets).expect("a writable folder");
        std::fs::rename(written, &self.targets).expect("a writable folder");
        let twice =
            format!(r#"count_over_time(fluxkeep_build_info{{instance="{address}"}}[1m]) >= 2"#);
        self.holds("the server is scraped", &twice).await;
    }

    /// Waits until the expression has a result.
    pub async fn holds(&self, what: &str, expression: &str) -> Vec<Series> {
        eventually(what, async || match self.query(expression).await {
            found if found.is_empty() => Err(expression.to_owned()),
            found => Ok(found),
        })
        .await
    }

    /// The result of an expression now.
    pub async fn query(&self, expression: &str) -> Vec<Series> {
        self.ask(&format!("query?query={}", escaped(expression)))
            .await
    }

    /// The results of an expression between two times, one a second.
    pub async fn range(&self, expression: &str, (from, to): (f64, f64)) -> Vec<Series> {
        let query = escaped(expression);
        self.ask(&format!(
            "query_range?start={from}&end={to}&step=1&query={query}"
        ))
        .await
    }

    async fn ask(&self, question: &str) -> Vec<Series> {
        #[derive(Deserialize)]
        struct Answer {
            data: Data,
        }
        #[derive(Deserialize)]
        struct Data {
            result: Vec<Series>,
        }
        let answer = fetch(&format!("{}/api/v1/{question}", self.url)).await;
        let (status, text) = answer.expect("Prometheus answers");
        assert_eq!(status, 200, "{question}: {text}");
        let answer: Answer = serde_json::from_str(&text).expect("an answer of Prometheus");
        answer.data.result
    }
}

fn escaped(text: &str) -> String {
    text.bytes().fold(String::new(), |mut escaped, byte| {
        write!(escaped, "%{byte:02X}").expect("a string takes anything");
        escaped
    })
}
