//! The apiserver's choice of whom to ask, read from the registered manifests. It covers the
//! webhooks that receive a review, and the policies' answers.

#![allow(clippy::panic, clippy::indexing_slicing)]

use std::sync::Arc;

use cel::extractors::This;
use cel::{Context, Program};
use fluxkeep_webhook::registration::Manifest;
use regex::Regex;
use serde_json::{Value, json};

/// The registered manifests as an apiserver applies them.
#[derive(Debug)]
pub struct Apiserver {
    manifests: Vec<Manifest>,
    /// True if RBAC allows everything that a policy checks.
    may: bool,
}

impl Apiserver {
    /// Registers these configurations and policies; RBAC allows everything.
    #[must_use]
    pub fn with(manifests: Vec<Manifest>) -> Self {
        Self {
            manifests,
            may: true,
        }
    }

    /// The same apiserver with RBAC denying everything that a policy checks.
    #[must_use]
    pub fn forbidding(self) -> Self {
        Self { may: false, ..self }
    }

    /// The webhooks that receive the review with this body.
    #[must_use]
    pub fn asks(&self, body: &[u8]) -> Vec<String> {
        let review = Review::read(body, self.may);
        let webhooks = self
            .manifests
            .iter()
            .flat_map(|manifest| array(&manifest.body, "/webhooks"));
        let asked = webhooks.filter(|webhook| {
            let matched = array(webhook, "/rules")
                .iter()
                .any(|rule| review.is_about(rule));
            matched && review.meets(array(webhook, "/matchConditions"), None)
        });
        asked
            .map(|webhook| text(webhook, "/name").to_owned())
            .collect()
    }

    /// The messages of the policies that refuse the review; `home` is the engine's Namespace.
    #[must_use]
    pub fn refuses(&self, body: &[u8], home: &Value) -> Vec<String> {
        let review = Review::read(body, self.may);
        let policies = self.manifests.iter().map(|manifest| &manifest.body);
        let policies = policies.filter(|body| body["kind"] == "ValidatingAdmissionPolicy");
        policies
            .filter_map(|policy| review.refused_by(policy, home))
            .collect()
    }
}

/// A review's request as CEL variables.
struct Review {
    request: Value,
    object: Value,
    old: Value,
    may: bool,
}

impl Review {
    fn read(body: &[u8], may: bool) -> Self {
        let mut review: Value = serde_json::from_slice(body).expect("a review");
        let request = review["request"].take();
        let mut request = request.as_object().expect("a request").clone();
        let [object, old] =
            ["object", "oldObject"].map(|key| request.remove(key).unwrap_or_default());
        // The apiserver omits empty fields.
        request.retain(|_, value| *value != "");
        Self {
            request: Value::Object(request),
            object,
            old,
            may,
        }
    }

    fn is_about(&self, rule: &Value) -> bool {
        let has = |key: &str, wanted: &str| array(rule, key).iter().any(|value| value == wanted);
        let resource = text(&self.request, "/resource/resource");
        let resource = match text(&self.request, "/subResource") {
            "" => resource.to_owned(),
            sub => format!("{resource}/{sub}"),
        };
        has("/operations", text(&self.request, "/operation"))
            && has("/apiGroups", text(&self.request, "/resource/group"))
            && has("/resources", &resource)
    }

    /// The policy's message, if the policy refuses.
    fn refused_by(&self, policy: &Value, home: &Value) -> Option<String> {
        let rules = array(policy, "/spec/matchConstraints/resourceRules");
        let params = policy.pointer("/spec/paramKind").map(|_| home);
        let validations = array(policy, "/spec/validations");
        let refused = rules.iter().any(|rule| self.is_about(rule))
            && self.meets(array(policy, "/spec/matchConditions"), params)
            && !self.meets(validations, params);
        let message = || self.evaluated(text(&validations[0], "/messageExpression"), params);
        refused.then(|| message().as_str().expect("a text").to_owned())
    }

    fn meets(&self, conditions: &[Value], params: Option<&Value>) -> bool {
        conditions
            .iter()
            .all(|condition| self.evaluated(text(condition, "/expression"), params) == true)
    }

    /// Panics on an error: under `Fail` an error would refuse the request.
    fn evaluated(&self, expression: &str, params: Option<&Value>) -> Value {
        let program =
            Program::compile(expression).unwrap_or_else(|error| panic!("{error}\n{expression}"));
        let mut context = Context::default();
        context.add_function("find", find).expect("a free name");
        context
            .add_function("findAll", find_all)
            .expect("a free name");
        let variables = [
            ("request", &self.request),
            ("object", &self.object),
            ("oldObject", &self.old),
        ];
        for (name, value) in variables
            .into_iter()
            .chain(params.map(|params| ("params", params)))
        {
            context.add_variable(name, value).expect("JSON");
        }
        context
            .add_variable("authorizer", self.may)
            .expect("a boolean");
        for step in ["group", "resource", "namespace", "check"] {
            let chained = |This(may): This<bool>, _: Arc<String>| may;
            context.add_function(step, chained).expect("a new name");
        }
        context
            .add_function("allowed", |This(may): This<bool>| may)
            .expect("a new name");
        context
            .add_function("timestamp", nanoseconds)
            .expect("a new name");
        let value = program.execute(&context);
        let value = value.unwrap_or_else(|error| panic!("{error}\n{expression}\n{}", self.request));
        value
            .json()
            .unwrap_or_else(|error| panic!("{error:?}\n{expression}"))
    }
}

/// Kubernetes' `find`: the first match, or an empty string.
// The interpreter passes arguments by value.
#[allow(clippy::needless_pass_by_value)]
fn find(This(text): This<Arc<String>>, pattern: Arc<String>) -> String {
    let pattern = Regex::new(&pattern).expect("a pattern");
    let found = pattern.find(&text).map_or("", |found| found.as_str());
    found.to_owned()
}

/// Kubernetes' `findAll`: all matches.
#[allow(clippy::needless_pass_by_value)]
fn find_all(This(text): This<Arc<String>>, pattern: Arc<String>) -> Arc<Vec<cel::Value>> {
    let pattern = Regex::new(&pattern).expect("a pattern");
    let texts = pattern
        .find_iter(&text)
        .map(|found| found.as_str().to_owned());
    Arc::new(
        texts
            .map(|text| cel::Value::String(Arc::new(text)))
            .collect(),
    )
}

/// A time as nanoseconds, which sort like the time.
#[allow(clippy::needless_pass_by_value)]
fn nanoseconds(text: Arc<String>) -> i64 {
    let time: jiff::Timestamp = text.parse().expect("a time");
    time.as_nanosecond()
        .try_into()
        .expect("a time of this century")
}

fn array<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    value
        .pointer(path)
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default()
}

fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value
        .pointer(path)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// A Namespace with these annotations.
#[must_use]
pub fn namespace(name: &str, annotations: &Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "annotations": annotations}})
}
