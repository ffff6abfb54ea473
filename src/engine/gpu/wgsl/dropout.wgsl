// Multiplies by a mask of one bit for each neuron of a sample, [B][MASK_WORDS]. Spikes stay spikes, worth twice as much; reals are doubled. EACH words
// for each neuron, in each of PLANES planes.

struct Params {
    x0: u32, mask0: u32, out0: u32,
    // Of a sample, in all samples; words of a sample's mask.
    neurons: u32, all: u32, mask_words: u32,
    plane: u32, out_plane: u32,
}

@group(0) @binding(0) var<uniform> P: Params;
@group(0) @binding(1) var<storage, read> x: array<u32>;
@group(0) @binding(2) var<storage, read> mask: array<u32>;
@group(0) @binding(3) var<storage, read_write> out: array<u32>;

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = flat(group, groups, lane);
    if (i >= P.all) {
        return;
    }
    let neuron = i % P.neurons;
    let kept = ((mask[P.mask0 + (i / P.neurons) * P.mask_words + neuron / 32u] >> (neuron % 32u)) & 1u) == 1u;
    for (var plane = 0u; plane < PLANES; plane++) {
        for (var k = 0u; k < EACH; k++) {
            var word = x[P.x0 + plane * P.plane + i * EACH + k];
            if (BITS == 0u) {
                word = bitcast<u32>(2.0 * bitcast<f32>(word));
            }
            out[P.out0 + plane * P.out_plane + i * EACH + k] = select(0u, word, kept);
        }
    }
}
