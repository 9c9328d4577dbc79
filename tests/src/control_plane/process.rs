//! Programs that end with the test, however the test ends.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{LazyLock, Mutex};

use rustix::process::{Pid, Signal, kill_process};

/// A running program with its output in a file.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// The program's whole output.
    pub log: PathBuf,
}

/// A shell that reads process ids and folders. When its input ends, which happens even on Ctrl-C
/// and `kill -9`, it kills the processes and removes the folders. Ended processes are reported too,
/// since their ids may be reused.
const UNDERTAKER: &str = r#"
pids= folders=
while read -r what which; do
  case $what in
    process) pids="$pids $which" ;;
    ended) pids=$(printf '%s\n' $pids | grep -vx "$which") ;;
    folder) folders="$folders $which" ;;
  esac
done
[ -z "$pids" ] || kill -KILL $pids
[ -z "$folders" ] || rm -rf $folders
"#;

static AT_THE_END: LazyLock<Mutex<Child>> = LazyLock::new(|| {
    let mut command = group(Command::new("sh"));
    command
        .args(["-c", UNDERTAKER])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Mutex::new(command.spawn().expect("a shell"))
});

/// A process group of its own shields the child from Ctrl-C; the undertaker ends it.
fn group(mut command: Command) -> Command {
    use std::os::unix::process::CommandExt;
    command.process_group(0);
    command
}

/// Tells the undertaker to kill a process, remove a folder, or forget an ended process.
fn bury(what: &str, which: &str) {
    let mut undertaker = AT_THE_END.lock().expect("no test panics while it writes");
    let input = undertaker.stdin.as_mut().expect("its input is never taken");
    writeln!(input, "{what} {which}").expect("the undertaker lives as long as this process");
}

/// A folder that is removed when this process ends, so that failures can be inspected until then.
#[must_use]
pub fn folder(name: &str) -> PathBuf {
    let folder = tempfile::Builder::new()
        .prefix(&format!("fluxkeep-{name}-"))
        .tempdir()
        .expect("a writable /tmp");
    let path = folder.keep();
    bury("folder", &path.to_string_lossy());
    path
}

impl Process {
    /// Starts a program; its output is appended to `log`.
    #[must_use]
    pub fn start(command: Command, log: &Path) -> Self {
        let file = File::options()
            .create(true)
            .append(true)
            .open(log)
            .expect("a writable folder");
        let mut command = group(command);
        command
            .stdin(Stdio::null())
            .stderr(file.try_clone().expect("a second handle"))
            .stdout(file);
        let child = command
            .spawn()
            .unwrap_or_else(|error| panic!("starting {command:?}: {error}"));
        bury("process", &child.id().to_string());
        Self {
            child,
            log: log.to_owned(),
        }
    }

    /// Panics with the end of the log if the program has ended.
    pub fn is_running(&mut self) {
        if let Some(status) = self.child.try_wait().expect("a child of this process") {
            panic!("{} ended: {status}\n{}", self.log.display(), self.tail(30));
        }
    }

    /// The last lines of the output.
    #[must_use]
    pub fn tail(&self, lines: usize) -> String {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        let start = text.lines().count().saturating_sub(lines);
        text.lines().skip(start).collect::<Vec<_>>().join("\n")
    }

    /// Pauses the program until [`Process::resume`]: connections stay open and get no answer.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Resumes the program.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Sends SIGTERM and waits for the end.
    pub fn stop(&mut self) {
        self.signal(Signal::TERM);
        self.child.wait().expect("a child of this process");
        bury("ended", &self.id().to_string());
    }

    /// Kills the program.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        bury("ended", &self.id().to_string());
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The peak of resident memory in bytes. Source: `VmHWM` of /proc.
    #[must_use]
    pub fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()));
        let status = status.expect("a process that runs, on Linux");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = peak.and_then(|peak| peak.trim().strip_suffix(" kB")?.trim().parse().ok());
        kibibytes.map_or(0, |kibibytes: u64| kibibytes << 10)
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(Pid::from_raw)
            .expect("a process id");
        kill_process(pid, signal).expect("a child of this process");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
