//! Figures of a process and its threads, from /proc.

use std::fs;
use std::time::Duration;

use anyhow::Context;

/// A figure of a process's resident memory.
#[derive(Clone, Copy)]
pub(crate) enum Memory {
    Now,
    /// The maximum since the process began, or since [`forget_peak`].
    Peak,
}

/// Returns the resident memory of a process, in MiB.
pub(crate) fn mib(process: &str, memory: Memory) -> anyhow::Result<f64> {
    let key = match memory {
        Memory::Now => "VmRSS:",
        Memory::Peak => "VmHWM:",
    };
    let status = fs::read_to_string(format!("/proc/{process}/status")).context("reading /proc")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(key))
        .context("a figure of memory")?;
    let kib: f64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib / 1024.0)
}

/// Resets the peak memory of a process to the current memory.
pub(crate) fn forget_peak(process: &str) -> anyhow::Result<()> {
    fs::write(format!("/proc/{process}/clear_refs"), "5").context("resetting the peak of memory")
}

/// Counts the open sockets of a process.
pub(crate) fn sockets(process: &str) -> anyhow::Result<usize> {
    let files = fs::read_dir(format!("/proc/{process}/fd")).context("reading /proc")?;
    let targets = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
    Ok(targets
        .filter(|target| target.to_string_lossy().starts_with("socket:"))
        .count())
}

/// Returns the CPU time that a thread of this process has used.
pub(crate) fn cpu(thread: &str) -> anyhow::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/self/task/{thread}/schedstat"))
        .context("reading /proc")?;
    Ok(Duration::from_nanos(
        stat.split(' ')
            .next()
            .context("a figure of time")?
            .parse()?,
    ))
}

/// Returns the id of the calling thread.
pub(crate) fn thread() -> anyhow::Result<String> {
    let link = fs::read_link("/proc/thread-self").context("reading /proc")?;
    Ok(link
        .file_name()
        .context("a thread")?
        .to_string_lossy()
        .into_owned())
}
