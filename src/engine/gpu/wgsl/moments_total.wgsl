// Puts the moments of groups together (Chan, Golub & LeVeque 1979): groups [count][C·ROWS][3] to mean and biased variance [ROWS][C].

struct Params {
    groups0: u32, mean0: u32, var0: u32,
    channels: u32, count: u32,
}

@group(0) @binding(0) var<uniform> P: Params;
@group(0) @binding(1) var<storage, read> parts: array<f32>;
@group(0) @binding(2) var<storage, read_write> mean: array<f32>;
@group(0) @binding(3) var<storage, read_write> variance: array<f32>;

var<workgroup> sums: array<f32, 256>;

fn total(value: f32, lane: u32) -> f32 {
    sums[lane] = value;
    for (var half = 128u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (lane < half) {
            sums[lane] += sums[lane + half];
        }
    }
    workgroupBarrier();
    let all = sums[0];
    workgroupBarrier();
    return all;
}

// A workgroup for each channel and row.
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let place = group.y * groups.x + group.x;
    let lists = P.channels * ROWS;
    var n = 0.0;
    var sum = 0.0;
    if (place < lists) {
        for (var i = lane; i < P.count; i += 256u) {
            let at = P.groups0 + (i * lists + place) * 3u;
            n += parts[at];
            sum += parts[at] * parts[at + 1u];
        }
    }
    n = total(n, lane);
    let middle = total(sum, lane) / n;
    var squares = 0.0;
    if (place < lists) {
        for (var i = lane; i < P.count; i += 256u) {
            let at = P.groups0 + (i * lists + place) * 3u;
            let off = parts[at + 1u] - middle;
            squares += parts[at + 2u] + parts[at] * off * off;
        }
    }
    squares = total(squares, lane);
    if (lane == 0u && place < lists) {
        let at = (place % ROWS) * P.channels + place / ROWS;
        mean[P.mean0 + at] = middle;
        variance[P.var0 + at] = squares / n;
    }
}
