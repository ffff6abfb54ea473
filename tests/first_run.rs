//! The first command of the README: a network trained on built-in digits, without any option.

use std::process::Command;

#[test]
fn training_without_options_reaches_97_percent() {
    let dir = tempfile::tempdir().unwrap();
    let run = Command::new(env!("CARGO_BIN_EXE_spiketrain")).arg("train").current_dir(dir.path()).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let folder = std::fs::read_dir(dir.path().join("runs")).unwrap().next().unwrap().unwrap().path();
    let result: serde_json::Value = serde_json::from_slice(&std::fs::read(folder.join("result.json")).unwrap()).unwrap();
    println!("{} in {} s", result["last_test_accuracy"], result["train_seconds"]);
    assert!(result["last_test_accuracy"].as_f64().unwrap() >= 0.97, "{result}");
    // The authors' networks fire at about a tenth; a network that fires all the time would be no success.
    assert!(result["mean_firing_rate"].as_f64().unwrap() < 0.25, "{result}");
}
