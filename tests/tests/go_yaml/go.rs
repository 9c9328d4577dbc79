//! Go's readings of many texts: `tests/control-plane/go-yaml` reads them in one process.

use std::io::{BufRead, BufReader, BufWriter, Write};
use std::process::{Command, Stdio};
use std::thread;

use fluxkeep_tests::control_plane::program;
use serde_json::Value;

/// The JSON of a document, or the reason for none.
pub(crate) type Answer = Result<Value, String>;

/// sigs.k8s.io/yaml's reading of each document.
pub(crate) fn answers(mode: &str, texts: &[String]) -> Vec<Answer> {
    let answer = |mut told: Value| match told.get_mut("json") {
        Some(value) => Ok(value.take()),
        None => Err(told["error"].to_string()),
    };
    ask(mode, texts).into_iter().map(answer).collect()
}

/// The readings of each stream by Kubernetes' reader of manifests.
pub(crate) fn streams(texts: &[String]) -> Vec<Result<Vec<Value>, String>> {
    let answer = |told: Value| match told.get("error") {
        Some(error) => Err(error.to_string()),
        None => Ok(told["documents"].as_array().cloned().unwrap_or_default()),
    };
    ask("stream", texts).into_iter().map(answer).collect()
}

fn ask(mode: &str, texts: &[String]) -> Vec<Value> {
    let mut child = Command::new(program("go-yaml"))
        .arg(mode)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("go-yaml");
    let mut input = BufWriter::new(child.stdin.take().expect("its input"));
    let output = BufReader::new(child.stdout.take().expect("its output"));
    let told: Vec<Value> = thread::scope(|scope| {
        scope.spawn(move || {
            for text in texts {
                let length = u32::try_from(text.len()).expect("a short text");
                input.write_all(&length.to_le_bytes()).expect("it reads");
                input.write_all(text.as_bytes()).expect("it reads");
            }
        });
        output
            .lines()
            .map(|line| serde_json::from_str(&line.expect("a line")).expect("JSON"))
            .collect()
    });
    assert!(child.wait().expect("its end").success());
    assert_eq!(told.len(), texts.len());
    told
}
