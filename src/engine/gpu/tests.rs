use super::kernels::{ALL, Kernel};

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
