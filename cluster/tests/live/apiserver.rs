//! A fake apiserver that lists in pages and watches from a version. On demand it forgets versions,
//! refuses and cuts. It runs in process, so that tests can pause time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use futures_util::stream::poll_fn;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tower::service_fn;

pub(crate) const DEFINITIONS: &str = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
pub(crate) const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/flux-system/deployments";
pub(crate) const NAMESPACES: &str = "/api/v1/namespaces";
pub(crate) const CLUSTER_ROLES: &str = "/apis/rbac.authorization.k8s.io/v1/clusterroles";

type Wire = UnsyncBoxBody<Bytes, std::io::Error>;

/// A change: its version, its collection's path, and the watch event.
type Happened = (u64, String, Value);

#[derive(Default)]
struct State {
    version: u64,
    objects: BTreeMap<String, BTreeMap<String, Value>>,
    history: Vec<Happened>,
    /// Versions up to this one are forgotten.
    forgotten: u64,
    watchers: Vec<(Query, UnboundedSender<Bytes>)>,
    refused: BTreeMap<String, u16>,
    /// Custom resources without a CRD.
    unserved: BTreeSet<String>,
    expiring: usize,
    asked: Vec<String>,
}

/// The fake apiserver; clones share its state.
#[derive(Clone, Default)]
pub(crate) struct Apiserver(Arc<Mutex<State>>);

#[derive(Clone, Default)]
struct Query {
    path: String,
    parameters: BTreeMap<String, String>,
}

impl Query {
    fn read(target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let parameters = pairs
            .map(|(key, value)| (key.to_owned(), value.replace("%3D", "=")))
            .collect();
        Self {
            path: path.to_owned(),
            parameters,
        }
    }

    fn number(&self, key: &str) -> u64 {
        self.parameters
            .get(key)
            .and_then(|text| text.parse().ok())
            .unwrap_or_default()
    }

    fn selects(&self, object: &Value) -> bool {
        let name = self
            .parameters
            .get("fieldSelector")
            .and_then(|text| text.strip_prefix("metadata.name="));
        name.is_none_or(|name| object["metadata"]["name"] == name)
    }
}

impl Apiserver {
    pub(crate) fn client(&self) -> Client {
        let server = self.clone();
        let service = service_fn(move |request: Request<Body>| {
            let answer = server.answer(&request.uri().to_string());
            async move { Ok::<_, std::io::Error>(answer) }
        });
        Client::new(service, "default")
    }

    /// Writes an object into a collection, and notifies watchers.
    pub(crate) fn put(&self, path: &str, mut object: Value) {
        let mut state = self.state();
        state.version += 1;
        object["metadata"]["resourceVersion"] = json!(state.version.to_string());
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        let before = state
            .objects
            .entry(path.to_owned())
            .or_default()
            .insert(name, object.clone());
        state.happened(
            path,
            if before.is_some() {
                "MODIFIED"
            } else {
                "ADDED"
            },
            &object,
        );
    }

    /// Adds an item without a name to a collection, which is no valid object.
    pub(crate) fn garble(&self, path: &str) {
        let mut state = self.state();
        state.version += 1;
        let nothing = json!({"metadata": {"resourceVersion": state.version.to_string()}});
        let collection = state.objects.entry(path.to_owned()).or_default();
        collection.insert(String::new(), nothing.clone());
        state.happened(path, "ADDED", &nothing);
    }

    pub(crate) fn delete(&self, path: &str, name: &str) {
        let mut state = self.state();
        state.version += 1;
        let mut object = state.objects.get_mut(path).unwrap().remove(name).unwrap();
        object["metadata"]["resourceVersion"] = json!(state.version.to_string());
        state.happened(path, "DELETED", &object);
    }

    /// Sends a bookmark to every watcher.
    pub(crate) fn bookmark(&self) {
        let state = self.state();
        let mark = json!({"kind": "X", "apiVersion": "v1", "metadata": {"resourceVersion": state.version.to_string()}});
        for (_, watcher) in &state.watchers {
            let _ = watcher.send(line("BOOKMARK", &mark));
        }
    }

    /// Ends every watch.
    pub(crate) fn cut(&self) {
        self.state().watchers.clear();
    }

    /// Deletes an object without notifying watchers, and forgets all versions.
    pub(crate) fn lose(&self, path: &str, name: &str) {
        let mut state = self.state();
        state.objects.get_mut(path).unwrap().remove(name).unwrap();
        state.forget();
    }

    /// Ends every watch, and forgets all versions.
    pub(crate) fn forget(&self) {
        let mut state = self.state();
        state.watchers.clear();
        state.forget();
    }

    /// Answers requests for a resource with this code; 200 restores normal answers.
    pub(crate) fn refuse(&self, resource: &str, code: u16) {
        self.state().refused.insert(resource.to_owned(), code);
    }

