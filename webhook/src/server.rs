//! The server's life: bound to ports and files, then serving, then drained.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fluxkeep::case::policy::Policy;
use fluxkeep_certs::{Authority, Clients, Current, Files, Terms, Verifier};
use fluxkeep_cluster::FactSource;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};

use crate::auditor::Auditor;
use crate::authority::AuthorityReconciler;
use crate::connections::{Port, ServerPhase};
use crate::door::{self, Answering, AnsweringByEnvelope, ReviewService, Telling};
use crate::events::{EventWriter, Events};
use crate::lane::Lanes;
use crate::limit::Limit;
use crate::metrics::Metrics;
use crate::observe::{self, Observe};
use crate::readiness::Readiness;
use crate::recovery::RecoveryKeeper;
use crate::registration::{Comparison, RegistrationReconciler};
use crate::reload::{Origin, PolicyFile, Reload};
use crate::settings::{Limits, Settings};
use crate::state::ServerState;
use crate::tls::Tls;

/// The reason why a server could not start.
#[derive(Debug, thiserror::Error)]
pub enum Unbound {
    /// A port is taken or forbidden.
    #[error("listening on {address}")]
    Port {
        /// The requested address.
        address: SocketAddr,
        /// The system's error.
        source: std::io::Error,
    },
    /// No certificate can be served.
    #[error("loading the certificate")]
    Certificate(#[from] fluxkeep_certs::Error),
    /// The policy is unreadable.
    #[error("{0}")]
    Policy(String),
    /// The system has no thread to give.
    #[error("starting a thread: {0}")]
    Thread(std::io::Error),
}

/// A server that holds its ports and has read its files.
pub struct Bound {
    admission: TcpListener,
    observe: TcpListener,
    limits: Limits,
    reload: Reload,
    authority_reconciler: Option<AuthorityReconciler>,
    registration_reconciler: Option<RegistrationReconciler>,
    comparison: Option<Comparison>,
    events: Option<Events>,
    recovery: Option<RecoveryKeeper>,
    readiness: Readiness,
    authority: Option<String>,
}

impl Bound {
    /// Binds the ports first, then loads certificate and policy, so early clients wait instead of
    /// being refused. `source` gives the facts.
    ///
    /// # Errors
    /// At the first missing or invalid item.
    pub async fn bind(settings: Settings, source: Arc<dyn FactSource>) -> Result<Self, Unbound> {
        let admission = listen(settings.listen).await?;
        let observe = listen(settings.observe).await?;
        let metrics = Arc::new(Metrics::default());
        let (origin, current, authority) = certificate(&settings, &metrics)?;
        let (clients, verifier) = clients(&settings)?.unzip();
        let tls = Arc::new(Tls::new(current.clone(), verifier)?);
        let (policy_file, policy) = policy(&settings)?;
        source.follow(&policy.engine);
        let readiness = Readiness::default();
        let authority_reconciler = settings.place.map(|place| {
            let known = readiness.wait_for("the apiserver to trust the certificate");
            AuthorityReconciler::new(
                place,
                settings.tls_names,
                current.clone(),
                metrics.clone(),
                known,
            )
        });
        let state = Arc::new(ServerState::new(source, policy));
        let registration_reconciler = settings.kept.map(|kept| {
            RegistrationReconciler::new(
                kept.trusting(authority.as_deref()),
                state.clone(),
                metrics.clone(),
            )
        });
        let comparison = settings
            .compared
            .map(|compared| Comparison::new(compared, state.clone(), metrics.clone()));
        let recovery = settings
            .recovery
            .map(|points| RecoveryKeeper::new(points, state.clone(), metrics.clone()));
        let reload = Reload {
            state,
            metrics,
            policy: policy_file,
            current,
            origin,
            tls,
            clients,
        };
        let (limits, events) = (settings.limits, settings.events);
        Ok(Self {
            admission,
            observe,
            limits,
            reload,
            authority_reconciler,
            registration_reconciler,
            comparison,
            events,
            recovery,
            readiness,
            authority,
        })
    }

    /// The TLS address of the admission port.
    ///
    /// # Errors
    /// If the system cannot tell.
    pub fn admission_address(&self) -> std::io::Result<SocketAddr> {
        self.admission.local_addr()
    }

    /// The address for health and metrics.
    ///
    /// # Errors
    /// If the system cannot tell.
    pub fn observe_address(&self) -> std::io::Result<SocketAddr> {
        self.observe.local_addr()
    }

