// One AdamW step, in PyTorch's order of operations (engine/cpu/param.rs has the same).

struct Params {
    grad0: u32, p0: u32, m0: u32, v0: u32,
    n: u32,
    keep: f32, from_grad: f32, beta2: f32, from_square: f32, root_correction: f32, eps: f32, step: f32,
}

@group(0) @binding(0) var<uniform> P: Params;
@group(0) @binding(1) var<storage, read> grad: array<f32>;
@group(0) @binding(2) var<storage, read_write> p: array<f32>;
@group(0) @binding(3) var<storage, read_write> m: array<f32>;
@group(0) @binding(4) var<storage, read_write> v: array<f32>;

// Moments of weights whose gradient has stayed 0 fade until they are denormal: 0 from there on.
fn normal(x: f32) -> f32 {
    return select(x, 0.0, magnitude(bitcast<u32>(x)) < 0x00800000u);
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = flat(group, groups, lane);
    if (i >= P.n) {
        return;
    }
    let g = grad[P.grad0 + i];
    let first = normal(fma(P.from_grad, g - m[P.m0 + i], m[P.m0 + i]));
    let second = normal(fma(P.beta2, v[P.v0 + i], P.from_square * g * g));
    m[P.m0 + i] = first;
    v[P.v0 + i] = second;
    p[P.p0 + i] = fma(p[P.p0 + i], P.keep, -(P.step * (first / (sqrt(second) / P.root_correction + P.eps))));
}
