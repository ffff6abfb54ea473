//! Every maximum of the program, with its reason. Asked before memory is allocated.

/// Time steps: the spike train of a neuron is one 64-bit word.
pub const MAX_TIME_STEPS: usize = 64;
/// Layers in a notation: far beyond any published spiking network; bounds the work of the parser.
pub const MAX_LAYERS: usize = 200;
/// Channels or units of one layer: 2^20 units are already 4 MiB of membrane potentials per sample.
pub const MAX_UNITS: usize = 1 << 20;
/// Convolution kernel size (odd): larger ones belong to a different algorithm (FFT).
pub const MAX_KERNEL: usize = 15;
/// Pooling window: a 64x64 frame pooled to one pixel.
pub const MAX_POOL: usize = 64;
/// Parameters of a network: 2^31 need 32 GiB with the optimiser's moments.
pub const MAX_PARAMETERS: usize = 1 << 31;
/// Height or width of an input in pixels: the largest event sensors are 1280x720.
pub const MAX_SIDE: usize = 2048;
/// Input channels: colour or polarity, with room for stacked sensors.
pub const MAX_INPUT_CHANNELS: usize = 64;
/// Samples in one batch.
pub const MAX_BATCH: usize = 65_536;
/// Samples that a look at credit assignment takes of a batch: enough for a statistic over neurons, and a small part of a step's cost.
pub const CREDIT_SAMPLES: usize = 8;
/// Epochs of one run.
pub const MAX_EPOCHS: usize = 100_000;
/// Classes of a data set (labels are stored as u16).
pub const MAX_CLASSES: usize = 10_000;
/// Bytes of one decompressed data file: nearly three times the largest official one (CIFAR10's tar is 184 MB).
pub const MAX_DECOMPRESSED: u64 = 512 << 20;
/// Bytes of a user's picture after decoding.
pub const MAX_IMAGE_BYTES: u64 = 512 << 20;
/// Bytes of a checkpoint's header; the tensors behind it are bounded by MAX_PARAMETERS.
pub const MAX_CHECKPOINT_HEADER: u64 = 16 << 20;
/// Glyphs drawn per split: far more than a net for 28x28 pictures can use, 784 MB.
pub const MAX_GLYPHS: usize = 1_000_000;
/// Bytes of a user's picture set in memory; a larger one would have to be streamed.
pub const MAX_SET_BYTES: u64 = 16 << 30;
/// Bytes of one recording, unpacked: twenty times those of DVS-Gesture, which have 26 MB.
pub const MAX_RECORDING_BYTES: u64 = 512 << 20;
/// Bytes of a list beside recordings (labels, trials): those of DVS-Gesture have a few hundred.
pub const MAX_TEXT_BYTES: u64 = 1 << 20;
/// Gestures in one labels file of DVS-Gesture: its own have twelve.
pub const MAX_GESTURES: usize = 1000;
/// Bytes that may come out of an archive of recordings: five times DVS-Gesture, ten times N-MNIST.
pub const MAX_ARCHIVE_BYTES: u64 = 16 << 30;
/// Bytes of a zip archive's list of members: N-MNIST's 60,000 take 4 MB.
pub const MAX_ZIP_LIST: u64 = 64 << 20;
/// Recordings of a set.
pub const MAX_RECORDINGS: usize = 4_000_000;
/// Bytes of recordings, events and frames in work at one time while frames are prepared.
pub const PREPARE_BYTES: u64 = 600 << 20;
/// Motions made per split: about 16 KB each in memory.
pub const MAX_MOTIONS: usize = 100_000;
/// Noise events per count: above it there is nothing left of any recording, and every one costs a random number.
pub const MAX_EVENT_NOISE: f64 = 10.0;
/// Events of a recording that came compressed: 2 GiB in memory, forty times a long one of DVS-Gesture.
pub const MAX_EVENTS: usize = 1 << 27;
/// Bytes of the text in front of an array in an .npy file; numpy itself refuses to parse more than 10,000 characters.
pub const MAX_NPY_HEADER: usize = 1 << 16;
/// Pixels of all frames of a recording that are drawn at one time: 64 of the largest event sensors, 1280x720.
pub const MAX_DRAWN_PIXELS: usize = 1 << 26;
/// Bytes of a fixture: twenty times the largest that this repository has.
pub const MAX_FIXTURE_BYTES: u64 = 2 << 20;
/// Members of an .npz: SpikingJelly's have four arrays, others may lie beside them.
pub const MAX_NPZ_MEMBERS: usize = 64;
/// Bytes of a line of metrics.jsonl: a credit line of 200 layers at 64 time steps has a quarter. Read as JSON it takes up to fifty times that.
pub const MAX_METRICS_LINE: usize = 4 << 20;
/// Bytes of result.json, cost.json, study.json and live.json: a study of a thousand runs has ten.
pub const MAX_JSON_BYTES: u64 = 64 << 20;
/// Bytes of a file that a network is imported from: the largest network that a training step of this machine's kind could hold.
pub const MAX_MODEL_BYTES: u64 = 8 << 30;
/// Samples that a network and its export are compared on: more say no more, and take long.
pub const MAX_COMPARED: usize = 100_000;
/// Parameters of a network that is written as C: about 4 bytes of text each.
pub const MAX_C_PARAMETERS: usize = 1 << 24;
/// Nodes of a graph: weights, neurons, pool and its neurons for every layer.
pub const MAX_NODES: usize = 4 * MAX_LAYERS;
/// Bytes of a run's metrics.jsonl that a report reads: 100,000 epochs of a deep network with credit lines between them.
pub const MAX_METRICS_BYTES: u64 = 1 << 30;
