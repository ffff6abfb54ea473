// y[m, n] = b[m] + Σ_r W[m, r] · x[r, n]: convolutions and linear layers as one matrix product whose second factor is never written.
//
// A column n is a position of a sample at a step, (sample, position, step) with the step innermost, as reals lie in memory. A row r of x is
// (input channel, tap). A workgroup makes 64 rows of 64 columns, 16 deep at a time; the T columns of one position read the same word of
// spikes and share each weight. TRANSPOSED: dL/dx from e, with the taps turned around, W[o, m, K²-1-tap].

struct Params {
    weight0: u32, bias0: u32, x0: u32, y0: u32,
    // Rows made here; channels of y in memory, and the first of them made here.
    rows: u32, y_channels: u32, y_first: u32,
    // Channels of x summed here, of x in memory, and the first of them summed here.
    inputs: u32, x_channels: u32, x_first: u32,
    h: u32, w: u32, columns: u32,
    // Words between two planes of graded spikes, and what a plane's sum is multiplied by.
    plane: u32, scale: f32,
    // 1: adds to y, without bias.
    accumulate: u32,
}

@group(0) @binding(0) var<uniform> P: Params;
@group(0) @binding(1) var<storage, read> weight: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> x: array<u32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;

const TAPS = K * K;
const PAD = K / 2u;

var<workgroup> rows_of_w: array<f32, 1040>; // [16][65]
var<workgroup> rows_of_x: array<f32, 1024>; // [16][64]

fn weight_at(m: u32, r: u32) -> f32 {
    if (TRANSPOSED == 1u) {
        return weight[P.weight0 + ((r / TAPS) * P.rows + m) * TAPS + (TAPS - 1u - r % TAPS)];
    }
    return weight[P.weight0 + m * P.inputs * TAPS + r];
}

// Sample, position and step of a column.
fn x_at(r: u32, b: u32, py: u32, px: u32, t: u32) -> f32 {
    let iy = py + (r % TAPS) / K;
    let ix = px + (r % TAPS) % K;
    if (iy < PAD || ix < PAD || iy - PAD >= P.h || ix - PAD >= P.w) {
        return 0.0;
    }
    let i = (b * P.x_channels + P.x_first + r / TAPS) * P.h * P.w + (iy - PAD) * P.w + (ix - PAD);
    if (BITS == 0u) {
        return bitcast<f32>(x[P.x0 + i * STEPS + t]);
    }
    return f32(graded(i, t));
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let first_column = (group.y * groups.x + group.x) * 64u;
    let first_row = group.z * 64u;
    let depth = P.inputs * TAPS;
    let per_sample = P.h * P.w * STEPS;
    // This thread reads one column of x in every tile.
    let column = first_column + lane % 64u;
    let q = column % per_sample;
    let b = column / per_sample;
    let p = q / STEPS;
    let t = q % STEPS;
    let py = p / P.w;
    let px = p % P.w;

    let tx = lane % 16u;
    let ty = lane / 16u;
    var sum: array<f32, 16>;
    for (var i = 0u; i < 16u; i++) {
        sum[i] = 0.0;
    }
    for (var r0 = 0u; r0 < depth; r0 += 16u) {
        for (var j = 0u; j < 4u; j++) {
            let place = lane + 256u * j;
            let m = first_row + place / 16u;
            let r = r0 + place % 16u;
            var value = 0.0;
            if (m < P.rows && r < depth) {
                value = weight_at(m, r);
            }
            rows_of_w[(place % 16u) * 65u + place / 16u] = value;
            let s = r0 + place / 64u;
            value = 0.0;
            if (column < P.columns && s < depth) {
                value = x_at(s, b, py, px, t);
            }
            rows_of_x[place] = value;
        }
        workgroupBarrier();
        for (var r = 0u; r < 16u; r++) {
            var of_w: array<f32, 4>;
            for (var i = 0u; i < 4u; i++) {
                of_w[i] = rows_of_w[r * 65u + ty * 4u + i];
            }
            for (var j = 0u; j < 4u; j++) {
                let of_x = rows_of_x[r * 64u + tx + 16u * j];
                for (var i = 0u; i < 4u; i++) {
                    sum[i * 4u + j] = fma(of_w[i], of_x, sum[i * 4u + j]);
                }
            }
        }
        workgroupBarrier();
    }
    for (var j = 0u; j < 4u; j++) {
        let n = first_column + tx + 16u * j;
        if (n >= P.columns) {
            continue;
        }
        for (var i = 0u; i < 4u; i++) {
            let m = first_row + ty * 4u + i;
            if (m >= P.rows) {
                continue;
            }
            let at = P.y0 + ((n / per_sample) * P.y_channels + P.y_first + m) * per_sample + n % per_sample;
            var value = sum[i * 4u + j] * P.scale;
            if (P.accumulate == 1u) {
                value += y[at];
            } else if (BIAS == 1u) {
                value += bias[P.bias0 + m];
            }
            y[at] = value;
        }
    }
}
