//! The chart as Helm renders it.

use fluxkeep::case::policy::Policy;
use fluxkeep_cluster::policy;
use fluxkeep_tests::control_plane::folder;
use fluxkeep_webhook::registration::{Address, KnownReleases, Registration};
use serde_json::{Value, json};

use crate::{HELMS, objects, of_kind};

/// The kinds of the registration.
const REGISTERED: [&str; 4] = [
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "MutatingWebhookConfiguration",
    "ValidatingWebhookConfiguration",
];

/// Sets of values that differ in what they render.
pub(crate) fn variants() -> Vec<Value> {
    let outside = json!({"url": "https://fluxkeep.example.org:8443"});
    vec![
        json!({}),
        json!({"policy": {"levels": {"engine-deleted": false, "crd-invalid": "off"}}}),
        json!({"policy": {"levels": {"engine-deleted": "warn", "engine-label-removed": "audit",
            "override-in-release": "off", "engine-source-deleted": "off"}}}),
        json!({"policy": {"engine": {"namespaces": ["flux-system", "team-a"], "valuesPaths": ["flux.version"]},
            "mutate": {"helmReleases": true}}}),
        json!({"webhook": {"failOpenReleases": ["cilium", "cert-manager", "fluxkeep"]},
            "policy": {"overrides": [{"rule": "engine-deleted", "object": "Namespace/flux-system",
                "reason": "moved: \"away\"", "until": "2026-12-10T00:00:00Z"}]}}),
        json!({"webhook": outside}),
        json!({"webhook": outside, "certificates": {"caBundle": "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n"}}),
        json!({"certificates": {"mode": "secret", "secretName": "mine"}}),
        json!({"certificates": {"mode": "cert-manager"}}),
        json!({"certificates": {"mode": "cert-manager", "issuerRef": {"name": "ours", "kind": "ClusterIssuer"}}}),
        json!({"hostNetwork": true, "webhook": {"port": 10260}, "replicaCount": 1, "priorityClassName": "",
            "podDisruptionBudget": {"enabled": false}, "topologySpreadConstraints": [], "events": {"enabled": false}, "recovery": {"enabled": false}}),
        json!({"image": {"digest": format!("sha256:{}", "a".repeat(64))}, "imagePullSecrets": [{"name": "a"}],
            "global": {"imagePullSecrets": [{"name": "b"}]}, "commonLabels": {"team": "a"}, "commonAnnotations": {"b": "c"},
            "podLabels": {"d": "e"}, "podAnnotations": {"f": "g"}, "extraArgs": ["--linger=20"],
            "extraEnv": [{"name": "A", "value": "b"}], "extraVolumes": [{"name": "v", "emptyDir": {}}],
            "extraVolumeMounts": [{"name": "v", "mountPath": "/v"}], "tolerations": [{"operator": "Exists"}],
            "networkPolicy": {"metricsFrom": [{"namespaceSelector": {}}]}, "dnsConfig": {"options": [{"name": "ndots", "value": "1"}]},
            "service": {"ipFamilyPolicy": "PreferDualStack"},
            "extraObjects": [{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "{{ .Release.Name }}-more", "namespace": "{{ .Release.Namespace }}"}}]}),
        json!({"serviceMonitor": {"enabled": true, "additionalLabels": {"release": "prometheus"}},
            "prometheusRule": {"enabled": true, "disabled": ["FluxkeepSlow"], "runbookUrl": "https://example.org/alerts#",
                "extraRules": [{"alert": "Mine", "expr": "vector(1)"}]}}),
    ]
}

