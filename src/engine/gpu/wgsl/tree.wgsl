// Adds the sums of parts in the tree of engine/parts.rs: parts [count][n] to out [n].

struct Params {
    parts0: u32, out0: u32,
    n: u32, count: u32,
    // To how many sums that wait each part is added: 4 bits each.
    joins: u32,
}

@group(0) @binding(0) var<uniform> P: Params;
@group(0) @binding(1) var<storage, read> parts: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = flat(group, groups, lane);
    if (i >= P.n) {
        return;
    }
    var waiting: array<f32, 4>;
    var waits = 0u;
    var sum = 0.0;
    for (var part = 0u; part < P.count; part++) {
        sum = parts[P.parts0 + part * P.n + i];
        let joins = (P.joins >> (4u * part)) & 15u;
        for (var join = 0u; join < joins; join++) {
            waits -= 1u;
            sum = waiting[waits] + sum;
        }
        waiting[waits] = sum;
        waits += 1u;
    }
    out[P.out0 + i] = sum;
}
