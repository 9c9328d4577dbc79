//! Writes the seeds of the fuzz targets: the nasty documents of the tests, each with each patch.

use std::io;
use std::path::Path;

#[path = "../../tests/fixtures/src/nasty.rs"]
mod nasty;

/// As many as the target `edit` knows.
const PATCHES: u8 = 6;
/// As many as the target `record` knows.
const NAMESPACES: u8 = 2;

fn main() -> io::Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for target in ["edit", "documents", "record"] {
        std::fs::create_dir_all(corpus.join(target))?;
    }
    for (number, (_, text)) in nasty::DOCUMENTS.iter().enumerate() {
        std::fs::write(corpus.join(format!("documents/seed-{number}")), text)?;
        for choice in 0..PATCHES {
            let seed = [&[choice], text.as_bytes()].concat();
            std::fs::write(corpus.join(format!("edit/seed-{number}-{choice}")), &seed)?;
            if choice < NAMESPACES {
                std::fs::write(corpus.join(format!("record/seed-{number}-{choice}")), seed)?;
            }
        }
    }
    Ok(())
}
