//! A pin: a place in the repository that says which Flux a cluster gets.

use std::ops::Range;

use semver::Version;

use super::comes::Comes;
use super::text::Value;

/// A pin's effect on a cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum PinRole {
    /// Puts an engine into a cluster, at boot or by reconciliation.
    Installs,
    /// Repeats another pin.
    Mirrors,
    /// A generator in this repository writes the pin.
    Output,
    /// A command-line program.
    Client,
}

impl PinRole {
    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Installs => "installs",
            Self::Mirrors => "mirrors",
            Self::Output => "output",
            Self::Client => "client",
        }
    }
}

/// The program that a pin's version belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Product {
    /// Flux.
    Flux,
    /// flux-operator, which installs Flux.
    FluxOperator,
}

impl Product {
    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Flux => "flux",
            Self::FluxOperator => "flux-operator",
        }
    }
}

/// How the text of a version is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scale {
    /// A release of Flux, or a range of them.
    Flux,
    /// The range or version of a FluxInstance, which flux-operator resolves.
    Instance,
    /// A version or range of the community's chart `flux2`.
    Chart,
    /// A release of flux-operator: its chart, the chart `flux-instance`, its manifests.
    Operator,
    /// A release of the Terraform provider `fluxcd/flux`.
    Provider,
    /// The image tag of a controller.
    Controller(&'static str),
    /// A version of a chart in this repository, by its index.
    Local(usize),
}

/// A pin as a form reads it, before references are followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    /// The id of the form.
    pub form: &'static str,
    /// The role.
    pub role: PinRole,
    /// How the version is read.
    pub scale: Scale,
    /// The named thing, in words: `chart flux2`, `install.yaml`. Pins of one thing are compared
    /// with each other first.
    pub thing: String,
    /// The version; `None` if the file names no version.
    pub value: Option<Value>,
    /// The bytes that name the thing, where a version is missing.
    pub at: Range<usize>,
    /// The version that a missing one means, if that is known.
    pub implied: Option<&'static str>,
    /// True if the thing is installed before Flux reconciles.
    pub boots: bool,
    /// The pin that this one repeats.
    pub of: Option<Original>,
    /// The folder into which the pinned program writes Flux's components.
    pub generates: Option<String>,
}

impl Draft {
    /// A pin that installs Flux.
    #[must_use]
    pub fn installs(form: &'static str, scale: Scale, thing: String, at: Range<usize>) -> Self {
        Self {
            form,
            role: PinRole::Installs,
            scale,
            thing,
            value: None,
            at,
            implied: None,
            boots: false,
            of: None,
            generates: None,
        }
    }
}

/// The original that a mirror repeats.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Original {
    /// The version of a chart `flux2` that another pin names.
    Chart,
    /// The Flux release that a chart in this repository brings, by the chart's index.
    FluxOf(usize),
    /// The version of a chart in this repository, by the chart's index.
    VersionOf(usize),
}

/// A pin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// The id of the form.
    pub form: &'static str,
    /// The role.
    pub role: PinRole,
    /// How the version is read.
    pub scale: Scale,
    /// The named thing, in words.
    pub thing: String,
    /// The index of the file.
    pub file: usize,
    /// The bytes of the version in the file; of the thing's name, where a version is missing.
    pub span: Range<usize>,
    /// The version as written; empty if missing.
    pub version: String,
    /// The version that a missing one means.
    pub implied: Option<&'static str>,
    /// The release or releases that the version resolves to.
    pub comes: Comes,
    /// True if the thing is installed before Flux reconciles.
    pub boots: bool,
    /// False for an example: it is listed and not judged.
    pub counts: bool,
    /// The indexes of the groups.
    pub groups: Vec<usize>,
    /// The pin that this one repeats.
    pub of: Option<Original>,
    /// The folder into which the pinned program writes Flux's components.
    pub generates: Option<String>,
}

impl Pin {
    /// The product.
    #[must_use]
    pub fn product(&self) -> Product {
        if self.scale == Scale::Operator {
            Product::FluxOperator
        } else {
            Product::Flux
        }
    }

    /// The version that counts: the written one, else the implied one.
    #[must_use]
    pub fn text(&self) -> &str {
        if self.version.is_empty() {
            self.implied.unwrap_or_default()
        } else {
            &self.version
        }
    }

    /// True if the pin puts Flux into a cluster, and counts: the output of a generator does.
    #[must_use]
    pub fn installs_flux(&self) -> bool {
        let installs = matches!(self.role, PinRole::Installs | PinRole::Output);
        self.counts && installs && self.product() == Product::Flux
    }

    /// True if the pin installs flux-operator or a part of it, and counts.
    #[must_use]
    pub fn installs_operator(&self) -> bool {
        self.counts && self.role == PinRole::Installs && self.product() == Product::FluxOperator
    }

    /// The Flux release that the pin comes to today.
    #[must_use]
    pub fn flux(&self) -> Option<&Version> {
        self.comes.today()
    }

    /// The thing and its version, for a message: `chart flux2 2.13.0`.
    #[must_use]
    pub fn told(&self) -> String {
        match self.text() {
            "" => format!("{} without a version", self.thing),
            version => format!("{} {version}", self.thing),
        }
    }
}
