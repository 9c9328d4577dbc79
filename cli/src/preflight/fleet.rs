//! Several clusters: a line for each, and the exit code of the worst.

use anyhow::ensure;
use fluxkeep::case::policy::Policy;
use fluxkeep::render::Format;
use futures_util::future::join_all;
use jiff::Timestamp;

use super::input::Input;
use super::{Args, found};
use crate::clusters::{self, Known};
use crate::{Found, Output, access};

/// Judges the manifests against each context, all at once.
///
/// # Errors
/// If a cluster could not be judged against, after the lines of all.
pub(super) fn run(
    args: &Args,
    contexts: &[String],
    input: &Input,
    policy: &Policy,
    output: &mut Output,
) -> anyhow::Result<Found> {
    ensure!(
        args.output == Format::Text && args.output_file.is_none(),
        "reading the command line: several contexts are written as text to stdout; give one context for another format"
    );
    let read = access::runtime()?.block_on(all(args, contexts, policy));
    let (mut worst, mut failed) = (Found::Nothing, 0);
    for (context, known) in contexts.iter().zip(read) {
        let line = match known {
            Ok(known) => {
                let verdict = input.judge(&known.facts, policy, Timestamp::now());
                if found(&verdict, args.strict) == Found::Refusal {
                    worst = Found::Refusal;
                }
                format!(
                    "{}; {}",
                    clusters::rules(&verdict),
                    known.flux_and_age(policy)
                )
            }
            Err(error) => {
                failed += 1;
                format!("error: {error:#}")
            }
        };
        output.text(&format!("{context}: {line}\n"))?;
    }
    let all = contexts.len();
    ensure!(
        failed == 0,
        "judging against {all} contexts: {failed} could not be read"
    );
    Ok(worst)
}

/// The facts of each context, in the contexts' order.
async fn all(args: &Args, contexts: &[String], policy: &Policy) -> Vec<anyhow::Result<Known>> {
    let path = args.clusters.kubeconfig.as_deref();
    let reading = contexts
        .iter()
        .map(|context| clusters::live(path, context, &policy.engine));
    join_all(reading).await
}
