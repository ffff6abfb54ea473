// Non-overlapping max pooling of side K, floor. Spikes [PLANES][B][C][h·w][WORDS] or reals [B][C][h·w][STEPS] in, the same of (h/K)·(w/K) out.

struct Params {
    x0: u32, out0: u32,
    h: u32, w: u32,
    // Neurons of the output, in all samples and channels.
    neurons: u32,
    // Words between two planes, in and out.
    plane: u32, out_plane: u32,
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
            var best = bitcast<f32>(x[P.x0 + corner * STEPS + t]);
            for (var j = 1u; j < K * K; j++) {
                let value = bitcast<f32>(x[P.x0 + (corner + (j / K) * P.w + j % K) * STEPS + t]);
                best = select(best, value, value > best);
            }
            out[P.out0 + o * STEPS + t] = bitcast<u32>(best);
        }
        return;
    }
    for (var word = 0u; word < WORDS; word++) {
        if (PLANES == 1u) {
            var any = 0u;
            for (var j = 0u; j < K * K; j++) {
                any |= x[P.x0 + (corner + (j / K) * P.w + j % K) * WORDS + word];
            }
            out[P.out0 + o * WORDS + word] = any;
            continue;
        }
        var planes: array<u32, PLANES>;
        for (var p2 = 0u; p2 < PLANES; p2++) {
            planes[p2] = 0u;
        }
        for (var t = word * 32u; t < min(STEPS, word * 32u + 32u); t++) {
            var best = 0u;
            for (var j = 0u; j < K * K; j++) {
                best = max(best, graded(corner + (j / K) * P.w + j % K, t));
            }
            for (var p2 = 0u; p2 < PLANES; p2++) {
                planes[p2] |= ((best >> p2) & 1u) << (t % 32u);
            }
        }
        for (var p2 = 0u; p2 < PLANES; p2++) {
            out[P.out0 + p2 * P.out_plane + o * WORDS + word] = planes[p2];
        }
    }
}
