// What the host will ask for, in two words of a list that begins as zeros: how many. KIND 0: numbers whose magnitude, as bits, is above `bound` (so are
// NaN). 1: bits that are set in any of PLANES planes. 2: words that are not 0 but for their sign, each counted `times`.
// Sums of integers do not depend on their order, so these are the only atomics.

struct Params {
    x0: u32, notes0: u32,
    n: u32, bound: u32, plane: u32, times: u32, slot: u32,
}

@group(0) @binding(0) var<uniform> P: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> notes: array<atomic<u32>>;

var<workgroup> sums: array<u32, 256>;

const EACH = 16u;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let first = (group.y * groups.x + group.x) * 256u * EACH + lane;
    var sum = 0u;
    for (var k = 0u; k < EACH; k++) {
        let i = first + k * 256u;
        if (i < P.n) {
            var word = x[P.x0 + i];
            if (KIND == 0u) {
                sum += select(0u, 1u, magnitude(word) > P.bound);
            } else if (KIND == 1u) {
                for (var p = 1u; p < PLANES; p++) {
                    word |= x[P.x0 + p * P.plane + i];
                }
                sum += countOneBits(word);
            } else {
                sum += select(0u, P.times, magnitude(word) != 0u);
            }
        }
    }
    sums[lane] = sum;
    for (var half = 128u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (lane < half) {
            sums[lane] += sums[lane + half];
        }
    }
    if (lane == 0u && sums[0] > 0u) {
        let at = P.notes0 + P.slot * 2u;
        let before = atomicAdd(&notes[at], sums[0]);
        if (before + sums[0] < before) {
            atomicAdd(&notes[at + 1u], 1u);
        }
    }
}
