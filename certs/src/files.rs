//! Certificates written by another program, such as cert-manager through a Secret, or by a person.
//!
//! Kubelet swaps a symbolic link instead of the files, so a watch on the files notices only the
//! first swap. So each look compares the content.

use std::path::{Path, PathBuf};

use crate::{Error, Identity};

/// A directory with `tls.crt` and `tls.key`, and their content at the last successful look.
pub struct Files {
    directory: PathBuf,
    taken: (Vec<u8>, Vec<u8>),
}

impl Files {
    /// Reads the directory.
    ///
    /// # Errors
    /// If a file is missing or the pair cannot be served.
    pub fn load(directory: &Path) -> Result<(Self, Identity), Error> {
        let pair = read(directory)?;
        let identity = identity(directory, &pair)?;
        Ok((
            Self {
                directory: directory.to_owned(),
                taken: pair,
            },
            identity,
        ))
    }

    /// The new identity, if the files changed.
    ///
    /// # Errors
    /// If the new pair cannot be served, as while only one file is written. The former identity
    /// stays in use, and the next look tries again.
    pub fn look(&mut self) -> Result<Option<Identity>, Error> {
        let pair = read(&self.directory)?;
        if pair == self.taken {
            return Ok(None);
        }
        let identity = identity(&self.directory, &pair)?;
        self.taken = pair;
        Ok(Some(identity))
    }
}

impl std::fmt::Debug for Files {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Files")
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

fn read(directory: &Path) -> Result<(Vec<u8>, Vec<u8>), Error> {
    let one = |name: &str| {
        let path = directory.join(name);
        std::fs::read(&path).map_err(|reason| Error::File { path, reason })
    };
    Ok((one("tls.crt")?, one("tls.key")?))
}

fn identity(directory: &Path, pair: &(Vec<u8>, Vec<u8>)) -> Result<Identity, Error> {
    Identity::from_pem(&pair.0, &pair.1, &directory.display().to_string())
}
