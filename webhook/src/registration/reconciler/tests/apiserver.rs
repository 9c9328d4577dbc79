//! An apiserver as far as the registration needs it: objects with versions, and watches that go on from
//! a version.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use futures_util::stream::unfold;
use http::{Method, Request, Response};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::Bytes;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::time::{Instant, timeout_at};
use tower::service_fn;

use crate::registration::RegistrationClient;

const MISSING: (u16, &str) = (404, "NotFound");
const INVALID: (u16, &str) = (422, "Invalid");

type Wire = UnsyncBoxBody<Bytes, Infallible>;

#[derive(Default)]
struct Inside {
    objects: BTreeMap<String, Value>,
    version: u64,
    /// Watches cannot go on from a version before this one.
    forgotten: u64,
    history: Vec<(u64, String, Bytes)>,
    watchers: Vec<(String, UnboundedSender<Bytes>)>,
    asked: Vec<String>,
    /// Adds a default of its own to each webhook that is written.
    is_newer: bool,
    /// Finds objects with this text invalid.
    finds_invalid: Option<String>,
}

/// The apiserver; clones are the same one.
#[derive(Clone, Default)]
pub(super) struct Apiserver(Arc<Mutex<Inside>>);

impl Apiserver {
    pub(super) fn cluster(&self) -> RegistrationClient {
        let apiserver = self.clone();
        let service = service_fn(move |request: Request<Body>| {
            let apiserver = apiserver.clone();
            async move { Ok::<_, Infallible>(apiserver.answer(request).await) }
        });
        RegistrationClient::new(Client::new(service, "default"), false)
    }

    /// From now on a version of Kubernetes that adds a default of its own.
    pub(super) fn becomes_newer(&self) {
        self.inside().is_newer = true;
    }

    /// From now on an object with this text is invalid.
    pub(super) fn finds_invalid(&self, text: &str) {
        self.inside().finds_invalid = Some(text.to_owned());
    }

    pub(super) fn objects(&self) -> BTreeMap<String, Value> {
        self.inside().objects.clone()
    }

    /// Somebody writes an object.
    pub(super) fn change(&self, path: &str, change: impl FnOnce(&mut Value)) {
        let mut inside = self.inside();
        let mut object = inside.objects[path].clone();
        change(&mut object);
        inside.write(path, object);
    }

    /// Somebody deletes an object.
    pub(super) fn delete(&self, path: &str) {
        self.inside().delete(path);
    }

    /// Ends every watch.
    pub(super) fn cut(&self) {
        self.inside().watchers.clear();
    }

    /// Forgets what happened before now.
    pub(super) fn forget(&self) {
        let mut inside = self.inside();
        inside.forgotten = inside.version;
        inside.history.clear();
    }

    /// How many requests of each method came since the last call.
    pub(super) fn asked(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for method in self.inside().asked.drain(..) {
            *counts.entry(method).or_default() += 1;
        }
        counts
    }

    async fn answer(&self, request: Request<Body>) -> Response<Wire> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let query = head.uri.query().unwrap_or_default();
        let mut inside = self.inside();
        if query.contains("watch=true") {
            inside.asked.push("WATCH".to_owned());
            return inside.watch(head.uri.path(), query);
        }
        inside.asked.push(head.method.to_string());
        let (code, answer) = match inside.done(&head.method, head.uri.path(), &body) {
            Ok(answer) => (200, answer),
            Err((code, reason)) => {
                let status =
                    json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason});
                (code, status)
            }
        };
        let answer = Full::new(Bytes::from(answer.to_string()));
        let answer = Response::builder().status(code).body(answer.boxed_unsync());
        answer.unwrap()
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.0.lock().unwrap()
    }
}

impl Inside {
    fn done(
        &mut self,
        method: &Method,
        path: &str,
        body: &Value,
    ) -> Result<Value, (u16, &'static str)> {
        let live = self.objects.get(path).cloned();
        let text = body.to_string();
        let is_invalid = self
            .finds_invalid
            .as_ref()
            .is_some_and(|part| text.contains(part));
        match (method.as_str(), live) {
            ("PATCH", _) if is_invalid => Err(INVALID),
            ("GET", live) => live.ok_or(MISSING),
            ("DELETE", None) => Err(MISSING),
            ("DELETE", Some(live)) => {
                self.delete(path);
                Ok(live)
            }
            // A server-side apply.
            ("PATCH", None) => Ok(self.write(path, body.clone())),
            ("PATCH", Some(live)) => {
                let version = "/metadata/resourceVersion";
                if body.pointer(version) != live.pointer(version) {
                    return Err((409, "Conflict"));
                }
                let mut merged = live;
                json_patch::merge(&mut merged, body);
                Ok(self.write(path, merged))
            }
            _ => Err((405, "MethodNotAllowed")),
        }
    }

    /// Writes an object; nothing happens where it is there already.
    fn write(&mut self, path: &str, mut object: Value) -> Value {
        for webhook in object["webhooks"].as_array_mut().into_iter().flatten() {
            if self.is_newer {
                webhook["newer"] = json!("default");
            }
        }
        let live = self.objects.get(path);
        if live == Some(&object) {
            return object;
        }
        let event = if live.is_some() { "MODIFIED" } else { "ADDED" };
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.objects.insert(path.to_owned(), object.clone());
        self.happened(event, path, &object);
        object
    }

    fn delete(&mut self, path: &str) {
        let mut object = self.objects.remove(path).unwrap();
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.happened("DELETED", path, &object);
    }

    fn happened(&mut self, event: &str, path: &str, object: &Value) {
        let line = line(event, object);
        for (watched, watcher) in &self.watchers {
            if watched == path {
                let _ = watcher.send(line.clone());
            }
        }
        self.history.push((self.version, path.to_owned(), line));
    }

    fn watch(&mut self, collection: &str, query: &str) -> Response<Wire> {
        let parameter = |key: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|pair| pair.0 == key).unwrap().1
        };
        let name = parameter("fieldSelector").rsplit("%3D").next().unwrap();
        let path = format!("{collection}/{name}");
        let from: u64 = parameter("resourceVersion").parse().unwrap();
        let (send, receive) = unbounded_channel();
        if from == 0 {
            if let Some(object) = self.objects.get(&path) {
                send.send(line("ADDED", object)).unwrap();
            }
        } else if from < self.forgotten {
            let gone = json!({"kind": "Status", "status": "Failure", "code": 410, "reason": "Expired",
                "message": "too old resource version"});
            send.send(line("ERROR", &gone)).unwrap();
        }
        for (version, of, line) in &self.history {
            if from > 0 && *version > from && *of == path {
                send.send(line.clone()).unwrap();
            }
        }
        self.watchers.push((path, send));
        let seconds = parameter("timeoutSeconds").parse().unwrap();
        let end = Instant::now() + Duration::from_secs(seconds);
        let lines = unfold(receive, move |mut receive| async move {
            let line = timeout_at(end, receive.recv()).await.ok()??;
            Some((Ok::<_, Infallible>(Frame::data(line)), receive))
        });
        Response::new(StreamBody::new(lines).boxed_unsync())
    }
}

/// An event as a watch tells it.
fn line(event: &str, object: &Value) -> Bytes {
    Bytes::from(format!("{}\n", json!({"type": event, "object": object})))
}
