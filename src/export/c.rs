//! A network as C99: one header, one source file, no allocation, no library but the compiler's.

use std::fmt::Write as _;
use std::path::Path;

use super::inputs::Inputs;
use super::integer::{Integer, Weights, window};
use crate::engine::VOTERS;
use crate::error::{Error, Result};
use crate::limits;
use crate::plan::{Front, Plan};
use crate::storage::{self, Published, Storage};

/// Writes `name.c` and `name.h` beside each other; `path` is the first. Says what was written of the first.
///
/// # Errors
/// Usage: a name that C cannot have, or too large a network. Storage: the disk fails.
pub fn write(storage: &dyn Storage, path: &Path, net: &Integer, inputs: &Inputs) -> Result<Published> {
    let name = path.file_stem().and_then(|n| n.to_str()).unwrap_or_default();
    let letters = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || !name.chars().all(letters) || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(Error::usage(format!("'{name}' is no name in C"))
            .at(path.display())
            .remedy("use letters, digits and _, e.g. --out digits.c"));
    }
    if net.plan.parameters() > limits::MAX_C_PARAMETERS {
        return Err(Error::usage(format!(
            "{} parameters, as C text at most {} are written",
            net.plan.parameters(),
            limits::MAX_C_PARAMETERS
        ))
        .option_as("format", "c")
        .remedy("train a smaller network, or export as nir, safetensors or npz"));
    }
    storage::write_text(storage, &path.with_extension("h"), &header(name, net, inputs))?;
    storage::write_text(storage, path, &source(name, net, inputs))
}

/// Largest number of values between two layers, and of outputs.
fn largest(plan: &Plan) -> (usize, usize) {
    let behind = plan.blocks.iter().skip(1).flat_map(|b| b.fronts.iter().map(|f| f.output.len()));
    let outputs = plan.blocks.iter().map(|b| b.output.len()).max().unwrap_or(1);
    (behind.chain(plan.blocks.iter().map(|b| b.output.len())).max().unwrap_or(1), outputs)
}

fn header(name: &str, net: &Integer, inputs: &Inputs) -> String {
    let (plan, s) = (&net.plan, net.plan.shape);
    let upper = name.to_uppercase();
    let neurons: usize = plan.blocks.iter().map(|b| b.output.len()).sum();
    let (values, outputs) = largest(plan);
    format!(
        "/* {} on {s}, decay {}, threshold {}. Weights behind layer 1 are int8 with a scale per output channel.
 * Written by spiketrain {}. No allocation: the caller owns the state, {neurons} potentials and what passes between layers.
 *
 *     static {name}_net net;
 *     {name}_reset(&net);
 *     for (int t = 0; t < {upper}_STEPS; t++) {name}_step(&net, frame);     frames or a picture, [C][H][W]
 *     int label = {name}_class(&net);
 *
 * Input: {}.{}
 * Events: {name}_event(&net, c, y, x) for each, then {name}_tick(&net) once per time step.
 */
#ifndef {upper}_H
#define {upper}_H

#include <stdint.h>

#define {upper}_CHANNELS {}
#define {upper}_HEIGHT {}
#define {upper}_WIDTH {}
#define {upper}_CLASSES {}
/* Time steps the network was trained with. */
#define {upper}_STEPS {}

typedef struct {{
    float rest[{neurons}];       /* membrane potentials after the reset */
    float frame[{}];        /* events of the step under way */
    float pooled[{}];       /* input behind its pools */
    float currents[{outputs}];
    int32_t sums[{outputs}];
    uint16_t a[{values}], b[{values}]; /* spikes and counts between layers */
    uint32_t votes[{}];
}} {name}_net;

/* Forgets everything: before each sample. */
void {name}_reset({name}_net *net);
/* One time step on a frame [C][H][W] of real numbers. */
void {name}_step({name}_net *net, const float *frame);
/* Counts an event at channel c (0 OFF, 1 ON), row y, column x; places outside are ignored. */
void {name}_event({name}_net *net, int c, int y, int x);
/* One time step on the events counted since the last. */
void {name}_tick({name}_net *net);
/* The class with most votes so far, the lowest on ties. */
int {name}_class(const {name}_net *net);
/* The name of a class, \"\" of others. */
const char *{name}_class_name(int label);
{}
#endif
",
        plan.notation,
        net.lif.decay,
        net.lif.threshold,
        env!("CARGO_PKG_VERSION"),
        comment(&inputs.in_words()),
        if inputs.pixels.is_some() { format!("\n * {name}_pixels(pixels, frame) does that.") } else { String::new() },
        s.c,
        s.h,
        s.w,
        plan.classes(),
        inputs.steps,
        s.len(),
        plan.blocks[0].fronts.iter().map(|f| f.output.len()).max().unwrap_or(1),
        plan.classes(),
        if inputs.pixels.is_some() {
            format!(
                "/* Pixels [C][H][W] of 0 to 255 as a frame that the network reads. */\nvoid {name}_pixels(const uint8_t *pixels, float *frame);\n"
            )
        } else {
            String::new()
        }
    )
}

