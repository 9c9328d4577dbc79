//! Compares a point with live objects, as server-side apply would: a live object has what the
//! point says, and may have more.

use std::fmt;

use serde_json::{Map, Value};

use super::{Point, key, quantity};
use crate::object::Key;

/// Most fields of an object that are told.
const MOST_FIELDS: usize = 10;
/// Most characters of a value in a message; a schema is long.
const MOST_SHOWN: usize = 60;

/// Fields that the apiserver stores only if they are neither false nor zero. It keeps others, such
/// as `allowPrivilegeEscalation: false`.
const LEFT_OUT: [&str; 16] = [
    "exclusiveMaximum",
    "exclusiveMinimum",
    "hostIPC",
    "hostNetwork",
    "hostPID",
    "minReadySeconds",
    "nullable",
    "paused",
    "preserveUnknownFields",
    "priority",
    "publishNotReadyAddresses",
    "readOnly",
    "uniqueItems",
    "x-kubernetes-embedded-resource",
    "x-kubernetes-int-or-string",
    "tty",
];
/// Fields for which an empty map is a setting.
const MEANS_ALL: [&str; 3] = ["emptyDir", "namespaceSelector", "podSelector"];

/// An object that is not as the point says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The object.
    pub object: Key,
    /// The difference.
    pub how: How,
}

/// The difference between an object of a point and the live object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum How {
    /// The cluster lacks the object.
    Missing,
    /// The point lacks the object.
    Additional,
    /// Fields differ; at most the first ten are named.
    Fields(Vec<Field>),
}

/// A field that is not as the point says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// For example `spec.template.spec.containers[manager].image`.
    pub path: String,
    /// The point's value, as JSON, shortened.
    pub wanted: String,
    /// The live value, as JSON, shortened. `None` if the field is missing.
    pub found: Option<String>,
}

/// The differences of all objects: first those of the point, in its order, then the live objects
/// that the point lacks. `live` holds objects of the engine.
#[must_use]
pub fn difference(point: &Point, live: &[Value]) -> Vec<Difference> {
    let mut differences = Vec::new();
    for wanted in point.objects() {
        let wanted_key = key(wanted);
        let found = live.iter().find(|object| key(object) == wanted_key);
        differences.extend(difference_of(wanted, found));
    }
    let wanted = point.keys();
    let additional = live
        .iter()
        .map(key)
        .filter(|object| !wanted.contains(object));
    differences.extend(additional.map(|object| Difference {
        object,
        how: How::Additional,
    }));
    differences
}

/// The difference of one object. `None` if the live object has all that the point says.
#[must_use]
pub fn difference_of(wanted: &Value, live: Option<&Value>) -> Option<Difference> {
    let object = key(wanted);
    let Some(live) = live else {
        return Some(Difference {
            object,
            how: How::Missing,
        });
    };
    let mut comparison = Comparison::default();
    comparison.values("", wanted, Some(live));
    let fields = comparison.fields;
    (!fields.is_empty()).then_some(Difference {
        object,
        how: How::Fields(fields),
    })
}

/// The fields found so far.
#[derive(Default)]
struct Comparison {
    fields: Vec<Field>,
}

impl Comparison {
    fn values(&mut self, path: &str, wanted: &Value, live: Option<&Value>) {
        if self.fields.len() >= MOST_FIELDS {
            return;
        }
        match (wanted, live) {
            (_, None) if is_left_out(path, wanted) => {}
            // Server-side apply sets no field to null.
            (Value::Null, _) => {}
            (Value::Object(wanted), Some(Value::Object(live))) => self.maps(path, wanted, live),
            (Value::Array(wanted), Some(Value::Array(live))) => self.lists(path, wanted, live),
            (wanted, Some(live)) if are_equal(path, wanted, live) => {}
            _ => self.differ(path, wanted, live),
        }
    }

    fn maps(&mut self, path: &str, wanted: &Map<String, Value>, live: &Map<String, Value>) {
        for (key, value) in wanted {
            if is_managed(path, key) {
                continue;
            }
            let below = if path.is_empty() {
                key.clone()
            } else {
                format!("{path}.{key}")
            };
            self.values(&below, value, live.get(key));
        }
    }

