//! The table of forms: each way to pin Flux that real repositories use. A form outside the table
//! never reads a file.

use super::forms;
use super::index::Index;
use super::pin::{Draft, PinRole};
use super::text::Text;

/// A form of a pin.
#[derive(Debug)]
pub struct Form {
    /// Kebab-case; never renamed.
    pub id: &'static str,
    /// The usual role.
    pub role: PinRole,
    /// The files and fields, in one line.
    pub reads: &'static str,
    /// Look-alikes that are no pins, in one line.
    pub passes: &'static str,
    /// Reads a file's pins.
    pub read: fn(&Text, &Index, &mut Vec<Draft>),
}

/// Every form.
pub static FORMS: [&Form; 17] = [
    &forms::flux_instance::FORM,
    &forms::flux_operator::FORM,
    &forms::gotk_components::FORM,
    &forms::kustomize_remote::FORM,
    &forms::install_manifest::FORM,
    &forms::flux_manifests::FORM,
    &forms::community_chart::FORM,
    &forms::chart_dependency::FORM,
    &forms::local_chart::FORM,
    &forms::controller_image::FORM,
    &forms::mirror::FORM,
    &forms::named::FORM,
    &forms::terraform::FORM,
    &forms::bootstrap_command::FORM,
    &forms::action::FORM,
    &forms::tool::FORM,
    &forms::cli_image::FORM,
];
