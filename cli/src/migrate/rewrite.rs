//! Rewrites all objects of a CRD in its storage version.
//!
//! An empty merge patch stores an object anew if it is stored in another version, and writes
//! nothing otherwise. So an object whose `resourceVersion` two patches in a row return is stored in
//! the storage version.

use std::sync::atomic::{AtomicU64, Ordering};

use fluxkeep_cluster::write::{Target, WriteError, Writer, patiently};
use futures_util::{StreamExt, stream};
use kube::Api;
use kube::api::{DynamicObject, ListParams};
use kube::core::{ApiResource, ObjectList, PartialObjectMeta};
use serde_json::json;

use super::pace::Pace;
use super::progress::Progress;

/// Objects per page: their metadata takes about a megabyte.
const PAGE: u32 = 500;
/// Attempts to list all objects while the apiserver drops the list's version.
const LISTS: usize = 5;
/// Patches of an object that other clients write all the time.
const TRIES: usize = 50;
/// Failures that a message names.
const NAMED: usize = 3;

/// The objects of a CRD, and the way to rewrite them.
pub(super) struct Objects<'a> {
    pub(super) writer: &'a Writer,
    pub(super) resource: ApiResource,
    pub(super) concurrency: usize,
    pub(super) pace: &'a Pace,
    pub(super) progress: &'a Progress,
}

/// The purpose of a pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    /// One patch for each object.
    Rewrite,
    /// Patches until two in a row write nothing.
    Verify,
}

/// The result of a pass.
#[derive(Debug, Default)]
pub(super) struct Done {
    /// Objects that exist.
    pub(super) objects: u64,
    /// Objects that a patch stored anew, or another client wrote meanwhile.
    pub(super) written: u64,
}

/// The reason why not every object is rewritten.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unfinished {
    /// The objects cannot be listed.
    #[error(transparent)]
    Unlisted(#[from] WriteError),
    /// Some objects cannot be written.
    #[error("{}", told(*.failed, .first))]
    Unwritten {
        /// The number of these objects.
        failed: u64,
        /// The first reasons, at most three.
        first: Vec<String>,
    },
}

fn told(failed: u64, first: &[String]) -> String {
    let shown = first.join("; ");
    match failed - first.len() as u64 {
        0 => shown,
        more => format!("{shown}; and {more} more objects"),
    }
}

impl Objects<'_> {
    /// The number of objects.
    pub(super) async fn count(&self) -> Result<u64, WriteError> {
        let page = self.page(&ListParams::default().limit(1)).await?;
        let more = page.metadata.remaining_item_count.unwrap_or_default();
        Ok(page.items.len() as u64 + u64::try_from(more).unwrap_or_default())
    }

    /// Patches every object once or until it is verified. Deleted objects are no error.
    pub(super) async fn pass(&self, pass: Pass) -> Result<Done, Unfinished> {
        let mut lists = 0;
        loop {
            lists += 1;
            match self.whole(pass).await {
                // The apiserver no longer has the list's version: the objects are listed anew.
                Err(Unfinished::Unlisted(error)) if error.code == 410 && lists < LISTS => {}
                ended => return ended,
            }
        }
    }

    async fn whole(&self, pass: Pass) -> Result<Done, Unfinished> {
        let mut done = Done::default();
        let mut first = Vec::new();
        let mut failed = 0;
        let mut params = ListParams::default().limit(PAGE);
        loop {
            let page = self.page(&params).await?;
            let written = AtomicU64::new(0);
            let patched = stream::iter(page.items)
                .map(|object| self.patch(object, pass, &written))
                .buffer_unordered(self.concurrency)
                .collect::<Vec<_>>()
                .await;
            for result in patched {
                match result {
                    Ok(exists) => done.objects += u64::from(exists),
                    Err(error) => {
                        failed += 1;
                        if first.len() < NAMED {
                            first.push(error.to_string());
                        }
                    }
                }
            }
            done.written += written.into_inner();
            self.progress.page(pass, done.objects);
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => params.continue_token = Some(token),
                None => break,
            }
        }
        if failed == 0 {
            Ok(done)
        } else {
            Err(Unfinished::Unwritten { failed, first })
        }
    }

    /// Patches an object. False if the object is gone.
    async fn patch(
        &self,
        object: PartialObjectMeta<DynamicObject>,
        pass: Pass,
        written: &AtomicU64,
    ) -> Result<bool, WriteError> {
        let target = Target {
            resource: self.resource.clone(),
            namespace: object.metadata.namespace,
            name: object.metadata.name.unwrap_or_default(),
        };
        let mut before = object.metadata.resource_version;
        let mut is_written = false;
        for _ in 0..TRIES {
            self.pace.turn().await;
            let after = patiently(async || {
                let empty = json!({});
                self.writer.merge_metadata(&target, &empty).await
            });
            let after = match after.await {
                Ok(metadata) => metadata.resource_version,
                Err(error) if error.is_missing() => return Ok(false),
                Err(error) if error.is_conflict() => continue,
                Err(error) => return Err(error),
            };
            if after != before && !is_written {
                is_written = true;
                written.fetch_add(1, Ordering::Relaxed);
            }
            if after == before || pass == Pass::Rewrite {
                self.progress.object();
                return Ok(true);
            }
            before = after;
        }
        Err(self.writer.overtaken("verifying", &target))
    }

    async fn page(
        &self,
        params: &ListParams,
    ) -> Result<ObjectList<PartialObjectMeta<DynamicObject>>, WriteError> {
        let client = self.writer.client().clone();
        let api: Api<DynamicObject> = Api::all_with(client, &self.resource);
        patiently(async || {
            self.pace.turn().await;
            let page = api.list_metadata(params).await;
            page.map_err(|error| self.writer.failed("listing", &self.resource.plural, &error))
        })
        .await
    }
}
