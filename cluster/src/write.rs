//! One shell for writes to a cluster: read, server-side apply, merge patch and delete, one object a
//! request.
//!
//! Every request has a deadline. An error names the action, the object, the apiserver's reason and
//! a remedy. Secrets that hold keys are written elsewhere (`fluxkeep-webhook`'s authority), because
//! kube's own calls log answers that they cannot parse.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams};
use kube::core::ApiResource;
use kube::{Api, Client};
use serde_json::Value;
use tokio::time::{sleep, timeout};

use crate::failure::reason;

/// Half of the apiserver's own limit for a request; these requests take milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);
/// Attempts against an apiserver that asks to come back later.
const TRIES: u32 = 8;
/// First pause before another attempt; each further pause is twice as long.
const PAUSE: Duration = Duration::from_millis(100);
/// Longest pause that an apiserver may ask for.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The resource of a kind, with its API version spelled out; the core group is empty.
#[must_use]
pub fn resource(group: &str, version: &str, kind: &str, plural: &str) -> ApiResource {
    let api_version = if group.is_empty() {
        version.to_owned()
    } else {
        format!("{group}/{version}")
    };
    ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version,
        kind: kind.to_owned(),
        plural: plural.to_owned(),
    }
}

/// An object to read or write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The object's kind and plural, in the version of the request.
    pub resource: ApiResource,
    /// The namespace; `None` for a cluster-scoped object.
    pub namespace: Option<String>,
    /// The object's name.
    pub name: String,
}

impl std::fmt::Display for Target {
    /// `Kind namespace/name`.
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = &self.resource.kind;
        match &self.namespace {
            Some(namespace) => write!(out, "{kind} {namespace}/{}", self.name),
            None => write!(out, "{kind} {}", self.name),
        }
    }
}

/// A failed request.
#[derive(Debug, thiserror::Error)]
#[error("{verb} {object}: {reason}{hint}")]
pub struct WriteError {
    /// The attempted action, for example `writing`.
    pub verb: &'static str,
    /// The object of the action.
    pub object: String,
    /// The apiserver's message, or the root cause of the failed connection.
    pub reason: String,
    /// A possible remedy; empty if none is known.
    pub hint: &'static str,
    /// The HTTP status; 0 if no answer came.
    pub code: u16,
    /// The pause in seconds that the apiserver asks for; 0 for none.
    retry_after: u32,
}

impl WriteError {
    /// True if another writer changed the object since it was read.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.code == 409
    }

    /// True if the object or its kind does not exist.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.code == 404
    }

    /// True if the apiserver finds the object invalid.
    #[must_use]
    pub fn is_invalid(&self) -> bool {
        self.code == 422
    }

    /// True if the apiserver is busy, so the same request may pass later.
    fn is_busy(&self) -> bool {
        matches!(self.code, 429 | 503 | 504)
    }

    fn pause(&self, tried: u32) -> Duration {
        let asked = Duration::from_secs(self.retry_after.into());
        asked
            .max(PAUSE * 2_u32.saturating_pow(tried))
            .min(LONGEST_PAUSE)
    }
}

/// A client that writes under one field manager.
#[derive(Clone)]
pub struct Writer {
    client: Client,
    manager: &'static str,
    dry_run: bool,
    hint: Hint,
}

/// A possible remedy for an HTTP status; `None` leaves the default.
pub type Hint = fn(u16) -> Option<&'static str>;

impl std::fmt::Debug for Writer {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Writer")
            .field("manager", &self.manager)
            .field("dry_run", &self.dry_run)
            .finish_non_exhaustive()
    }
}

impl Writer {
    /// Writes as this field manager.
    #[must_use]
    pub fn new(client: Client, manager: &'static str) -> Self {
        Self {
            client,
            manager,
            dry_run: false,
            hint: |_| None,
        }
    }

