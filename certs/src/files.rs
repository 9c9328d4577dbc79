//! Certificates that somebody else writes: cert-manager through a mounted Secret, or a person.
//!
//! Kubelet exchanges a symbolic link and not the files, so that a watch on the files sees the first
//! exchange alone. Hence the content is compared, whenever the caller looks.

use std::path::{Path, PathBuf};

use crate::{Error, Identity};

/// A directory with `tls.crt` and `tls.key`, and what was last taken from it.
pub struct Files {
    directory: PathBuf,
    taken: (Vec<u8>, Vec<u8>),
}

impl Files {
    /// Reads the directory.
    ///
    /// # Errors
    /// When a file is missing or the pair cannot be served.
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

    /// The new identity, if there is one.
    ///
    /// # Errors
    /// When a new pair cannot be served, as when only one of two files is written yet. What was
    /// taken before stays valid, and the next look tries again.
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
        std::fs::read(&path).map_err(|source| Error::File { path, source })
    };
    Ok((one("tls.crt")?, one("tls.key")?))
}

fn identity(directory: &Path, pair: &(Vec<u8>, Vec<u8>)) -> Result<Identity, Error> {
    Identity::from_pem(&pair.0, &pair.1, &directory.display().to_string())
}
