// Running statistics after a batch (Moments::update): mean and variance [ROWS][C] of the batch into the running ones [C].

struct Params {
    mean0: u32, var0: u32, old_mean0: u32, old_var0: u32, new_mean0: u32, new_var0: u32,
    channels: u32,
    // What is kept of the old value at each row, and the factor that makes a variance unbiased.
    keep: f32, unbiased: f32,
}

@group(0) @binding(0) var<uniform> P: Params;
@group(0) @binding(1) var<storage, read> mean: array<f32>;
@group(0) @binding(2) var<storage, read> variance: array<f32>;
@group(0) @binding(3) var<storage, read> old_mean: array<f32>;
@group(0) @binding(4) var<storage, read> old_var: array<f32>;
@group(0) @binding(5) var<storage, read_write> new_mean: array<f32>;
@group(0) @binding(6) var<storage, read_write> new_var: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let c = flat(group, groups, lane);
    if (c >= P.channels) {
        return;
    }
    var of_mean = old_mean[P.old_mean0 + c];
    var of_var = old_var[P.old_var0 + c];
    for (var row = 0u; row < ROWS; row++) {
        of_mean = P.keep * of_mean + (1.0 - P.keep) * mean[P.mean0 + row * P.channels + c];
        of_var = P.keep * of_var + (1.0 - P.keep) * P.unbiased * variance[P.var0 + row * P.channels + c];
    }
    new_mean[P.new_mean0 + c] = of_mean;
    new_var[P.new_var0 + c] = of_var;
}
