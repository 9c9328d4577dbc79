//! The forms of pins, one file each. A file that no form claims has no pin.

pub mod action;
pub mod bootstrap_command;
pub mod chart_dependency;
pub mod cli_image;
pub mod community_chart;
pub mod controller_image;
pub mod flux_instance;
pub mod flux_manifests;
pub mod flux_operator;
pub mod gotk_components;
pub mod install_manifest;
pub mod kustomize_remote;
pub mod local_chart;
pub mod mirror;
pub mod named;
pub mod terraform;
pub mod tool;
