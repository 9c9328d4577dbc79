//! Certain repairs: pins move to the newest release that their group names, and findings with a fix
//! of their own are edited.
//!
//! Repairs converge: a second run changes nothing.

use std::sync::Arc;

use jiff::Timestamp;
use semver::Version;

use super::plan::{Step, Target};
use super::settings::Settings;
use super::{File, PinRole, Repository, Text, read_with};
use crate::case::facts::Facts;
use crate::case::finding::Finding;
use crate::case::fix::Edit;
use crate::case::policy::Policy;
use crate::case::request::{Door, Operation, Request, Subject, Writer};
use crate::case::verdict::Verdict;
use crate::judge::judge;
use crate::yaml::edit::{Splice, splice};

/// Most rounds of edits: each moves one group's pins, and an edit may uncover another finding, such as a field of a newer version.
const MOST_ROUNDS: usize = 20;
/// The rules whose findings end when the pins of a group agree.
const OF_PINS: [&str; 2] = ["pin-mismatch", "pin-mirror-stale"];

/// The repaired files and the steps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Repair {
    /// All files, as the repair leaves them.
    pub files: Vec<File>,
    /// The paths of the files that change.
    pub changed: Vec<String>,
    /// The changes in words.
    pub edited: Vec<Step>,
    /// The steps left to a person, each with its command.
    pub left: Vec<Step>,
}

/// Repairs the findings of a repository that no comment allows and that a change brings.
#[must_use]
pub fn repair(
    files: Vec<File>,
    base: Option<&Arc<Repository>>,
    policy: &Policy,
    settings: &Settings,
    now: Timestamp,
) -> Repair {
    let mut repair = Repair {
        files,
        ..Repair::default()
    };
    for _ in 0..MOST_ROUNDS {
        let catalogue = &policy.engine.catalogue;
        let mut repository = read_with(repair.files.clone(), catalogue, settings);
        repository.base = base.cloned();
        let repository = Arc::new(repository);
        let verdict = judged(repository.clone(), policy, now);
        let before = repair.edited.len();
        if !repair.move_pins(&repository, &verdict, policy) {
            repair.edit(&repository, &verdict);
        }
        if repair.edited.len() == before {
            break;
        }
    }
    repair.edited.sort();
    repair.left.sort();
    repair.left.dedup();
    repair.changed.sort();
    repair.changed.dedup();
    repair
}

/// The verdict about a repository.
#[must_use]
pub fn judged(repository: Arc<Repository>, policy: &Policy, now: Timestamp) -> Verdict {
    let request = Request {
        door: Door::Check,
        operation: Operation::Update,
        writer: Writer::default(),
        dry_run: false,
        subject: Subject::Repository(repository),
        gaps: Vec::new(),
    };
    judge(&request, &Facts::default(), policy, now)
}

impl Repair {
    /// Moves the pins of the first group whose pins disagree. False if nothing moves.
    fn move_pins(&mut self, repository: &Repository, verdict: &Verdict, policy: &Policy) -> bool {
        let findings = verdict.standing().filter(|one| OF_PINS.contains(&one.rule));
        let findings: Vec<&Finding> = findings.collect();
        for (number, group) in repository.groups.iter().enumerate() {
            let is_meant = findings.iter().any(|one| repository.is_about(one, number));
            let Some(newest) = repository.newest(number).filter(|_| is_meant) else {
                continue;
            };
            let name = (repository.groups.len() > 1).then_some(group.name.as_str());
            match repository.plan(&Target::of(newest), name, &policy.engine.catalogue) {
                Ok(plan) => {
                    let changed = repository.changed(&plan);
                    self.left.extend(plan.left);
                    if !changed.is_empty() {
                        self.edited.extend(plan.edited);
                        for file in &changed {
                            self.replace(file);
                        }
                        return true;
                    }
                }
                Err(refused) => self.left.push(Step {
                    file: group.name.clone(),
                    line: 0,
                    what: format!("move to Flux {newest}: {refused}"),
                }),
            }
        }
        false
    }

    /// Applies the findings' own fixes, file by file.
    fn edit(&mut self, repository: &Repository, verdict: &Verdict) {
        for text in &repository.texts {
            let fixes = verdict
                .standing()
                .filter_map(|finding| finding.fix.as_ref());
            let mut edits: Vec<(&Edit, &str)> = Vec::new();
            for fix in fixes {
                let own = fix.edits.iter().filter(|edit| edit.start.file == text.path);
                edits.extend(own.map(|edit| (edit, fix.description.as_str())));
            }
            edits.sort_by_key(|(edit, _)| (edit.bytes.start, edit.bytes.end));
            self.apply(text, &edits);
        }
    }

    /// Applies edits in text order; one that overlaps another waits for the next round.
    fn apply(&mut self, text: &Text, edits: &[(&Edit, &str)]) {
        let mut splices: Vec<Splice> = Vec::new();
        for (edit, description) in edits {
            let last = splices.last().map_or(0, |splice| splice.range.end);
            if edit.bytes.start < last || text.slice(edit.bytes.clone()) == edit.text {
                continue;
            }
            splices.push(Splice {
                range: edit.bytes.clone(),
                text: edit.text.clone(),
            });
            self.edited.push(Step {
                file: text.path.clone(),
                line: edit.start.line,
                what: (*description).to_owned(),
            });
        }
        if !splices.is_empty() {
            let bytes = splice(&text.text, &splices).into_bytes();
            let path = text.path.clone();
            self.replace(&File { path, bytes });
        }
    }

    fn replace(&mut self, new: &File) {
        self.changed.push(new.path.clone());
        for file in self.files.iter_mut().filter(|file| file.path == new.path) {
            file.bytes.clone_from(&new.bytes);
        }
    }
}

impl Repository {
    /// True if a place of a finding is a pin of a group.
    fn is_about(&self, finding: &Finding, group: usize) -> bool {
        let related = finding.related.iter().map(|related| &related.source);
        let places: Vec<_> = finding.source.iter().chain(related).collect();
        self.of_group(group).any(|pin| {
            let own = self.place(pin);
            own.is_some_and(|own| places.contains(&&own))
        })
    }

    /// The newest release that a pin of a group installs.
    fn newest(&self, group: usize) -> Option<&Version> {
        let installs = self
            .of_group(group)
            .filter(|pin| pin.installs_flux() && pin.role == PinRole::Installs);
        installs.filter_map(|pin| pin.comes.only()).max()
    }
}
