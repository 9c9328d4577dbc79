//! How many files a process may have open, connections included.

use std::io;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit as far as the process may, as Go programs do, and returns it; none where there is
/// none. The usual 1,024 are meant for programs that call select(2).
///
/// # Errors
/// When the system does not allow it; the limit is as it was.
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

#[cfg(test)]
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
