// To the first maximum of each window in row-major order, 0 elsewhere: d [B][C][(h/K)·(w/K)][STEPS] to out [B][C][h·w][STEPS]; x is the input of
// the pool. A thread for each neuron of the input.

struct Params {
    x0: u32, d0: u32, out0: u32,
    h: u32, w: u32,
    neurons: u32, plane: u32,
}

@group(0) @binding(0) var<uniform> P: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read> d: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

fn value_at(i: u32, t: u32) -> f32 {
    if (BITS == 0u) {
        return bitcast<f32>(x[P.x0 + i * STORED + min(t, STORED - 1u)]);
    }
    return f32(graded(i, t));
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = flat(group, groups, lane);
    if (i >= P.neurons) {
        return;
    }
    let map = i / (P.h * P.w);
    let py = (i % (P.h * P.w)) / P.w;
    let px = i % P.w;
    let oy = py / K;
    let ox = px / K;
    let inside = oy < P.h / K && ox < P.w / K;
    let o = (map * (P.h / K) + oy) * (P.w / K) + ox;
    let corner = map * P.h * P.w + oy * K * P.w + ox * K;
    let own = (py - oy * K) * K + (px - ox * K);
    for (var t = 0u; t < STEPS; t++) {
        var mine = inside;
        if (inside) {
            let value = value_at(i, t);
            for (var j = 0u; j < K * K; j++) {
                let other = value_at(corner + (j / K) * P.w + j % K, t);
                mine = mine && (j == own || other < value || (other == value && j > own));
            }
        }
        var passed = 0.0;
        if (mine) {
            passed = d[P.d0 + o * STEPS + t];
        }
        out[P.out0 + i * STEPS + t] = passed;
    }
}