/// The objects that `fluxkeep-webhook register` would write for the same values.
fn registered(given: &Value, policy: &Policy) -> Vec<Value> {
    let text = |pointer: &str| given.pointer(pointer).and_then(Value::as_str);
    let address = match text("/webhook/url") {
        Some(url) => Address::Url(url.to_owned()),
        None => Address::Service {
            namespace: "fluxkeep".to_owned(),
            name: "fluxkeep".to_owned(),
            port: 443,
        },
    };
    let mut releases = vec!["fluxkeep".to_owned()];
    let more = given.pointer("/webhook/failOpenReleases");
    for name in more.and_then(Value::as_array).into_iter().flatten() {
        let name = name.as_str().unwrap().to_owned();
        if !releases.contains(&name) {
            releases.push(name);
        }
    }
    let authority = text("/certificates/caBundle").map(str::to_owned);
    let registration = Registration {
        address,
        authority,
        releases,
    };
    let manifests = registration.manifests(policy, &KnownReleases::default());
    manifests.into_iter().map(|one| one.body).collect()
}

/// The policy of the values. It goes the server's way: from the file.
fn policy_of(given: &Value) -> Policy {
    let mut content = given.get("policy").cloned().unwrap_or_else(|| json!({}));
    let levels = content.get_mut("levels").and_then(Value::as_object_mut);
    for (_, level) in levels.into_iter().flatten() {
        if *level == json!(false) {
            *level = json!("off");
        }
    }
    read_policy(&content.to_string())
}

fn read_policy(text: &str) -> Policy {
    let path = folder("policy").join("policy.yaml");
    std::fs::write(&path, text).unwrap();
    let now = "2026-12-01T00:00:00Z".parse().unwrap();
    policy::load(Some(&path), None, now).unwrap()
}

/// The parts that decide about requests.
fn decisive(object: &Value) -> Value {
    let at = |pointer: &str| object.pointer(pointer).cloned().unwrap_or_default();
    json!({"apiVersion": at("/apiVersion"), "kind": at("/kind"), "name": at("/metadata/name"), "spec": at("/spec"),
        "webhooks": at("/webhooks")})
}

#[test]
fn both_helms_render_the_registration_that_the_server_would_write() {
    for given in variants() {
        let policy = policy_of(&given);
        let wanted: Vec<_> = registered(&given, &policy).iter().map(decisive).collect();
        for helm in HELMS {
            let all = objects(helm, &given, &[]);
            let text: String = all.iter().map(Value::to_string).collect();
            assert!(
                !text.contains("@NS@") && !text.contains("@RELEASE@"),
                "{given}"
            );
            let is_registered = |one: &&Value| REGISTERED.contains(&one["kind"].as_str().unwrap());
            let rendered: Vec<_> = all.iter().filter(is_registered).map(decisive).collect();
            assert_eq!(rendered.len(), wanted.len(), "{helm:?} {given}");
            for one in &wanted {
                let same = rendered
                    .iter()
                    .find(|other| (&other["kind"], &other["name"]) == (&one["kind"], &one["name"]));
                assert_eq!(same, Some(one), "{helm:?} {given}");
            }
        }
    }
}

#[test]
fn the_policy_file_is_the_policy_of_the_values() {
    for given in variants() {
        let all = objects(HELMS[1], &given, &[]);
        let file = of_kind(&all, "ConfigMap")
            .into_iter()
            .find_map(|one| one["data"]["policy.yaml"].as_str());
        if let Some(file) = file {
            assert_eq!(read_policy(file), policy_of(&given), "{file}");
        }
    }
}

#[test]
fn nothing_but_the_user_writes_a_ca_bundle() {
    for given in variants() {
        let text = objects(HELMS[1], &given, &[])
            .iter()
            .map(Value::to_string)
            .collect::<String>();
        let is_given = given.pointer("/certificates/caBundle").is_some();
        assert_eq!(text.contains("caBundle"), is_given, "{given}");
    }
}

#[test]
fn the_same_values_give_the_same_bytes() {
    for helm in HELMS {
        let rendered = || crate::template(helm, &json!({}), &[]).stdout;
        assert_eq!(rendered(), rendered());
    }
}

#[test]
fn a_server_outside_gets_no_pods_and_no_rights() {
    let given = json!({"webhook": {"url": "https://fluxkeep.example.org:8443"}});
    let all = objects(HELMS[1], &given, &[]);
    let others: Vec<_> = all
        .iter()
        .filter(|one| !REGISTERED.contains(&one["kind"].as_str().unwrap()))
        .collect();
    assert!(
        others.iter().all(|one| one["kind"] == "ConfigMap"),
        "{others:#?}"
    );
}

