// 1/K² to every element of each window, 0 to those in none: d [B][C][(h/K)·(w/K)][STEPS] to out [B][C][h·w][STEPS].

struct Params {
    d0: u32, out0: u32,
    h: u32, w: u32,
    neurons: u32,
}

@group(0) @binding(0) var<uniform> P: Params;
@group(0) @binding(1) var<storage, read> d: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = flat(group, groups, lane);
    if (i >= P.neurons) {
        return;
    }
    let oy = ((i % (P.h * P.w)) / P.w) / K;
    let ox = (i % P.w) / K;
    let o = ((i / (P.h * P.w)) * (P.h / K) + oy) * (P.w / K) + ox;
    for (var t = 0u; t < STEPS; t++) {
        var passed = 0.0;
        if (oy < P.h / K && ox < P.w / K) {
            passed = d[P.d0 + o * STEPS + t] / f32(K * K);
        }
        out[P.out0 + i * STEPS + t] = passed;
    }
}
