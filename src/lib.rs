//! placeholder
pub mod error;
pub mod limits;
pub mod rng;
pub mod shape;
pub mod data;
pub mod neuron;
pub mod notation;
pub mod plan;
pub mod network;
pub mod loss;
pub mod engine;
pub mod doctor;
pub mod storage;
pub mod checkpoint;
pub mod run_folder;
pub mod tensorboard;
