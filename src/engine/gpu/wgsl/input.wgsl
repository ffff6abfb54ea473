// Samples as they are stored, [STEPS][B][C][H·W], to reals [B][C][H·W][STEPS]. KIND 0: reals. 1: pixels, four in a word, by the tables of their
// channels [C][256]. 2: counts of 16 bits, two in a word.

struct Params {
    stored0: u32, table0: u32, out0: u32,
    samples: u32, channels: u32, area: u32,
}

@group(0) @binding(0) var<uniform> P: Params;
@group(0) @binding(1) var<storage, read> stored: array<u32>;
@group(0) @binding(2) var<storage, read> table: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = flat(group, groups, lane);
    let all = P.samples * P.channels * P.area;
    if (i >= all) {
        return;
    }
    let c = (i / P.area) % P.channels;
    for (var t = 0u; t < STEPS; t++) {
        let from_place = t * all + i;
        var value: f32;
        if (KIND == 0u) {
            value = bitcast<f32>(stored[P.stored0 + from_place]);
        } else if (KIND == 1u) {
            value = table[P.table0 + c * 256u + ((stored[P.stored0 + from_place / 4u] >> (8u * (from_place % 4u))) & 255u)];
        } else {
            value = f32((stored[P.stored0 + from_place / 2u] >> (16u * (from_place % 2u))) & 65535u);
        }
        out[P.out0 + i * STEPS + t] = value;
    }
}
