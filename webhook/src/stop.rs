//! Signals that end a process, on Unix and on Windows.

use std::io;

#[cfg(unix)]
use tokio::signal::unix::{SignalKind, signal};
#[cfg(windows)]
use tokio::signal::windows;

/// Waits for SIGINT, which Ctrl-C sends. The process listens from now on, not from the first poll.
///
/// # Errors
/// When the system does not let the process listen.
pub fn interrupt() -> io::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    let mut interrupt = signal(SignalKind::interrupt())?;
    #[cfg(windows)]
    let mut interrupt = windows::ctrl_c()?;
    Ok(async move {
        interrupt.recv().await;
    })
}

/// Waits for SIGTERM, which kubelet sends; on Windows for the end of the session.
///
/// # Errors
/// When the system does not let the process listen.
pub fn terminate() -> io::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    let mut terminate = signal(SignalKind::terminate())?;
    #[cfg(windows)]
    let mut terminate = windows::ctrl_shutdown()?;
    Ok(async move {
        terminate.recv().await;
    })
}

/// Waits for SIGHUP, which a closed terminal sends; on Windows for the closed console.
///
/// # Errors
/// When the system does not let the process listen.
pub fn hangup() -> io::Result<impl Future<Output = ()>> {
    #[cfg(unix)]
    let mut hangup = signal(SignalKind::hangup())?;
    #[cfg(windows)]
    let mut hangup = windows::ctrl_close()?;
    Ok(async move {
        hangup.recv().await;
    })
}
