// The sum of e over the positions and steps of the samples of each part: e [B][C][per_sample] to out [parts][C].

struct Params {
    e0: u32, out0: u32,
    channels: u32, per_sample: u32,
    unused1: u32, unused2: u32, unused3: u32, unused4: u32,
    // First sample, and the one behind the last.
    parts: array<vec4<u32>, 8>,
}

@group(0) @binding(0) var<uniform> P: Params;
@group(0) @binding(1) var<storage, read> e: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

var<workgroup> sums: array<f32, 256>;

// A workgroup for each channel, and for each part.
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let c = group.y * groups.x + group.x;
    let part_of = P.parts[group.z];
    var sum = 0.0;
    if (c < P.channels) {
        for (var b = part_of.x; b < part_of.y; b++) {
            let from_place = P.e0 + (b * P.channels + c) * P.per_sample;
            for (var q = lane; q < P.per_sample; q += 256u) {
                sum += e[from_place + q];
            }
        }
    }
    sums[lane] = sum;
    for (var half = 128u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (lane < half) {
            sums[lane] += sums[lane + half];
        }
    }
    if (lane == 0u && c < P.channels) {
        out[P.out0 + group.z * P.channels + c] = sums[0];
    }
}
