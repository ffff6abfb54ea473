use super::*;
use crate::config::{Device, Options};
use crate::data::{self, LoadOptions, sets};
use crate::storage::Disk;

fn config(device: Device) -> Config {
    Options { device: Some(device), time_steps: Some(2.into()), batch: Some(4), ..Options::default() }.complete().unwrap()
}

fn plan(net: &str, shape: &str) -> Plan {
    Plan::new(net.parse().unwrap(), shape.parse().unwrap()).unwrap()
}

fn glyphs() -> impl Dataset {
    data::load(sets::GLYPHS, &LoadOptions { train_limit: Some(10), test_limit: Some(10), ..LoadOptions::default() }).unwrap()
}

fn open(path: &Path) -> Trained {
    Trained::open(path, None, &mut |note| panic!("{note}")).unwrap().0
}

#[test]
fn what_is_saved_is_opened_on_either_engine_and_answers_as_before() {
    let (dir, data) = (tempfile::tempdir().unwrap(), glyphs());
    for device in [Device::Cpu, Device::Reference] {
        let plan = plan("3C3-MP2-10Voting", "1x28x28");
        let mut net = Trained::fresh(config(device), &plan).unwrap();
        let tensor = &tensors::of(&plan)[4];
        assert_eq!(tensor.name, "0.bn.running_mean");
        net.set(tensor, &[0.5, -0.25, 0.125]);
        let path = dir.path().join(net.engine());
        net.save(&Disk, &path).unwrap();
        let again = open(&path);
        assert_eq!(again.engine(), net.engine());
        assert_eq!(again.host(tensor.place).unwrap(), [0.5, -0.25, 0.125]);
        assert_eq!(again.weights_sha256().unwrap(), net.weights_sha256().unwrap());
        let evaluate = |net: &Trained| net.evaluate(net.config(), &data, Split::Test, &Stop::default()).unwrap();
        assert!(evaluate(&net).is_some_and(|e| e.samples == 10));
        assert_eq!(evaluate(&again), evaluate(&net));
    }
}

#[test]
fn it_takes_what_fits_and_says_when_the_files_are_others_unless_it_never_knew_them() {
    let data = glyphs();
    let zeros = &mut |t: &Tensor| Ok(vec![0.0; t.layout.len()]);
    let imported = Trained::imported(config(Device::Cpu), &plan("10Voting", "1x28x28"), numbered(10), zeros).unwrap();
    assert_eq!(imported.check(&data).unwrap(), None);
    assert!(!imported.method().ann);

    let other = Trained { fingerprint: "of other files".into(), ..imported };
    assert!(other.check(&data).unwrap().is_some_and(|note| note.contains("glyphs") && note.contains("fingerprint differs")));
    let same = Trained { fingerprint: data.fingerprint().into(), ..other };
    assert_eq!(same.check(&data).unwrap(), None);

    for (net, shape) in [("10Voting", "1x27x28"), ("9Voting", "1x28x28")] {
        let e = Trained::fresh(config(Device::Cpu), &plan(net, shape)).unwrap().check(&data).unwrap_err();
        assert!(e.what.contains("the data set has 1x28x28 and 10"), "{e}");
    }
}

/// Every label would mean another class.
#[test]
fn the_same_classes_in_another_order_are_refused() {
    let data = glyphs();
    let zeros = &mut |t: &Tensor| Ok(vec![0.0; t.layout.len()]);
    let mut names = numbered(10);
    names.reverse();
    let turned = Trained::imported(config(Device::Cpu), &plan("10Voting", "1x28x28"), names, zeros).unwrap();
    let e = turned.check(&data).unwrap_err();
    assert!(e.exit_code() == 2 && e.what.contains("9, 8, 7") && e.what.contains("another order: 0, 1"), "{e}");
}

#[test]
fn values_that_are_not_as_many_as_a_tensor_has_are_refused() {
    let few = &mut |_: &Tensor| Ok(vec![0.0; 3]);
    let e = Trained::imported(config(Device::Cpu), &plan("10Voting", "1x2x2"), numbered(10), few).err().unwrap();
    assert!(e.what.contains("3 values for tensor 0.weight"), "{e}");
}