    /// The PEM certificate to trust, if the server makes its own.
    #[must_use]
    pub fn authority_pem(&self) -> Option<&str> {
        self.authority.as_deref()
    }

    /// The readiness conditions; a caller may add some.
    #[must_use]
    pub fn readiness(&self) -> &Readiness {
        &self.readiness
    }

    /// Serves until `stop`, then drains. Readiness ends first, then answers carry `Connection:
    /// close` for a while, then new requests are refused, then all connections end.
    ///
    /// # Errors
    /// If TLS cannot be set up.
    pub async fn serve(self, stop: impl Future<Output = ()>) -> Result<(), Unbound> {
        let (tell, phase) = watch::channel(ServerPhase::Serving);
        let (alive, mut ended) = mpsc::channel(1);
        let (limits, readiness) = (self.limits, self.readiness.clone());
        let (reviews, health) = self.ports(&phase, &alive)?;
        drop(alive);
        let auditor = Auditor::new(self.reload.state.clone(), self.reload.metrics.clone());
        tokio::spawn(reviews.serve(self.admission));
        tokio::spawn(health.serve(self.observe));
        tokio::select! {
            () = stop => {}
            () = look_again(self.reload, limits) => {}
            () = compare(self.comparison, limits) => {}
            () = Box::pin(keep(self.recovery)) => {}
            () = audit(auditor, limits) => {}
            () = Box::pin(look_after(self.registration_reconciler, self.authority_reconciler, limits)) => {}
        }
        let _stopping = readiness.wait_for("shutdown: the server is stopping");
        tell.send_replace(ServerPhase::Lingering);
        sleep(limits.linger).await;
        tell.send_replace(ServerPhase::Draining);
        // Waits for all connections; each has its own deadline.
        ended.recv().await;
        Ok(())
    }

    fn ports(
        &self,
        phase: &watch::Receiver<ServerPhase>,
        alive: &mpsc::Sender<()>,
    ) -> Result<(Port, Port), Unbound> {
        let Reload {
            state,
            metrics,
            tls,
            ..
        } = &self.reload;
        let service = ReviewService {
            answering: self.answering(),
            answering_by_envelope: self.answering_by_envelope(),
            telling: self.telling(),
            metrics: metrics.clone(),
            body_deadline: self.limits.body,
            server_phase: phase.clone(),
            lanes: Lanes::start(&self.limits).map_err(Unbound::Thread)?,
        };
        let observe = Observe {
            metrics: metrics.clone(),
            state: state.clone(),
            readiness: self.readiness.clone(),
        };
        let port = |tls, router| Port {
            tls,
            router,
            limits: self.limits,
            open: Limit::new(self.limits.connections),
            metrics: metrics.clone(),
            phase: phase.clone(),
            alive: alive.clone(),
        };
        Ok((
            port(Some(tls.clone()), door::router(service)),
            port(None, observe::router(observe)),
        ))
    }

    /// Answers a review's bytes.
    fn answering(&self) -> Answering {
        let judge = self.reload.state.clone();
        Arc::new(move |phase, budget, body| judge.answer(phase, budget, body))
    }

    /// Answers a review of which only the envelope is read, for the given reason.
    fn answering_by_envelope(&self) -> AnsweringByEnvelope {
        let judge = self.reload.state.clone();
        Arc::new(move |why, body| judge.answer_by_envelope(why, body))
    }

