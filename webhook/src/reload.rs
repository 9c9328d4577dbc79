//! Periodic work: reloading policy file, certificate files and callers' authorities, and renewing
//! the self-made leaf.
//!
//! A look is a plain call; the caller chooses its time.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use fluxkeep::case::policy::Policy;
use fluxkeep_certs::{Authority, Clients, Current, Error, Files, Identity, Terms};
use fluxkeep_cluster::policy;

use crate::metrics::Metrics;
use crate::state::{ServerState, now};
use crate::tls::Tls;

/// The origin of the served certificate.
#[derive(Debug)]
pub(crate) enum Origin {
    /// Made for these names by an authority that lives as long as this process.
    SelfMade(Box<Authority>, Vec<String>),
    /// Written to files by another program.
    Files(Files),
    /// Issued by an authority that replicas share; the reconciler maintains it.
    Shared,
}

/// The files of policy and catalogue, with the result of the last look.
#[derive(Debug)]
pub(crate) struct PolicyFile {
    policy: Option<PathBuf>,
    catalogue: Option<PathBuf>,
    seen: Result<Policy, String>,
}

impl PolicyFile {
    /// Reads the files.
    ///
    /// # Errors
    /// A message, if a file is missing or invalid.
    pub(crate) fn load(
        policy: Option<&Path>,
        catalogue: Option<&Path>,
    ) -> Result<(Self, Policy), String> {
        let read = policy::load(policy, catalogue, now())?;
        let file = Self {
            policy: policy.map(Path::to_owned),
            catalogue: catalogue.map(Path::to_owned),
            seen: Ok(read.clone()),
        };
        Ok((file, read))
    }

    /// The new result if it differs from the last look's: a policy, or the reason for having none.
    fn look(&mut self) -> Option<Result<Policy, String>> {
        let found = policy::load(self.policy.as_deref(), self.catalogue.as_deref(), now());
        if found == self.seen {
            return None;
        }
        self.seen.clone_from(&found);
        Some(found)
    }
}

/// Keeps policy and certificate up to date.
#[derive(Debug)]
pub struct Reload {
    pub(crate) state: Arc<ServerState>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) policy: Option<PolicyFile>,
    pub(crate) current: Arc<Current>,
    pub(crate) origin: Origin,
    pub(crate) tls: Arc<Tls>,
    /// The file with callers' authorities.
    pub(crate) clients: Option<Clients>,
}

impl Reload {
    /// Looks at each source once and takes changes. An invalid change is logged and counted, and
    /// the former state stays.
    pub fn look(&mut self) {
        if let Some(found) = self.policy.as_mut().and_then(PolicyFile::look) {
            self.metrics.reloaded(found.is_ok());
            match found {
                Ok(policy) => self.state.adopt(policy),
                Err(why) => {
                    tracing::error!(
                        why,
                        "the changed policy cannot be loaded; the previous policy stays in force"
                    );
                }
            }
        }
        let renewed = self.renewed();
        if let Some(good) = renewed.as_ref().map(Result::is_ok) {
            self.metrics.rotated("leaf", good);
        }
        match renewed {
            None => {}
            Some(Ok(identity)) => self.serve(identity),
            Some(Err(error)) => {
                tracing::error!(%error, "the new certificate cannot be used; the previous one is served until it expires");
            }
        }
        if let Some(taken) = self.authorities_taken() {
            self.metrics.rotated("clients", taken.is_ok());
            if let Err(error) = taken {
                tracing::error!(%error, "the new --client-ca cannot be used; the previous CAs stay in force");
            }
        }
    }

    /// The result of a change of callers' authorities; `None` if nothing changed.
    fn authorities_taken(&mut self) -> Option<Result<(), Error>> {
        let found = self.clients.as_mut()?.look().transpose()?;
        Some(found.and_then(|verifier| self.tls.trust(verifier)))
    }

    fn serve(&self, identity: Identity) {
        self.metrics.expires("leaf", identity.life().not_after);
        self.current.swap(identity);
    }

