//! Recovery points on a real apiserver: taken by the command, kept by servers.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs
)]

mod kept;
mod snapshot;
mod stage;