/// Text that cannot end a comment.
fn comment(text: &str) -> String {
    text.replace("*/", "* /")
}

/// Names of classes, and how pixels are scaled.
fn of_inputs(name: &str, upper: &str, inputs: &Inputs) -> String {
    let quoted = |class: &String| {
        // An octal escape ends after three digits, whatever follows.
        let bytes =
            class.bytes().map(|b| if b.is_ascii_alphanumeric() || b == b' ' { char::from(b).to_string() } else { format!("\\{b:03o}") });
        format!("\"{}\"", bytes.collect::<String>())
    };
    let names = inputs.classes.iter().map(quoted).collect::<Vec<_>>().join(",\n        ");
    let mut s = format!(
        "
const char *{name}_class_name(int label) {{
    static const char *const names[{upper}_CLASSES] = {{
        {names}
    }};
    return label >= 0 && label < {upper}_CLASSES ? names[label] : \"\";
}}
"
    );
    if let Some([mean, std]) = &inputs.pixels {
        let list = |values: &[f32]| values.iter().map(|&v| real(v)).collect::<Vec<_>>().join(", ");
        let _ = write!(
            s,
            "
void {name}_pixels(const uint8_t *pixels, float *frame) {{
    static const float mean[{upper}_CHANNELS] = {{{}}}, std[{upper}_CHANNELS] = {{{}}};
    long area = (long){upper}_HEIGHT * {upper}_WIDTH;
    for (long i = 0; i < {upper}_CHANNELS * area; i++) frame[i] = ((float)pixels[i] / 255.0f - mean[i / area]) / std[i / area];
}}
",
            list(mean),
            list(std)
        );
    }
    s
}

/// Functions that every network needs.
const FUNCTIONS: &str = r"
typedef struct { int c, h, w; } shape;

#define POOL(NAME, TYPE, JOIN) \
    static void NAME(const TYPE *in, shape s, TYPE *out, shape o, int k) { \
        for (int c = 0; c < o.c; c++) \
            for (int y = 0; y < o.h; y++) \
                for (int x = 0; x < o.w; x++) { \
                    const TYPE *from = in + ((long)c * s.h + y * k) * s.w + x * k; \
                    TYPE v = from[0]; \
                    for (int j = 1; j < k * k; j++) { TYPE n = from[(long)(j / k) * s.w + j % k]; v = (TYPE)(JOIN); } \
                    out[((long)c * o.h + y) * o.w + x] = v; \
                } \
    }

