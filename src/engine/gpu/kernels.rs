//! The kernels: texts in WGSL, and how many bindings each has.

/// A kernel: what it reads stands before what it writes in its bindings, which begin at 1; its parameters are binding 0.
pub struct Kernel {
    /// Of its file in `wgsl/`.
    pub name: &'static str,
    /// Texts in the order in which they are put together.
    texts: &'static [&'static str],
    /// Bindings it reads.
    pub reads: usize,
    /// Bindings it writes.
    pub writes: usize,
    /// Names of the constants that stand before its text.
    #[cfg_attr(not(test), expect(dead_code, reason = "what a launch gives is compiled; a test goes through all of them"))]
    pub constants: &'static [&'static str],
}

const PRELUDE: &str = include_str!("wgsl/prelude.wgsl");

macro_rules! kernels {
    ($($kernel:ident = $name:literal $(with $shared:literal)?, $reads:literal, $writes:literal, [$($constant:literal),*];)*) => {
        $(
            #[doc = concat!("`wgsl/", $name, ".wgsl`")]
            pub static $kernel: Kernel = Kernel {
                name: $name,
                texts: &[PRELUDE, $(include_str!(concat!("wgsl/", $shared, ".wgsl")),)? include_str!(concat!("wgsl/", $name, ".wgsl"))],
                reads: $reads,
                writes: $writes,
                constants: &[$($constant),*],
            };
        )*
        /// All of them.
        #[cfg(test)]
        pub static ALL: &[&Kernel] = &[$(&$kernel),*];
    };
}

kernels! {
    ADAMW = "adamw", 1, 3, [];
    ADD = "add", 1, 1, [];
    AVG_POOL = "avg_pool", 1, 1, ["K", "STEPS", "BITS", "PLANES", "OUT_PLANES", "WORDS"];
    AVG_POOL_BACK = "avg_pool_back", 1, 1, ["K", "STEPS"];
    BIAS = "bias", 1, 1, [];
    DROPOUT = "dropout", 2, 1, ["BITS", "PLANES", "EACH"];
    FILL = "fill", 0, 1, [];
    FIRE = "fire" with "neuron", 5, 1, ["STEPS", "STORED", "ROWS", "WORDS", "NORM", "RELU", "IDENTITY"];
    FIRE_BACK = "fire_back" with "neuron", 5, 2, ["STEPS", "STORED", "ROWS", "NORM", "RELU", "SURROGATE", "SUM"];
    INPUT = "input", 2, 1, ["STEPS", "KIND"];
    MAX_POOL = "max_pool" with "spikes", 1, 1, ["K", "STEPS", "BITS", "PLANES", "WORDS"];
    MAX_POOL_BACK = "max_pool_back" with "spikes", 2, 1, ["K", "STEPS", "STORED", "BITS", "PLANES", "WORDS"];
    MOMENTS = "moments", 1, 1, ["ROWS"];
    MOMENTS_TOTAL = "moments_total", 1, 2, ["ROWS"];
    NORM_GRADS = "norm_grads", 1, 2, ["ROWS"];
    NORM_TOTAL = "norm_total", 1, 1, ["ROWS"];
    NOTE = "note", 1, 1, ["KIND", "PLANES"];
    PRODUCT = "product" with "spikes", 3, 1, ["K", "STEPS", "BITS", "PLANES", "WORDS", "TRANSPOSED", "BIAS"];
    RUNNING = "running", 4, 2, ["ROWS"];
    TREE = "tree", 1, 1, [];
    VOTE = "vote", 1, 1, ["STEPS", "STORED", "BITS", "PLANES", "WORDS", "VOTERS"];
    VOTE_BACK = "vote_back", 1, 1, ["STEPS", "VOTERS"];
    WEIGHTS = "weights" with "spikes", 2, 1, ["K", "STEPS", "BITS", "PLANES", "WORDS", "SPLIT"];
}

impl Kernel {
    /// What stands before the text: constants of 32 bits.
    pub fn header(constants: &[(&str, usize)]) -> String {
        constants.iter().map(|(name, value)| format!("const {name} = {value}u;\n")).collect()
    }

    /// The whole text behind `header`.
    pub fn text(&self, header: &str) -> String {
        [&[header], self.texts].concat().join("\n")
    }
}
