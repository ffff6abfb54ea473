//! Large buffers that are used again: a training step asks for the same sizes as the one before, and memory fresh from the
//! system costs more to touch than to compute on.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::field::Words;
use super::simd::{LANES, Lane};

/// Elements of 64 or 128 bytes per task when a buffer is cleared.
const CHUNK: usize = 1 << 13;
/// Below so many elements the allocator is as good.
const SMALL: usize = 1 << 8;
/// A kept buffer that was passed over this often is given back to the system: the sizes have changed.
const AGE: u64 = 4_096;

/// What buffers hold.
pub trait Element: Copy + Send + Sync + 'static {
    /// All bits zero.
    const ZERO: Self;
    /// The buffers that wait for use.
    fn shelf() -> &'static Mutex<Shelf<Self>>;
}

/// Buffers that wait for use, each with the time it was put here, counted in requests.
pub struct Shelf<T> {
    waiting: Vec<(Vec<T>, u64)>,
    requests: u64,
}

impl<T: Element> Shelf<T> {
    const EMPTY: Shelf<T> = Shelf { waiting: Vec::new(), requests: 0 };

    /// The smallest that holds `len` and wastes less than half of itself.
    fn take(&mut self, len: usize) -> Option<Vec<T>> {
        self.requests += 1;
        let now = self.requests;
        self.waiting.retain(|(_, since)| now - since < AGE);
        let fitting = self.waiting.iter().enumerate().filter(|(_, (v, _))| v.len() >= len && v.len() < 2 * len);
        let best = fitting.min_by_key(|(_, (v, _))| v.len()).map(|(i, _)| i)?;
        Some(self.waiting.swap_remove(best).0)
    }
}

/// Gives all waiting buffers back to the system.
pub fn trim() {
    fn clear<T: Element>() {
        T::shelf().lock().unwrap_or_else(PoisonError::into_inner).waiting.clear();
    }
    clear::<Lane>();
    clear::<Words>();
}

impl Element for Lane {
    const ZERO: Lane = Lane::ZERO;
    fn shelf() -> &'static Mutex<Shelf<Lane>> {
        static SHELF: Mutex<Shelf<Lane>> = Mutex::new(Shelf::EMPTY);
        &SHELF
    }
}

impl Element for Words {
    const ZERO: Words = [0; LANES];
    fn shelf() -> &'static Mutex<Shelf<Words>> {
        static SHELF: Mutex<Shelf<Words>> = Mutex::new(Shelf::EMPTY);
        &SHELF
    }
}

/// `len` elements that go back to the shelf when dropped.
pub struct Buffer<T: Element> {
    all: Vec<T>,
    len: usize,
}

impl<T: Element> Buffer<T> {
    /// With whatever was in it before: for those who write every element that will be read.
    pub fn stale(len: usize) -> Self {
        let used = if len < SMALL { None } else { T::shelf().lock().unwrap_or_else(PoisonError::into_inner).take(len) };
        Buffer { all: used.unwrap_or_else(|| vec![T::ZERO; len]), len }
    }

    /// All zero.
    pub fn zeros(len: usize) -> Self {
        let mut buffer = Self::stale(len);
        buffer.par_chunks_mut(CHUNK).for_each(|chunk| chunk.fill(T::ZERO));
        buffer
    }
}

impl<T: Element> From<Vec<T>> for Buffer<T> {
    fn from(all: Vec<T>) -> Self {
        Buffer { len: all.len(), all }
    }
}

impl<T: Element> Clone for Buffer<T> {
    fn clone(&self) -> Self {
        let mut copy = Self::stale(self.len);
        copy.copy_from_slice(self);
        copy
    }
}

impl<T: Element> Drop for Buffer<T> {
    fn drop(&mut self) {
        if self.all.len() >= SMALL {
            let mut shelf = T::shelf().lock().unwrap_or_else(PoisonError::into_inner);
            let now = shelf.requests;
            shelf.waiting.push((std::mem::take(&mut self.all), now));
        }
    }
}

impl<T: Element> Deref for Buffer<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.all[..self.len]
    }
}

impl<T: Element> DerefMut for Buffer<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        &mut self.all[..self.len]
    }
}

impl<T: Element> std::fmt::Debug for Buffer<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Buffer of {}", self.len)
    }
}