    fn lists(&mut self, path: &str, wanted: &[Value], live: &[Value]) {
        if let Some(item_key) = item_key(path) {
            for item in wanted {
                let name = item.get(item_key).unwrap_or(&Value::Null);
                let same = live.iter().find(|live| live.get(item_key) == Some(name));
                let shown = name
                    .as_str()
                    .map_or_else(|| name.to_string(), str::to_owned);
                self.values(&format!("{path}[{shown}]"), item, same);
            }
            return;
        }
        if wanted.len() != live.len() {
            let (wanted, live) = (Value::from(wanted), Value::from(live));
            self.differ(path, &wanted, Some(&live));
            return;
        }
        for (place, (wanted, live)) in wanted.iter().zip(live).enumerate() {
            self.values(&format!("{path}[{place}]"), wanted, Some(live));
        }
    }

    fn differ(&mut self, path: &str, wanted: &Value, live: Option<&Value>) {
        self.fields.push(Field {
            path: path.to_owned(),
            wanted: shown(wanted),
            found: live.map(shown),
        });
    }
}

/// The key by which server-side apply merges the items of a list. `None` for a list that is
/// replaced as a whole.
fn item_key(path: &str) -> Option<&'static str> {
    let last = path.rsplit('.').next().unwrap_or_default();
    let is_in_pod = path.starts_with("spec.template.spec.");
    match last {
        "containers" | "initContainers" | "volumes" | "env" | "imagePullSecrets" if is_in_pod => {
            Some("name")
        }
        "volumeMounts" if is_in_pod => Some("mountPath"),
        "ports" if is_in_pod => Some("containerPort"),
        "ports" if path == "spec.ports" => Some("port"),
        "imagePullSecrets" if path == last => Some("name"),
        _ => None,
    }
}

/// True for fields that the apiserver or a controller keeps.
fn is_managed(path: &str, key: &str) -> bool {
    match path {
        "" => key == "status",
        "metadata" => matches!(
            key,
            "creationTimestamp" | "generation" | "managedFields" | "resourceVersion" | "uid"
        ),
        _ => key == "caBundle",
    }
}

/// True for a value that the apiserver leaves out when it stores an object.
fn is_left_out(path: &str, value: &Value) -> bool {
    let last = path.rsplit('.').next().unwrap_or_default();
    match value {
        Value::Null => true,
        Value::Bool(false) => LEFT_OUT.contains(&last),
        Value::Number(number) => number.as_f64() == Some(0.0) && LEFT_OUT.contains(&last),
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty() && !MEANS_ALL.contains(&last),
        Value::Bool(true) => false,
    }
}

fn are_equal(path: &str, wanted: &Value, live: &Value) -> bool {
    if wanted == live {
        return true;
    }
    if let (Value::Number(wanted), Value::Number(live)) = (wanted, live) {
        return wanted.as_f64() == live.as_f64();
    }
    let mut parents = path.rsplit('.').skip(1);
    let is_quantity = parents
        .next()
        .is_some_and(|parent| matches!(parent, "limits" | "requests" | "hard"));
    is_quantity && quantity::are_equal(&plain(wanted), &plain(live))
}

/// A number or text without quotes.
fn plain(value: &Value) -> String {
    let text = value.as_str().map(str::to_owned);
    text.unwrap_or_else(|| value.to_string())
}

fn shown(value: &Value) -> String {
    let text = value.to_string();
    if text.len() <= MOST_SHOWN {
        return text;
    }
    let end = text.floor_char_boundary(MOST_SHOWN);
    format!("{}…", text.get(..end).unwrap_or_default())
}

impl fmt::Display for Difference {
    /// One line a field.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let object = &self.object;
        match &self.how {
            How::Missing => write!(out, "{object}: missing in the cluster"),
            How::Additional => write!(out, "{object}: not in the recovery point"),
            How::Fields(fields) => {
                for (place, field) in fields.iter().enumerate() {
                    let end = if place == 0 { "" } else { "\n" };
                    write!(out, "{end}{object}: {field}")?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, wanted) = (&self.path, &self.wanted);
        match &self.found {
            Some(found) => write!(out, "{path} is {found}, the recovery point has {wanted}"),
            None => write!(out, "{path} is missing, the recovery point has {wanted}"),
        }
    }
}
