//! placeholder
pub mod error;
pub mod limits;
pub mod rng;
pub mod shape;
pub mod neuron;
pub mod engine;
pub mod data;
