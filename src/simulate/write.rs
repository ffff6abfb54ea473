//! A simulated data set on the disk.
