//! Repositories as folders of fixtures, judged in process.

#![allow(clippy::panic)]

use std::path::Path;

use fluxkeep::case::facts::Facts;
use fluxkeep::case::policy::Policy;
use fluxkeep::case::request::{Door, Operation, Request, Subject, Writer};
use fluxkeep::case::verdict::Verdict;
use fluxkeep::flux::catalogue::Catalogue;
use fluxkeep::judge::judge;
use fluxkeep::repository::{File, Pin, Repository, read};

use crate::now;

/// The files of a folder, with paths relative to it.
#[must_use]
pub fn files(folder: &Path) -> Vec<File> {
    let mut files = Vec::new();
    collect(folder, "", &mut files);
    files
}

fn collect(folder: &Path, prefix: &str, files: &mut Vec<File>) {
    let entries = folder
        .read_dir()
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for entry in entries.flatten() {
        let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
        if entry.path().is_dir() {
            collect(&entry.path(), &format!("{path}/"), files);
        } else {
            let bytes = std::fs::read(entry.path()).unwrap_or_default();
            files.push(File { path, bytes });
        }
    }
}

/// The repository of a folder.
#[must_use]
pub fn repository(folder: &Path) -> Repository {
    read(files(folder), Catalogue::built_in())
}

/// The files of a repository that a test writes: path, then content.
#[must_use]
pub fn written(files: &[(&str, &str)]) -> Vec<File> {
    let file = |(path, text): &(&str, &str)| File {
        path: (*path).to_owned(),
        bytes: text.as_bytes().to_owned(),
    };
    files.iter().map(file).collect()
}

/// The verdict about a repository.
#[must_use]
pub fn judged(repository: Repository) -> Verdict {
    let request = Request {
        door: Door::Check,
        operation: Operation::Update,
        writer: Writer::default(),
        dry_run: false,
        subject: Subject::Repository(Box::new(repository)),
        gaps: Vec::new(),
    };
    judge(&request, &Facts::default(), &Policy::default(), now())
}

/// The findings that a person sees: `level rule file:line`, each with its other places.
#[must_use]
pub fn seen(verdict: &Verdict) -> Vec<String> {
    let mut seen = Vec::new();
    for finding in &verdict.findings {
        if finding.level < fluxkeep::case::finding::Level::Warn {
            continue;
        }
        let related = finding.related.iter().map(|related| &related.source);
        let places = finding.source.iter().chain(related);
        let places: Vec<String> = places
            .map(|at| format!("{}:{}", at.file, at.line))
            .collect();
        seen.push(format!(
            "{} {} {}",
            finding.level.name(),
            finding.rule,
            places.join(" ")
        ));
    }
    seen
}

/// A pin in a line: form, role, thing and version, Flux, place.
#[must_use]
pub fn line(repository: &Repository, pin: &Pin) -> String {
    let place = repository
        .place(pin)
        .map(|at| format!("{}:{}:{}", at.file, at.line, at.column));
    let flux = pin.flux().map_or("unknown".to_owned(), ToString::to_string);
    format!(
        "{} {} [{}] Flux {flux} at {}",
        pin.form,
        pin.role.name(),
        pin.told(),
        place.unwrap_or_default()
    )
}
