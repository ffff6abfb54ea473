//! The `spiketrain` command; everything it does is in the library.

fn main() -> std::process::ExitCode {
    spiketrain::cli::main()
}
