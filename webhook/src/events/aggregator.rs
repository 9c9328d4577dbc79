//! Aggregates repeated notes into one Event with a count.

use std::collections::BTreeMap;

use fluxkeep::case::finding::ObjectRef;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{Event, EventSource, ObjectReference};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};

use super::plan::EventNote;

/// Period in which repeated notes share an Event: the apiserver keeps an Event for an hour.
const ONE: SignedDuration = SignedDuration::from_mins(50);
/// Interval between writes of one Event, however often the note repeats.
const EVERY: SignedDuration = SignedDuration::from_secs(10);
/// Capacity in distinct notes: deleting a whole Flux touches about 50 objects.
const MOST: usize = 512;
/// Characters of an object's name in an Event's name, whose limit is 253.
const LONGEST_NAME: usize = 200;

/// All notes by their key.
#[derive(Debug, Default)]
pub(super) struct Aggregator {
    notes: BTreeMap<Key, Note>,
}

/// Notes with equal keys are the same.
pub(super) type Key = (ObjectRef, &'static str);

#[derive(Debug)]
struct Note {
    message: String,
    first: Timestamp,
    last: Timestamp,
    count: i32,
    /// The time of the last write.
    written: Option<Timestamp>,
    /// True if the note repeated since the last write.
    is_due: bool,
}

impl Aggregator {
    /// Records a note; false if the capacity is exhausted.
    #[must_use]
    pub(super) fn note(&mut self, told: EventNote, now: Timestamp) -> bool {
        self.notes
            .retain(|_, note| note.is_due || now.duration_since(note.first) < ONE);
        let key = (told.about, told.reason);
        if self.notes.len() >= MOST && !self.notes.contains_key(&key) {
            return false;
        }
        let new = || Note {
            message: String::new(),
            first: now,
            last: now,
            count: 0,
            written: None,
            is_due: true,
        };
        let note = self.notes.entry(key).or_insert_with(new);
        (note.message, note.last, note.is_due) = (told.message, now, true);
        note.count = note.count.saturating_add(1);
        true
    }

    /// The Events to write now, at most `most`. The rest waits.
    pub(super) fn due(&mut self, now: Timestamp, most: usize) -> Vec<(Key, Event)> {
        let is_due = |note: &Note| {
            note.is_due
                && note
                    .written
                    .is_none_or(|written| now.duration_since(written) >= EVERY)
        };
        let due = self
            .notes
            .iter_mut()
            .filter(|(_, note)| is_due(note))
            .take(most);
        due.map(|(key, note)| {
            (note.written, note.is_due) = (Some(now), false);
            (key.clone(), event(key, note))
        })
        .collect()
    }

    /// Marks a note for another write after a failed one.
    pub(super) fn again(&mut self, key: &Key) {
        if let Some(note) = self.notes.get_mut(key) {
            note.is_due = true;
        }
    }
}

/// The Event in the form that `kubectl describe`, `kubectl get events` and `flux events` read.
fn event((about, reason): &Key, note: &Note) -> Event {
    let start: String = about.name.chars().take(LONGEST_NAME).collect();
    Event {
        metadata: ObjectMeta {
            name: Some(format!("{start}.{:x}", note.first.as_nanosecond())),
            // Events about cluster-scoped objects are kept in `default`.
            namespace: Some(
                about
                    .namespace
                    .clone()
                    .unwrap_or_else(|| "default".to_owned()),
            ),
            ..ObjectMeta::default()
        },
        involved_object: ObjectReference {
            api_version: Some(about.api_version.clone()),
            kind: Some(about.kind.clone()),
            namespace: about.namespace.clone(),
            name: Some(about.name.clone()),
            ..ObjectReference::default()
        },
        type_: Some("Warning".to_owned()),
        reason: Some((*reason).to_owned()),
        message: Some(note.message.clone()),
        first_timestamp: Some(Time(note.first)),
        last_timestamp: Some(Time(note.last)),
        count: Some(note.count),
        source: Some(EventSource {
            component: Some("fluxkeep".to_owned()),
            host: None,
        }),
        ..Event::default()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn told(name: &str, message: &str) -> EventNote {
        let about = ObjectRef {
            api_version: "apps/v1".to_owned(),
            kind: "Deployment".to_owned(),
            namespace: Some("flux-system".to_owned()),
            name: name.to_owned(),
        };
        EventNote {
            about,
            reason: "DeletionRefused",
            message: message.to_owned(),
        }
    }

    fn due(aggregator: &mut Aggregator, seconds: i64) -> Vec<(String, i32, String)> {
        let shown = |(_, event): (Key, Event)| {
            (
                event.metadata.name.unwrap(),
                event.count.unwrap(),
                event.message.unwrap(),
            )
        };
        aggregator
            .due(at(seconds), 100)
            .into_iter()
            .map(shown)
            .collect()
    }

    #[test]
    fn what_repeats_is_one_event_with_a_count_and_the_newest_text() {
        let mut aggregator = Aggregator::default();
        assert!(aggregator.note(told("a", "x"), at(0)));
        let first = due(&mut aggregator, 0);
        let name = first.first().unwrap().0.clone();
        assert_eq!(first, [(name.clone(), 1, "x".to_owned())]);
        for second in 1..=4 {
            assert!(aggregator.note(told("a", "y"), at(second)));
            assert_eq!(due(&mut aggregator, second), [], "not within ten seconds");
        }
        assert_eq!(due(&mut aggregator, 10), [(name, 5, "y".to_owned())]);
        assert_eq!(due(&mut aggregator, 60), [], "nothing happened since");
    }

    #[test]
    fn a_new_event_begins_before_the_apiserver_forgets_the_old_one() {
        let mut aggregator = Aggregator::default();
        let mut names = Vec::new();
        for minutes in [0, 49, 51] {
            assert!(aggregator.note(told("a", "x"), at(minutes * 60)));
            names.extend(
                due(&mut aggregator, minutes * 60)
                    .into_iter()
                    .map(|(name, count, _)| (name, count)),
            );
        }
        assert_eq!(
            names.iter().map(|(_, count)| *count).collect::<Vec<_>>(),
            [1, 2, 1]
        );
        assert!(
            names.first().unwrap().0 != names.last().unwrap().0,
            "{names:?}"
        );
    }

    #[test]
    fn only_so_many_are_held_and_written_at_once_and_the_rest_waits() {
        let mut aggregator = Aggregator::default();
        for number in 0..MOST {
            assert!(aggregator.note(told(&format!("a-{number}"), "x"), at(0)));
        }
        assert!(!aggregator.note(told("one-more", "x"), at(0)));
        assert!(
            aggregator.note(told("a-0", "x"), at(0)),
            "what is known is counted"
        );
        assert_eq!(aggregator.due(at(0), 20).len(), 20);
        assert_eq!(aggregator.due(at(1), MOST).len(), MOST - 20);
    }

    #[test]
    fn what_could_not_be_written_is_written_again_after_a_while() {
        let mut aggregator = Aggregator::default();
        assert!(aggregator.note(told("a", "x"), at(0)));
        let (key, _) = aggregator.due(at(0), 1).remove(0);
        aggregator.again(&key);
        assert_eq!(due(&mut aggregator, 5), []);
        assert_eq!(due(&mut aggregator, 10).len(), 1);
    }
}
