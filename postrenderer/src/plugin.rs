//! The Helm 4 plugin: a folder with this program and a `plugin.yaml` that tells Helm the call.

use std::env::consts::EXE_SUFFIX;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

use crate::{RunOutcome, note};

/// The file that Helm reads.
const MANIFEST: &str = "plugin.yaml";
/// The program's name in the folder, without `.exe`.
const PROGRAM: &str = "fluxkeep-postrenderer";

/// The arguments of `fluxkeep-postrenderer plugin`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Folder to write. It may exist, but must not contain another plugin.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Writes the plugin into the folder.
///
/// # Errors
/// When the folder contains another plugin, or cannot be written.
pub fn run(args: &Args) -> anyhow::Result<RunOutcome> {
    let program = std::env::current_exe().context("finding this program's own file")?;
    lay(&args.folder, &program)
        .with_context(|| format!("writing the plugin into {}", args.folder.display()))?;
    note(&format!(
        "wrote {}. Run once: helm plugin install {0}; Helm links to the folder, so leave it there. Then: helm upgrade … \
         --post-renderer fluxkeep --post-renderer-args=--release-name=NAME \
         --post-renderer-args=--namespace=NAMESPACE",
        args.folder.display()
    ));
    Ok(RunOutcome::Well)
}

fn lay(folder: &Path, program: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    let manifest = folder.join(MANIFEST);
    let before = std::fs::read_to_string(&manifest).unwrap_or_default();
    ensure!(
        before.is_empty() || before.contains(PROGRAM),
        "the folder holds another plugin; choose an empty folder"
    );
    // A running program cannot be overwritten, but another file can be renamed over it.
    let copy = folder.join(PROGRAM).with_extension("new");
    std::fs::copy(program, &copy).with_context(|| format!("copying {}", program.display()))?;
    std::fs::rename(&copy, folder.join(program_file()))?;
    std::fs::write(&manifest, text())?;
    Ok(())
}

/// Returns the file name of the program in the folder.
fn program_file() -> String {
    format!("{PROGRAM}{EXE_SUFFIX}")
}

/// Returns the text of `plugin.yaml`. Helm 4 hides a plugin's stderr, hence `--refusal document`.
fn text() -> String {
    format!(
        "apiVersion: v1\ntype: postrenderer/v1\nname: fluxkeep\nversion: {}\nruntime: subprocess\nruntimeConfig:\n  \
         platformCommand:\n    - command: ${{HELM_PLUGIN_DIR}}/{}\n      args: [\"--refusal\", \"document\"]\n",
        env!("CARGO_PKG_VERSION"),
        program_file()
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_folder_holds_program_and_manifest_and_is_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        std::fs::write(&program, "x").unwrap();
        let plugin = folder.path().join("plugin");
        lay(&plugin, &program).unwrap();
        lay(&plugin, &program).unwrap();
        // The program in the plugin can also overwrite its own folder.
        lay(&plugin, &plugin.join(program_file())).unwrap();
        assert_eq!(
            std::fs::read_to_string(plugin.join(program_file())).unwrap(),
            "x"
        );
        assert_eq!(
            std::fs::read_dir(&plugin).unwrap().count(),
            2,
            "nothing is left over"
        );
        assert!(
            std::fs::read_to_string(plugin.join(MANIFEST))
                .unwrap()
                .contains("type: postrenderer/v1")
        );
    }

    #[test]
    fn another_plugin_is_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(MANIFEST), "name: other\n").unwrap();
        assert!(
            lay(folder.path(), Path::new("/bin/sh"))
                .unwrap_err()
                .to_string()
                .contains("another plugin")
        );
        assert!(!folder.path().join(program_file()).exists());
    }
}
