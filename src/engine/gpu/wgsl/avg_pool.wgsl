// Non-overlapping average pooling of side K, floor. Spikes: sums of windows, bit-sliced into OUT_PLANES planes, which are then worth 1/K² of what they
// were. Reals: the mean.

struct Params {
    x0: u32, out0: u32,
    h: u32, w: u32,
    neurons: u32, plane: u32, out_plane: u32,
}

@group(0) @binding(0) var<uniform> P: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> out: array<u32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let o = flat(group, groups, lane);
    if (o >= P.neurons) {
        return;
    }
    let out_w = P.w / K;
    let area = (P.h / K) * out_w;
    let p = o % area;
    let corner = (o / area) * P.h * P.w + (p / out_w) * K * P.w + (p % out_w) * K;
    if (BITS == 0u) {
        for (var t = 0u; t < STEPS; t++) {
            var sum = 0.0;
            for (var j = 0u; j < K * K; j++) {
                sum += bitcast<f32>(x[P.x0 + (corner + (j / K) * P.w + j % K) * STEPS + t]);
            }
            out[P.out0 + o * STEPS + t] = bitcast<u32>(sum / f32(K * K));
        }
        return;
    }
    for (var word = 0u; word < WORDS; word++) {
        var sums: array<u32, OUT_PLANES>;
        for (var s = 0u; s < OUT_PLANES; s++) {
            sums[s] = 0u;
        }
        for (var j = 0u; j < K * K; j++) {
            let i = corner + (j / K) * P.w + j % K;
            for (var p2 = 0u; p2 < PLANES; p2++) {
                // A full adder for 32 steps at once.
                var carry = x[P.x0 + p2 * P.plane + i * WORDS + word];
                for (var s = p2; s < OUT_PLANES; s++) {
                    let both = sums[s] & carry;
                    sums[s] ^= carry;
                    carry = both;
                }
            }
        }
        for (var s = 0u; s < OUT_PLANES; s++) {
            out[P.out0 + s * P.out_plane + o * WORDS + word] = sums[s];
        }
    }
}