#[test]
fn only_the_built_in_authority_may_patch_the_configurations_and_read_a_secret() {
    let rights = |given: Value| {
        let all = objects(HELMS[1], &given, &[]);
        let roles = [of_kind(&all, "ClusterRole"), of_kind(&all, "Role")].concat();
        let rendered = roles
            .iter()
            .flat_map(|role| role["rules"].as_array().unwrap().clone());
        let rendered: Vec<_> = rendered.collect();
        let wide = rendered.iter().any(|rule| {
            rule.to_string().contains("\"*\"") || rule.to_string().contains("escalate")
        });
        assert!(!wide, "{rendered:?}");
        let with = |resource: &str| {
            let is_it = |rule: &&Value| {
                rule["resources"]
                    .as_array()
                    .unwrap()
                    .contains(&json!(resource))
            };
            rendered.iter().filter(is_it).cloned().collect::<Vec<_>>()
        };
        (with("secrets"), with("validatingwebhookconfigurations"))
    };
    let (secrets, configurations) = rights(json!({}));
    assert_eq!(secrets.len(), 1);
    assert_eq!(secrets[0]["resourceNames"], json!(["fluxkeep-authority"]));
    assert_eq!(secrets[0]["verbs"], json!(["get", "update"]));
    let names = |rules: &[Value]| {
        rules
            .iter()
            .all(|rule| rule["resourceNames"] == json!(["fluxkeep"]))
    };
    let verbs = |rules: &[Value]| {
        rules
            .iter()
            .map(|rule| rule["verbs"].clone())
            .collect::<Vec<_>>()
    };
    assert!(names(&configurations), "{configurations:?}");
    assert_eq!(verbs(&configurations), [json!(["get"]), json!(["patch"])]);
    for mode in ["cert-manager", "secret"] {
        let given = json!({"certificates": {"mode": mode, "secretName": "mine"}});
        let (secrets, configurations) = rights(given);
        assert!(secrets.is_empty() && names(&configurations), "{mode}");
        assert_eq!(verbs(&configurations), [json!(["get"])], "{mode}");
    }
}

/// `--reuse-values` from an older chart lacks whole parts.
#[test]
fn values_without_any_part_of_the_newest_are_rendered() {
    let parts = [
        "policy",
        "certificates",
        "webhook",
        "metrics",
        "resourceQuota",
        "podDisruptionBudget",
        "service",
        "serviceAccount",
        "rbac",
        "networkPolicy",
        "serviceMonitor",
        "prometheusRule",
        "events",
        "recovery",
        "log",
        "global",
    ];
    for helm in HELMS {
        for part in parts {
            let given = json!({part: null});
            assert!(!objects(helm, &given, &[]).is_empty(), "{helm:?} {part}");
        }
    }
}

/// Whoever may create Secrets beside Flux can have the token of a cluster-admin's ServiceAccount
/// written into one.
#[test]
fn the_server_reads_one_secret_of_its_own_namespace_and_creates_none_whatever_the_values() {
    let mut asked = 0;
    for given in variants() {
        let rendered = objects(HELMS[0], &given, &[]);
        for kind in ["Role", "ClusterRole"] {
            for role in of_kind(&rendered, kind) {
                for rule in role["rules"].as_array().unwrap() {
                    let has = |key: &str, word: &str| {
                        rule[key]
                            .as_array()
                            .is_some_and(|all| all.iter().any(|one| one == word))
                    };
                    if has("resources", "secrets") || has("resources", "*") {
                        assert_eq!(role["metadata"]["namespace"], "fluxkeep", "{role}");
                        assert!(!has("verbs", "create") && !has("verbs", "*"), "{role}");
                        assert_eq!(
                            rule["resourceNames"].as_array().map(Vec::len),
                            Some(1),
                            "{role}"
                        );
                        asked += 1;
                    }
                }
            }
        }
    }
    assert!(asked > 0, "the authority's Secret is read");
}
