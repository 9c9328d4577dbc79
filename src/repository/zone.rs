//! A file's role by its path: whether the file is read, and whether its pins count.

/// The part of a repository that a file belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Zone {
    /// Files that make a cluster: their pins are judged.
    Cluster,
    /// Examples, documentation and tests: their pins are listed and not judged.
    Example,
    /// Pipelines: a job with a throw-away cluster installs nothing that counts.
    Pipeline,
}

/// Folders that are not read: nothing there reaches a cluster.
const UNREAD: [&str; 8] = [
    ".archive",
    "_archive",
    "archive",
    "archived",
    "attic",
    "vendor",
    "node_modules",
    ".git",
];
/// Folders of examples. `test`, `demo` and `sandbox` are names of environments.
const EXAMPLES: [&str; 7] = [
    "examples", "docs", "tests", "testdata", "fixtures", "e2e", "website",
];
/// Prose, locks and program sources: their versions are mentioned, not installed.
const PROSE: [&str; 15] = [
    "md", "rst", "adoc", "txt", "lock", "go", "rs", "py", "js", "ts", "java", "rb", "sum", "svg",
    "ipynb",
];

/// True if a file may hold pins. Paths are relative, with `/`.
#[must_use]
pub fn is_read(path: &str) -> bool {
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    if folders.split('/').any(|folder| UNREAD.contains(&folder)) || is_template(folders) {
        return false;
    }
    if name == "Chart.lock" {
        return true;
    }
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    let is_lock = matches!(
        name,
        "package-lock.json" | "pnpm-lock.yaml" | ".terraform.lock.hcl"
    );
    !is_lock && !PROSE.contains(&extension.to_ascii_lowercase().as_str())
}

/// True in the templates of a Helm chart, which are not YAML.
fn is_template(folders: &str) -> bool {
    let folders: Vec<&str> = folders.split('/').collect();
    let chart = folders.iter().position(|folder| *folder == "charts");
    chart.is_some_and(|at| {
        folders
            .iter()
            .skip(at + 1)
            .any(|folder| *folder == "templates")
    })
}

/// The zone of a file. A folder that a sync path names is never an example.
#[must_use]
pub fn zone(path: &str, roots: &[String]) -> Zone {
    let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
    if path.contains(".github/ISSUE_TEMPLATE/") {
        return Zone::Example;
    }
    if is_pipeline(path, name) {
        return Zone::Pipeline;
    }
    let synced = roots.iter().filter(|root| is_below(path, root));
    let synced = synced.map(String::len).max().unwrap_or(0);
    let rest = folders.get(synced..).unwrap_or_default();
    let is_example = rest.split('/').any(|folder| EXAMPLES.contains(&folder));
    if is_example {
        Zone::Example
    } else {
        Zone::Cluster
    }
}

fn is_pipeline(path: &str, name: &str) -> bool {
    let folders = [
        ".github/",
        ".gitlab/",
        ".circleci/",
        ".forgejo/",
        ".gitea/",
        ".woodpecker/",
        ".tekton/",
    ];
    let names = [
        ".gitlab-ci.yml",
        ".drone.yml",
        ".woodpecker.yml",
        "azure-pipelines.yml",
        "Jenkinsfile",
    ];
    folders.iter().any(|folder| path.starts_with(folder)) || names.contains(&name)
}

/// True if a path lies below a folder; every path lies below the empty one.
#[must_use]
pub fn is_below(path: &str, folder: &str) -> bool {
    folder.is_empty()
        || path
            .strip_prefix(folder)
            .is_some_and(|rest| rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn singular_test_is_an_environment_and_plural_tests_are_examples() {
        assert_eq!(zone("clusters/test/flux.yaml", &[]), Zone::Cluster);
        assert_eq!(zone("tests/flux.yaml", &[]), Zone::Example);
        let roots = ["examples/prod".to_owned()];
        assert_eq!(zone("examples/prod/flux.yaml", &roots), Zone::Cluster);
        assert_eq!(zone("examples/other/flux.yaml", &roots), Zone::Example);
    }

    #[test]
    fn prose_archives_and_chart_templates_are_not_read() {
        for path in [
            "docs/a.md",
            "archive/a.yaml",
            "charts/x/templates/a.yaml",
            "flake.lock",
        ] {
            assert!(!is_read(path), "{path}");
        }
        for path in [
            "charts/x/Chart.lock",
            "charts/x/values.yaml",
            "templates/a.yaml",
        ] {
            assert!(is_read(path), "{path}");
        }
    }
}