/* Adds, for every input that is not 0, its weights to the outputs it reaches. */
#define AFFINE(NAME, TYPE, SUM, WEIGHT) \
    static void NAME(const TYPE *in, shape s, const WEIGHT *w, SUM *out, shape o, int kh, int kw, int pad) { \
        for (long i = 0; i < (long)o.c * o.h * o.w; i++) out[i] = 0; \
        for (int c = 0; c < s.c; c++) \
            for (int y = 0; y < s.h; y++) \
                for (int x = 0; x < s.w; x++) { \
                    SUM v = (SUM)in[((long)c * s.h + y) * s.w + x]; \
                    if (v == 0) continue; \
                    int y0 = y + pad - o.h + 1, y1 = y + pad, x0 = x + pad - o.w + 1, x1 = x + pad; \
                    if (y0 < 0) y0 = 0; \
                    if (x0 < 0) x0 = 0; \
                    if (y1 >= kh) y1 = kh - 1; \
                    if (x1 >= kw) x1 = kw - 1; \
                    for (int oc = 0; oc < o.c; oc++) \
                        for (int ky = y0; ky <= y1; ky++) \
                            for (int kx = x0; kx <= x1; kx++) \
                                out[((long)oc * o.h + y + pad - ky) * o.w + x + pad - kx] += \
                                    v * w[(((long)oc * s.c + c) * kh + ky) * kw + kx]; \
                } \
    }

/* ReLU and neuron: u = DECAY * rest + current, a spike above THRESHOLD, then 0. */
static void fire(const float *sums, const float *bias, shape o, int relu, float *rest, uint16_t *out) {
    long area = (long)o.h * o.w;
    for (long i = 0; i < o.c * area; i++) {
        float current = sums[i] + bias[i / area];
        float u = DECAY * rest[i] + (relu && current < 0.0f ? 0.0f : current);
        out[i] = u > THRESHOLD;
        rest[i] = out[i] ? 0.0f : u;
    }
}
";

/// Sums of integers as currents: what layers behind layer 1 need.
const SCALED: &str = r"
static void scaled(const int32_t *sums, const float *scale, shape o, float *out) {
    long area = (long)o.h * o.w;
    for (long i = 0; i < o.c * area; i++) out[i] = (float)sums[i] * scale[i / area];
}
";

fn source(name: &str, net: &Integer, inputs: &Inputs) -> String {
    let plan = &net.plan;
    let upper = name.to_uppercase();
    let mut s = format!(
        "#include \"{name}.h\"\n\n#define DECAY {}\n#define THRESHOLD {}\n",
        real(net.lif.decay as f32),
        real(net.lif.threshold as f32)
    );
    s += FUNCTIONS;
    s += &used(plan, net);
    for (i, layer) in net.layers.iter().enumerate() {
        match &layer.weights {
            Weights::Real(w) => reals(&mut s, &format!("weight{i}"), w),
            Weights::Integer { q, scale } => {
                array(&mut s, "int8_t", &format!("weight{i}"), q.iter().map(|v| v.to_string()));
                reals(&mut s, &format!("scale{i}"), scale);
            }
        }
        reals(&mut s, &format!("bias{i}"), &layer.bias);
    }
    let _ = write!(s, "\nvoid {name}_reset({name}_net *net) {{\n    static const {name}_net empty;\n    *net = empty;\n}}\n");
    let _ = write!(s, "\nvoid {name}_step({name}_net *net, const float *frame) {{\n{}}}\n", steps(plan));
    let _ = write!(
        s,
        "
void {name}_event({name}_net *net, int c, int y, int x) {{
    if (c >= 0 && c < {upper}_CHANNELS && y >= 0 && y < {upper}_HEIGHT && x >= 0 && x < {upper}_WIDTH)
        net->frame[((long)c * {upper}_HEIGHT + y) * {upper}_WIDTH + x] += 1.0f;
}}

void {name}_tick({name}_net *net) {{
    {name}_step(net, net->frame);
    for (long i = 0; i < (long){upper}_CHANNELS * {upper}_HEIGHT * {upper}_WIDTH; i++) net->frame[i] = 0.0f;
}}

int {name}_class(const {name}_net *net) {{
    int best = 0;
    for (int i = 1; i < {upper}_CLASSES; i++)
        if (net->votes[i] > net->votes[best]) best = i;
    return best;
}}
"
    );
    s + &of_inputs(name, &upper, inputs)
}

