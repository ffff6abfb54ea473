// Mean and sum of squared distances from it, per channel and row, of a group of currents: y [B][C][H·W][steps] to out [groups][C][ROWS][3]:
// how many, mean, squares. Each value is read once; the group's mean is known before distances are taken from it, so that nothing cancels.

struct Params {
    y0: u32, out0: u32,
    channels: u32,
    // Values of a sample and channel in each row, and of all samples.
    per_sample: u32, n: u32,
}

@group(0) @binding(0) var<uniform> P: Params;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;

// Threads of a row, each of which takes 4 values.
const LANES = 256u / ROWS;

var<workgroup> sums: array<f32, 256>;

// Sum over the threads of this thread's row, in a fixed tree.
fn total(value: f32, lane: u32) -> f32 {
    let of_row = lane / ROWS;
    sums[lane] = value;
    for (var half = 128u; half > 0u; half /= 2u) {
        workgroupBarrier();
        if (of_row < half && of_row + half < LANES && lane < LANES * ROWS) {
            sums[lane] += sums[lane + half * ROWS];
        }
    }
    workgroupBarrier();
    let all = sums[lane % ROWS];
    workgroupBarrier();
    return all;
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chunk = group.y * groups.x + group.x;
    let c = group.z;
    let row = lane % ROWS;
    let first = chunk * LANES * 4u;
    var count = 0u;
    if (first < P.n) {
        count = min(LANES * 4u, P.n - first);
    }
    var values: array<f32, 4>;
    var sum = 0.0;
    for (var i = 0u; i < 4u; i++) {
        let of_chunk = lane / ROWS + LANES * i;
        values[i] = 0.0;
        if (of_chunk < count && lane < LANES * ROWS) {
            let j = first + of_chunk;
            values[i] = y[P.y0 + ((j / P.per_sample) * P.channels + c) * P.per_sample * ROWS + (j % P.per_sample) * ROWS + row];
        }
        sum += values[i];
    }
    let mean = total(sum, lane) / f32(max(count, 1u));
    var squares = 0.0;
    for (var i = 0u; i < 4u; i++) {
        if (lane / ROWS + LANES * i < count && lane < LANES * ROWS) {
            squares += (values[i] - mean) * (values[i] - mean);
        }
    }
    squares = total(squares, lane);
    if (lane < ROWS && count > 0u) {
        let at = P.out0 + ((chunk * P.channels + c) * ROWS + row) * 3u;
        out[at] = f32(count);
        out[at + 1u] = mean;
        out[at + 2u] = squares;
    }
}
