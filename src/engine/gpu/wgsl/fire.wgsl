// Norm, ReLU and neuron, forward, over all T steps in one launch. To words of spikes [B][C][H·W][WORDS], or, with IDENTITY (the `ann` warm-up), to
// reals [B][C][H·W][STEPS].

struct Params {
    y0: u32, gamma0: u32, beta0: u32, mean0: u32, var0: u32, out0: u32,
    channels: u32, area: u32, neurons: u32,
    decay: f32, threshold: f32,
}

@group(0) @binding(0) var<uniform> P: Params;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> gamma: array<f32>;
@group(0) @binding(3) var<storage, read> beta: array<f32>;
@group(0) @binding(4) var<storage, read> mean: array<f32>;
@group(0) @binding(5) var<storage, read> variance: array<f32>;
@group(0) @binding(6) var<storage, read_write> out: array<u32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = flat(group, groups, lane);
    if (i >= P.neurons) {
        return;
    }
    let c = (i / P.area) % P.channels;
    var rest = 0.0;
    var norm = norm_of(c, 0u);
    for (var word = 0u; word < WORDS; word++) {
        var train = 0u;
        for (var t = word * 32u; t < min(STEPS, word * 32u + 32u); t++) {
            if (ROWS > 1u) {
                norm = norm_of(c, t);
            }
            let z = normed(y[P.y0 + i * STORED + min(t, STORED - 1u)], norm);
            let current = select(0.0, z, open(z));
            if (IDENTITY == 1u) {
                out[P.out0 + i * STEPS + t] = bitcast<u32>(current);
            } else {
                let u = potential(rest, current);
                let fired = u > P.threshold;
                rest = select(u, 0.0, fired);
                train |= select(0u, 1u << (t % 32u), fired);
            }
        }
        if (IDENTITY == 0u) {
            out[P.out0 + i * WORDS + word] = train;
        }
    }
}