/// The functions of [`FUNCTIONS`] that are needed: others would be warned about.
fn used(plan: &Plan, net: &Integer) -> String {
    let pools = |real: bool, max: bool| {
        let blocks = if real { &plan.blocks[..1] } else { &plan.blocks[1..] };
        blocks
            .iter()
            .flat_map(|b| &b.fronts)
            .any(|f| if max { matches!(f.front, Front::MaxPool(_)) } else { matches!(f.front, Front::AvgPool(_)) })
    };
    let mut s = String::new();
    for (real, ty) in [(true, "float"), (false, "uint16_t")] {
        for (max, join) in [(true, "n > v ? n : v"), (false, "v + n")] {
            if pools(real, max) {
                let _ = writeln!(s, "POOL({}_{ty}, {ty}, {join})", if max { "max" } else { "sum" });
            }
        }
    }
    s += "AFFINE(affine_float, float, float, float)\n";
    if net.layers.len() > 1 {
        s += "AFFINE(affine_int, uint16_t, int32_t, int8_t)\n";
        s += SCALED;
    }
    s
}

/// The body of a time step.
fn steps(plan: &Plan) -> String {
    let mut s = String::new();
    let shape = |c: crate::shape::Chw| format!("(shape){{{}, {}, {}}}", c.c, c.h, c.w);
    let (mut at, mut neurons) = ("frame".to_string(), 0);
    for (i, block) in plan.blocks.iter().enumerate() {
        for f in &block.fronts {
            let (k, what) = match f.front {
                Front::MaxPool(k) => (k, "max"),
                Front::AvgPool(k) => (k, "sum"),
                Front::Dropout => continue,
            };
            let ty = if i == 0 { "float" } else { "uint16_t" };
            let to = if i == 0 { "net->pooled" } else { other(&at) };
            let _ = writeln!(s, "    {what}_{ty}({at}, {}, {to}, {}, {k});", shape(f.input), shape(f.output));
            at = to.to_string();
        }
        let ([kh, kw], pad) = window(block);
        let (kind, sums) = if i == 0 { ("float", "net->currents") } else { ("int", "net->sums") };
        let _ =
            writeln!(s, "    affine_{kind}({at}, {}, weight{i}, {sums}, {}, {kh}, {kw}, {pad});", shape(block.input), shape(block.output));
        if i > 0 {
            let _ = writeln!(s, "    scaled(net->sums, scale{i}, {}, net->currents);", shape(block.output));
        }
        let to = if i == 0 { "net->a" } else { other(&at) };
        let relu = u8::from(block.relu);
        let _ = writeln!(s, "    fire(net->currents, bias{i}, {}, {relu}, net->rest + {neurons}, {to});", shape(block.output));
        at = to.to_string();
        neurons += block.output.len();
    }
    let voters = plan.classes() * VOTERS;
    let _ = writeln!(s, "    for (int i = 0; i < {voters}; i++) net->votes[i / {VOTERS}] += {at}[i];");
    s
}

/// The other one of the two buffers.
fn other(at: &str) -> &'static str {
    if at == "net->a" { "net->b" } else { "net->a" }
}

/// A number that reads back to the same bits.
fn real(v: f32) -> String {
    format!("{v:?}f")
}

fn reals(s: &mut String, name: &str, values: &[f32]) {
    array(s, "float", name, values.iter().map(|&v| real(v)));
}

fn array(s: &mut String, ty: &str, name: &str, values: impl ExactSizeIterator<Item = String>) {
    let _ = write!(s, "\nstatic const {ty} {name}[{}] = {{", values.len());
    for (i, v) in values.enumerate() {
        s.push_str(if i % 16 == 0 { "\n    " } else { " " });
        s.push_str(&v);
        s.push(',');
    }
    s.push_str("\n};\n");
}
