// What each class gets, [B][classes] or [STEPS][B][classes], to each of its voters at every step: out [B][units][STEPS].

struct Params {
    rates0: u32, out0: u32,
    samples: u32, units: u32, classes: u32,
    // Numbers in the list of rates.
    rates: u32,
}

@group(0) @binding(0) var<uniform> P: Params;
@group(0) @binding(1) var<storage, read> rates: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = flat(group, groups, lane);
    if (i >= P.samples * P.units * STEPS) {
        return;
    }
    let t = i % STEPS;
    let b = i / STEPS / P.units;
    let of_class = ((i / STEPS) % P.units) / VOTERS;
    let at = ((t * P.samples + b) * P.classes + of_class) % P.rates;
    out[P.out0 + i] = rates[P.rates0 + at];
}
