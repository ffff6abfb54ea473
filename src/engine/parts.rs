//! Sums over a batch: eight parts, cut by samples, and one fixed tree that adds them.
//!
//! Part p of a batch of B samples owns the samples `[pB/8, (p+1)B/8)`, possibly none. Within a part samples are added in index order,
//! and the parts by the tree ((0+1)+(2+3))+((4+5)+(6+7)), in which a part without samples is absent: x + nothing = x. So the bits of a sum
//! depend on the batch alone: whoever owns an aligned half, quarter or eighth of the parts computes a subtree, and adding the subtrees
//! in the same tree gives the bits of the whole.

use std::ops::Range;

/// Parts of a batch.
pub const PARTS: usize = 8;

/// How a batch is cut into parts, and which of them are at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// Samples of the whole batch.
    whole: usize,
    /// First part at hand.
    first: usize,
    /// Number of parts at hand: a power of two that divides `first`.
    count: usize,
}

/// A part at hand that has samples, and where its sum stands in the tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// Which part.
    pub part: usize,
    /// Its samples, counted from the first at hand.
    pub samples: Range<usize>,
    /// How many sums wait for a right-hand neighbour before this one is made; at most 3.
    pub slot: usize,
    /// To how many of them this one is then added, the latest first; the result waits in the place of the earliest.
    pub joins: usize,
}

impl Cut {
    /// A whole batch: all parts are at hand.
    pub fn whole(samples: usize) -> Cut {
        Cut { whole: samples, first: 0, count: PARTS }
    }

    /// The same batch with only these parts at hand: a half, quarter or eighth that begins at a multiple of its length.
    pub fn of(self, parts: Range<usize>) -> Cut {
        let count = parts.len();
        assert!(count.is_power_of_two() && parts.start.is_multiple_of(count), "parts {parts:?} are no subtree");
        assert!(self.parts().start <= parts.start && parts.end <= self.parts().end, "parts {parts:?} are not at hand");
        Cut { first: parts.start, count, ..self }
    }

    /// The parts at hand, cut into subtrees of at most `count` parts; those without samples are left out.
    pub fn subtrees(self, count: usize) -> impl Iterator<Item = Cut> {
        self.parts().step_by(count).map(move |p| self.of(p..p + count.min(self.count))).filter(|cut| !cut.samples().is_empty())
    }

    /// The parts at hand.
    pub fn parts(&self) -> Range<usize> {
        self.first..self.first + self.count
    }

    /// Samples of part `p`, counted in the whole batch.
    pub fn part(&self, p: usize) -> Range<usize> {
        p * self.whole / PARTS..(p + 1) * self.whole / PARTS
    }

    /// The samples at hand, counted in the whole batch.
    pub fn samples(&self) -> Range<usize> {
        self.part(self.first).start..self.part(self.first + self.count - 1).end
    }

    /// The parts at hand that have samples, in order.
    pub fn leaves(&self) -> Vec<Leaf> {
        let start = self.samples().start;
        let parts = self.parts().map(|part| (part, self.part(part))).filter(|(_, samples)| !samples.is_empty());
        let leaf = |(part, at): (usize, Range<usize>)| Leaf { part, samples: at.start - start..at.end - start, slot: 0, joins: 0 };
        let mut leaves: Vec<Leaf> = parts.map(leaf).collect();
        let joins = joins(&leaves.iter().map(|leaf| leaf.part).collect::<Vec<_>>());
        let mut waiting = 0;
        for (leaf, joins) in leaves.iter_mut().zip(joins) {
            (leaf.slot, leaf.joins) = (waiting, joins);
            waiting = waiting + 1 - joins;
        }
        leaves
    }
}

/// Adds sums of parts (or of subtrees, by the number of any of their parts) in the one fixed tree; absent ones are not in the list, which is
/// in ascending order. Sums are asked for one after the other, so that few exist at once.
pub fn tree<T>(sums: impl IntoIterator<Item = (usize, T)>, mut add: impl FnMut(T, T) -> T) -> Option<T> {
    let mut sums = sums.into_iter().peekable();
    let mut waiting: Vec<(usize, T)> = Vec::new();
    while let Some((part, mut sum)) = sums.next() {
        // Subtrees of up to this level end here: the next part is not in them.
        let open = sums.peek().map_or(usize::BITS, |(next, _)| (part ^ next).ilog2());
        while let Some((_, left)) = waiting.pop_if(|(left, _)| (part ^ *left).ilog2() < open) {
            sum = add(left, sum);
        }
        waiting.push((part, sum));
    }
    waiting.pop().map(|(_, sum)| sum)
}

/// For each of these parts, in ascending order: to how many of the sums that wait its own is added in the [`tree`].
pub fn joins(parts: &[usize]) -> Vec<usize> {
    let mut joins = vec![0; parts.len()];
    tree(parts.iter().copied().zip(0..), |_, right: usize| {
        joins[right] += 1;
        right
    });
    joins
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(parts: &[usize]) -> Option<String> {
        tree(parts.iter().map(|&p| (p, p.to_string())), |a, b| format!("({a}+{b})"))
    }

    #[test]
    fn the_tree_is_the_one_that_is_promised() {
        assert_eq!(written(&[0, 1, 2, 3, 4, 5, 6, 7]).unwrap(), "(((0+1)+(2+3))+((4+5)+(6+7)))");
        assert_eq!(written(&[0, 4, 6]).unwrap(), "(0+(4+6))");
        assert_eq!(written(&[1, 2, 3, 7]).unwrap(), "((1+(2+3))+7)");
        assert_eq!(written(&[5]).unwrap(), "5");
        assert_eq!(written(&[]), None);
    }

    #[test]
    fn subtrees_add_up_to_the_tree() {
        for present in 0u32..256 {
            let there = |parts: Range<usize>| parts.filter(|p| present >> p & 1 == 1).collect::<Vec<usize>>();
            for count in [1, 2, 4] {
                let subtrees = (0..PARTS).step_by(count).filter_map(|p| Some((p, written(&there(p..p + count))?)));
                assert_eq!(tree(subtrees, |a, b| format!("({a}+{b})")), written(&there(0..PARTS)));
            }
        }
    }

    #[test]
    fn leaves_own_every_sample_and_few_sums_wait() {
        for samples in 0..40 {
            let cut = Cut::whole(samples);
            for count in [1, 2, 4, 8] {
                let mut next = 0;
                for subtree in cut.subtrees(count) {
                    assert_eq!(subtree.samples().start, next);
                    let (mut at, mut slots) = (0, Vec::new());
                    for leaf in subtree.leaves() {
                        assert_eq!((leaf.samples.start, leaf.slot), (at, slots.len()));
                        assert!(leaf.slot < 4);
                        at = leaf.samples.end;
                        slots.push(leaf.part);
                        slots.truncate(slots.len() - leaf.joins);
                    }
                    assert_eq!(slots.len(), 1, "one sum is left");
                    next = subtree.samples().end;
                    assert_eq!(at, subtree.samples().len());
                }
                assert_eq!(next, samples);
            }
        }
    }
}
