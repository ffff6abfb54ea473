use super::*;
use crate::engine::cpu::walk::Pending;

struct Turned([Lane; LANES]);

impl Kernel for Turned {
    type Out = [Lane; LANES];
    #[inline(always)]
    fn run<S: Simd>(self) -> Self::Out {
        let mut out = self.0;
        store_all::<S, LANES>(&S::transpose(load_all::<S, LANES>(&self.0)), &mut out);
        out
    }
}

struct Summed([Lane; LANES]);

impl Kernel for Summed {
    type Out = ([f32; 21], [f32; 21]);
    #[inline(always)]
    fn run<S: Simd>(self) -> Self::Out {
        let (mut together, mut alone) = ([1.0; 21], [1.0; 21]);
        let mut pending = Pending::new(1);
        let mut vectors = self.0.iter().chain(&self.0).take(20);
        for most in [3, 9, 7, 1] {
            for place in pending.places(most) {
                *place = *vectors.next().expect("there are twenty");
            }
            pending.flush_full::<S>(&mut together);
        }
        for place in pending.places(3) {
            *place = *vectors.next().expect("there are twenty");
        }
        pending.flush::<S>(&mut together);
        for (alone, lane) in alone[1..].iter_mut().zip(self.0.iter().chain(&self.0)) {
            *alone += S::sum(S::load(lane));
        }
        (together, alone)
    }
}

/// What every method but those for sums and squares answers to two vectors and a mask.
struct Asked(Lane, Lane, u16);

struct Answers {
    /// Plain numbers: a + b, a - b, a b, a / b, a b + a, a in the lanes of the mask, a + b there and a elsewhere.
    numbers: [Lane; 7],
    /// a > b, as bits and as a choice between a and b.
    above: u16,
    chosen: Lane,
}

impl Kernel for Asked {
    type Out = Answers;
    #[inline(always)]
    fn run<S: Simd>(self) -> Answers {
        S::prefetch(&self.0);
        let (a, b) = (S::load(&self.0), S::load(&self.1));
        let vectors =
            [S::add(a, b), S::sub(a, b), S::mul(a, b), S::div(a, b), S::fma(a, b, a), S::keep(self.2, a), S::add_where(self.2, a, b)];
        let mut numbers = [Lane::ZERO; 7];
        store_all::<S, 7>(&vectors, &mut numbers);
        let (above, mut chosen) = (S::above(a, b), Lane::ZERO);
        S::store(S::choose(above, a, b), &mut chosen);
        Answers { numbers, above: S::bits(above), chosen }
    }
}

struct Steps([u64; LANES], usize);

impl Kernel for Steps {
    type Out = u16;
    #[inline(always)]
    fn run<S: Simd>(self) -> u16 {
        S::step_mask(&self.0, self.1)
    }
}

/// The same number, whatever the sign of a zero and the bits of what is none.
fn same(x: f32, y: f32) -> bool {
    x == y || x.is_nan() && y.is_nan()
}

/// Numbers between -1 and 1, so mixed that sums in another order have other last bits.
fn square() -> [Lane; LANES] {
    let number = |n: usize| (n as u32).wrapping_mul(0x9E37_79B9) as i32 as f32 / 2f32.powi(31);
    std::array::from_fn(|r| Lane(std::array::from_fn(|c| number(1 + 16 * r + c))))
}

#[test]
fn every_instruction_set_turns_and_sums_alike() {
    for isa in Isa::available() {
        let turned = isa.run(Turned(square()));
        assert!((0..LANES).all(|r| (0..LANES).all(|c| turned[c].0[r] == square()[r].0[c])), "{}", isa.name());
        let (together, alone) = isa.run(Summed(square()));
        assert_eq!((together, alone), Isa::PORTABLE.run(Summed(square())), "{}", isa.name());
        assert_eq!(together, alone, "{}", isa.name());
    }
}

/// Zeros, numbers whose products are rounded, the ends of what there is, and none.
const NUMBERS: [f32; LANES] = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.1,
    -0.3,
    1.5e-7,
    3.0e7,
    f32::MAX,
    f32::MIN,
    f32::MIN_POSITIVE,
    f32::INFINITY,
    f32::NEG_INFINITY,
    f32::NAN,
    7.0,
    1.0 / 3.0,
];

#[test]
fn every_instruction_set_answers_as_scalars_do() {
    let a = Lane(NUMBERS);
    for isa in Isa::available() {
        // Every number meets every other one, under masks of all kinds.
        for turn in 0..LANES {
            let (b, mask) = (Lane(std::array::from_fn(|l| NUMBERS[(l + turn) % LANES])), 0x9E37_u16.rotate_left(turn as u32) ^ 1 << turn);
            let got = isa.run(Asked(a, b, mask));
            for l in 0..LANES {
                let (x, y, set) = (a.0[l], b.0[l], mask >> l & 1 == 1);
                let product = if isa == Isa::PORTABLE { x * y + x } else { x.mul_add(y, x) };
                let (kept, added) = if set { (x, x + y) } else { (0.0, x) };
                let about = || format!("{}: {x:e} and {y:e} in lane {l}", isa.name());
                for (got, want) in got.numbers.iter().zip([x + y, x - y, x * y, x / y, product, kept, added]) {
                    assert!(same(got.0[l], want), "{:e} is not {want:e}, {}", got.0[l], about());
                }
                assert_eq!(got.above >> l & 1 == 1, x > y, "{}", about());
                let chosen = if x > y { x } else { y };
                assert_eq!(got.chosen.0[l].to_bits(), chosen.to_bits(), "{}", about());
            }
        }
        let words: [u64; LANES] = std::array::from_fn(|l| (l as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        for t in 0..64 {
            let mask = isa.run(Steps(words, t));
            assert!((0..LANES).all(|l| u64::from(mask) >> l & 1 == words[l] >> t & 1), "{}: step {t}", isa.name());
        }
    }
}
