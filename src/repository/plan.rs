//! The plan of a bump: every place that must move together, and what is left to a person.
//!
//! Order: boot and steady state, mirrors, the versions of charts that bring Flux, then whoever
//! names those versions. A range that holds the new value stays. Quotes and a leading `v` stay.

use std::collections::BTreeMap;

use semver::Version;

use super::comes::exact;
use super::{Comes, File, Original, Pin, PinRole, Repository, Scale, Value, includes, minor};
use crate::flux::catalogue::{Catalogue, Installer};
use crate::yaml::edit::{Splice, splice};

pub use super::target::{RefusedPlan, Target};

/// A step of the plan.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step {
    /// The path of the file.
    pub file: String,
    /// The line, from 1.
    pub line: u32,
    /// The change, or the command that is left to do.
    pub what: String,
}

/// The plan of a bump.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// The changes, as splices by file index, in text order.
    pub edits: BTreeMap<usize, Vec<Splice>>,
    /// The changes in words.
    pub edited: Vec<Step>,
    /// The steps left to a person, each with its command.
    pub left: Vec<Step>,
}

impl Repository {
    /// Plans to move the pins of a group, or of all, to a Flux release.
    ///
    /// # Errors
    /// If the group is not there, the target has no chart, or the apiserver would refuse it.
    pub fn plan(
        &self,
        target: &Target<'_>,
        group: Option<&str>,
        catalogue: &Catalogue,
    ) -> Result<Plan, RefusedPlan> {
        let to = target.release;
        let groups = self.chosen(group)?;
        let pins: Vec<&Pin> = self
            .pins
            .iter()
            .filter(|pin| pin.counts && pin.groups.iter().any(|one| groups.contains(one)))
            .collect();
        target.stays_stored(&pins, catalogue)?;
        let mut planner = Planner {
            repository: self,
            to,
            chart: target.chart,
            catalogue,
            plan: Plan::default(),
            charts: BTreeMap::new(),
        };
        for pin in pins {
            if pin.groups.iter().all(|one| groups.contains(one)) {
                planner.pin(pin)?;
            } else {
                planner.leave(
                    pin,
                    "other groups use it, too; move them together, or give each its own".to_owned(),
                );
            }
        }
        planner.charts();
        Ok(planner.finish())
    }

    fn chosen(&self, group: Option<&str>) -> Result<Vec<usize>, RefusedPlan> {
        let Some(name) = group else {
            return Ok((0..self.groups.len()).collect());
        };
        let found = self.groups.iter().position(|group| group.name == name);
        let names = || {
            self.groups
                .iter()
                .map(|group| group.name.clone())
                .collect::<Vec<_>>()
                .join(", ")
        };
        found
            .map(|found| vec![found])
            .ok_or_else(|| RefusedPlan::NoGroup(name.to_owned(), names()))
    }

    /// The files as the plan leaves them: those that change.
    #[must_use]
    pub fn changed(&self, plan: &Plan) -> Vec<File> {
        let mut files = Vec::new();
        for (number, splices) in &plan.edits {
            if let Some(text) = self.texts.get(*number) {
                let bytes = splice(&text.text, splices).into_bytes();
                files.push(File {
                    path: text.path.clone(),
                    bytes,
                });
            }
        }
        files
    }
}

struct Planner<'a> {
    repository: &'a Repository,
    to: &'a Version,
    chart: Option<&'a Version>,
    catalogue: &'a Catalogue,
    plan: Plan,
    /// The new versions of charts in the repository, by their index.
    charts: BTreeMap<usize, String>,
}

