//! Helm's words: version ranges, releases and the record that Helm keeps of them.

pub mod range;
pub mod record;
pub mod release;
