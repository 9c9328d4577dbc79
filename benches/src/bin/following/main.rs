//! Measures the server's time to readiness and its memory, over a cluster with many CRDs.
//! `make following` prints the table for docs/performance.md. The server is the release build.

#![allow(clippy::expect_used)]

mod program;
mod real;
mod stand_in;

use std::io::Write;

use clap::Parser;

/// Measures the server over a cluster with many CRDs.
#[derive(Parser)]
struct Args {
    /// The largest number of CRDs of a stand-in for the apiserver.
    #[arg(long, default_value_t = 10_000)]
    stand_in: usize,
    /// The number of CRDs of a real apiserver; 0 skips the real apiserver.
    #[arg(long, default_value_t = 1_000)]
    real: usize,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mut rows =
        vec!["| cluster | ready after | memory, then | at most |\n|---|---|---|---|".to_owned()];
    for crds in [1, args.stand_in / 10, args.stand_in] {
        rows.push(stand_in::measure(crds).await?);
    }
    if args.real > 0 {
        rows.extend(real::measure(args.real).await?);
    }
    Ok(writeln!(std::io::stdout(), "{}", rows.join("\n"))?)
}

/// Returns a schema of about 100 kB, like those of large CRDs: many fields, each with a
/// description.
fn schema() -> serde_json::Value {
    let field = |number: usize| {
        let text =
            format!("Field {number} says how the thing behaves when it is reconciled. ").repeat(4);
        (
            format!("field{number}"),
            serde_json::json!({"type": "string", "description": text}),
        )
    };
    let fields: serde_json::Map<_, _> = (0..330).map(field).collect();
    serde_json::json!({"openAPIV3Schema": {"type": "object", "properties": {"spec": {"type": "object", "properties": fields}}}})
}

/// Returns a CRD of about 100 kB with that schema.
fn crd(number: usize, schema: &serde_json::Value) -> serde_json::Value {
    let plural = format!("things{number}");
    serde_json::json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.example.org"), "labels": {"app.kubernetes.io/part-of": "things"},
            "annotations": {"helm.sh/resource-policy": "keep"}},
        "spec": {"group": "example.org", "scope": "Namespaced",
            "names": {"kind": format!("Thing{number}"), "plural": plural, "singular": format!("thing{number}"),
                "listKind": format!("Thing{number}List")},
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": schema}]}})
}
