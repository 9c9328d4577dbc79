//! The availability of a controller, as its Deployment's status tells.

use serde_json::Value;

/// The reason why a live Deployment is not available. `None` if all its wanted pods are, in their
/// newest form. A Deployment that is scaled to zero is not available.
#[must_use]
pub fn unavailable(deployment: &Value) -> Option<String> {
    let number = |pointer: &str| deployment.pointer(pointer).and_then(Value::as_i64);
    let seen = number("/status/observedGeneration").unwrap_or_default();
    if seen < number("/metadata/generation").unwrap_or_default() {
        return Some("its newest change is not rolled out yet".to_owned());
    }
    let wanted = number("/spec/replicas").unwrap_or(1);
    if wanted == 0 {
        return Some("it is scaled to zero".to_owned());
    }
    let updated = number("/status/updatedReplicas").unwrap_or_default();
    let available = number("/status/availableReplicas").unwrap_or_default();
    if updated < wanted {
        return Some(format!("{updated} of {wanted} pods are updated"));
    }
    (available < wanted).then(|| format!("{available} of {wanted} pods are available"))
}
