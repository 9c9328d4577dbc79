//! fluxkeep's judge: plain data in, verdict out.
//!
//! Data flows one way: bytes → [`Request`](case::request::Request) →
//! [`Facts`](case::facts::Facts) → [`judge`](judge::judge) → [`Verdict`](case::verdict::Verdict) →
//! response. This crate reads no file, clock or environment, opens no connection and does not wait.
//! A door gathers the judge's input and carries the verdict out.

#![deny(clippy::disallowed_methods)]

pub mod admission;
pub mod adoption;
pub mod audit;
pub mod case;
pub mod crd;
pub mod flux;
pub mod helm;
pub mod judge;
pub mod manifest;
pub mod object;
pub mod recovery;
pub mod render;
pub mod repository;
pub mod rescue;
pub mod rules;
pub mod upgrade;
mod walks;

pub use fluxkeep_yaml as yaml;
