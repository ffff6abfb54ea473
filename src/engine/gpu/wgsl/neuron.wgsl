// What fire.wgsl and fire_back.wgsl share: from currents to potentials. The back sweep recomputes what the forward sweep computed, bit for
// bit, so both call these and every product with a sum is a fused one; a compiler may not choose.
//
// A thread has one neuron of one sample and walks its T steps. Currents [B][C][H·W][STORED], STORED = T or 1 for all.

// Scale, shift, mean and 1/σ of channel c at step t.
fn norm_of(c: u32, t: u32) -> vec4<f32> {
    if (NORM == 0u) {
        return vec4<f32>(1.0, 0.0, 0.0, 0.0);
    }
    let row = min(t, ROWS - 1u) * P.channels + c;
    let middle = mean[P.mean0 + row];
    let over_sigma = 1.0 / sqrt(variance[P.var0 + row] + 1e-5);
    let scale = gamma[P.gamma0 + c] * over_sigma;
    return vec4<f32>(scale, fma(-middle, scale, beta[P.beta0 + c]), middle, over_sigma);
}

// z before ReLU.
fn normed(value: f32, norm: vec4<f32>) -> f32 {
    return fma(value, norm.x, norm.y);
}

// Whether ReLU lets z pass; NaN does not pass it.
fn open(z: f32) -> bool {
    return RELU == 0u || z > 0.0;
}

// u[t] = λ·r[t-1] + I[t]
fn potential(rest: f32, current: f32) -> f32 {
    return fma(P.decay, rest, current);
}
