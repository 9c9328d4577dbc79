//! The pages of the documentation, and what is read off them.

use std::path::{Path, PathBuf};

/// The pages beside docs/.
const BESIDE: [&str; 6] = [
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "charts/fluxkeep/README.md",
];
/// The first words of a page that `make docs` writes.
const GENERATED: &str = "<!-- Written by";

pub(crate) struct Page {
    /// The path from the repository's root.
    pub(crate) name: String,
    pub(crate) text: String,
}

fn root() -> PathBuf {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    tests.parent().expect("the workspace").to_owned()
}

/// A file of the repository.
pub(crate) fn read(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap_or_else(|_| panic!("{name} is missing"))
}

/// Every page: those at the root, and those in docs/.
pub(crate) fn all() -> Vec<Page> {
    let mut names: Vec<String> = BESIDE.map(str::to_owned).into();
    for entry in std::fs::read_dir(root().join("docs")).expect("docs/ is there") {
        let file = entry.expect("an entry").file_name();
        let file = file.to_string_lossy();
        if file.ends_with(".md") {
            names.push(format!("docs/{file}"));
        }
    }
    let page = |name: String| Page {
        text: read(&name),
        name,
    };
    names.into_iter().map(page).collect()
}

/// The pages that people write.
pub(crate) fn handwritten() -> Vec<Page> {
    let mut pages = all();
    pages.retain(|page| !page.text.starts_with(GENERATED));
    pages
}

/// The fenced blocks of a page, each with its language. A fence may be indented, as in a list.
pub(crate) fn blocks(text: &str) -> Vec<(String, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in text.lines() {
        let fence = line.trim_start().strip_prefix("```");
        match (fence, open.take()) {
            (Some(language), None) => open = Some((language.trim().to_owned(), String::new())),
            (Some(_), Some(block)) => blocks.push(block),
            (None, Some((language, text))) => open = Some((language, text + line + "\n")),
            (None, None) => {}
        }
    }
    blocks
}

/// The lines of a page that are not in a fenced block.
fn prose(text: &str) -> Vec<&str> {
    let mut is_open = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_open = !is_open;
        } else if !is_open {
            lines.push(line);
        }
    }
    lines
}

/// The inline code of a page.
pub(crate) fn code(text: &str) -> Vec<String> {
    let prose = prose(text).join("\n");
    prose
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

/// A heading's anchor, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let kept = |letter: &char| letter.is_alphanumeric() || [' ', '-', '_'].contains(letter);
    let text: String = heading.trim().chars().filter(kept).collect();
    text.to_lowercase().replace(' ', "-")
}

impl Page {
    /// The targets of its links.
    pub(crate) fn links(&self) -> Vec<String> {
        let prose = prose(&self.text).join("\n");
        let ends = prose.split("](").skip(1);
        ends.filter_map(|rest| Some(rest.split_once(')')?.0.to_owned()))
            .collect()
    }

    /// The reason why a link leads nowhere; `None` if it leads somewhere.
    pub(crate) fn fault(&self, target: &str) -> Option<&'static str> {
        if target.starts_with("http") {
            return None;
        }
        let (file, heading) = target.split_once('#').unwrap_or((target, ""));
        let own = root().join(&self.name);
        let path = if file.is_empty() {
            own
        } else {
            own.parent()?.join(file)
        };
        let Ok(text) = std::fs::read_to_string(&path) else {
            return (!path.is_dir()).then_some("there is no such file");
        };
        let lines = prose(&text);
        let mut headings = lines.iter().filter(|line| line.starts_with('#'));
        let is_there = headings.any(|line| anchor(line.trim_start_matches('#')) == heading);
        (!heading.is_empty() && !is_there).then_some("there is no such heading")
    }
}
