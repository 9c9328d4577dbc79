//! The registration in a real kube-apiserver: accepted as it is, and asked at each door. While the
//! server is down, it is closed for the engine and open for strangers.

#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    missing_docs
)]

mod clients;
mod disabled;
mod doors;
mod elsewhere;
mod escaped;
mod grant;
mod hidden;
mod kept;
mod killed;
mod mutation;
mod names;
mod nothing;
mod objects;
mod operator;
mod root;
mod stage;
mod taken;
mod told;
mod twin;
mod versions;
