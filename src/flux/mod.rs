//! Flux itself: the objects it consists of, its needs, its releases, its version, and the tools
//! besides Helm that apply it.

pub mod applier;
pub mod catalogue;
pub mod engine;
pub mod needs;
mod version;

pub use version::{Flux, controller, controllers_of, is_official, is_untold, runs_controller};
