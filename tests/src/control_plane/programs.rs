//! The programs of a control plane, built once by `tests/control-plane/build.sh`.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{LazyLock, Mutex};

static FOUND: LazyLock<Mutex<BTreeMap<String, PathBuf>>> = LazyLock::new(Mutex::default);

/// The path of a control plane program, which is built if missing.
///
/// # Panics
/// With the build's output, if the build fails.
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

/// A program that the machine may have, such as Debian's `prometheus`; a variable such as
/// `FLUXKEEP_PROMETHEUS` names another. A missing one is told on stderr, where the test harness hides
/// nothing.
#[must_use]
pub fn installed(name: &str) -> Option<PathBuf> {
    let variable = format!("FLUXKEEP_{}", name.to_uppercase());
    let path = std::env::var_os(&variable).map_or_else(|| PathBuf::from(name), PathBuf::from);
    if Command::new(&path).arg("--version").output().is_ok() {
        return Some(path);
    }
    let test = std::thread::current().name().unwrap_or_default().to_owned();
    writeln!(
        std::io::stderr(),
        "SKIPPED: {test}: no {name}; install it, or set {variable}"
    )
    .expect("stderr is open");
    None
}

/// A program of this workspace, built like the tests.
///
/// # Panics
/// With cargo's output, if the build fails.
#[must_use]
pub fn own(name: &str) -> PathBuf {
    let mut found = FOUND.lock().expect("no test panics while it looks");
    found
        .entry(name.to_owned())
        .or_insert_with(|| compiled(name))
        .clone()
}

/// Builds the program explicitly: a single test's build leaves out other packages' programs.
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
