//! Large buffers that are used again: a training step asks for the same sizes as the one before, and memory fresh from the
//! system costs more to touch than to compute on.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

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
    /// The buffers of a pool that wait for use.
    fn shelf(pool: &Pool) -> &Mutex<Shelf<Self>>;
}

/// Buffers that wait for use, each with the time it was put here, counted in requests.
#[derive(Debug)]
pub struct Shelf<T> {
    waiting: Vec<(Vec<T>, u64)>,
    requests: u64,
}

/// Which of the buffers that wait serves a request: the smallest that holds it and wastes less than half of itself.
pub fn best_fit(waiting: impl Iterator<Item = usize>, len: usize) -> Option<usize> {
    let fitting = waiting.enumerate().filter(|&(_, waits)| waits >= len && waits < 2 * len);
    fitting.min_by_key(|&(_, waits)| waits).map(|(i, _)| i)
}

impl<T: Element> Shelf<T> {
    const EMPTY: Shelf<T> = Shelf { waiting: Vec::new(), requests: 0 };

    /// See [`best_fit`].
    fn take(&mut self, len: usize) -> Option<Vec<T>> {
        self.requests += 1;
        let now = self.requests;
        self.waiting.retain(|(_, since)| now - since < AGE);
        let best = best_fit(self.waiting.iter().map(|(v, _)| v.len()), len)?;
        Some(self.waiting.swap_remove(best).0)
    }
}

/// The buffers of one engine that wait for use. They go when the engine does; buffers in use then are freed when they are dropped.
#[derive(Debug)]
pub struct Pool {
    lanes: Mutex<Shelf<Lane>>,
    words: Mutex<Shelf<Words>>,
}

impl Pool {
    /// Without any.
    pub fn new() -> Arc<Pool> {
        Arc::new(Pool { lanes: Mutex::new(Shelf::EMPTY), words: Mutex::new(Shelf::EMPTY) })
    }

    /// Gives all waiting buffers back to the system.
    pub fn trim(&self) {
        lock(&self.lanes).waiting.clear();
        lock(&self.words).waiting.clear();
    }
}

fn lock<T>(shelf: &Mutex<Shelf<T>>) -> MutexGuard<'_, Shelf<T>> {
    shelf.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Element for Lane {
    const ZERO: Lane = Lane::ZERO;
    fn shelf(pool: &Pool) -> &Mutex<Shelf<Lane>> {
        &pool.lanes
    }
}

impl Element for Words {
    const ZERO: Words = [0; LANES];
    fn shelf(pool: &Pool) -> &Mutex<Shelf<Words>> {
        &pool.words
    }
}

/// Where buffers come from and go back to: the pool of an engine, or the system if that is gone.
#[derive(Clone, Debug, Default)]
pub struct Source(Weak<Pool>);

impl Source {
    /// This pool, as long as it is there.
    pub fn of(pool: &Arc<Pool>) -> Source {
        Source(Arc::downgrade(pool))
    }

    /// `len` elements with whatever was in them before: for those who write every element that will be read.
    pub fn stale<T: Element>(&self, len: usize) -> Buffer<T> {
        let pool = if len < SMALL { None } else { self.0.upgrade() };
        let used = pool.and_then(|pool| lock(T::shelf(&pool)).take(len));
        Buffer { all: used.unwrap_or_else(|| vec![T::ZERO; len]), len, source: self.clone() }
    }

    /// `len` elements, all zero.
    pub fn zeros<T: Element>(&self, len: usize) -> Buffer<T> {
        let mut buffer = self.stale(len);
        buffer.par_chunks_mut(CHUNK).for_each(|chunk| chunk.fill(T::ZERO));
        buffer
    }

    /// A buffer of these elements.
    pub fn holding<T: Element>(&self, all: Vec<T>) -> Buffer<T> {
        Buffer { len: all.len(), all, source: self.clone() }
    }
}

/// Elements that go back to their pool when dropped.
pub struct Buffer<T: Element> {
    all: Vec<T>,
    len: usize,
    source: Source,
}

impl<T: Element> Buffer<T> {
    /// None, of no pool.
    pub fn empty() -> Self {
        Source::default().holding(Vec::new())
    }

    /// Where this one came from; others that are needed with it come from there too.
    pub fn source(&self) -> &Source {
        &self.source
    }
}

impl<T: Element> Clone for Buffer<T> {
    fn clone(&self) -> Self {
        let mut copy = self.source.stale(self.len);
        copy.copy_from_slice(self);
        copy
    }
}

impl<T: Element> Drop for Buffer<T> {
    fn drop(&mut self) {
        if self.all.len() >= SMALL
            && let Some(pool) = self.source.0.upgrade()
        {
            let mut shelf = lock(T::shelf(&pool));
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Elements that wait in a pool.
    fn waiting(pool: &Pool) -> usize {
        lock(&pool.lanes).waiting.iter().map(|(v, _)| v.len()).sum()
    }

    #[test]
    fn a_dropped_buffer_serves_the_next_request_that_wastes_less_than_half_of_it() {
        let pool = Pool::new();
        let source = Source::of(&pool);
        drop(source.stale::<Lane>(1000));
        assert_eq!(waiting(&pool), 1000);
        assert_eq!(source.stale::<Lane>(500).all.len(), 500, "another one");
        let again = source.zeros::<Lane>(501);
        assert_eq!((again.all.len(), again.len()), (1000, 501));
        assert!(again.iter().all(|lane| lane.0 == [0.0; LANES]));
    }

    #[test]
    fn the_buffers_of_a_pool_go_with_it_and_those_in_use_outlive_it() {
        let pool = Pool::new();
        let kept = Source::of(&pool).zeros::<Lane>(1000);
        drop(Source::of(&pool).stale::<Lane>(2000));
        assert_eq!(waiting(&pool), 2000);
        pool.trim();
        assert_eq!(waiting(&pool), 0);
        let weak = Arc::downgrade(&pool);
        drop(pool);
        assert!(weak.upgrade().is_none(), "a buffer in use does not keep its pool");
        assert_eq!(kept.clone().len(), 1000);
    }
}
