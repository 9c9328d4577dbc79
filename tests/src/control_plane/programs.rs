//! Where the programs of a control plane are: built once by `tests/control-plane/build.sh`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex};

static FOUND: LazyLock<Mutex<BTreeMap<String, PathBuf>>> = LazyLock::new(Mutex::default);

/// The path of a program of the control plane, which is built first where it is missing.
///
/// # Panics
/// With what the build says, where it cannot be had.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let mut found = FOUND.lock().expect("no test panics while it looks");
    found
        .entry(name.to_owned())
        .or_insert_with(|| built(name))
        .clone()
}

fn built(name: &str) -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("control-plane/build.sh");
    let output = Command::new("bash")
        .arg(&script)
        .arg(name)
        .output()
        .expect("bash");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{} {name}: {said}",
        script.display()
    );
    PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())
}

/// A program of this workspace, built like the tests.
///
/// # Panics
/// With what cargo says, where it cannot be built.
#[must_use]
pub fn own(name: &str) -> PathBuf {
    let mut found = FOUND.lock().expect("no test panics while it looks");
    found
        .entry(name.to_owned())
        .or_insert_with(|| compiled(name))
        .clone()
}

/// A test that is run by itself does not build the programs of other packages.
fn compiled(name: &str) -> PathBuf {
    let output = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--workspace", "--bin", name])
        .output()
        .expect("cargo");
    assert!(
        output.status.success(),
        "building {name}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let test = std::env::current_exe().expect("a path");
    let folder = test.ancestors().find(|folder| folder.join(name).is_file());
    folder
        .unwrap_or_else(|| panic!("{name} is not beside the tests"))
        .join(name)
}