impl Planner<'_> {
    fn pin(&mut self, pin: &Pin) -> Result<(), RefusedPlan> {
        match (&pin.of, &pin.scale) {
            (Some(Original::VersionOf(_)), _) | (_, Scale::Local(_)) => {}
            (_, Scale::Chart) => self.chart(pin)?,
            (_, Scale::Operator) => self.installer(pin, Installer::FluxOperator),
            (_, Scale::Provider) => {
                self.installer(pin, Installer::TerraformProvider);
                self.leave(pin, "terraform init -upgrade".to_owned());
            }
            (_, Scale::Instance) => self.instance(pin),
            (_, Scale::Controller(name)) => self.image(pin, name),
            (_, Scale::Flux) => self.flux(pin),
        }
        Ok(())
    }

    fn flux(&mut self, pin: &Pin) {
        let is_output = pin.form == "gotk-components";
        if is_output && pin.comes.only() != Some(self.to) {
            self.leave(
                pin,
                format!(
                    "flux install --version=v{} --export >{}, with the components of its header",
                    self.to,
                    self.repository.path(pin)
                ),
            );
        } else if pin.version.contains('@') {
            self.leave(pin, format!("name the digest of {}", self.to));
        } else if exact(&pin.version).is_some() && !is_output {
            self.edit(pin, &self.to.to_string());
        } else if pin.role == PinRole::Installs && !self.may_be_target(pin) {
            self.leave(pin, format!("name {}", self.to));
        }
    }

    fn may_be_target(&self, pin: &Pin) -> bool {
        includes(pin.text(), &self.to.to_string()) || pin.comes.only() == Some(self.to)
    }

    /// The range of a FluxInstance moves only if it does not hold the target.
    fn instance(&mut self, pin: &Pin) {
        if exact(&pin.version).is_some() {
            self.edit(pin, &self.to.to_string());
        } else if !includes(pin.text(), &self.to.to_string()) {
            let is_minor = pin.version.ends_with(".x") && pin.version.split('.').count() == 3;
            if is_minor {
                let (major, minor) = minor(self.to);
                self.edit(pin, &format!("{major}.{minor}.x"));
            } else {
                self.leave(pin, format!("name a range that holds {}", self.to));
            }
        }
    }

    /// Moves the tag of a controller's image.
    fn image(&mut self, pin: &Pin, name: &str) {
        let release = self.catalogue.release(self.to);
        let mut controllers = release
            .map_or(&[][..], |one| one.controllers.as_slice())
            .iter();
        let new = controllers.find(|one| one.name == name);
        match new.filter(|_| exact(&pin.version).is_some()) {
            Some(new) => self.edit(pin, &new.version.to_string()),
            None => self.leave(pin, format!("name the image of {name} in Flux {}", self.to)),
        }
    }

    fn chart(&mut self, pin: &Pin) -> Result<(), RefusedPlan> {
        let release = self.catalogue.release(self.to);
        let newest = release.and_then(|release| release.charts.last());
        let chart = self
            .chart
            .or(newest)
            .ok_or_else(|| RefusedPlan::NoChart(self.to.clone()))?
            .to_string();
        if exact(&pin.version).is_some() {
            let is_there = pin.comes.only() == Some(self.to) && pin.role == PinRole::Installs;
            if !is_there {
                self.edit(pin, &chart);
                self.touch(pin);
            }
        } else if !includes(pin.text(), &chart) {
            self.leave(pin, format!("name a range that holds chart flux2 {chart}"));
        } else if matches!(pin.comes, Comes::One(_)) && pin.comes.only() != Some(self.to) {
            self.lock(pin);
        }
        Ok(())
    }

    /// Raises an installer to the first release that holds the target.
    fn installer(&mut self, pin: &Pin, installer: Installer) {
        let Some(held) = pin.comes.only() else {
            return;
        };
        let Some(releases) = installer.releases() else {
            return;
        };
        if held >= self.to && installer == Installer::FluxOperator || held == self.to {
            return;
        }
        let first = releases
            .first
            .iter()
            .filter(|(flux, _)| *flux >= self.to)
            .min_by_key(|(flux, _)| *flux);
        match first {
            Some((_, release)) if exact(&pin.version).is_some() => {
                self.edit(pin, &release.to_string());
            }
            _ => self.leave(pin, format!("name a release that holds Flux {}", self.to)),
        }
    }

    /// Marks the chart whose dependency moves.
    fn touch(&mut self, pin: &Pin) {
        let charts = self.repository.index.charts.iter().enumerate();
        for (number, chart) in charts.filter(|(_, chart)| chart.file == pin.file) {
            if let Some(version) = chart
                .version
                .as_ref()
                .and_then(|version| raised(&version.text))
            {
                self.charts.insert(number, version);
            }
        }
        self.lock(pin);
    }

    fn lock(&mut self, pin: &Pin) {
        let chart = self
            .repository
            .index
            .charts
            .iter()
            .find(|chart| chart.file == pin.file);
        let is_locked =
            chart.is_some_and(|chart| chart.dependencies.iter().any(|one| one.locked.is_some()));
        if let Some(chart) = chart.filter(|_| is_locked) {
            self.leave(pin, format!("helm dependency update {}", chart.folder));
        }
    }

    /// Moves the versions of charts that bring Flux, and whoever names them.
    fn charts(&mut self) {
        let mut done = 0;
        while done < self.charts.len() {
            done = self.charts.len();
            let mut more = Vec::new();
            for (number, chart) in self.repository.index.charts.iter().enumerate() {
                let is_above = self.charts.keys().any(|inner| self.names(number, *inner));
                if is_above && !self.charts.contains_key(&number) {
                    more.extend(
                        chart
                            .version
                            .as_ref()
                            .and_then(|version| raised(&version.text))
                            .map(|new| (number, new)),
                    );
                }
            }
            self.charts.extend(more);
        }
        for (number, new) in self.charts.clone() {
            if let Some(chart) = self.repository.index.charts.get(number)
                && let Some(version) = &chart.version
            {
                self.replace(
                    chart.file,
                    version,
                    &new,
                    &format!("version of chart {}", chart.name),
                );
            }
            for pin in &self.repository.pins {
                let names = pin.of == Some(Original::VersionOf(number)) && pin.counts;
                if names && exact(&pin.version).is_some() {
                    self.edit(pin, &new);
                }
            }
        }
    }

    /// True if a chart names the exact version of another.
    fn names(&self, chart: usize, inner: usize) -> bool {
        let file = self
            .repository
            .index
            .charts
            .get(chart)
            .map(|chart| chart.file);
        let mut pins = self.repository.pins.iter();
        pins.any(|pin| Some(pin.file) == file && pin.of == Some(Original::VersionOf(inner)))
    }

    fn edit(&mut self, pin: &Pin, new: &str) {
        let value = Value {
            text: pin.version.clone(),
            span: pin.span.clone(),
        };
        self.replace(pin.file, &value, new, &pin.thing);
    }

    /// Replaces a value; a leading `v` stays.
    fn replace(&mut self, file: usize, value: &Value, new: &str, thing: &str) {
        let new = if value.text.starts_with('v') {
            format!("v{new}")
        } else {
            new.to_owned()
        };
        let Some(text) = self
            .repository
            .texts
            .get(file)
            .filter(|_| new != value.text)
        else {
            return;
        };
        let splices = self.plan.edits.entry(file).or_default();
        if splices.iter().any(|splice| splice.range == value.span) {
            return;
        }
        let what = format!("{thing}: {} → {new}", value.text);
        let line = text.place(value.span.start).line;
        self.plan.edited.push(Step {
            file: text.path.clone(),
            line,
            what,
        });
        splices.push(Splice {
            range: value.span.clone(),
            text: new,
        });
    }

    fn leave(&mut self, pin: &Pin, what: String) {
        let place = self.repository.place(pin);
        let line = place.map(|place| place.line).unwrap_or_default();
        let step = Step {
            file: self.repository.path(pin).to_owned(),
            line,
            what,
        };
        if !self.plan.left.contains(&step) {
            self.plan.left.push(step);
        }
    }

    fn finish(mut self) -> Plan {
        for splices in self.plan.edits.values_mut() {
            splices.sort_by_key(|splice| splice.range.start);
        }
        self.plan.edited.sort();
        self.plan.left.sort();
        self.plan
    }
}

/// The version with its patch raised by one. `None` for a version with a pre-release.
fn raised(version: &str) -> Option<String> {
    let version = exact(version)?;
    let plain = version.pre.is_empty();
    plain.then(|| Version::new(version.major, version.minor, version.patch + 1).to_string())
}
