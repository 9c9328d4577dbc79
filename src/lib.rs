//! fluxkeep's judge: plain data in, verdict out.
//!
//! Data flows one way: bytes → [`Request`](request::Request) → [`Facts`](facts::Facts) →
//! [`judge`](judge::judge) → [`Verdict`](verdict::Verdict) → response. This crate reads no file,
//! clock or environment, opens no connection and does not wait. A door gathers the judge's input
//! and carries the verdict out.

#![deny(clippy::disallowed_methods)]

pub mod admission;
pub mod adoption;
pub mod applier;
pub mod catalogue;
pub mod crd;
pub mod engine;
pub mod facts;
pub mod finding;
pub mod flux;
pub mod helm;
pub mod judge;
pub mod kube_version;
pub mod manifest;
pub mod migration;
pub mod mutation;
pub mod object;
pub mod overrides;
pub mod owners;
pub mod policy;
pub mod policy_file;
pub mod render;
pub mod request;
pub mod rule;
pub mod rules;
pub mod target_flux;
pub mod verdict;
mod walks;

pub use fluxkeep_yaml as yaml;