    fn renewed(&mut self) -> Option<Result<Identity, Error>> {
        match &mut self.origin {
            Origin::Files(files) => files.look().transpose(),
            Origin::Shared => None,
            Origin::SelfMade(authority, names) => {
                let now = SystemTime::now();
                let due = |identity: Identity| identity.life().is_due(now);
                self.current
                    .identity()
                    .is_none_or(due)
                    .then(|| authority.leaf(names, now, &Terms::of_a_process()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use fluxkeep::case::finding::Level;
    use fluxkeep::rules::engine_deleted;
    use fluxkeep_cluster::Snapshot;
    use std::time::Duration;

    fn reload(policy: Option<PolicyFile>, origin: Origin, identity: Identity) -> Reload {
        let state = Arc::new(ServerState::new(
            Arc::new(Snapshot::of(Vec::new())),
            Policy::default(),
        ));
        let current = Current::new(identity);
        Reload {
            state,
            metrics: Arc::default(),
            policy,
            tls: Arc::new(Tls::new(current.clone(), None).unwrap()),
            current,
            origin,
            clients: None,
        }
    }

    fn self_made(made: SystemTime) -> (Origin, Identity) {
        let authority = Authority::new(made, &Terms::of_a_process()).unwrap();
        let names = vec!["localhost".to_owned()];
        let identity = authority
            .leaf(&names, made, &Terms::of_a_process())
            .unwrap();
        (Origin::SelfMade(Box::new(authority), names), identity)
    }

    fn has(reload: &Reload, line: &str) -> bool {
        reload.metrics.encoded().lines().any(|one| one == line)
    }

    #[test]
    fn a_policy_is_taken_when_it_changes_and_a_bad_one_is_counted_once() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let (origin, identity) = self_made(SystemTime::now());
        let (policy, _) = PolicyFile::load(Some(file.path()), None).unwrap();
        let mut reload = reload(Some(policy), origin, identity);
        let level = |reload: &Reload| engine_deleted::RULE.weight(&reload.state.policy());
        let steps = [
            (Some(""), Level::Enforce, 0, 0),
            (Some("levels: {engine-deleted: audit}"), Level::Audit, 1, 0),
            (Some("levels: {engine-deleted: harsh}"), Level::Audit, 1, 1),
            (None, Level::Audit, 1, 2),
            (Some("levels: {engine-deleted: warn}"), Level::Warn, 2, 2),
        ];
        for (text, expected, good, bad) in steps {
            match text {
                Some(text) => std::fs::write(file.path(), text).unwrap(),
                None => std::fs::remove_file(file.path()).unwrap(),
            }
            for _ in 0..3 {
                reload.look();
            }
            assert_eq!(level(&reload), expected, "{text:?}");
            assert!(
                has(
                    &reload,
                    &format!(r#"fluxkeep_policy_reloads_total{{result="success"}} {good}"#)
                ),
                "{text:?}"
            );
            assert!(
                has(
                    &reload,
                    &format!(r#"fluxkeep_policy_reloads_total{{result="error"}} {bad}"#)
                ),
                "{text:?}"
            );
            let loaded =
                u8::from(!(text.is_none() || text == Some("levels: {engine-deleted: harsh}")));
            assert!(
                has(&reload, &format!("fluxkeep_policy_loaded {loaded}")),
                "{text:?}"
            );
        }
    }

    #[test]
    fn a_policy_that_is_none_is_refused_with_its_file_and_place() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "levels:\n  no-such-rule: warn\n").unwrap();
        let why = PolicyFile::load(Some(file.path()), None).unwrap_err();
        assert!(
            why.contains(&*file.path().to_string_lossy()) && why.contains("line 2, column 3"),
            "{why}"
        );
    }

    #[test]
    fn a_leaf_made_here_is_renewed_when_it_is_due() {
        let now = SystemTime::now();
        let (origin, identity) = self_made(now - Duration::from_hours(61 * 24));
        let mut reload = reload(None, origin, identity);
        for _ in 0..3 {
            reload.look();
        }
        assert!(
            reload.current.identity().unwrap().life().not_after
                > now + Duration::from_hours(89 * 24)
        );
        assert!(has(
            &reload,
            r#"fluxkeep_certificate_rotations_total{certificate="leaf",result="success"} 1"#
        ));
    }

    #[test]
    fn certificate_files_are_taken_when_they_change_and_half_a_pair_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
        let pair = || rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
        let (one, two) = (pair(), pair());
        write("tls.crt", one.cert.pem());
        write("tls.key", one.signing_key.serialize_pem());
        let (files, identity) = Files::load(folder.path()).unwrap();
        let mut reload = reload(None, Origin::Files(files), identity);
        let rotated = |reload: &Reload, result: &str, count: u8| {
            let labels = format!(r#"{{certificate="leaf",result="{result}"}}"#);
            has(
                reload,
                &format!("fluxkeep_certificate_rotations_total{labels} {count}"),
            )
        };
        reload.look();
        assert!(rotated(&reload, "success", 0) && rotated(&reload, "error", 0));
        write("tls.crt", two.cert.pem());
        reload.look();
        assert!(rotated(&reload, "success", 0) && rotated(&reload, "error", 1));
        write("tls.key", two.signing_key.serialize_pem());
        reload.look();
        assert!(rotated(&reload, "success", 1) && rotated(&reload, "error", 1));
    }

    #[test]
    fn authorities_of_callers_are_taken_when_they_change_and_what_is_none_is_not() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let write = |text: &str| std::fs::write(file.path(), text).unwrap();
        let pem = || {
            let authority = Authority::new(SystemTime::now(), &Terms::of_a_process());
            authority.unwrap().certificate().pem()
        };
        write(&pem());
        let (origin, identity) = self_made(SystemTime::now());
        let mut reload = reload(None, origin, identity);
        reload.clients = Some(Clients::load(file.path(), None).unwrap().0);
        let steps = [
            (None, 0, 0),
            (Some("no PEM".to_owned()), 0, 1),
            (Some(pem()), 1, 1),
        ];
        for (text, good, bad) in steps {
            if let Some(text) = &text {
                write(text);
            }
            reload.look();
            for (result, count) in [("success", good), ("error", bad)] {
                let labels = format!(r#"{{certificate="clients",result="{result}"}}"#);
                let line = format!("fluxkeep_certificate_rotations_total{labels} {count}");
                assert!(has(&reload, &line), "{text:?}: {line}");
            }
        }
    }
}
