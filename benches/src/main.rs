//! Measures fluxkeep beside baselines, in one run. `make bench` prints the table for
//! docs/performance.md.

mod crowd;
mod hostile;
mod https;
mod input;
mod memory;
mod migrations;
mod parsing;
mod preflight;
mod process;
mod rendering;
mod served;
mod table;
mod tenant;
mod writes;

use std::io::Write;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use input::{Files, Inputs};
use mimalloc::MiMalloc;
use table::Table;

/// The server's allocator. This program runs the server in its own process and in a child.
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

/// A task other than the whole run.
#[derive(Subcommand)]
enum Task {
    /// Runs the server. The program starts itself with this task, and measures the child's memory.
    #[command(hide = true)]
    Serve {
        /// The snapshot with the facts; by default, the built-in snapshot.
        snapshot: Option<PathBuf>,
    },
    /// Measures only the cost of hostile clients.
    Hostile,
    /// Measures only the engine's doors beside a tenant.
    Tenant,
    /// Measures only `fluxkeep preflight`.
    Preflight,
    /// Measures only `fluxkeep migrate` and an audit.
    Migrate,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let mut table = Table::default();
    match args.task {
        Some(Task::Serve { snapshot }) => return served::serve(snapshot.as_deref()),
        Some(Task::Hostile) => hostile::measure(&mut table, &Inputs::read(&Files::default())?)?,
        Some(Task::Tenant) => tenant::measure(&mut table, &Inputs::read(&Files::default())?)?,
        Some(Task::Preflight) => {
            let inputs = Inputs::read(&Files::default())?;
            preflight::measure(&mut table, &inputs.manifest)?;
        }
        Some(Task::Migrate) => migrations::measure(&mut table)?,
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
    tenant::measure(table, &inputs)?;
    preflight::measure(table, &inputs.manifest)?;
    rendering::measure(table, &inputs.manifest)?;
    migrations::measure(table)?;
    writes::measure(table)
}
