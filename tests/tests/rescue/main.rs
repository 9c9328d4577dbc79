//! `fluxkeep rescue` on real components: the incident without fluxkeep, then Flux is brought back.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs
)]

#[allow(dead_code)]
#[path = "../incident/stage.rs"]
mod stage;

mod cut_off;
mod in_the_way;
mod kept;
mod refused;
mod rescuer;
mod rights;
mod stuck;
mod wiped;