    /// Answers 404 for a collection.
    pub(crate) fn unserve(&self, path: &str) {
        let mut state = self.state();
        state.unserved.insert(path.to_owned());
        state.watchers.retain(|(query, _)| query.path != path);
    }

    pub(crate) fn serve(&self, path: &str) {
        self.state().unserved.remove(path);
    }

    /// Makes the next page tokens expire.
    pub(crate) fn expire_tokens(&self, count: usize) {
        self.state().expiring = count;
    }

    /// The requests for a collection in order: `list`, `page`, `watch`.
    pub(crate) fn asked(&self, path: &str) -> Vec<&'static str> {
        let of = |target: &String| {
            let query = Query::read(target);
            let what = if query.parameters.contains_key("watch") {
                "watch"
            } else {
                "list"
            };
            let what = if query.parameters.contains_key("continue") {
                "page"
            } else {
                what
            };
            (query.path == path).then_some(what)
        };
        self.state().asked.iter().filter_map(of).collect()
    }

    /// All request targets.
    pub(crate) fn targets(&self) -> Vec<String> {
        self.state().asked.clone()
    }

    fn answer(&self, target: &str) -> Response<Wire> {
        let (mut state, query) = (self.state(), Query::read(target));
        state.asked.push(target.to_owned());
        let resource = query.path.rsplit('/').next().unwrap_or_default();
        let refused = state
            .refused
            .get(resource)
            .copied()
            .filter(|code| *code != 200);
        if let Some(code) = refused.or_else(|| state.unserved.contains(&query.path).then_some(404))
        {
            return status(code);
        }
        if query.parameters.contains_key("watch") {
            state.watch(query)
        } else {
            state.list(&query)
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl State {
    fn forget(&mut self) {
        self.version += 1;
        self.forgotten = self.version;
        self.history.clear();
    }

    fn happened(&mut self, path: &str, kind: &str, object: &Value) {
        let event = json!({"type": kind, "object": object});
        for (query, watcher) in &self.watchers {
            if query.path == path && query.selects(&event["object"]) {
                let _ = watcher.send(line(kind, &event["object"]));
            }
        }
        self.history.push((self.version, path.to_owned(), event));
    }

    fn list(&mut self, query: &Query) -> Response<Wire> {
        let start = query.number("continue");
        if start > 0 && self.expiring > 0 {
            self.expiring -= 1;
            return status(410);
        }
        let (start, limit) = (
            usize::try_from(start).unwrap(),
            usize::try_from(query.number("limit")).unwrap(),
        );
        let all: Vec<_> = self
            .objects
            .get(&query.path)
            .into_iter()
            .flat_map(BTreeMap::values)
            .collect();
        let selected: Vec<_> = all
            .into_iter()
            .filter(|object| query.selects(object))
            .collect();
        let page: Vec<_> = selected.iter().skip(start).take(limit).collect();
        let end = start + page.len();
        let token = if end < selected.len() {
            end.to_string()
        } else {
            String::new()
        };
        let metadata = json!({"resourceVersion": self.version.to_string(), "continue": token});
        json_response(
            200,
            &json!({"kind": "List", "metadata": metadata, "items": page}),
        )
    }

    fn watch(&mut self, query: Query) -> Response<Wire> {
        let from = query.number("resourceVersion");
        let (send, mut receive) = unbounded_channel();
        if from < self.forgotten {
            let gone = json!({"kind": "Status", "code": 410, "status": "Failure", "message": "too old resource version"});
            let _ = send.send(line("ERROR", &gone));
        } else {
            let missed = self
                .history
                .iter()
                .filter(|(version, path, _)| *version > from && *path == query.path);
            for (_, _, event) in missed.filter(|(_, _, event)| query.selects(&event["object"])) {
                let _ = send.send(line(event["type"].as_str().unwrap(), &event["object"]));
            }
            self.watchers.push((query, send));
        }
        let frames = poll_fn(move |context| {
            receive
                .poll_recv(context)
                .map(|line| line.map(|line| Ok(http_body::Frame::data(line))))
        });
        Response::new(StreamBody::new(frames).boxed_unsync())
    }
}

/// A watch event. The type stands first, as the real apiserver writes it.
fn line(kind: &str, object: &Value) -> Bytes {
    Bytes::from(format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n"))
}

fn status(code: u16) -> Response<Wire> {
    json_response(
        code,
        &json!({"kind": "Status", "status": "Failure", "message": format!("refused with {code}"), "code": code}),
    )
}

fn json_response(code: u16, body: &Value) -> Response<Wire> {
    let body = Full::new(Bytes::from(body.to_string())).map_err(|never| match never {});
    Response::builder()
        .status(code)
        .body(body.boxed_unsync())
        .unwrap()
}
