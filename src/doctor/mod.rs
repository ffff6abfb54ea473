//! placeholder
pub mod golden;
