//! Runs commands as a person pastes them.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use fluxkeep_tests::control_plane::{Cluster, folder, own, program};

/// A shell in a folder of its own, with `kubectl` bound to the kubeconfig's cluster.
pub(crate) struct Shell {
    programs: PathBuf,
    kubeconfig: PathBuf,
}

impl Shell {
    pub(crate) fn of(cluster: &Cluster) -> Self {
        let programs = folder("shell");
        std::os::unix::fs::symlink(program("kubectl"), programs.join("kubectl")).unwrap();
        std::os::unix::fs::symlink(own("fluxkeep"), programs.join("fluxkeep")).unwrap();
        Self {
            programs,
            kubeconfig: cluster.kubeconfig.clone(),
        }
    }

    /// A shell in which `kubectl get` fails, as without the right to list.
    pub(crate) fn that_cannot_read(cluster: &Cluster) -> Self {
        let programs = folder("shell");
        let real = program("kubectl");
        let text = format!(
            "#!/bin/sh\n[ \"$1\" != get ] || {{ echo Forbidden >&2; exit 1; }}\nexec {} \"$@\"\n",
            real.display()
        );
        let path = programs.join("kubectl");
        std::fs::write(&path, text).unwrap();
        executable(&path);
        Self {
            programs,
            kubeconfig: cluster.kubeconfig.clone(),
        }
    }

    /// Runs a command in `sh` or `bash`.
    pub(crate) fn run(&self, shell: &str, command: &str) -> Output {
        let path = std::env::var("PATH").unwrap();
        let mut running = Command::new(shell);
        running
            .args(["-c", command])
            .current_dir(&self.programs)
            .env("PATH", format!("{}:{path}", self.programs.display()))
            .env("TMPDIR", &self.programs)
            .env("KUBECACHEDIR", self.programs.join("served"))
            .env("KUBECONFIG", &self.kubeconfig);
        running.output().unwrap()
    }

    /// Runs a command that must succeed.
    pub(crate) fn succeeds(&self, shell: &str, command: &str) -> String {
        let output = self.run(shell, command);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let said = text(&output.stdout) + &text(&output.stderr);
        assert!(output.status.success(), "{command}\n{said}");
        said
    }
}

fn executable(path: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A command of fluxkeep itself, in quotes within its text.
pub(crate) fn own_command(text: &str) -> Option<&str> {
    let mut quoted = text.split('`').skip(1).step_by(2);
    quoted.find(|quoted| quoted.starts_with("fluxkeep migrate "))
}

/// The line with a command in fluxkeep's text.
pub(crate) fn command(text: &str) -> Option<&str> {
    let begins = |line: &&str| line.starts_with("kubectl ") || line.starts_with("c=");
    text.lines().find(begins)
}
