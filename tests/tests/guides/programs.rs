//! The calls of our programs in a command, and their own parsers.

use clap::Parser;

/// Our programs.
pub(crate) const OURS: [&str; 3] = ["fluxkeep", "fluxkeep-postrenderer", "fluxkeep-webhook"];

/// The error of a program's own parser, if it refuses the words.
pub(crate) fn refused(words: &[String]) -> Option<String> {
    let program = words.first().map(String::as_str).unwrap_or_default();
    let parsed = match program {
        "fluxkeep" | "kubectl-fluxkeep" => {
            fluxkeep_cli::Cli::read(words.iter().map(Into::into).collect()).map(drop)
        }
        "fluxkeep-webhook" => fluxkeep_webhook::Args::try_parse_from(words).map(drop),
        "fluxkeep-postrenderer" => fluxkeep_postrenderer::Cli::try_parse_from(words).map(drop),
        _ => return Some("no program is called so".to_owned()),
    };
    parsed
        .err()
        .filter(clap::Error::use_stderr)
        .map(|error| error.to_string())
}

/// The calls of our programs in a command, each with the program's name first.
pub(crate) fn calls(words: &[String]) -> Vec<Vec<String>> {
    let program = words.first().map(String::as_str).unwrap_or_default();
    let second = words.get(1).map(String::as_str).unwrap_or_default();
    if program.starts_with("fluxkeep") {
        return vec![words.to_vec()];
    }
    if program == "kubectl" && second == "fluxkeep" {
        let mut call = words.to_vec();
        call.splice(..2, ["kubectl-fluxkeep".to_owned()]);
        return vec![call];
    }
    if program == "cargo" && second == "run" {
        let bin = words.iter().position(|word| word == "--bin");
        let name = bin.and_then(|at| words.get(at + 1)).cloned();
        let arguments = words.iter().skip_while(|word| *word != "--").skip(1);
        return vec![name.into_iter().chain(arguments.cloned()).collect()];
    }
    if program == "helm" {
        return post_renderer(words).into_iter().collect();
    }
    Vec::new()
}

/// The call that Helm makes of the post-renderer.
fn post_renderer(words: &[String]) -> Option<Vec<String>> {
    let at = words.iter().position(|word| word == "--post-renderer")?;
    let name = words.get(at + 1).map(String::as_str).unwrap_or_default();
    assert!(
        ["fluxkeep", "fluxkeep-postrenderer"].contains(&name),
        "Helm finds no post-renderer {name}"
    );
    let arguments = words
        .iter()
        .filter_map(|word| word.strip_prefix("--post-renderer-args="));
    let program = std::iter::once("fluxkeep-postrenderer");
    Some(program.chain(arguments).map(str::to_owned).collect())
}
