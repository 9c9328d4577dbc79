//! From a verdict to what people and programs read.

pub mod message;
