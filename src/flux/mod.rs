//! Flux itself: the objects it consists of, its releases, its version, and the tools besides Helm
//! that apply it.

pub mod applier;
pub mod catalogue;
pub mod engine;
mod version;

pub use version::{Flux, controller, controllers_of, is_official, is_untold, runs_controller};
