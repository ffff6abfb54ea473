// Sums of each contiguous group of VOTERS units, to out [STEPS][B][classes].

struct Params {
    x0: u32, out0: u32,
    samples: u32, units: u32, classes: u32,
    plane: u32, scale: f32,
}

@group(0) @binding(0) var<uniform> P: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = flat(group, groups, lane);
    let per_step = P.samples * P.classes;
    if (i >= per_step * STEPS) {
        return;
    }
    let t = i / per_step;
    let b = (i % per_step) / P.classes;
    var sum = 0.0;
    for (var v = 0u; v < VOTERS; v++) {
        let unit = b * P.units + (i % P.classes) * VOTERS + v;
        if (BITS == 0u) {
            sum += bitcast<f32>(x[P.x0 + unit * STORED + min(t, STORED - 1u)]);
        } else {
            for (var p = 0u; p < PLANES; p++) {
                let bit = (x[P.x0 + p * P.plane + unit * WORDS + t / 32u] >> (t % 32u)) & 1u;
                sum += f32(bit << p) * P.scale;
            }
        }
    }
    out[P.out0 + i] = sum;
}
