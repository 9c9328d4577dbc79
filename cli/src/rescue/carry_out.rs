//! Carries the plan out, step by step.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use fluxkeep::object::Key;
use fluxkeep::recovery::{Point, Stage, key, stage, unavailable};
use fluxkeep::rescue::{Action, LiveRelease, Plan, Record, Step, record_key};
use fluxkeep_cluster::recovery::{read, target};
use fluxkeep_cluster::write::{Target, Writer, patiently, resource};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::look::Look;
use super::undo;
use crate::Output;

/// Interval between two looks at an object that is awaited.
const EVERY: Duration = Duration::from_millis(500);
/// A CRD is established within a second.
const ESTABLISHED: Duration = Duration::from_mins(1);

/// The work of a rescue.
pub(super) struct Work<'a> {
    pub(super) look: &'a Look<'a>,
    pub(super) plan: &'a Plan,
    pub(super) point: Option<&'a Point>,
    pub(super) records: &'a [Record],
    pub(super) undo_file: &'a Path,
    pub(super) timeout: Duration,
}

impl Work<'_> {
    fn writer(&self) -> &Writer {
        self.look.writer
    }

    /// Suspends, applies, waits, and deletes records, in this order.
    pub(super) async fn all(&self, output: &mut Output) -> anyhow::Result<()> {
        for step in self.plan.of(&[Action::Suspend]) {
            self.suspend(&step.object, true).await?;
            output.text(&format!("{}: suspended\n", step.object))?;
        }
        self.apply(output).await?;
        if let Some(point) = self.point {
            self.wait(point, output).await?;
        }
        self.delete_records(output).await
    }

    /// Suspends or resumes a HelmRelease.
    pub(super) async fn suspend(&self, release: &Key, suspend: bool) -> anyhow::Result<()> {
        let target = self.look.helm_release(release);
        let target = target.with_context(|| format!("{release}: its CRD is gone"))?;
        let value = if suspend { json!(true) } else { Value::Null };
        let patch = json!({"spec": {"suspend": value}});
        patiently(async || self.writer().merge(&target, &patch).await).await?;
        Ok(())
    }

    /// The HelmReleases that are suspended now.
    pub(super) fn suspended(&self) -> impl Iterator<Item = &LiveRelease> {
        let releases = self.plan.releases.iter();
        releases.filter(|release| {
            let mut steps = self.plan.of(&[Action::Suspend]);
            release.is_suspended || steps.any(|step| step.object == release.key)
        })
    }

    async fn apply(&self, output: &mut Output) -> anyhow::Result<()> {
        let objects = self.point.map(Point::objects).unwrap_or_default();
        let steps: Vec<&Step> = self.plan.of(&[Action::Create, Action::Change]).collect();
        let mut definitions = Vec::new();
        for (count, step) in steps.iter().enumerate() {
            let object = &step.object;
            if stage(object) == Stage::Rest {
                self.established(&std::mem::take(&mut definitions)).await?;
            }
            let wanted = objects.iter().find(|wanted| key(wanted) == *object);
            let (Some(wanted), Some(target)) = (wanted, target(object)) else {
                bail!("{object} is no part of the recovery point");
            };
            let written =
                patiently(async || self.writer().apply_metadata(&target, wanted).await).await;
            written.with_context(|| {
                let all = steps.len();
                format!("after {count} of {all} objects (run the command again to go on)")
            })?;
            let done = if step.action == Action::Create {
                "created"
            } else {
                "corrected"
            };
            output.text(&format!("{object}: {done}\n"))?;
            if stage(object) == Stage::Definitions {
                definitions.push(object.clone());
            }
        }
        self.established(&definitions).await
    }

    /// Waits until the apiserver serves these CRDs.
    async fn established(&self, definitions: &[Key]) -> anyhow::Result<()> {
        let began = Instant::now();
        for definition in definitions {
            while !is_established(read(self.writer(), definition).await?.as_ref()) {
                if began.elapsed() > ESTABLISHED {
                    bail!(
                        "{definition} is not established; see: kubectl describe crd {}",
                        definition.name
                    );
                }
                sleep(EVERY).await;
            }
        }
        Ok(())
    }

    /// Waits until all controllers of the point are available.
    async fn wait(&self, point: &Point, output: &mut Output) -> anyhow::Result<()> {
        let began = Instant::now();
        let mut told = Vec::new();
        loop {
            let waiting = self.waiting(point).await?;
            if waiting.is_empty() {
                return Ok(());
            }
            if told.is_empty() {
                output.note(
                    "waiting for the controllers; a new pod may first wait 40 s for the lease of a dead one",
                );
            }
            if waiting != told {
                output.note(&waiting.join("; "));
                told = waiting;
            }
            if began.elapsed() > self.timeout {
                let home = &point.head.namespace;
                return Err(anyhow!(
                    "not available after {} s: {}. See `kubectl get pods -n {home}`; then run the command again",
                    self.timeout.as_secs(),
                    told.join("; ")
                ));
            }
            sleep(EVERY).await;
        }
    }

    /// The controllers that are not available, each with the reason.
    async fn waiting(&self, point: &Point) -> anyhow::Result<Vec<String>> {
        let mut waiting = Vec::new();
        for wanted in point.objects() {
            let object = key(wanted);
            let replicas = wanted.pointer("/spec/replicas").and_then(Value::as_i64);
            if object.kind != "Deployment" || replicas == Some(0) {
                continue;
            }
            let live = patiently(async || read(self.writer(), &object).await).await?;
            let why = match &live {
                Some(live) => unavailable(live),
                None => Some("it is gone again".to_owned()),
            };
            waiting.extend(why.map(|why| format!("{}: {why}", object.name)));
        }
        Ok(waiting)
    }

    /// Saves the records, then deletes them.
    async fn delete_records(&self, output: &mut Output) -> anyhow::Result<()> {
        let steps: Vec<&Step> = self.plan.of(&[Action::DeleteRecord]).collect();
        let is_deleted = |record: &&Record| {
            let object = record_key(record);
            steps.iter().any(|step| step.object == object)
        };
        let records: Vec<&Record> = self.records.iter().filter(is_deleted).collect();
        if records.is_empty() {
            return Ok(());
        }
        let file = self.undo_file;
        undo::keep(file, &records)?;
        output.text(&format!(
            "saved {} release records to {}; kubectl create -f {} brings them back\n",
            records.len(),
            file.display(),
            file.display()
        ))?;
        for record in records {
            let object = record_key(record);
            let target = Target {
                resource: resource("", "v1", "Secret", "secrets"),
                namespace: object.namespace.clone(),
                name: object.name.clone(),
            };
            patiently(async || self.writer().delete(&target).await).await?;
            output.text(&format!("{object}: deleted, it was {}\n", record.status))?;
        }
        Ok(())
    }
}

fn is_established(definition: Option<&Value>) -> bool {
    let conditions = definition
        .and_then(|live| live.pointer("/status/conditions"))
        .and_then(Value::as_array);
    conditions.into_iter().flatten().any(|condition| {
        let is = |field: &str, value: &str| condition.get(field).is_some_and(|is| is == value);
        is("type", "Established") && is("status", "True")
    })
}
