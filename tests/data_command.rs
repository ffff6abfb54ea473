//! `spiketrain data` says truly what is there, what is damaged, and what to do about it, with the documented exit codes.

// It does more than this file needs.
#[allow(dead_code)]
mod http;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use http::{DEAD, Server, raw, response};

/// Runs the command on a data folder. The proxy answers nobody: 127.0.0.1 has to be reached without it.
fn spiketrain(data_dir: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_spiketrain"));
    for variable in ["ALL_PROXY", "HTTPS_PROXY", "HTTP_PROXY", "all_proxy", "https_proxy", "http_proxy"] {
        command.env(variable, "http://127.0.0.1:9");
    }
    let Output { status, stdout, stderr } = command
        .env_remove("NO_PROXY")
        .env_remove("no_proxy")
        .env("SPIKETRAIN_DATA", data_dir)
        .arg("data")
        .args(arguments)
        .output()
        .unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

fn has(text: &str, words: &[&str]) {
    words.iter().for_each(|w| assert!(text.contains(w), "no '{w}' in:\n{text}"));
}

/// A CIFAR10 batch of the right size, filled with zeros: it is there, and damaged.
fn put_batch(data_dir: &Path, name: &str) {
    fs::create_dir_all(data_dir.join("cifar10")).unwrap();
    fs::File::create(data_dir.join("cifar10").join(name)).unwrap().set_len(30_730_000).unwrap();
}

#[test]
fn list_shows_every_set_and_how_to_get_it() {
    let dir = tempfile::tempdir().unwrap();
    put_batch(dir.path(), "data_batch_2.bin");
    fs::create_dir_all(dir.path().join("nmnist/Train")).unwrap();
    fs::create_dir_all(dir.path().join("nmnist/Test")).unwrap();
    let (code, out, err) = spiketrain(dir.path(), &["list"]);
    assert_eq!((code, err.as_str()), (0, ""));
    let folder = dir.path().display().to_string();
    has(&out, &[&folder, "--data-dir", "SPIKETRAIN_DATA", "images", "spiketrain data download mnist", "figshare.com"]);
    has(&out, &["missing: data_batch_1.bin, data_batch_3.bin", "spiketrain data download cifar10"]);
    let state = |set: &str| out.lines().find(|l| l.starts_with(&format!("{set} "))).unwrap().split_whitespace().nth(1).unwrap();
    assert_eq!(["glyphs", "mnist", "cifar10", "nmnist", "dvs-gesture"].map(state), ["built", "absent", "partial", "partial", "absent"]);
    has(&out, &["incomplete: Train: 0 of 60000 recordings", "incomplete: Test: 0 of 10000 recordings"]);
    fs::create_dir_all(dir.path().join("nmnist/Train/7")).unwrap();
    fs::write(dir.path().join("nmnist/Train/7/00001.bin"), b"").unwrap();
    for arguments in [&["check", "nmnist"][..], &["check"]] {
        let (code, out, err) = spiketrain(dir.path(), arguments);
        assert_eq!(code, 2);
        has(&out, &["incomplete: Train: 1 of 60000 recordings"]);
        if arguments.len() == 2 {
            has(&err, &["not as published: nmnist Train: 1 of 60000", "--allow-partial"]);
        }
    }
    // The option wins over the environment.
    let (_, out, _) = spiketrain(dir.path(), &["list", "--data-dir", "/elsewhere"]);
    has(&out, &["data folder: /elsewhere ", "spiketrain data --data-dir \"/elsewhere\" download mnist"]);
    assert!(!out.contains(&folder));
    println!("2 lists");
}

#[test]
fn check_finds_what_is_damaged_missing_and_without_digest() {
    let dir = tempfile::tempdir().unwrap();
    let (code, out, _) = spiketrain(dir.path(), &["check"]);
    assert_eq!(code, 0);
    has(&out, &["no data set in", "spiketrain data list"]);

    let (code, _, err) = spiketrain(dir.path(), &["check", "mnist"]);
    assert_eq!(code, 2);
    has(&err, &["not there", "spiketrain data download mnist"]);

    // Right size and no digest: well as far as one can know.
    fs::create_dir_all(dir.path().join("fashion-mnist")).unwrap();
    fs::write(dir.path().join("fashion-mnist/t10k-labels-idx1-ubyte"), vec![0; 10_008]).unwrap();
    let (code, out, _) = spiketrain(dir.path(), &["check"]);
    assert_eq!(code, 0);
    has(&out, &["fashion-mnist in ", "t10k-labels-idx1-ubyte", "no digest published", "missing: training images"]);
    let (code, _, err) = spiketrain(dir.path(), &["check", "fashion-mnist"]);
    assert_eq!(code, 2, "not whole");
    has(&err, &["incomplete; missing: training images"]);

    put_batch(dir.path(), "data_batch_1.bin");
    fs::write(dir.path().join("cifar10/cifar-10-binary.tar.gz"), "cut").unwrap();
    for arguments in [&["check"][..], &["check", "cifar10"]] {
        let (code, out, err) = spiketrain(dir.path(), arguments);
        assert_eq!(code, 2);
        has(&out, &["data_batch_1.bin", "damaged: MD5 expected 5dd7e06a14cb22eb9f671a540d1b7c25, found "]);
        has(&out, &["size wrong: expected 170052171 bytes, found 3"]);
        has(&err, &["error: ", "files not as published", "spiketrain data download cifar10", "remove "]);
    }
    println!("6 checks");
}

#[test]
fn download_fails_with_the_documented_codes() {
    let dir = tempfile::tempdir().unwrap();
    let (code, out, err) = spiketrain(dir.path(), &["download", "mnist", "--mirror", DEAD]);
    assert_eq!((code, out.as_str()), (4, ""));
    let url = format!("{DEAD}train-images-idx3-ubyte.gz: ");
    let folder = dir.path().join("mnist").display().to_string();
    has(&err, &[&url, "refused", &folder, "https://ossci-datasets.s3.amazonaws.com/mnist/t10k-labels-idx1-ubyte.gz"]);
    has(&err, &["440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609", "spiketrain data check mnist"]);

    // Several mirrors, in their order; the publishers' are not asked.
    let servers = [404, 410].map(|s| Server::start(vec![raw(response(&format!("{s} Gone"), "", b""))]));
    let without_slash = servers[1].url.trim_end_matches('/');
    let (code, _, err) = spiketrain(dir.path(), &["download", "fashion-mnist", "--mirror", &servers[0].url, "--mirror", without_slash]);
    assert_eq!(code, 4);
    assert!(err.find("404").unwrap() < err.find("410").unwrap(), "{err}");
    for server in servers {
        assert_eq!(server.requests()[0].path, "/train-images-idx3-ubyte.gz");
    }

    for (name, word) in [("nmnist", "mendeley"), ("glyphs", "drawn"), ("images", "your own"), ("mnsit", "did you mean 'mnist'?")] {
        let (code, _, err) = spiketrain(dir.path(), &["download", name, "--mirror", DEAD]);
        assert_eq!(code, 2, "{err}");
        has(&err, &[word]);
    }
    let (code, _, err) = spiketrain(dir.path(), &["download", "mnist", "--mirror", "/srv/mnist"]);
    assert_eq!(code, 2);
    has(&err, &["--mirror", "http://"]);

    let lock = fs::File::create(dir.path().join("mnist/.lock")).unwrap();
    lock.try_lock().unwrap();
    let (code, _, err) = spiketrain(dir.path(), &["download", "mnist", "--mirror", DEAD]);
    assert_eq!(code, 4);
    has(&err, &["another spiketrain process"]);

    let files: Vec<_> = fs::read_dir(dir.path().join("mnist")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(files.iter().all(|f| f == ".lock" || f.to_string_lossy().ends_with(".part")), "{files:?}");
    println!("8 downloads that fail");
}

#[test]
fn simulated_recordings_are_prepared_as_the_set_they_imitate_and_stay_simulated() {
    let dir = tempfile::tempdir().unwrap();
    let out_dir = dir.path().join("made");
    let made = out_dir.to_str().unwrap();
    let simulate = |more: &[&str]| {
        let words = ["simulate", "glyphs", "--kind=nmnist", "--train-limit=20", "--test-limit=10", "--out", made];
        spiketrain(dir.path(), &words.iter().chain(more).copied().collect::<Vec<_>>())
    };
    let (code, out, err) = simulate(&[]);
    assert_eq!(code, 0, "{err}");
    has(&out, &["simulated nmnist from glyphs: 20 training and 10 test recordings", "30 made now", "nothing about the real set"]);
    assert!(out_dir.join("Train/3/00004.bin").is_file());
    has(&fs::read_to_string(out_dir.join("SIMULATED.txt")).unwrap(), &["no camera saw them", "glyphs", "state        complete"]);
    let (code, out, err) = simulate(&["-j1"]);
    assert_eq!(code, 0, "{err}");
    has(&out, &["0 made now", "30 were there"]);
    let (code, out, err) = spiketrain(dir.path(), &["prepare", "nmnist", made, "-T4", "--allow-partial"]);
    assert_eq!(code, 0, "{err}");
    has(&out, &["nmnist, simulated: 20 training and 10 test samples", "bad events  0"]);
    let others: [(&[&str], &str); 5] = [
        (&["simulate", "glyphs", "--kind=dvs-cifar10", "--out", made], "other parameters"),
        (&["simulate", "glyphs", "--kind=nmnist", "--out", dir.path().to_str().unwrap()], "not simulated"),
        (&["simulate", "nmnist", "--kind=nmnist", "--out=x"], "recordings already"),
        (&["simulate", "images", "--kind=nmnist", "--out=x"], "needs a folder"),
        (&["simulate", "mnist", "--kind=nmnist", "--out=x"], "spiketrain data"),
    ];
    for (words, expected) in others {
        let (code, _, err) = spiketrain(dir.path(), words);
        assert_eq!(code, 2, "{words:?}: {err}");
        has(&err, &[expected]);
    }
    println!("8 commands");
}
