//! The recovery point of a rescue: from a file, a manifest, or the cluster itself.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use fluxkeep::flux::engine::Engine;
use fluxkeep::object::Key;
use fluxkeep::recovery::{Head, Point};
use fluxkeep_cluster::recovery::{Stored, stored};
use fluxkeep_cluster::write::Writer;

/// The flags that choose the point.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Choice {
    /// File of `fluxkeep snapshot --recovery`. Default: the newest point that a server keeps in the
    /// cluster.
    #[arg(long, value_name = "FILE", conflicts_with = "from")]
    point: Option<PathBuf>,
    /// Manifest of the lost Flux, for example its install.yaml.
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
    /// Start of the digest of the point to take, if a server keeps several.
    #[arg(long, value_name = "DIGEST", conflicts_with_all = ["point", "from"])]
    digest: Option<String>,
}

/// A point, and what to tell about it.
#[derive(Debug)]
pub(super) struct Chosen {
    pub(super) point: Point,
    pub(super) notes: Vec<String>,
}

impl Choice {
    /// The point of a file or a manifest. `None` if the cluster has to be asked.
    ///
    /// # Errors
    /// If the file is unreadable or no point of this engine.
    pub(super) fn read(&self, engine: &Engine) -> anyhow::Result<Option<Chosen>> {
        if let Some(path) = &self.point {
            let bytes = std::fs::read(path).with_context(|| naming(path))?;
            let point = Point::decode(&[bytes]).with_context(|| naming(path))?;
            return Ok(Some(Chosen::of(point, &path.display().to_string())));
        }
        let Some(path) = &self.from else {
            return Ok(None);
        };
        let text = std::fs::read_to_string(path).with_context(|| naming(path))?;
        let read = Point::from_manifest(&text, engine).with_context(|| naming(path))?;
        let mut chosen = Chosen::of(read.point, &path.display().to_string());
        chosen.notes.extend(left_out(&read.left_out));
        Ok(Some(chosen))
    }

    /// The newest point that servers keep in the cluster, or the one with the wanted digest.
    ///
    /// # Errors
    /// If the cluster cannot be read, or has no such point.
    pub(super) async fn ask(&self, writer: &Writer, engine: &Engine) -> anyhow::Result<Chosen> {
        let namespace = engine.namespaces.first().map_or("", String::as_str);
        let mut kept = stored(writer, None, namespace)
            .await
            .context("looking for recovery points")?;
        kept.sort_by_key(|stored| std::cmp::Reverse(stored.head().and_then(|head| head.taken)));
        let wanted = self.digest.as_deref().unwrap_or_default();
        let is_wanted = |head: &Head| head.digest.starts_with(wanted);
        let found = kept.iter().find(|one| one.head().is_some_and(is_wanted));
        let Some(found) = found else {
            return Err(none(&kept, namespace, wanted));
        };
        let name = found.name(namespace);
        let point = Point::decode(&found.parts).with_context(|| format!("reading {name}"))?;
        let mut chosen = Chosen::of(point, &format!("ConfigMap {name}"));
        for other in kept.iter().filter(|one| one.name(namespace) != name) {
            if let Some(head) = other.head() {
                let digest = head.digest.get(..12).unwrap_or_default();
                chosen
                    .notes
                    .push(format!("Another point: {head}; --digest {digest} takes it"));
            }
        }
        Ok(chosen)
    }
}

impl Chosen {
    fn of(point: Point, place: &str) -> Self {
        let notes = vec![format!("Recovery point: {place}: {}", point.head)];
        Self { point, notes }
    }
}

fn naming(path: &Path) -> String {
    format!("reading {}", path.display())
}

fn left_out(keys: &[Key]) -> Option<String> {
    let first = keys.first()?;
    let more = match keys.len() - 1 {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(format!(
        "Not applied, since it is no part of Flux: {first}{more}"
    ))
}

fn none(kept: &[Stored], namespace: &str, wanted: &str) -> anyhow::Error {
    use fluxkeep::recovery::store::Slot;
    for one in kept {
        if let Slot::Bad(why) = &one.slot {
            return anyhow!("reading {}: {why}", one.name(namespace));
        }
    }
    if !wanted.is_empty() && !kept.is_empty() {
        return anyhow!("no recovery point has a digest that begins with {wanted}");
    }
    anyhow!(
        "the cluster keeps no recovery point of the Flux in {namespace}; give --point FILE, or \
         --from install.yaml with the release that ran"
    )
}

/// Checks that the point is of this engine and cluster.
///
/// # Errors
/// If it is of another one.
pub(super) fn fits(point: &Point, engine: &Engine, cluster: &str) -> anyhow::Result<()> {
    let Some(namespace) = engine.namespaces.first() else {
        bail!("name the namespace of Flux with --namespace");
    };
    point.fits(namespace, cluster)?;
    Ok(())
}
