//! `fluxkeep explain RULE` and `fluxkeep rules`: prints the rules' pages, without a network.

use anyhow::{Context, bail};
use fluxkeep::case::finding::url;
use fluxkeep::render::page::page;
use fluxkeep::rules::{RULES, find, nearest};

use crate::{Found, Output};

/// The arguments of `fluxkeep explain`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Rule name, as in a refusal.
    #[arg(value_name = "RULE")]
    rule: String,
}

/// Prints the page of a rule.
///
/// # Errors
/// If no rule has this name, or stdout cannot be written.
pub fn run(args: &Args, output: &mut Output) -> anyhow::Result<Found> {
    let id = args.rule.as_str();
    let Some(rule) = find(id) else {
        let near = nearest(id);
        bail!("no rule is called {id:?}; {near} is nearest, and `fluxkeep rules` lists them all");
    };
    let link = url(id).map(|url| format!("- Read more: {url}\n"));
    let text = format!("{id}\n\n{}{}", page(rule), link.unwrap_or_default());
    output.text(&text).context("writing to stdout")?;
    Ok(Found::Nothing)
}

/// Prints a line per rule: its name, its default level, and the pattern that it catches.
///
/// # Errors
/// If stdout cannot be written.
pub fn list(output: &mut Output) -> anyhow::Result<Found> {
    let longest = RULES.iter().map(|rule| rule.id.len()).max();
    let width = longest.unwrap_or_default();
    for rule in RULES {
        let (id, level) = (rule.id, rule.level.name());
        let line = format!("{id:width$}  {level:7}  {}\n", rule.catches);
        output.text(&line).context("writing to stdout")?;
    }
    Ok(Found::Nothing)
}
