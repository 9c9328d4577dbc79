//! The server as its clients see it, over real sockets and TLS.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::similar_names,
    missing_docs
)]

mod bounds;
mod client;
mod clients;
mod observing;
mod reviews;
mod stopping;
