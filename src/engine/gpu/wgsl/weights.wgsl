// dL/dW[m, r] = Σ_n e[m, n] · x[r, n]: columns, rows and tiles as in product.wgsl. The sum over a part of the batch is made in the order of its
// samples, and the parts are added in the tree of engine/parts.rs: here, one after the other (SPLIT 0), or by tree.wgsl from the sums of
// parts that workgroups make side by side (SPLIT 1).

struct Params {
    e0: u32, x0: u32, out0: u32,
    // Channels of e; the first of them that is an output here, and how many are.
    channels: u32, first_output: u32, rows: u32,
    inputs: u32, h: u32, w: u32,
    plane: u32, scale: f32,
    // Parts.
    count: u32,
    // First sample, and the one behind the last; to how many sums that wait this one is added.
    parts: array<vec4<u32>, 8>,
}

@group(0) @binding(0) var<uniform> P: Params;
@group(0) @binding(1) var<storage, read> e: array<f32>;
@group(0) @binding(2) var<storage, read> x: array<u32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

const TAPS = K * K;
const PAD = K / 2u;

var<workgroup> rows_of_e: array<f32, 1040>; // [16][65]
var<workgroup> rows_of_x: array<f32, 1040>; // [16][65]

fn x_at(r: u32, b: u32, py: u32, px: u32, t: u32) -> f32 {
    let iy = py + (r % TAPS) / K;
    let ix = px + (r % TAPS) % K;
    if (iy < PAD || ix < PAD || iy - PAD >= P.h || ix - PAD >= P.w) {
        return 0.0;
    }
    let i = (b * P.inputs + r / TAPS) * P.h * P.w + (iy - PAD) * P.w + (ix - PAD);
    if (BITS == 0u) {
        return bitcast<f32>(x[P.x0 + i * STEPS + t]);
    }
    return f32(graded(i, t));
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let depth = P.inputs * TAPS;
    let across = (depth + 63u) / 64u;
    let tile = group.y * groups.x + group.x;
    let first_r = (tile % across) * 64u;
    let first_m = (tile / across) * 64u;
    let per_sample = P.h * P.w * STEPS;
    let tx = lane % 16u;
    let ty = lane / 16u;

    var sum: array<f32, 16>;
    var waiting: array<array<f32, 16>, 4>;
    var waits = 0u;
    var from_part = 0u;
    var to_part = P.count;
    if (SPLIT == 1u) {
        from_part = group.z;
        to_part = from_part + 1u;
    }
    for (var part = from_part; part < to_part; part++) {
        let part_of = P.parts[part];
        for (var i = 0u; i < 16u; i++) {
            sum[i] = 0.0;
        }
        let end = part_of.y * per_sample;
        for (var n0 = part_of.x * per_sample; n0 < end; n0 += 16u) {
            // This thread reads one column of both in every tile.
            let n = n0 + lane % 16u;
            let b = n / per_sample;
            let q = n % per_sample;
            let p = q / STEPS;
            let t = q % STEPS;
            let py = p / P.w;
            let px = p % P.w;
            for (var j = 0u; j < 4u; j++) {
                let row = lane / 16u + 16u * j;
                let place = (lane % 16u) * 65u + row;
                var value = 0.0;
                if (n < end && first_m + row < P.rows) {
                    value = e[P.e0 + (b * P.channels + P.first_output + first_m + row) * per_sample + q];
                }
                rows_of_e[place] = value;
                value = 0.0;
                if (n < end && first_r + row < depth) {
                    value = x_at(first_r + row, b, py, px, t);
                }
                rows_of_x[place] = value;
            }
            workgroupBarrier();
            for (var k = 0u; k < 16u; k++) {
                var of_e: array<f32, 4>;
                for (var i = 0u; i < 4u; i++) {
                    of_e[i] = rows_of_e[k * 65u + ty * 4u + i];
                }
                for (var j = 0u; j < 4u; j++) {
                    let of_x = rows_of_x[k * 65u + tx + 16u * j];
                    for (var i = 0u; i < 4u; i++) {
                        sum[i * 4u + j] = fma(of_e[i], of_x, sum[i * 4u + j]);
                    }
                }
            }
            workgroupBarrier();
        }
        if (SPLIT == 0u) {
            for (var join = 0u; join < part_of.z; join++) {
                waits -= 1u;
                for (var i = 0u; i < 16u; i++) {
                    sum[i] = waiting[waits][i] + sum[i];
                }
            }
            waiting[waits] = sum;
            waits += 1u;
        }
    }
    var out_of = P.out0;
    if (SPLIT == 1u) {
        out_of += from_part * P.rows * depth;
    }
    for (var i = 0u; i < 4u; i++) {
        for (var j = 0u; j < 4u; j++) {
            let m = first_m + ty * 4u + i;
            let r = first_r + tx + 16u * j;
            if (m < P.rows && r < depth) {
                out[out_of + m * depth + r] = sum[i * 4u + j] * P.scale;
            }
        }
    }
}
