//! The judgement before a HelmRelease is resumed: the same as at the gate of release records.

use jiff::Timestamp;

use super::Record;
use super::release::LiveRelease;
use crate::case::facts::Facts;
use crate::case::policy::Policy;
use crate::case::request::{Door, Operation, Release, Request, Subject, Writer};
use crate::case::verdict::Verdict;
use crate::judge::judge;
use crate::object::Object;

/// The release that helm-controller would install next.
#[derive(Debug, Clone, Default)]
pub struct NextInstall {
    /// The objects as Helm would store them.
    pub objects: Vec<Object>,
    /// The origin of these objects, for people.
    pub source: String,
}

/// The release that helm-controller would install next, as the newest record tells. `None` if the
/// HelmRelease names another chart version than the record, or a range: the record then tells
/// nothing of the next one.
#[must_use]
pub fn next_install(release: &LiveRelease, records: &[Record]) -> Option<NextInstall> {
    let wanted = release.chart_version.as_ref()?;
    let of_release = records.iter().filter(|record| {
        record.release == release.installs && record.stored_in == release.stores_in
    });
    let newest = of_release.max_by_key(|record| record.revision)?;
    let chart = newest.chart.as_ref()?;
    if chart.version != *wanted {
        return None;
    }
    Some(NextInstall {
        objects: newest.objects.clone()?,
        source: format!(
            "chart {} {}, as {} has it",
            chart.name, chart.version, newest.name
        ),
    })
}

impl NextInstall {
    /// Judges the install as the gate of release records would.
    #[must_use]
    pub fn judge(
        &self,
        release: &LiveRelease,
        facts: &Facts,
        policy: &Policy,
        now: Timestamp,
    ) -> Verdict {
        let subject = Subject::Release(Release {
            owner: Some(release.installs.clone()),
            revision: None,
            stored_in: Some(release.stores_in.clone()),
            objects: self.objects.clone(),
        });
        let request = Request {
            door: Door::ReleaseRecord,
            operation: Operation::Create,
            writer: Writer::default(),
            dry_run: false,
            subject,
            gaps: Vec::new(),
        };
        judge(&request, facts, policy, now)
    }
}