    /// With `true` the apiserver checks every write and stores nothing.
    #[must_use]
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }

    /// Adds own remedies to errors.
    #[must_use]
    pub fn hinting(mut self, hint: Hint) -> Self {
        self.hint = hint;
        self
    }

    /// The error for a request that [`Writer::client`] sent.
    #[must_use]
    pub fn failed(&self, verb: &'static str, object: &str, error: &kube::Error) -> WriteError {
        let mut failed = failure(verb, object, error);
        if let Some(hint) = (self.hint)(failed.code) {
            failed.hint = hint;
        }
        failed
    }

    /// The error for an object that other clients write faster than this one.
    #[must_use]
    pub fn overtaken(&self, verb: &'static str, target: &Target) -> WriteError {
        WriteError {
            verb,
            object: target.to_string(),
            reason: "other clients write it all the time".to_owned(),
            hint: "; try again when they write less",
            code: 409,
            retry_after: 0,
        }
    }

    /// The client, for lists and watches.
    #[must_use]
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The live object; `None` if it does not exist.
    ///
    /// # Errors
    /// If the apiserver refuses, is unreachable, or stays silent.
    pub async fn get(&self, target: &Target) -> Result<Option<DynamicObject>, WriteError> {
        let api = self.api(target);
        self.asked("reading", target, api.get_opt(&target.name))
            .await
    }

    /// The live object's metadata; `None` if it does not exist.
    ///
    /// # Errors
    /// As [`Writer::get`].
    pub async fn metadata(&self, target: &Target) -> Result<Option<ObjectMeta>, WriteError> {
        let api = self.api(target);
        let live = self
            .asked("reading", target, api.get_metadata_opt(&target.name))
            .await?;
        Ok(live.map(|live| live.metadata))
    }

    /// Creates or changes an object by server-side apply, and takes over fields of other managers.
    ///
    /// # Errors
    /// As [`Writer::get`].
    pub async fn apply(&self, target: &Target, body: &Value) -> Result<DynamicObject, WriteError> {
        let (api, params) = (self.api(target), self.patch().force());
        let patch = Patch::Apply(body);
        self.asked("writing", target, api.patch(&target.name, &params, &patch))
            .await
    }

    /// As [`Writer::apply`]. The answer holds metadata only, so large objects cost little.
    ///
    /// # Errors
    /// As [`Writer::get`].
    pub async fn apply_metadata(
        &self,
        target: &Target,
        body: &Value,
    ) -> Result<ObjectMeta, WriteError> {
        let (api, params) = (self.api(target), self.patch().force());
        let patch = Patch::Apply(body);
        let written = self
            .asked(
                "writing",
                target,
                api.patch_metadata(&target.name, &params, &patch),
            )
            .await?;
        Ok(written.metadata)
    }

    /// Changes an object by a merge patch. A `metadata.resourceVersion` in the patch makes a change
    /// of another writer a conflict.
    ///
    /// # Errors
    /// As [`Writer::get`].
    pub async fn merge(&self, target: &Target, patch: &Value) -> Result<DynamicObject, WriteError> {
        let (api, params, patch) = (self.api(target), self.patch(), Patch::Merge(patch));
        self.asked("writing", target, api.patch(&target.name, &params, &patch))
            .await
    }

    /// As [`Writer::merge`], for the status subresource.
    ///
    /// # Errors
    /// As [`Writer::get`].
    pub async fn merge_status(
        &self,
        target: &Target,
        patch: &Value,
    ) -> Result<DynamicObject, WriteError> {
        let (api, params, patch) = (self.api(target), self.patch(), Patch::Merge(patch));
        self.asked(
            "writing the status of",
            target,
            api.patch_status(&target.name, &params, &patch),
        )
        .await
    }

    /// As [`Writer::merge`]. The answer holds metadata only, so large objects cost little.
    ///
    /// # Errors
    /// As [`Writer::get`].
    pub async fn merge_metadata(
        &self,
        target: &Target,
        patch: &Value,
    ) -> Result<ObjectMeta, WriteError> {
        let (api, params, patch) = (self.api(target), self.patch(), Patch::Merge(patch));
        let written = self
            .asked(
                "writing",
                target,
                api.patch_metadata(&target.name, &params, &patch),
            )
            .await?;
        Ok(written.metadata)
    }

    /// Deletes an object. False if it did not exist.
    ///
    /// # Errors
    /// As [`Writer::get`].
    pub async fn delete(&self, target: &Target) -> Result<bool, WriteError> {
        let params = DeleteParams {
            dry_run: self.dry_run,
            ..DeleteParams::default()
        };
        let api = self.api(target);
        match self
            .asked("deleting", target, api.delete(&target.name, &params))
            .await
        {
            Ok(_) => Ok(true),
            Err(error) if error.is_missing() => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn asked<T>(
        &self,
        verb: &'static str,
        target: &Target,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<T, WriteError> {
        match timeout(PATIENCE, request).await {
            Ok(answer) => answer.map_err(|error| self.failed(verb, &target.to_string(), &error)),
            Err(_) => Err(WriteError {
                verb,
                object: target.to_string(),
                reason: format!("no answer within {} s", PATIENCE.as_secs()),
                hint: "",
                code: 0,
                retry_after: 0,
            }),
        }
    }

    fn api(&self, target: &Target) -> Api<DynamicObject> {
        let client = self.client.clone();
        match &target.namespace {
            Some(namespace) => Api::namespaced_with(client, namespace, &target.resource),
            None => Api::all_with(client, &target.resource),
        }
    }

    fn patch(&self) -> PatchParams {
        PatchParams {
            dry_run: self.dry_run,
            field_manager: Some(self.manager.to_owned()),
            ..PatchParams::default()
        }
    }
}

/// Repeats a request while the apiserver is busy: as long as it asks, or longer each time.
///
/// # Errors
/// The last error of the request.
pub async fn patiently<T>(
    mut request: impl AsyncFnMut() -> Result<T, WriteError>,
) -> Result<T, WriteError> {
    let mut tried = 0;
    loop {
        match request().await {
            Err(error) if error.is_busy() && tried < TRIES => {
                sleep(error.pause(tried)).await;
                tried += 1;
            }
            ended => return ended,
        }
    }
}

fn failure(verb: &'static str, object: &str, error: &kube::Error) -> WriteError {
    let mut code = 0;
    let mut retry_after = 0;
    if let kube::Error::Api(status) = error {
        code = status.code;
        if let Some(details) = &status.details {
            retry_after = details.retry_after_seconds;
        }
    }
    let hint = match code {
        0 => "; check that the apiserver is reachable",
        401 => "; the apiserver rejects the credentials; renew them",
        403 => "; grant the user this right",
        409 => "; another client changed it at the same time; try again",
        _ => "",
    };
    WriteError {
        verb,
        object: object.to_owned(),
        reason: reason(error),
        hint,
        code,
        retry_after,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn busy(code: u16, retry_after: u32) -> WriteError {
        WriteError {
            verb: "writing",
            object: "Bucket a/b".to_owned(),
            reason: "busy".to_owned(),
            hint: "",
            code,
            retry_after,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_busy_apiserver_is_asked_again_and_a_refusal_is_not() {
        for (code, retries) in [(429, TRIES), (503, TRIES), (403, 0), (409, 0)] {
            let mut asked = 0;
            let ended: Result<(), _> = patiently(async || {
                asked += 1;
                Err(busy(code, 1))
            })
            .await;
            assert!(ended.is_err() && asked == retries + 1, "{code}: {asked}");
        }
    }

    #[test]
    fn the_apiserver_chooses_the_pause_up_to_a_bound() {
        assert_eq!(busy(429, 0).pause(0), PAUSE);
        assert_eq!(busy(429, 2).pause(0), Duration::from_secs(2));
        assert_eq!(busy(429, 3_600).pause(20), LONGEST_PAUSE);
    }
}