    /// Writes Events about refusals if they are on.
    fn telling(&self) -> Telling {
        let Reload { state, metrics, .. } = &self.reload;
        let Some(Events(client)) = self.events.clone() else {
            return Arc::new(|_| {});
        };
        let events = EventWriter::start(client, state.clone(), metrics.clone());
        Arc::new(move |answer| events.tell(answer))
    }
}

/// Runs forever, even without a registration to compare.
async fn compare(mut comparison: Option<Comparison>, limits: Limits) {
    let mut ticks = ticks(limits.keep);
    loop {
        ticks.tick().await;
        if let Some(comparison) = &mut comparison {
            comparison.look().await;
        }
    }
}

/// Runs forever, even without recovery points to keep.
async fn keep(recovery: Option<RecoveryKeeper>) {
    match recovery {
        Some(recovery) => recovery.run().await,
        None => std::future::pending().await,
    }
}

/// Audits the cluster forever.
async fn audit(mut auditor: Auditor, limits: Limits) {
    let mut ticks = ticks(limits.tick);
    loop {
        ticks.tick().await;
        auditor.look().await;
    }
}

async fn look_again(mut reload: Reload, limits: Limits) {
    let mut ticks = ticks(limits.tick);
    loop {
        ticks.tick().await;
        reload.look();
    }
}

/// Runs forever, even without a registration or an authority. The authority is looked at after each
/// look at the registration, since a restored registration carries no bundle.
pub(crate) async fn look_after(
    mut registration_reconciler: Option<RegistrationReconciler>,
    mut authority_reconciler: Option<AuthorityReconciler>,
    limits: Limits,
) {
    let (mut registration, mut certificates) = (ticks(limits.keep), ticks(limits.tick));
    let changed = registration_reconciler
        .as_ref()
        .map(RegistrationReconciler::changed)
        .unwrap_or_default();
    loop {
        let is_event = tokio::select! {
            () = changed.notified() => Some(true),
            _ = registration.tick() => Some(false),
            _ = certificates.tick() => None,
        };
        if let (Some(is_event), Some(reconciler)) = (is_event, &mut registration_reconciler) {
            if is_event {
                reconciler.heard().await;
            } else {
                reconciler.tick().await;
            }
        }
        if let Some(authority_reconciler) = &mut authority_reconciler {
            authority_reconciler.look().await;
        }
    }
}

fn ticks(every: Duration) -> Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

/// Listens on the address. `[::]` takes IPv4, too. Where the node has no IPv6, `0.0.0.0` stands in.
async fn listen(address: SocketAddr) -> Result<TcpListener, Unbound> {
    let failed = |source| Unbound::Port { address, source };
    let is_any = address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    match TcpListener::bind(address).await {
        Err(error) if is_any && lacks_ipv6(&error) => {
            let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port()));
            TcpListener::bind(any).await.map_err(failed)
        }
        bound => bound.map_err(failed),
    }
}

/// True unless the port itself was the obstacle.
fn lacks_ipv6(error: &std::io::Error) -> bool {
    !matches!(
        error.kind(),
        ErrorKind::AddrInUse | ErrorKind::PermissionDenied
    )
}

type Served = (Origin, Arc<Current>, Option<String>);

fn certificate(settings: &Settings, metrics: &Metrics) -> Result<Served, Unbound> {
    if settings.place.is_some() {
        return Ok((Origin::Shared, Arc::default(), None));
    }
    let (origin, identity, authority) = if let Some(directory) = &settings.tls_dir {
        let (files, identity) = Files::load(directory)?;
        (Origin::Files(files), identity, None)
    } else {
        let (now, terms) = (SystemTime::now(), Terms::of_a_process());
        let authority = Authority::new(now, &terms)?;
        metrics.expires("ca", authority.certificate().life().not_after);
        let (identity, pem) = (
            authority.leaf(&settings.tls_names, now, &terms)?,
            authority.certificate().pem(),
        );
        (
            Origin::SelfMade(Box::new(authority), settings.tls_names.clone()),
            identity,
            Some(pem),
        )
    };
    metrics.expires("leaf", identity.life().not_after);
    Ok((origin, Current::new(identity), authority))
}

fn clients(settings: &Settings) -> Result<Option<(Clients, Verifier)>, Unbound> {
    let Some(path) = &settings.client_ca else {
        return Ok(None);
    };
    Ok(Some(Clients::load(path, settings.client_name.as_deref())?))
}

fn policy(settings: &Settings) -> Result<(Option<PolicyFile>, Policy), Unbound> {
    let (path, catalogue) = (settings.policy.as_deref(), settings.catalogue.as_deref());
    if path.is_none() && catalogue.is_none() {
        return Ok((None, Policy::default()));
    }
    let (file, policy) = PolicyFile::load(path, catalogue).map_err(Unbound::Policy)?;
    Ok((Some(file), policy))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tokio::net::TcpStream;

    #[tokio::test]
    async fn any_address_takes_callers_over_ipv4_too() {
        let listener = listen("[::]:0".parse().unwrap()).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        TcpStream::connect((Ipv4Addr::LOCALHOST, port))
            .await
            .unwrap();
        let taken = listen(SocketAddr::from(([0, 0, 0, 0], port))).await;
        assert!(matches!(taken, Err(Unbound::Port { .. })));
    }
}
