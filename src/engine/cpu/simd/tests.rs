use super::*;

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

fn square() -> [Lane; LANES] {
    std::array::from_fn(|r| Lane(std::array::from_fn(|c| 1.0 / (1 + 16 * r + c) as f32)))
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
