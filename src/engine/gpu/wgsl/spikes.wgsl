// What kernels that read graded spikes share: x holds PLANES planes of words, P.plane apart.

// Value of neuron i at step t, in units of the first plane.
fn graded(i: u32, t: u32) -> u32 {
    var value = 0u;
    for (var p = 0u; p < PLANES; p++) {
        value |= ((x[P.x0 + p * P.plane + i * WORDS + t / 32u] >> (t % 32u)) & 1u) << p;
    }
    return value;
}
