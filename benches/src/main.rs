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
    /// Measures only what clients that mean harm cost.
    Hostile,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mut table = Table::default();
    match args.task {
        Some(Task::Serve { snapshot }) => return served::serve(snapshot.as_deref()),
        Some(Task::Hostile) => hostile::measure(&mut table, &Inputs::read(&Files::default())?)?,
        None => everything(&mut table, &args.files)?,
    }
    Ok(write!(std::io::stdout(), "{}", table.text())?)
}

fn everything(table: &mut Table, files: &Files) -> anyhow::Result<()> {
    crowd::is_possible()?;
    let inputs = Inputs::read(files)?;
    parsing::update(table, &inputs.update)?;
    https::measure(table, &inputs.update)?;
    parsing::record(table, &inputs)?;
    memory::measure(table, &inputs)?;
    crowd::measure(table, &inputs.update)?;
    hostile::measure(table, &inputs)?;
    rendering::measure(table, &inputs.manifest)?;
    writes::measure(table)
}
