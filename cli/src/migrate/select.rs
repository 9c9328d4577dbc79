//! The CRDs to migrate, each with the way.

use std::path::PathBuf;

use anyhow::{Context, bail};
use fluxkeep::crd::migration::{MigrationPlan, plan};
use fluxkeep::crd::{Definition, dropped};
use fluxkeep::flux::engine::is_flux_group;
use fluxkeep_cluster::documents;
use fluxkeep_cluster::write::{WriteError, Writer, patiently};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::Api;
use kube::api::ListParams;

use super::definition::{self, Live};

/// CRD names per page.
const PAGE: u32 = 500;

/// The choice of CRDs. An empty choice means Flux's CRDs.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Choice {
    /// CRD to migrate, for example buckets.source.toolkit.fluxcd.io; repeatable.
    #[arg(long, value_name = "NAME")]
    crd: Vec<String>,
    /// API group whose CRDs are migrated; repeatable. Without --crd, --group and --for, Flux's
    /// groups.
    #[arg(long, value_name = "GROUP")]
    group: Vec<String>,
    /// Rendered manifest whose CRDs the apiserver would refuse now; repeatable.
    #[arg(long = "for", value_name = "MANIFEST")]
    manifest: Vec<PathBuf>,
    /// Version that becomes the storage version first; needs --crd or --for.
    #[arg(long, value_name = "VERSION")]
    storage: Option<String>,
}

/// A CRD with its plan, or the reason why it cannot be migrated.
pub(super) struct Chosen {
    pub(super) live: Live,
    /// `None` if nothing is to be done.
    pub(super) plan: Result<Option<MigrationPlan>, String>,
}

impl Choice {
    /// Reads the chosen CRDs and plans their migration, in the order of their names.
    ///
    /// # Errors
    /// If a file cannot be read, a named CRD does not exist, or the apiserver refuses.
    pub(super) async fn read(&self, writer: &Writer) -> anyhow::Result<Vec<Chosen>> {
        if self.storage.is_some() && self.crd.is_empty() && self.manifest.is_empty() {
            bail!("--storage needs the CRDs by name: add --crd NAME or --for MANIFEST");
        }
        let mut chosen = Vec::new();
        for name in self.names(writer).await? {
            let Some(live) = definition::read(writer, &name).await? else {
                bail!("the cluster has no CRD {name}; `kubectl get crd` lists them");
            };
            let plan = planned(&live, self.storage.as_deref());
            chosen.push(Chosen { live, plan });
        }
        for path in &self.manifest {
            for new in documents(path, None).context("loading the manifest")? {
                let Some(wanted) = new.definition() else {
                    continue;
                };
                // A CRD that the cluster lacks has no objects.
                if let Some(live) = definition::read(writer, &new.name).await? {
                    let plan = self.planned_for(&live, wanted);
                    chosen.push(Chosen { live, plan });
                }
            }
        }
        chosen.sort_by(|left, right| left.live.name.cmp(&right.live.name));
        chosen.dedup_by(|later, kept| later.live.name == kept.live.name);
        Ok(chosen)
    }

    fn is_default(&self) -> bool {
        self.crd.is_empty() && self.manifest.is_empty() && self.group.is_empty()
    }

    /// True if CRDs are found by their group, not by name.
    pub(super) fn lists(&self) -> bool {
        self.is_default() || !self.group.is_empty()
    }

    /// The names of the CRDs that --crd, --group or the default choose.
    async fn names(&self, writer: &Writer) -> anyhow::Result<Vec<String>> {
        let mut names = self.crd.clone();
        let is_default = self.is_default();
        if self.lists() {
            for name in all(writer).await? {
                let group = name.split_once('.').map_or("", |(_, group)| group);
                let is_chosen = self.group.iter().any(|wanted| wanted == group);
                if is_chosen || is_default && is_flux_group(group) {
                    names.push(name);
                }
            }
        }
        for group in &self.group {
            if !names
                .iter()
                .any(|name| name.ends_with(&format!(".{group}")))
            {
                bail!("the cluster has no CRD of group {group}");
            }
        }
        if is_default && names.is_empty() {
            bail!("the cluster has no CRD of Flux; name others by --crd or --group");
        }
        Ok(names)
    }

    /// The plan that lets the apiserver accept `new`.
    fn planned_for(&self, live: &Live, new: &Definition) -> Result<Option<MigrationPlan>, String> {
        let dropped: Vec<&str> = dropped(&live.definition, new).collect();
        if dropped.is_empty() {
            return Ok(None);
        }
        let storage = live.definition.storage().unwrap_or_default();
        if !dropped.contains(&storage) {
            return planned(live, None);
        }
        if self.storage.is_some() {
            return planned(live, self.storage.as_deref());
        }
        let offers = live.definition.versions.iter();
        let common: Vec<&str> = offers
            .map(|version| version.name.as_str())
            .filter(|version| new.offers(version))
            .collect();
        Err(if common.is_empty() {
            format!(
                "the manifest drops {storage}, the storage version, and shares no version with the cluster: \
                 first install a release that stores a version of the manifest and still offers {storage}"
            )
        } else {
            format!(
                "the manifest drops {storage}, the storage version: \
                 add --storage {} to move the storage flag first",
                common.join(" or ")
            )
        })
    }
}

fn planned(live: &Live, storage: Option<&str>) -> Result<Option<MigrationPlan>, String> {
    if live.is_deleted {
        return Err("the CRD is being deleted with all its objects".to_owned());
    }
    plan(&live.definition, storage).map_err(|obstacle| obstacle.to_string())
}

/// The names of all CRDs.
async fn all(writer: &Writer) -> Result<Vec<String>, WriteError> {
    let api: Api<CustomResourceDefinition> = Api::all(writer.client().clone());
    let mut names = Vec::new();
    let mut params = ListParams::default().limit(PAGE);
    loop {
        let page = patiently(async || {
            let page = api.list_metadata(&params).await;
            page.map_err(|error| writer.failed("listing", "customresourcedefinitions", &error))
        })
        .await?;
        let items = page.items.into_iter();
        names.extend(items.filter_map(|object| object.metadata.name));
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params.continue_token = Some(token),
            None => return Ok(names),
        }
    }
}
