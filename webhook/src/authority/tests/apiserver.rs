//! A fake apiserver with object versions, conflicts and a clock of its own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use jiff::Timestamp;
use k8s_openapi::ByteString;
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use tower::service_fn;

use crate::authority::api::MERGE;
use crate::authority::{AuthorityStore, REGISTRATION};

pub(super) const SECRETS: &str = "/api/v1/namespaces/fluxkeep/secrets";
pub(super) const SECRET: &str = "/api/v1/namespaces/fluxkeep/secrets/authority";
const CONFIGURATIONS: &str = "/apis/admissionregistration.k8s.io/v1";

/// A request: method, path without the query, body.
type Asked<'a> = (&'a Method, &'a str, &'a Value);

struct Inside {
    objects: BTreeMap<String, Value>,
    version: u64,
    clock: SystemTime,
    /// Answers matching requests with just a status code.
    refusing: fn(Asked<'_>) -> Option<u16>,
    writes: Vec<String>,
}

/// The fake apiserver; clones share its state.
#[derive(Clone)]
pub(super) struct Apiserver(Arc<Mutex<Inside>>);

impl Apiserver {
    /// Holds both registrations with two webhooks each, and no Secret.
    pub(super) fn new() -> Self {
        let clock = SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 20_000);
        let (objects, writes) = (BTreeMap::new(), Vec::new());
        let apiserver = Self(Arc::new(Mutex::new(Inside {
            objects,
            version: 0,
            clock,
            refusing: |_| None,
            writes,
        })));
        apiserver.register();
        apiserver
    }

    /// Overwrites both registrations, without bundles.
    pub(super) fn register(&self) {
        for plural in [
            "mutatingwebhookconfigurations",
            "validatingwebhookconfigurations",
        ] {
            let webhook = |name| json!({"name": name, "clientConfig": {"url": "https://here"}, "sideEffects": "None"});
            let webhooks = ["one.fluxkeep.io", "two.fluxkeep.io"].map(webhook);
            self.put(
                &registration(plural),
                json!({"metadata": {"name": REGISTRATION}, "webhooks": webhooks}),
            );
        }
    }

    /// Writes an object, overwriting any former one.
    pub(super) fn put(&self, path: &str, object: Value) {
        self.0.lock().unwrap().write(path, object);
    }

    pub(super) fn delete(&self, path: &str) {
        self.0.lock().unwrap().objects.remove(path);
    }

    pub(super) fn object(&self, path: &str) -> Value {
        self.0
            .lock()
            .unwrap()
            .objects
            .get(path)
            .cloned()
            .unwrap_or_default()
    }

    /// Sets the apiserver's clock.
    pub(super) fn set(&self, clock: SystemTime) {
        self.0.lock().unwrap().clock = clock;
    }

    pub(super) fn pass(&self, time: Duration) {
        self.set(self.now() + time);
    }

    pub(super) fn now(&self) -> SystemTime {
        self.0.lock().unwrap().clock
    }

    pub(super) fn refuse(&self, refusing: fn(Asked<'_>) -> Option<u16>) {
        self.0.lock().unwrap().refusing = refusing;
    }

    /// The writes since the last call, as method and path.
    pub(super) fn writes(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap().writes)
    }

    /// The trusted bundles, one per webhook.
    pub(super) fn bundles(&self) -> Vec<String> {
        let objects = [
            "mutatingwebhookconfigurations",
            "validatingwebhookconfigurations",
        ];
        let objects = objects.map(|plural| self.object(&registration(plural)));
        let webhooks = objects
            .iter()
            .flat_map(|object| object["webhooks"].as_array().into_iter().flatten());
        let bundle = |webhook: &Value| {
            let held =
                serde_json::from_value::<ByteString>(webhook["clientConfig"]["caBundle"].clone());
            held.map(|held| String::from_utf8(held.0).unwrap())
                .unwrap_or_default()
        };
        webhooks.map(bundle).collect()
    }

