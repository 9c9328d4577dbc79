//! Keepers at an apiserver that answers as the real one does, by a clock that is moved.

#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

mod apiserver;

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::SystemTime;

use fluxkeep::case::facts::Facts;
use fluxkeep::case::policy::Policy;
use fluxkeep::case::policy_file;
use fluxkeep::manifest::{Reading, read};
use fluxkeep_cluster::{FactSource, Snapshot};
use serde_json::json;
use tokio::spawn;
use tokio::task::JoinHandle;

use self::apiserver::Apiserver;
use super::*;
use crate::registration::Address;
use crate::registration::claim::{ANSWERS, YIELDS};
use crate::server::look_after;
use crate::settings::Limits;

const GROUP: &str = "/apis/admissionregistration.k8s.io/v1";

/// The object that bears the mark.
fn marked() -> String {
    format!("{GROUP}/validatingwebhookconfigurations/fluxkeep")
}

fn policies() -> String {
    format!("{GROUP}/validatingadmissionpolicies/engine-deleted.fluxkeep.io")
}

fn policy(text: &str) -> Policy {
    policy_file::read(text, now()).unwrap()
}

/// Starts a server's reconciler; its state.
fn keep(apiserver: &Apiserver, policy: Policy) -> Arc<ServerState> {
    start(apiserver, policy, "").0
}

/// Starts the reconciler of a server that sees these objects; its state, and its task.
fn start(
    apiserver: &Apiserver,
    policy: Policy,
    objects: &str,
) -> (Arc<ServerState>, JoinHandle<()>) {
    let objects = read(objects, Reading::default()).unwrap();
    follow(apiserver, policy, Arc::new(Snapshot::of(objects)))
}

/// Starts the reconciler of a server with this source of facts; its state, and its task.
fn follow(
    apiserver: &Apiserver,
    policy: Policy,
    source: Arc<dyn FactSource>,
) -> (Arc<ServerState>, JoinHandle<()>) {
    let state = Arc::new(ServerState::new(source, policy));
    let registration = Registration {
        address: Address::Url("https://here".to_owned()),
        authority: None,
        releases: Vec::new(),
    };
    let kept = Kept {
        cluster: apiserver.cluster(),
        registration,
    };
    let reconciler = RegistrationReconciler::new(kept, state.clone(), Arc::default());
    let task = spawn(look_after(Some(reconciler), None, Limits::default()));
    (state, task)
}

/// Lets the clock pass, and everything happen until then.
async fn pass(time: Duration) {
    sleep(time).await;
}

fn counts<const N: usize>(counts: [(&str, usize); N]) -> BTreeMap<String, usize> {
    let owned = counts.map(|(method, count)| (method.to_owned(), count));
    BTreeMap::from(owned)
}

#[tokio::test(start_paused = true)]
async fn while_nothing_changes_each_object_is_read_every_five_minutes_and_nothing_is_written() {
    let apiserver = Apiserver::default();
    keep(&apiserver, Policy::default());
    pass(Duration::from_mins(1)).await;
    let objects = apiserver.objects();
    apiserver.asked();
    pass(Duration::from_mins(20)).await;
    // Each watch lasts ten seconds less than five minutes, and the next begins nine seconds later.
    let four_each = objects.len() * 4;
    let asked = counts([("GET", four_each), ("WATCH", four_each)]);
    assert_eq!(apiserver.asked(), asked);
    assert_eq!(apiserver.objects(), objects);
}

#[tokio::test(start_paused = true)]
async fn a_change_by_hand_is_put_back_within_a_second_by_one_write_and_four_reads() {
    let apiserver = Apiserver::default();
    keep(&apiserver, Policy::default());
    pass(Duration::from_mins(1)).await;
    let before = apiserver.objects()[&policies()]["spec"].clone();
    apiserver.asked();
    apiserver.change(&policies(), |policy| {
        policy["spec"]["matchConditions"] = json!([{"name": "never", "expression": "false"}]);
    });
    pass(Duration::from_secs(1)).await;
    assert_eq!(apiserver.objects()[&policies()]["spec"], before);
    // The object and the one with the mark, after the change and after what was put back.
    assert_eq!(apiserver.asked(), counts([("GET", 4), ("PATCH", 1)]));
    apiserver.delete(&policies());
    pass(Duration::from_secs(1)).await;
    assert_eq!(apiserver.objects()[&policies()]["spec"], before);
    assert_eq!(apiserver.asked(), counts([("GET", 4), ("PATCH", 1)]));
}

