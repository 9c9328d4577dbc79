//! Measures fluxkeep beside baselines, in one run. `make bench` prints the table that
//! docs/performance.md keeps.

mod crowd;
mod hostile;
mod https;
mod input;
mod memory;
mod parsing;
mod process;
mod rendering;
mod served;
mod table;
mod writes;

use std::io::Write;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use input::{Files, Inputs};
use mimalloc::MiMalloc;
use table::Table;

/// As in the server, which this program runs in its own process and in a child.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

/// Measures fluxkeep beside baselines, in one run.
#[derive(Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct Args {
    #[command(flatten)]
    files: Files,
    #[command(subcommand)]
    task: Option<Task>,
}

/// What this program does when it is started by itself.
#[derive(Subcommand)]
enum Task {
    /// Serves, in a process whose memory is measured.
    #[command(hide = true)]
    Serve {
        /// Facts; without it, the built-in snapshot.
        snapshot: Option<PathBuf>,
    },
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    if let Some(Task::Serve { snapshot }) = args.task {
        return served::serve(snapshot.as_deref());
    }
    crowd::is_possible()?;
    let inputs = Inputs::read(&args.files)?;
    let mut table = Table::default();
    parsing::update(&mut table, &inputs.update)?;
    https::measure(&mut table, &inputs.update)?;
    parsing::record(&mut table, &inputs)?;
    memory::measure(&mut table, &inputs)?;
    crowd::measure(&mut table, &inputs.update)?;
    hostile::measure(&mut table, &inputs)?;
    rendering::measure(&mut table, &inputs.manifest)?;
    writes::measure(&mut table)?;
    Ok(write!(std::io::stdout(), "{}", table.text())?)
}
