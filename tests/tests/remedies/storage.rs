//! Stored versions, with the CRD histories of known projects and schemas that accept everything.

use fluxkeep::crd::dropped;
use fluxkeep_tests::control_plane::eventually;
use serde_json::{Value, json};

use crate::shell::{Shell, command, own_command};
use crate::stage::{Stage, said};

/// A CRD's history, and the definition that is to replace the last one.
struct Story {
    /// The first label of the CRD's group.
    name: &'static str,
    scope: &'static str,
    /// The versions of each definition, with `*` for the stored one; objects are made under each.
    history: &'static [&'static str],
    new: &'static str,
    /// `storedVersions` as pruned by hand before fluxkeep came.
    pruned: Option<&'static [&'static str]>,
    objects: bool,
    /// The number of commands that the refusals print in turn.
    commands: usize,
}

const PLAIN: Story = Story {
    name: "grown",
    scope: "Namespaced",
    history: &["v1beta1*", "v1beta1 v1*"],
    new: "v1*",
    pruned: None,
    objects: true,
    commands: 1,
};

/// All remedies of `stored-version-dropped`.
const STORIES: [Story; 8] = [
    PLAIN,
    Story {
        name: "cluster-wide",
        scope: "Cluster",
        ..PLAIN
    },
    Story {
        name: "empty",
        objects: false,
        ..PLAIN
    },
    // strimzi from 0.49 to 1.x: the old version is the stored one.
    Story {
        name: "strimzi",
        history: &["v1beta2* v1"],
        commands: 2,
        ..PLAIN
    },
    // knative from 1.8 to 1.18: the reverse order, and a third version.
    Story {
        name: "knative",
        history: &["v1alpha1*", "v1beta1 v1alpha1*"],
        new: "v1beta1*",
        commands: 2,
        ..PLAIN
    },
    // crossplane from 1.18 to 2.0.
    Story {
        name: "crossplane",
        scope: "Cluster",
        history: &["v1alpha1* v1beta1"],
        new: "v1beta1*",
        commands: 2,
        ..PLAIN
    },
    // The new storage version is not served yet; another version is in both definitions.
    Story {
        name: "third",
        history: &["v1alpha1* v1beta1"],
        new: "v1beta1 v1*",
        commands: 2,
        ..PLAIN
    },
    // After a wrong prune, `storedVersions` lacks the storage version.
    Story {
        name: "pruned",
        history: &["v1beta2* v1"],
        pruned: Some(&["v1"]),
        commands: 3,
        ..PLAIN
    },
];

impl Story {
    fn group(&self) -> String {
        format!("{}.example.org", self.name)
    }

    /// The definition with these versions, `*` marking the stored one.
    fn definition(&self, versions: &str) -> Value {
        let version = |word: &str| {
            json!({"name": word.trim_end_matches('*'), "served": true, "storage": word.ends_with('*'),
                "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}}})
        };
        let versions: Vec<Value> = versions.split(' ').map(version).collect();
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": format!("things.{}", self.group())},
            "spec": {"group": self.group(), "scope": self.scope, "versions": versions,
                "names": {"kind": "Thing", "listKind": "ThingList", "plural": "things", "singular": "thing"}}})
    }

    /// The objects made under a definition, in its storage version.
    fn things(&self, versions: &str) -> Vec<Value> {
        let stored = versions.split(' ').find(|word| word.ends_with('*'));
        let version = stored.unwrap().trim_end_matches('*');
        let thing = |namespace: &str| {
            let mut thing = json!({"apiVersion": format!("{}/{version}", self.group()), "kind": "Thing",
                "metadata": {"name": format!("{version}-{namespace}")}, "spec": {"made": version}});
            if self.scope == "Namespaced" {
                thing["metadata"]["namespace"] = json!(namespace);
            }
            thing
        };
        ["one", "two"].map(thing).to_vec()
    }

    /// Plays the history; returns the last definition and the objects.
    async fn play(&self, stage: &Stage) -> (Value, Vec<Value>) {
        let mut things = Vec::new();
        for versions in self.history {
            let definition = self.definition(versions);
            stage
                .cluster
                .apply_all(std::slice::from_ref(&definition))
                .await;
            established(stage, &definition).await;
            if self.objects {
                let made = self.things(versions);
                for thing in &made {
                    eventually("an object is taken", async || {
                        stage.cluster.apply(thing).await
                    })
                    .await;
                }
                things.extend(made);
            }
        }
        let live = self.definition(self.history.last().unwrap());
        if let Some(pruned) = self.pruned {
            let status = json!({"storedVersions": pruned});
            stage.cluster.patch_status(&live, &status).await.unwrap();
        }
        (live, things)
    }
}

