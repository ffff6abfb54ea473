use super::kernels::{ALL, Kernel};
use super::{Profile, adapters};
use crate::engine::{Engine, Layout};

/// Values of the constants that a kernel is compiled with in this test.
fn variants(kernel: &Kernel) -> Vec<Vec<(&'static str, usize)>> {
    let choices = |name: &str| -> &[usize] {
        match name {
            "STEPS" => &[1, 5, 32, 64],
            "ROWS" | "STORED" => &[1, 5],
            "K" => &[1, 3],
            "PLANES" => &[1, 3],
            "OUT_PLANES" => &[5],
            "WORDS" | "EACH" => &[1, 2],
            "VOTERS" => &[10],
            "SURROGATE" => &[0, 1, 2, 3, 4],
            "KIND" => &[0, 1, 2],
            _ => &[0, 1],
        }
    };
    kernel.constants.iter().fold(vec![Vec::new()], |all, name| {
        let with = |of: &Vec<(&'static str, usize)>, v: usize| [&of[..], &[(*name, v)]].concat();
        all.iter().flat_map(|of| choices(name).iter().map(move |&v| with(of, v))).collect()
    })
}

#[test]
fn every_kernel_is_valid_in_every_variant() {
    use wgpu::naga::valid::{Capabilities, ValidationFlags, Validator};
    let mut tried = 0;
    for kernel in ALL {
        for constants in variants(kernel) {
            let text = kernel.text(&Kernel::header(&constants));
            let module = wgpu::naga::front::wgsl::parse_str(&text)
                .unwrap_or_else(|e| panic!("{} {constants:?}: {}", kernel.name, e.emit_to_string(&text)));
            let checked = Validator::new(ValidationFlags::all(), Capabilities::empty()).validate(&module);
            checked.unwrap_or_else(|e| panic!("{} {constants:?}: {}", kernel.name, e.emit_to_string(&text)));
            let bindings = module.global_variables.iter().filter(|(_, v)| v.binding.is_some()).count();
            assert_eq!(bindings, 1 + kernel.reads + kernel.writes, "bindings of {}", kernel.name);
            tried += 1;
        }
    }
    println!("{tried} variants of {} kernels", ALL.len());
}

#[test]
fn a_card_that_has_failed_says_so_at_every_wait() {
    let Some(adapter) = adapters().into_iter().next() else { return println!("SKIPPED: this machine has no graphics card") };
    let gpu = adapter.open(Profile::Full).unwrap();
    let param = gpu.param(Layout::PerChannel(3), &[1.0, 2.0, 3.0]);
    assert_eq!(gpu.host(&param).unwrap(), [1.0, 2.0, 3.0]);
    gpu.device.fail("is lost: somebody pulled it out");
    for _ in 0..2 {
        let e = gpu.host(&param).unwrap_err();
        assert!(e.exit_code() == 5 && e.to_string().contains("is lost"), "{e}");
    }
}

/// More than an adapter has, and more than a buffer may have: an error at the next wait, and no panic.
#[test]
fn a_buffer_that_is_too_large_is_an_error_at_the_next_wait() {
    let Some(adapter) = adapters().into_iter().next() else { return println!("SKIPPED: this machine has no graphics card") };
    let gpu = adapter.open(Profile::Full).unwrap();
    let words = usize::try_from(adapter.buffer / 4).unwrap() + 1024;
    let buffer = gpu.device.buffer(words);
    let e = gpu.device.fetch(&[buffer.part(0..4)]).unwrap_err();
    assert_eq!(e.exit_code(), 5, "{e}");
}