#[tokio::test(start_paused = true)]
async fn what_changes_while_no_watch_is_open_is_put_back_within_a_tick() {
    for is_forgotten in [false, true] {
        let apiserver = Apiserver::default();
        keep(&apiserver, Policy::default());
        pass(Duration::from_mins(1)).await;
        apiserver.asked();
        apiserver.cut();
        apiserver.delete(&policies());
        if is_forgotten {
            apiserver.delete(&marked());
            apiserver.forget();
        }
        pass(Duration::from_secs(10)).await;
        assert!(apiserver.objects().contains_key(&policies()));
        if is_forgotten {
            assert!(apiserver.objects().contains_key(&marked()));
        } else {
            let asked = apiserver.asked();
            assert_eq!((asked["GET"], asked["PATCH"]), (4, 1));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_servers_that_want_different_things_one_reads_what_changes_and_writes_nothing() {
    let apiserver = Apiserver::default();
    keep(&apiserver, Policy::default());
    pass(Duration::from_mins(1)).await;
    keep(&apiserver, policy("levels: {override-in-release: warn}"));
    pass(Duration::from_mins(1)).await;
    let objects = apiserver.objects();
    apiserver.asked();
    apiserver.change(&policies(), |policy| {
        policy["spec"]["failurePolicy"] = json!("Ignore");
    });
    pass(Duration::from_mins(1)).await;
    assert_eq!(
        apiserver.objects()[&policies()]["spec"],
        objects[&policies()]["spec"]
    );
    assert_eq!(apiserver.asked(), counts([("GET", 8), ("PATCH", 1)]));
}

#[tokio::test(start_paused = true)]
async fn what_an_apiserver_adds_of_its_own_keeps_no_changed_policy_away() {
    let apiserver = Apiserver::default();
    let state = keep(&apiserver, Policy::default());
    pass(Duration::from_mins(1)).await;
    apiserver.becomes_newer();
    apiserver.change(&marked(), |_| ());
    pass(Duration::from_mins(1)).await;
    let before = apiserver.objects()[&marked()].clone();
    assert_eq!(before["webhooks"][0]["newer"], "default");
    state.adopt(policy("levels: {override-in-release: warn}"));
    pass(Duration::from_mins(1)).await;
    let mark = |object: &Value| borne(object).unwrap().to_owned();
    assert_ne!(mark(&apiserver.objects()[&marked()]), mark(&before));
    apiserver.asked();
    pass(Duration::from_mins(1)).await;
    assert_eq!(apiserver.asked(), BTreeMap::new(), "it insists no more");
}

const HELM_RELEASE: &str = "{apiVersion: helm.toolkit.fluxcd.io/v2, kind: HelmRelease, metadata: {name: a, \
    namespace: apps}, spec: {targetNamespace: flux-system, releaseName: flux}}";

#[tokio::test(start_paused = true)]
async fn lists_that_the_apiserver_finds_invalid_are_left_out_until_it_takes_them() {
    let apiserver = Apiserver::default();
    let listed = "apps/sh.helm.release.v1.flux.v";
    apiserver.finds_invalid(listed);
    start(&apiserver, Policy::default(), HELM_RELEASE);
    pass(Duration::from_mins(1)).await;
    let webhooks = || apiserver.objects()[&marked()]["webhooks"].to_string();
    let without = webhooks();
    assert!(without.contains("fails-closed") && !without.contains(listed));
    apiserver.delete(&marked());
    pass(Duration::from_secs(1)).await;
    assert_eq!(webhooks(), without);
    apiserver.change(&marked(), |live| {
        live["webhooks"][0]["failurePolicy"] = json!("Ignore");
    });
    pass(Duration::from_secs(1)).await;
    assert_eq!(webhooks(), without);
    apiserver.finds_invalid("nothing");
    pass(Duration::from_secs(10)).await;
    assert!(webhooks().contains(listed));
}

/// The live object with the mark, as far as servers decide about it.
fn live_mark_and_webhooks(apiserver: &Apiserver) -> (String, Value) {
    let live = apiserver.objects()[&marked()].clone();
    let mark = borne(&live).unwrap().trim_end_matches(" ?").to_owned();
    (mark, live["webhooks"].clone())
}

#[tokio::test(start_paused = true)]
async fn a_mark_that_no_server_writes_again_is_overwritten_after_some_minutes() {
    let apiserver = Apiserver::default();
    keep(&apiserver, Policy::default());
    pass(Duration::from_mins(1)).await;
    let before = live_mark_and_webhooks(&apiserver);
    apiserver.change(&marked(), |live| {
        live["metadata"]["annotations"][REGISTERED_BY] = json!("9.9.9 aaaaaaaaaaaa");
        live["webhooks"][0]["failurePolicy"] = json!("Ignore");
    });
    pass(YIELDS + Duration::from_secs(90)).await;
    assert_eq!(live_mark_and_webhooks(&apiserver).0, "9.9.9 aaaaaaaaaaaa");
    pass(ANSWERS).await;
    assert_eq!(live_mark_and_webhooks(&apiserver), before);
}

#[tokio::test(start_paused = true)]
async fn of_two_servers_the_one_that_yields_takes_over_once_the_other_ends_and_not_before() {
    let apiserver = Apiserver::default();
    keep(&apiserver, Policy::default());
    pass(Duration::from_mins(1)).await;
    let first = live_mark_and_webhooks(&apiserver);
    let other = policy("levels: {override-in-release: warn}");
    let (_, second) = start(&apiserver, other, HELM_RELEASE);
    pass(Duration::from_mins(1)).await;
    let kept = live_mark_and_webhooks(&apiserver);
    assert_ne!(kept, first);
    apiserver.asked();
    for _ in 0..360 {
        pass(Duration::from_secs(10)).await;
        assert_eq!(
            live_mark_and_webhooks(&apiserver),
            kept,
            "they do not fight"
        );
    }
    // A question and its answer each five minutes.
    let written = apiserver.asked()["PATCH"];
    assert!((18..=24).contains(&written), "{written}");
    second.abort();
    pass(YIELDS + ANSWERS + Duration::from_secs(30)).await;
    assert_eq!(live_mark_and_webhooks(&apiserver), first);
}

/// Facts in which a tenant changes his HelmRelease as often as he likes.
#[derive(Debug, Default)]
struct Changing(Mutex<Arc<Facts>>);

impl Changing {
    /// The HelmRelease gets another name, which a list of the registration holds.
    fn name(&self, number: usize) {
        let text = HELM_RELEASE.replace("releaseName: flux", &format!("releaseName: a{number}"));
        let objects = read(&text, Reading::default()).unwrap();
        *self.0.lock().unwrap() = Arc::new(Facts::of(objects));
    }
}

impl FactSource for Changing {
    fn facts(&self) -> Arc<Facts> {
        self.0.lock().unwrap().clone()
    }

    fn name(&self) -> &'static str {
        "changing"
    }

    fn as_of(&self) -> SystemTime {
        SystemTime::now()
    }
}

/// Lets a tenant change his HelmRelease every second for ten minutes; the number of writes.
async fn ten_minutes_of_changes(apiserver: &Apiserver, facts: &Changing) -> usize {
    pass(Duration::from_mins(1)).await;
    apiserver.asked();
    for number in 1..=600 {
        facts.name(number);
        pass(Duration::from_secs(1)).await;
    }
    apiserver.asked()["PATCH"]
}

fn lists(apiserver: &Apiserver, number: usize) -> bool {
    let webhooks = apiserver.objects()[&marked()]["webhooks"].to_string();
    webhooks.contains(&format!("apps/sh.helm.release.v1.a{number}.v"))
}

#[tokio::test(start_paused = true)]
async fn a_list_that_a_tenant_changes_every_second_is_written_twice_a_minute_and_is_right_in_the_end()
 {
    let apiserver = Apiserver::default();
    let facts = Arc::new(Changing::default());
    follow(&apiserver, Policy::default(), facts.clone());
    let written = ten_minutes_of_changes(&apiserver, &facts).await;
    assert!((18..=30).contains(&written), "{written}");
    pass(Duration::from_mins(1)).await;
    assert!(lists(&apiserver, 600));
}

#[tokio::test(start_paused = true)]
async fn a_change_by_hand_is_put_back_at_once_whatever_a_tenant_changes() {
    let apiserver = Apiserver::default();
    let facts = Arc::new(Changing::default());
    follow(&apiserver, Policy::default(), facts.clone());
    ten_minutes_of_changes(&apiserver, &facts).await;
    facts.name(1000);
    apiserver.delete(&marked());
    pass(Duration::from_secs(1)).await;
    assert!(apiserver.objects().contains_key(&marked()));
}

#[tokio::test(start_paused = true)]
async fn two_replicas_do_not_undo_each_others_lists_for_long() {
    let apiserver = Apiserver::default();
    let facts = Arc::new(Changing::default());
    for _ in 0..2 {
        follow(&apiserver, Policy::default(), facts.clone());
    }
    let written = ten_minutes_of_changes(&apiserver, &facts).await;
    assert!(written <= 80, "{written}");
    pass(Duration::from_mins(1)).await;
    assert!(lists(&apiserver, 600));
    apiserver.asked();
    pass(Duration::from_mins(2)).await;
    assert!(!apiserver.asked().contains_key("PATCH"));
}

#[tokio::test(start_paused = true)]
async fn an_object_that_somebody_changes_for_ever_is_put_back_every_ten_seconds_in_the_end() {
    let apiserver = Apiserver::default();
    keep(&apiserver, Policy::default());
    pass(Duration::from_mins(1)).await;
    apiserver.asked();
    for _ in 0..600 {
        apiserver.change(&policies(), |policy| {
            policy["spec"]["failurePolicy"] = json!("Ignore");
        });
        pass(Duration::from_secs(1)).await;
    }
    let written = apiserver.asked()["PATCH"];
    assert!((50..=90).contains(&written), "{written}");
    pass(Duration::from_mins(1)).await;
    let policy = apiserver.objects()[&policies()].clone();
    assert_eq!(policy["spec"]["failurePolicy"], "Fail");
}