async fn established(stage: &Stage, definition: &Value) {
    eventually("a CRD is established", async || {
        let live = stage.cluster.get(definition).await.unwrap();
        let conditions = live["status"]["conditions"].as_array().cloned();
        let is_true = |one: &Value| one["type"] == "Established" && one["status"] == "True";
        if conditions.unwrap_or_default().iter().any(is_true) {
            Ok(())
        } else {
            Err(live)
        }
    })
    .await;
}

/// Asserts that the new definition serves every object.
async fn all_are_there(stage: &Stage, story: &Story, things: &[Value]) {
    let stored = story.new.split(' ').find(|word| word.ends_with('*'));
    let version = stored.unwrap().trim_end_matches('*');
    for thing in things {
        let mut asked = thing.clone();
        asked["apiVersion"] = json!(format!("{}/{version}", story.group()));
        let read = eventually("an object is read back", async || {
            stage.cluster.get(&asked).await
        })
        .await;
        assert_eq!(read["spec"], thing["spec"], "{}", story.name);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dropped_version_tells_to_do_loses_no_object_and_opens_the_way() {
    let mut stage = Stage::set("dropped_versions").await;
    let mut played = Vec::new();
    for story in &STORIES {
        played.push(story.play(&stage).await);
    }
    stage.guard().await;
    let mut migrated = 0;
    for (number, (story, (live, things))) in STORIES.iter().zip(&played).enumerate() {
        let shell = if number % 2 == 0 { "bash" } else { "sh" };
        let new = story.definition(story.new);
        let mut answer = stage
            .stored("stranger", "one", std::slice::from_ref(&new))
            .await;
        let mut commands = 0;
        while !answer.is_empty() {
            assert!(answer.contains("stored-version-dropped: "), "{answer}");
            // Every other story takes fluxkeep's own command where one is named.
            let own = own_command(&answer).filter(|_| number % 2 == 1);
            let line = own.or_else(|| command(&answer));
            let line = line.unwrap_or_else(|| panic!("{}: {answer}", story.name));
            migrated += usize::from(own.is_some());
            stage.shell.succeeds(shell, line);
            commands += 1;
            answer = stage
                .stored_after(&answer, std::slice::from_ref(&new))
                .await;
        }
        assert_eq!(commands, story.commands, "{}", story.name);
        stage.cluster.apply(&new).await.unwrap();
        all_are_there(&stage, story, things).await;
        let after = stage.cluster.get(live).await.unwrap();
        let listed = after["status"]["storedVersions"].as_array().unwrap().len();
        assert!(listed <= 2, "{}: {after}", story.name);
    }
    assert_eq!(migrated, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_whose_read_fails_prunes_nothing() {
    let mut stage = Stage::set("a_failed_read").await;
    let (live, _) = PLAIN.play(&stage).await;
    stage.guard().await;
    let new = PLAIN.definition(PLAIN.new);
    let answer = stage.stored("stranger", "one", &[new]).await;
    let blind = Shell::that_cannot_read(&stage.cluster);
    for shell in ["bash", "sh"] {
        let output = blind.run(shell, command(&answer).unwrap());
        assert!(!output.status.success(), "{output:?}");
    }
    let after = stage.cluster.get(&live).await.unwrap();
    assert_eq!(after["status"]["storedVersions"], json!(["v1beta1", "v1"]));
}

/// The storage flag was reset meanwhile, as by a tool that reapplies the live definition.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_prunes_nothing_once_another_version_is_stored() {
    let mut stage = Stage::set("a_flag_that_went_back").await;
    let story = Story {
        history: &["v1beta2*", "v1beta2 v1*"],
        ..PLAIN
    };
    let (live, things) = story.play(&stage).await;
    stage.guard().await;
    let new = story.definition(story.new);
    let answer = stage.stored("stranger", "one", &[new]).await;
    let back = story.definition("v1beta2* v1");
    stage.cluster.apply(&back).await.unwrap();
    let output = stage.shell.run("bash", command(&answer).unwrap());
    assert!(!output.status.success(), "{output:?}");
    let after = stage.cluster.get(&live).await.unwrap();
    assert_eq!(after["status"]["storedVersions"], json!(["v1beta2", "v1"]));
    all_are_there(&stage, &story, &things).await;
}

/// Without a common version and a release in between, the text's advice is followed by hand.
#[tokio::test(flavor = "multi_thread")]
async fn where_no_version_is_on_both_sides_the_new_one_is_added_first() {
    let mut stage = Stage::set("no_common_version").await;
    let story = Story {
        history: &["v1alpha2*"],
        commands: 1,
        ..PLAIN
    };
    let (_, things) = story.play(&stage).await;
    stage.guard().await;
    let new = story.definition(story.new);
    let answer = stage
        .stored("stranger", "one", std::slice::from_ref(&new))
        .await;
    assert!(
        answer.contains("fluxkeep knows none") && command(&answer).is_none(),
        "{answer}"
    );
    let both = story.definition("v1alpha2 v1*");
    stage.cluster.apply(&both).await.unwrap();
    let answer = stage
        .stored_after(&answer, std::slice::from_ref(&new))
        .await;
    stage.shell.succeeds("sh", command(&answer).unwrap());
    assert_eq!(
        stage
            .stored_after(&answer, std::slice::from_ref(&new))
            .await,
        ""
    );
    stage.cluster.apply(&new).await.unwrap();
    all_are_there(&stage, &story, &things).await;
}

/// Flux's own CRDs: the catalogue names a release in between that has the promised versions.
#[test]
fn the_release_between_stores_what_stays_and_offers_what_is_stored() {
    use fluxkeep::crd::Definition;
    use fluxkeep::flux::catalogue::Catalogue;
    let releases = Catalogue::built_in().releases();
    let newest = releases.last().unwrap();
    let mut named = 0;
    for release in releases {
        for crd in &release.crds {
            let Some(new) = newest
                .crd(&crd.name)
                .map(fluxkeep::flux::catalogue::Offer::definition)
            else {
                continue;
            };
            let fresh = crd.definition();
            let stored = fresh.storage().map(str::to_owned).into_iter().collect();
            let live = Definition { stored, ..fresh };
            let Some(remedy) = remedy(&live, &new, &crd.name) else {
                continue;
            };
            let Some(rest) = remedy.strip_prefix("Install Flux ") else {
                continue;
            };
            let version = rest.split(' ').next().unwrap().parse().unwrap();
            let between = Catalogue::built_in().release(&version).unwrap();
            let between = between.crd(&crd.name).unwrap().definition();
            assert_eq!(
                dropped(&live, &between).count(),
                0,
                "{}: {remedy}",
                crd.name
            );
            assert!(new.offers(between.storage().unwrap()), "{}", crd.name);
            named += 1;
        }
    }
    assert!(named > 10, "{named}");
}

/// The judge's remedy if `new` is to replace `live`.
fn remedy(
    live: &fluxkeep::crd::Definition,
    new: &fluxkeep::crd::Definition,
    name: &str,
) -> Option<String> {
    let object = |definition: &fluxkeep::crd::Definition| {
        let version = |version: &fluxkeep::crd::Version| json!({"name": version.name, "served": version.served, "storage": version.storage});
        let versions: Vec<_> = definition.versions.iter().map(version).collect();
        json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": {"name": name},
            "spec": {"group": definition.group, "scope": definition.scope, "versions": versions,
                "names": {"kind": definition.kind, "plural": definition.plural}},
            "status": {"storedVersions": definition.stored}})
    };
    let review = fluxkeep_tests::redefined(object(live), object(new));
    let verdict = review
        .answer(&fluxkeep::case::facts::Facts::default())
        .verdict;
    let mut findings = verdict.findings.into_iter();
    let found = findings.find(|finding| finding.rule == "stored-version-dropped");
    found.map(|finding| finding.remedy)
}

/// After a refused prune, the printed steps remove the storage version without a further refusal.
#[tokio::test(flavor = "multi_thread")]
async fn a_storage_version_is_taken_off_the_list_once_another_is_stored() {
    let mut stage = Stage::set("a_pruned_storage_version").await;
    let story = Story {
        history: &["v1beta2* v1"],
        ..PLAIN
    };
    let (live, things) = story.play(&stage).await;
    stage.guard().await;
    let pruned = json!({"storedVersions": ["v1"]});
    let refused = said(stage.cluster.patch_status(&live, &pruned).await);
    assert!(refused.contains("lacks v1beta2"), "{refused}");
    stage.shell.succeeds("sh", command(&refused).unwrap());
    let is = stage.cluster.get(&live).await.unwrap();
    let mut new = is.clone();
    new["status"] = pruned.clone();
    let review = fluxkeep_tests::Review {
        sub_resource: "status",
        user: "jane",
        ..fluxkeep_tests::redefined(is, new)
    };
    let verdict = review
        .answer(&fluxkeep::case::facts::Facts::default())
        .verdict;
    let [warned] = verdict.findings.as_slice() else {
        panic!("{verdict:?}");
    };
    stage.shell.succeeds("bash", warned.command().unwrap());
    stage.cluster.patch_status(&live, &pruned).await.unwrap();
    let new = story.definition(story.new);
    stage.cluster.apply(&new).await.unwrap();
    all_are_there(&stage, &story, &things).await;
}
