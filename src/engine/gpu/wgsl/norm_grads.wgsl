// dL/dβ and dL/dγ [C]: sums [ROWS][C][2] over the rows.

struct Params {
    sums0: u32, gamma0: u32, beta0: u32,
    channels: u32,
}

@group(0) @binding(0) var<uniform> P: Params;
@group(0) @binding(1) var<storage, read> sums: array<f32>;
@group(0) @binding(2) var<storage, read_write> gamma: array<f32>;
@group(0) @binding(3) var<storage, read_write> beta: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let c = flat(group, groups, lane);
    if (c >= P.channels) {
        return;
    }
    var of_e = 0.0;
    var of_x = 0.0;
    for (var row = 0u; row < ROWS; row++) {
        let at = P.sums0 + (row * P.channels + c) * 2u;
        of_e += sums[at];
        of_x += sums[at + 1u];
    }
    beta[P.beta0 + c] = of_e;
    gamma[P.gamma0 + c] = of_x;
}
