//! Shapes: C, H, W of one sample at one time step, and of parameters.

use std::fmt;

use crate::error::{Error, Result};
use crate::limits;

/// Channels, height and width of one sample at one time step. A fully connected layer is `n x 1 x 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Chw {
    /// Channels (units of a fully connected layer).
    pub c: usize,
    /// Height.
    pub h: usize,
    /// Width.
    pub w: usize,
}

impl Chw {
    /// A shape.
    pub const fn new(c: usize, h: usize, w: usize) -> Self {
        Chw { c, h, w }
    }
    /// Number of neurons, C·H·W.
    pub const fn len(&self) -> usize {
        self.c * self.h * self.w
    }
    /// True when a side is 0.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// Positions per channel, H·W.
    pub const fn area(&self) -> usize {
        self.h * self.w
    }
}

impl fmt::Display for Chw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.c, self.h, self.w)
    }
}

impl std::str::FromStr for Chw {
    type Err = Error;

    /// Reads `CxHxW`, e.g. `1x28x28`.
    fn from_str(s: &str) -> Result<Self> {
        let bad = || Error::usage(format!("'{s}' is not a shape")).remedy("write channels x height x width, e.g. 1x28x28");
        let parts: Vec<usize> = s.split('x').map(|p| p.parse().map_err(|_| bad())).collect::<Result<_>>()?;
        let [c, h, w] = parts[..] else { return Err(bad()) };
        let fits =
            (1..=limits::MAX_INPUT_CHANNELS).contains(&c) && (1..=limits::MAX_SIDE).contains(&h) && (1..=limits::MAX_SIDE).contains(&w);
        if !fits {
            return Err(Error::usage(format!("shape {s} is out of range")).remedy(format!(
                "1 to {} channels, sides of 1 to {} pixels",
                limits::MAX_INPUT_CHANNELS,
                limits::MAX_SIDE
            )));
        }
        Ok(Chw { c, h, w })
    }
}

/// What a parameter is; tells an engine how to lay it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// Convolution weights `[out, in, K, K]`.
    Conv {
        /// Output channels.
        out: usize,
        /// Input channels.
        inp: usize,
        /// K, odd; padding (K-1)/2, stride 1.
        k: usize,
    },
    /// Linear weights `[out, in]`, inputs flattened in C,H,W order.
    Linear {
        /// Output units.
        out: usize,
        /// Shape of the layer's input.
        inp: Chw,
    },
    /// One number per output channel or unit: bias, γ, β.
    PerChannel(usize),
}

impl Layout {
    /// Number of parameters.
    pub fn len(&self) -> usize {
        match *self {
            Layout::Conv { out, inp, k } => out * inp * k * k,
            Layout::Linear { out, inp } => out * inp.len(),
            Layout::PerChannel(n) => n,
        }
    }
    /// True when there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
