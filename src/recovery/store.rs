//! The ConfigMaps in which servers keep points, and the choice of the one to write.
//!
//! An engine has three slots, each for a point of one or a few ConfigMaps. Their names are known
//! beforehand, so that rights on them can be granted by name.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::{Head, PointPart, Unusable};

/// The number of points that are kept.
pub const KEPT: usize = 3;
/// The most parts of a point. A point of a whole Flux has 50 kB.
pub const MOST_PARTS: usize = 4;
/// The label of a point's ConfigMaps; the value is the engine's namespace.
pub const LABEL: &str = "fluxkeep.io/recovery-of";

/// Annotation with the number of parts, on each part.
const PARTS: &str = "fluxkeep.io/recovery-parts";
/// Annotation that tells people what the point holds.
const ABOUT: &str = "fluxkeep.io/recovery-point";
/// The key in `binaryData`.
const DATA: &str = "point.gz";

/// The name of a ConfigMap. Slots and parts count from 1.
#[must_use]
pub fn name(namespace: &str, slot: usize, part: usize) -> String {
    let first = format!("fluxkeep-recovery-{namespace}-{slot}");
    if part == 1 {
        first
    } else {
        format!("{first}-{part}")
    }
}

/// The names of all ConfigMaps that an engine may have.
#[must_use]
pub fn names(namespace: &str) -> Vec<String> {
    let parts = |slot| (1..=MOST_PARTS).map(move |part| name(namespace, slot, part));
    (1..=KEPT).flat_map(parts).collect()
}

/// The ConfigMap of a part. `part` and `parts` count from 1.
#[must_use]
pub fn config_map(
    kept_in: &str,
    head: &Head,
    slot: usize,
    (part, parts): (usize, usize),
    bytes: &[u8],
) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name(&head.namespace, slot, part),
            "namespace": kept_in,
            "labels": {LABEL: head.namespace, "app.kubernetes.io/managed-by": "fluxkeep"},
            "annotations": {PARTS: parts.to_string(), ABOUT: head.to_string()},
        },
        "binaryData": {DATA: STANDARD.encode(bytes)},
    })
}

/// The bytes of a part, and the number of parts. `None` if the ConfigMap is no part of a point.
#[must_use]
pub fn part_of(config_map: &Value) -> Option<(PointPart, usize)> {
    let data = config_map.get("binaryData")?.get(DATA)?.as_str()?;
    let bytes = STANDARD.decode(data).ok()?;
    let none = Map::new();
    let annotations = config_map.pointer("/metadata/annotations");
    let annotations = annotations.and_then(Value::as_object).unwrap_or(&none);
    let parts = annotations.get(PARTS).and_then(Value::as_str);
    let parts = parts.and_then(|parts| parts.parse().ok()).unwrap_or(1);
    Some((bytes, parts))
}

/// The content of a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Slot {
    /// No ConfigMap.
    Empty,
    /// A good point.
    Good(Head),
    /// A point that cannot be used.
    Bad(Unusable),
}

/// The next step for a point of the running engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SlotDecision {
    /// The newest point has the same content.
    Current,
    /// The point belongs into this slot, from 1.
    Write(usize),
    /// The engine lacks controllers of the newest point, so it may be half removed.
    Incomplete(Vec<String>),
    /// A newer fluxkeep keeps the points.
    Newer,
}

/// Decides where a point belongs. Content that an older point has stays one point, with a new time.
/// Otherwise an empty or spoilt slot is filled first, then the oldest point gives way.
#[must_use]
pub fn decide(slots: &[Slot], head: &Head) -> SlotDecision {
    if slots
        .iter()
        .any(|slot| matches!(slot, Slot::Bad(Unusable::Newer(_))))
    {
        return SlotDecision::Newer;
    }
    let numbered = (1..).zip(slots);
    let good: Vec<(usize, &Head)> = numbered
        .clone()
        .filter_map(|(number, slot)| match slot {
            Slot::Good(head) => Some((number, head)),
            _ => None,
        })
        .collect();
    if let Some((_, newest)) = good.iter().max_by_key(|(_, head)| head.taken) {
        if newest.digest == head.digest {
            return SlotDecision::Current;
        }
        let known = newest.controllers.iter();
        let lacking: Vec<String> = known
            .filter(|controller| !head.controllers.contains(controller))
            .cloned()
            .collect();
        if !lacking.is_empty() {
            return SlotDecision::Incomplete(lacking);
        }
    }
    let same = good.iter().find(|(_, older)| older.digest == head.digest);
    let mut free = numbered.filter(|(_, slot)| !matches!(slot, Slot::Good(_)));
    let oldest = good.iter().min_by_key(|(_, head)| head.taken);
    let number = same
        .map(|(number, _)| *number)
        .or_else(|| free.next().map(|(number, _)| number))
        .or_else(|| oldest.map(|(number, _)| *number));
    SlotDecision::Write(number.unwrap_or(1))
}
