//! The versions in which etcd really holds a kind's objects. No API shows them.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpStream;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::ControlPlane;

impl ControlPlane {
    /// The number of stored objects of a custom resource, by the version of their bytes in etcd.
    #[must_use]
    pub fn stored_versions(&self, group: &str, plural: &str) -> BTreeMap<String, usize> {
        let prefix = format!("/registry/{group}/{plural}/");
        let mut end = prefix.clone().into_bytes();
        if let Some(last) = end.last_mut() {
            *last += 1;
        }
        let range = json!({"key": BASE64_STANDARD.encode(&prefix), "range_end": BASE64_STANDARD.encode(end)});
        let answer = self.etcd_range(&range.to_string());
        let mut versions = BTreeMap::new();
        for entry in answer
            .pointer("/kvs")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            let bytes = entry.pointer("/value").and_then(Value::as_str);
            let bytes = bytes.unwrap_or_default();
            let bytes = BASE64_STANDARD
                .decode(bytes)
                .expect("etcd answers in base64");
            let object: Value = serde_json::from_slice(&bytes).expect("custom resources are JSON");
            let version = object.pointer("/apiVersion").and_then(Value::as_str);
            let version = version.and_then(|version| version.rsplit('/').next());
            let version = version.unwrap_or_default();
            *versions.entry(version.to_owned()).or_default() += 1;
        }
        versions
    }

    /// Asks etcd's HTTP gateway, in HTTP/1.0 so that the answer ends with the connection.
    fn etcd_range(&self, body: &str) -> Value {
        let mut stream = TcpStream::connect(("127.0.0.1", self.etcd_port)).expect("etcd listens");
        let request = format!(
            "POST /v3/kv/range HTTP/1.0\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).expect("etcd reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("etcd answers");
        let (_, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body}"))
    }
}
