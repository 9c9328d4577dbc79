//! Parts of the whole-product tests: a real control plane, the apiserver's CEL, a terminal.

#![allow(clippy::expect_used, clippy::missing_panics_doc, clippy::panic)]

pub mod apiserver;
pub mod control_plane;
pub mod terminal;

pub use fluxkeep_fixtures::*;
