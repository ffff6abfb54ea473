// Adds the sums of groups: parts [count][C][ROWS][2] to sums [ROWS][C][2].

struct Params {
    parts0: u32, sums0: u32,
    channels: u32, count: u32,
}

@group(0) @binding(0) var<uniform> P: Params;
@group(0) @binding(1) var<storage, read> parts: array<f32>;
@group(0) @binding(2) var<storage, read_write> sums: array<f32>;

var<workgroup> shared_sums: array<vec2<f32>, 256>;

// A workgroup for each channel and row.
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let place = group.y * groups.x + group.x;
    let lists = P.channels * ROWS;
    var sum = vec2<f32>(0.0, 0.0);
    if (place < lists) {
        for (var i = lane; i < P.count; i += 256u) {
            let at = P.parts0 + (i * lists + place) * 2u;
            sum += vec2<f32>(parts[at], parts[at + 1u]);
        }
    }
    shared_sums[lane] = sum;
    for (var half = 128u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (lane < half) {
            shared_sums[lane] += shared_sums[lane + half];
        }
    }
    if (lane == 0u && place < lists) {
        let at = P.sums0 + ((place % ROWS) * P.channels + place / ROWS) * 2u;
        sums[at] = shared_sums[0].x;
        sums[at + 1u] = shared_sums[0].y;
    }
}
