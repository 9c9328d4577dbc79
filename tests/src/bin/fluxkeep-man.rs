//! Writes the man pages of all three programs into a folder, for the archives of `make dist`.

use std::path::PathBuf;

use anyhow::Context;
use clap::{Command, CommandFactory};

fn main() -> anyhow::Result<()> {
    let folder = std::env::args_os().nth(1).map(PathBuf::from);
    let folder = folder.context("name the folder for the pages")?;
    std::fs::create_dir_all(&folder)?;
    for program in programs() {
        // The commit would change every page with every commit.
        let plain = program.version(env!("CARGO_PKG_VERSION"));
        clap_mangen::generate_to(plain, &folder)
            .with_context(|| format!("writing the pages into {}", folder.display()))?;
    }
    Ok(())
}

fn programs() -> [Command; 3] {
    [
        fluxkeep_cli::Cli::command(),
        fluxkeep_webhook::Args::command(),
        fluxkeep_postrenderer::Cli::command(),
    ]
}
