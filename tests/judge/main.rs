//! The judge, asked as a door asks it: bytes, facts, policy and time give an answer. No port, no
//! cluster.

mod appliers;
mod bad_input;
mod budget;
mod catalogue;
mod change;
mod engine;
mod helm_release;
mod lists;
mod mutation;
mod odd;
mod overrides;
mod owners;
mod properties;
mod release;
mod repository;
mod rules;
mod stale;
mod storage_matrix;
mod traps;
mod unread;
mod unreadable;
mod wire;
