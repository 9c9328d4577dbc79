//! Resumes HelmReleases whose next install the gate of release records would let pass.

use std::path::Path;

use anyhow::Context;
use fluxkeep::case::facts::Facts;
use fluxkeep::case::policy::Policy;
use fluxkeep::case::verdict::Decision;
use fluxkeep::render::{Format, render};
use fluxkeep::rescue::{LiveRelease, NextInstall, Record, next_install};
use fluxkeep_cluster::documents;
use jiff::Timestamp;

use super::carry_out::Work;
use super::undo;
use crate::Output;

/// Resumes the HelmReleases; false if one of them stays suspended.
pub(super) async fn all(
    work: &Work<'_>,
    facts: &Facts,
    chart: Option<&Path>,
    output: &mut Output,
) -> anyhow::Result<bool> {
    let mut records = work.records.to_vec();
    records.extend(undo::saved(work.undo_file)?.iter().filter_map(Record::of));
    let mut all = true;
    for release in work.suspended() {
        let Some(next) = next(release, &records, chart)? else {
            all = false;
            output.note(&unknown(release));
            continue;
        };
        let policy = Policy {
            engine: work.look.engine.clone(),
            ..Policy::default()
        };
        let verdict = next.judge(release, facts, &policy, Timestamp::now());
        if verdict.decision() == Decision::Refuse {
            all = false;
            output.text(&render(&verdict, Format::Text, output.colour()))?;
            output.note(&format!(
                "{} stays suspended: its next install ({}) would be refused",
                release.key, next.source
            ));
            continue;
        }
        work.suspend(&release.key, false).await?;
        output.text(&format!("{}: resumed ({})\n", release.key, next.source))?;
    }
    Ok(all)
}

fn next(
    release: &LiveRelease,
    records: &[Record],
    chart: Option<&Path>,
) -> anyhow::Result<Option<NextInstall>> {
    let Some(path) = chart else {
        return Ok(next_install(release, records));
    };
    let objects = documents(path, Some(&release.installs.namespace));
    Ok(Some(NextInstall {
        objects: objects.context("loading the chart's manifest")?,
        source: path.display().to_string(),
    }))
}

fn unknown(release: &LiveRelease) -> String {
    format!(
        "{} stays suspended: no record tells what it would install next. Render its chart with its values \
         (helm template {} CHART -n {} > chart.yaml), and add --chart-manifest chart.yaml",
        release.key, release.installs.name, release.installs.namespace
    )
}