    pub(super) fn place(&self) -> AuthorityStore {
        let apiserver = self.clone();
        let service = service_fn(move |request: Request<Body>| {
            let apiserver = apiserver.clone();
            async move { Ok::<_, std::io::Error>(apiserver.answer(request).await) }
        });
        AuthorityStore::new(
            Client::new(service, "default"),
            "fluxkeep/authority".parse().unwrap(),
            REGISTRATION,
        )
    }

    async fn answer(&self, request: Request<Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        assert!(head.method != Method::PATCH || head.headers["content-type"] == MERGE);
        let body = body.collect().await.unwrap().to_bytes();
        let body = serde_json::from_slice(&body).unwrap_or_default();
        // Lets other tasks run before the request arrives.
        tokio::task::yield_now().await;
        let mut inside = self.0.lock().unwrap();
        let date = Timestamp::try_from(inside.clock).unwrap();
        let (status, answer) = match inside.answer((&head.method, head.uri.path(), &body)) {
            Ok(answer) => (StatusCode::OK, answer),
            Err(code) => {
                let message = format!("{} {} is refused", head.method, head.uri.path());
                (
                    StatusCode::from_u16(code).unwrap(),
                    json!({"kind": "Status", "message": message, "code": code}),
                )
            }
        };
        let date = jiff::fmt::rfc2822::DateTimePrinter::new()
            .timestamp_to_rfc9110_string(&date)
            .unwrap();
        let response = Response::builder().status(status).header("date", date);
        response
            .body(Body::from(answer.to_string().into_bytes()))
            .unwrap()
    }
}

impl Inside {
    fn answer(&mut self, asked: Asked<'_>) -> Result<Value, u16> {
        let (method, path, body) = asked;
        if let Some(code) = (self.refusing)(asked) {
            return Err(code);
        }
        let live = self.objects.get(path).cloned();
        if *method == Method::GET {
            return live.ok_or(404);
        }
        let written = match (method.as_str(), live) {
            ("POST", _) => self.create(path, body)?,
            (_, None) => return Err(404),
            (_, Some(live))
                if live["metadata"]["resourceVersion"] != body["metadata"]["resourceVersion"] =>
            {
                return Err(409);
            }
            ("PUT", _) => self.write(path, body.clone()),
            (_, Some(live)) => self.merge(path, live, body)?,
        };
        self.writes.push(format!("{method} {path}"));
        Ok(written)
    }

    fn create(&mut self, collection: &str, object: &Value) -> Result<Value, u16> {
        let path = format!(
            "{collection}/{}",
            object["metadata"]["name"].as_str().unwrap()
        );
        if self.objects.contains_key(&path) {
            Err(409)
        } else {
            Ok(self.write(&path, object.clone()))
        }
    }

    /// A strategic merge of bundles into existing webhooks. A new webhook would lack required
    /// fields.
    fn merge(&mut self, path: &str, mut live: Value, applied: &Value) -> Result<Value, u16> {
        for entry in applied["webhooks"].as_array().unwrap() {
            let webhooks = live["webhooks"].as_array_mut().unwrap();
            let webhook = webhooks
                .iter_mut()
                .find(|webhook| webhook["name"] == entry["name"])
                .ok_or(422_u16)?;
            webhook["clientConfig"]["caBundle"] = entry["clientConfig"]["caBundle"].clone();
        }
        Ok(self.write(path, live))
    }

    fn write(&mut self, path: &str, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        if let Some(texts) = object.as_object_mut().unwrap().remove("stringData") {
            let texts = texts.as_object().unwrap().clone();
            let bytes = |text: Value| json!(ByteString(text.as_str().unwrap().as_bytes().to_vec()));
            object["data"] = texts
                .into_iter()
                .map(|(name, text)| (name, bytes(text)))
                .collect();
        }
        self.objects.insert(path.to_owned(), object.clone());
        object
    }
}

pub(super) fn registration(plural: &str) -> String {
    format!("{CONFIGURATIONS}/{plural}/{REGISTRATION}")
}
