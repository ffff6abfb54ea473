// Back through neuron, ReLU and norm, in two launches (method, section 2; src/neuron.rs). Both recompute the potentials and walk back for
// e[t] = dL/dz[t]. SUM: sums of e and e·x̂ of 256 neurons of one channel, to out [groups][C][ROWS][2]. WRITE: γ/σ · (e - mean(e) - x̂ mean(e·x̂)) in
// the place of y. Where one stored step stands for all T, both are linear in e: it is summed over t first.

struct Params {
    gamma0: u32, beta0: u32, mean0: u32, var0: u32, d0: u32, y0: u32, sums0: u32,
    channels: u32, area: u32,
    // Neurons of a channel in all samples.
    per_channel: u32,
    decay: f32, threshold: f32, alpha: f32,
    // 1 / values behind each sum.
    share: f32,
}

@group(0) @binding(0) var<uniform> P: Params;
@group(0) @binding(1) var<storage, read> gamma: array<f32>;
@group(0) @binding(2) var<storage, read> beta: array<f32>;
@group(0) @binding(3) var<storage, read> mean: array<f32>;
@group(0) @binding(4) var<storage, read> variance: array<f32>;
@group(0) @binding(5) var<storage, read> d: array<f32>;
@group(0) @binding(6) var<storage, read_write> y: array<f32>;
@group(0) @binding(7) var<storage, read_write> sums: array<f32>;

const INVERSE = 0u;
const RECTANGLE = 1u;
const DETACHED = 2u;
const SIGMOID = 3u;
const IDENTITY = 4u;

// Rows of sums: a stored step that stands for all has one.
const SUMS = min(ROWS, STORED);
const HALF_WIDTH = 0.5;
const SIGMOID_WIDTH = 0.2;

// e[t] from S[t] and e[t+1].
fn error_of(u: f32, fired: bool, s: f32, next: f32) -> f32 {
    let kept = select(1.0, 0.0, fired);
    if (SURROGATE == INVERSE) {
        let carried = P.decay * next;
        if (fired) {
            return fma(P.alpha, carried, s) / u;
        }
        return carried;
    }
    if (SURROGATE == SIGMOID) {
        let a = clamp((u - P.threshold) / SIGMOID_WIDTH, -8.0, 8.0);
        let sigma = 1.0 / (1.0 + exp(-a));
        let g = sigma * (1.0 - sigma) / SIGMOID_WIDTH;
        return fma(g, s, P.decay * next * fma(P.alpha, g, kept));
    }
    let distance = u - P.threshold;
    let g = select(0.0, 1.0, HALF_WIDTH > distance && HALF_WIDTH > -distance);
    let through_reset = select(u * g, 0.0, SURROGATE == DETACHED);
    // Where the window is shut, s may be anything.
    return select(0.0, s, g > 0.0) + P.decay * next * (kept - through_reset);
}

// dL/dz of one neuron at its stored steps, after ReLU.
fn walk(i: u32, c: u32) -> array<f32, STORED> {
    var u: array<f32, STEPS>;
    var passes: array<bool, STEPS>;
    var rest = 0.0;
    var norm = norm_of(c, 0u);
    for (var t = 0u; t < STEPS; t++) {
        if (ROWS > 1u) {
            norm = norm_of(c, t);
        }
        let z = normed(y[P.y0 + i * STORED + min(t, STORED - 1u)], norm);
        passes[t] = open(z);
        u[t] = potential(rest, select(0.0, z, passes[t]));
        rest = select(u[t], 0.0, u[t] > P.threshold);
    }
    var errors: array<f32, STORED>;
    for (var t = 0u; t < STORED; t++) {
        errors[t] = 0.0;
    }
    var next = 0.0;
    for (var back = 0u; back < STEPS; back++) {
        let t = STEPS - 1u - back;
        let s = d[P.d0 + i * STEPS + t];
        if (SURROGATE == IDENTITY) {
            next = s;
        } else {
            next = error_of(u[t], u[t] > P.threshold, s, next);
        }
        errors[min(t, STORED - 1u)] += select(0.0, next, passes[t]);
    }
    return errors;
}

var<workgroup> shared_sums: array<f32, 4096>; // [256][16]

// Sums over the threads of 8 rows at a time: 16 threads for each of 16 sums, then one for each.
fn sum_up(errors: ptr<function, array<f32, STORED>>, i: u32, c: u32, there: bool, chunk: u32, lane: u32) {
    for (var row0 = 0u; row0 < SUMS; row0 += 8u) {
        for (var j = 0u; j < 8u; j++) {
            var of_e = 0.0;
            var of_x = 0.0;
            if (there && row0 + j < SUMS) {
                // Steps of this row: one, or all stored ones.
                var t = row0 + j;
                let end = select(t + 1u, STORED, SUMS == 1u);
                for (; t < end; t++) {
                    let norm = norm_of(c, t);
                    let x_hat = (y[P.y0 + i * STORED + t] - norm.z) * norm.w;
                    of_e += (*errors)[t];
                    of_x = fma((*errors)[t], x_hat, of_x);
                }
            }
            shared_sums[lane * 16u + 2u * j] = of_e;
            shared_sums[lane * 16u + 2u * j + 1u] = of_x;
        }
        workgroupBarrier();
        var sum = 0.0;
        for (var k = 0u; k < 16u; k++) {
            sum += shared_sums[((lane / 16u) * 16u + k) * 16u + lane % 16u];
        }
        workgroupBarrier();
        shared_sums[lane] = sum;
        workgroupBarrier();
        if (lane < 16u && row0 + lane / 2u < SUMS) {
            sum = 0.0;
            for (var k = 0u; k < 16u; k++) {
                sum += shared_sums[k * 16u + lane];
            }
            sums[P.sums0 + ((chunk * P.channels + c) * SUMS + row0) * 2u + lane] = sum;
        }
        workgroupBarrier();
    }
}

// A workgroup for 256 neurons of one channel, whichever sample they are of.
@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chunk = group.y * groups.x + group.x;
    let c = group.z;
    let j = chunk * 256u + lane;
    let there = j < P.per_channel;
    let i = ((j / P.area) * P.channels + c) * P.area + j % P.area;
    var errors: array<f32, STORED>;
    if (there) {
        errors = walk(i, c);
    }
    if (SUM == 1u) {
        if (chunk * 256u < P.per_channel) {
            sum_up(&errors, i, c, there, chunk, lane);
        }
        return;
    }
    if (!there) {
        return;
    }
    for (var t = 0u; t < STORED; t++) {
        let at = P.y0 + i * STORED + t;
        if (NORM == 0u) {
            y[at] = errors[t];
        } else {
            let norm = norm_of(c, t);
            let row = min(t, SUMS - 1u) * P.channels + c;
            let x_hat = (y[at] - norm.z) * norm.w;
            let centred = errors[t] - sums[P.sums0 + row * 2u] * P.share - x_hat * sums[P.sums0 + row * 2u + 1u] * P.share;
            y[at] = norm.x * centred;
        }
    }
}
