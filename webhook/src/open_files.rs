//! The limit of open files of the process, connections included.

use std::io;

#[cfg(unix)]
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the soft limit to the hard limit, as Go programs do, and returns it; `None` if unlimited.
/// The usual 1,024 suit programs that call select(2).
///
/// # Errors
/// If the system refuses; the limit stays as it was.
#[cfg(unix)]
pub fn raise() -> io::Result<Option<u64>> {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: maximum,
            maximum,
        },
    )?;
    Ok(maximum)
}

/// Windows has no such limit.
///
/// # Errors
/// Never.
#[cfg(windows)]
pub fn raise() -> io::Result<Option<u64>> {
    Ok(None)
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_process_may_open_as_many_files_as_the_system_allows_it() {
        let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
        setrlimit(
            Resource::Nofile,
            Rlimit {
                current: Some(512),
                maximum,
            },
        )
        .unwrap();
        assert_eq!(raise().unwrap(), maximum);
        assert_eq!(getrlimit(Resource::Nofile).current, maximum);
    }
}
