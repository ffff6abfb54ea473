//! No archive writes outside of the prepared frames' folder, and bombs are refused at a cap: two dozen attacks on the binary.

#[path = "archives/zips.rs"]
mod zips;

use std::cell::Cell;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use spiketrain::events::{Event, aedat3, nmnist};
use spiketrain::limits;
use zips::{Member, archive, end};

/// Longest time that the answer to an attack may take. (Unpacking 512 MiB takes a second or two without optimisation.)
const TIME: Duration = Duration::from_secs(60);

/// What came of an attack.
enum Expected {
    /// Exit code 2, and these words.
    Refused(&'static [&'static str]),
    /// Exit code 0 with the attacking member left out, and these words.
    PassedOver(&'static [&'static str]),
}
use Expected::{PassedOver, Refused};

/// A folder that is attacked: data sets in `data`, the cache in `cache`; `victim` is what the attackers aim at.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        let dir = tempfile::tempdir().unwrap();
        for folder in ["data/nmnist", "data/dvs-gesture", "data/mnist", "data/cifar10", "victim"] {
            fs::create_dir_all(dir.path().join(folder)).unwrap();
        }
        fs::write(dir.path().join("victim/precious"), "as it was").unwrap();
        Place { dir }
    }
    fn path(&self) -> &Path {
        self.dir.path()
    }
    fn put(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path().join("data").join(name), bytes).unwrap();
    }
    /// Every path below it, with length and link target, but for what preparation may write.
    fn everything(&self) -> Vec<String> {
        let (mut all, mut folders) = (Vec::new(), vec![self.path().to_path_buf()]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let about = path.symlink_metadata().unwrap();
                if path.starts_with(self.path().join("cache")) {
                    continue;
                }
                all.push(format!("{} {} {:?}", path.display(), if about.is_dir() { 0 } else { about.len() }, about.file_type()));
                if about.is_dir() {
                    folders.push(path);
                }
            }
        }
        all.sort();
        all
    }
    /// Runs a command here and holds its answer against what is expected.
    fn attack(&self, name: &str, words: &[&str], expected: &Expected) {
        TRIED.set(TRIED.get() + 1);
        let before = self.everything();
        let start = Instant::now();
        let mut command = Command::new(env!("CARGO_BIN_EXE_spiketrain"));
        command.args(words).current_dir(self.path()).env("HOME", self.path()).env("SPIKETRAIN_DATA", self.path().join("data"));
        let out = command.output().unwrap();
        let said = format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
        let (code, parts) = match expected {
            Refused(parts) => (2, parts),
            PassedOver(parts) => (0, parts),
        };
        assert_eq!(out.status.code(), Some(code), "{name}: {said}");
        parts.iter().for_each(|part| assert!(said.contains(part), "{name}: no '{part}' in: {said}"));
        assert!(!said.contains("panicked") && !said.contains('\u{1b}'), "{name}: {said:?}");
        assert_eq!(self.everything(), before, "{name}: files were written, changed or removed");
        assert!(start.elapsed() < TIME, "{name} took {:?}", start.elapsed());
    }
}

fn some_events(n: u64) -> Vec<Event> {
    (0..n).map(|i| Event { t: 10 * i, x: (i % 34) as u16, y: (i * 7 % 34) as u16, on: i % 2 == 1 }).collect()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

/// So many zeros, packed without holding them.
fn gzipped_zeros(bytes: u64) -> Vec<u8> {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::copy(&mut std::io::Read::take(std::io::repeat(0), bytes), &mut gz).unwrap();
    gz.finish().unwrap()
}

const PREPARE_NMNIST: [&str; 9] = ["data", "prepare", "nmnist", "--allow-partial", "-T", "2", "--cache", "cache", "--threads=1"];

/// N-MNIST with Train.zip made by `train`, which is given one honest member.
fn nmnist_attack(name: &str, train: impl FnOnce(Member) -> Vec<u8>, expected: Expected) {
    let place = Place::new();
    let recording = nmnist::write(&some_events(40)).unwrap();
    place.put("nmnist/Test.zip", &archive(&[Member::new("Test/1/00001.bin", &recording)]).0);
    place.put("nmnist/Train.zip", &train(Member::new("Train/3/00001.bin", &recording)));
    place.attack(name, &PREPARE_NMNIST, &expected);
}

/// The honest member and another one.
fn beside(other: Member) -> impl FnOnce(Member) -> Vec<u8> {
    move |honest| archive(&[honest, other]).0
}

thread_local! {
    /// Attacks of this test.
    static TRIED: Cell<usize> = const { Cell::new(0) };
}

fn named(path: &str) -> Member {
    Member::new(path, &nmnist::write(&some_events(5)).unwrap())
}

#[test]
fn zip_archives_write_nothing() {
    let outside = || PassedOver(&["1 member whose path leads out of the archive", "1 training and 1 test sample of"]);
    let other = || PassedOver(&["1 link or encrypted", "1 training and 1 test sample of"]);
    let victim = std::env::temp_dir().join("spiketrain-victim/4/00002.bin");
    nmnist_attack("absolute path", beside(named(victim.to_str().unwrap())), outside());
    assert!(!victim.exists());
    nmnist_attack("path upwards", beside(named("Train/../../../victim/precious")), outside());
    nmnist_attack("backslashes", beside(named("..\\..\\victim\\precious")), outside());
    nmnist_attack("drive", beside(named("C:/4/00002.bin")), outside());
    nmnist_attack("a name that ends within", beside(named("Train/4/00002.bin\0.txt")), outside());
    nmnist_attack(
        "commands to the terminal",
        |m| {
            archive(&[
                m.clone(),
                named("Train/\u{1b}]0;gotcha\u{7}\u{1b}[2J/2.bin"),
                named("Train/\u{1b}[2J/2.bin"),
                named("Train/\u{1b}[2J/2.bin"),
            ])
            .0
        },
        Refused(&["twice", "\\u{1b}[2J"]),
    );
    let link = Member { mode: Some(0o120_777), ..Member::new("Train/4/00002.bin", b"../../../victim/precious") };
    nmnist_attack("symbolic link", beside(link), other());
    let encrypted = Member { flags: 1, ..named("Train/4/00002.bin") };
    nmnist_attack("encrypted", beside(encrypted), other());
    nmnist_attack("one name twice", beside(named("Train/3/00001.bin")), Refused(&["Train/3/00001.bin", "holds this member twice"]));
    println!("{} cases", TRIED.get());
}

#[test]
fn zip_archives_that_lie_are_refused() {
    let broken = |words| Refused(words);
    nmnist_attack(
        "overlapping members",
        |honest| archive(&[honest, Member { offset: Some(0), ..named("Train/4/00002.bin") }]).0,
        broken(&["share bytes of the archive"]),
    );
    nmnist_attack(
        "shorter than announced",
        beside(Member { bytes: Some(4000), ..named("Train/4/00002.bin") }),
        broken(&["expected 4000 bytes, found 25"]),
    );
    nmnist_attack(
        "longer than announced",
        beside(Member { bytes: Some(5), ..named("Train/4/00002.bin") }),
        broken(&["expected 5 bytes, found 6 or more"]),
    );
    nmnist_attack("another CRC", beside(Member { crc: Some(1), ..named("Train/4/00002.bin") }), broken(&["expected CRC-32 00000001"]));
    nmnist_attack(
        "packed beyond the file",
        beside(Member { packed: Some(u32::MAX - 1), ..named("Train/4/00002.bin") }),
        broken(&["Train.zip"]),
    );
    // Announced lengths of 64 bits, in an extra field.
    let large = |n: u64| [&[1, 0, 8, 0][..], &n.to_le_bytes()].concat();
    let zip64 = |n| Member { bytes: Some(u32::MAX), extra: large(n), ..named("Train/4/00002.bin") };
    nmnist_attack("zip64: longer than any recording", beside(zip64(limits::MAX_RECORDING_BYTES + 1)), broken(&["bytes at most"]));
    nmnist_attack("zip64: longer than any number", beside(zip64(u64::MAX)), broken(&["bytes come out of this archive"]));
    let locator = |honest: Member| {
        let (bytes, start) = archive(&[honest]);
        let size = bytes.len() - start - 22;
        let at = [b"PK\x06\x07\0\0\0\0".to_vec(), (u64::MAX - 8).to_le_bytes().to_vec(), vec![1, 0, 0, 0]].concat();
        [&bytes[..start + size], &at, &end(1, size as u32, start as u32)].concat()
    };
    nmnist_attack("zip64: end record beyond the file", locator, broken(&["Train.zip"]));
    let counted = |honest: Member| {
        let (mut bytes, _) = archive(&[honest]);
        let at = bytes.len() - 14;
        bytes[at..at + 2].copy_from_slice(&u16::MAX.to_le_bytes());
        bytes[at + 2..at + 4].copy_from_slice(&u16::MAX.to_le_bytes());
        bytes
    };
    nmnist_attack("more members counted than there are", counted, broken(&["the list of 65535 members"]));
    // A bomb of 1 MiB in a KiB that says 5 bytes, and one that says what it is.
    let zeros = vec![0; 1 << 20];
    nmnist_attack(
        "bomb that announces little",
        beside(Member { bytes: Some(5), ..Member::new("Train/4/00002.bin", &zeros) }),
        broken(&["found 6 or more"]),
    );
    nmnist_attack(
        "archive within the archive",
        beside(Member::new("Train/4/00002.zip", &archive(&[named("../../victim/precious")]).0)),
        PassedOver(&["1 file passed over"]),
    );
    println!("{} cases", TRIED.get());
}

/// A tar header written field by field: the library refuses to write what an attacker would.
fn tar_member(path: &str, kind: tar::EntryType, link: &str, size: u64, content: &[u8]) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_cksum();
    let mut bytes = [header.as_bytes(), content].concat();
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

fn tar_file(path: &str, content: &[u8]) -> Vec<u8> {
    tar_member(path, tar::EntryType::Regular, "", content.len() as u64, content)
}

/// DVS-Gesture as an archive that ends with `attack`.
fn gesture_attack(name: &str, attack: Vec<u8>, expected: Expected) {
    let place = Place::new();
    let recording = aedat3::write(&some_events(40), "DVS128").unwrap();
    let mut tar = Vec::new();
    for (split, user) in [("train", "user01"), ("test", "user02")] {
        tar.extend(tar_file(&format!("DvsGesture/trials_to_{split}.txt"), format!("{user}_led.aedat\n").as_bytes()));
        tar.extend(tar_file(&format!("DvsGesture/{user}_led_labels.csv"), b"1,0,1000\n"));
        tar.extend(tar_file(&format!("DvsGesture/{user}_led.aedat"), &recording));
    }
    tar.extend(attack);
    tar.extend([0; 1024]);
    place.put("dvs-gesture/DvsGesture.tar.gz", &gzip(&tar));
    let words = ["data", "prepare", "dvs-gesture", "--allow-partial", "-T", "2", "--cache", "cache", "--threads=1"];
    place.attack(name, &words, &expected);
}

#[test]
fn tar_archives_write_nothing() {
    use tar::EntryType as T;
    let prepared = |words| PassedOver(words);
    let csv = b"1,0,1000\n";
    let out =
        [tar_file("../../victim/precious.csv", csv), tar_file("/etc/spiketrain-victim.csv", csv), tar_file("a\\..\\b.csv", csv)].concat();
    gesture_attack("paths out of the archive", out, prepared(&["3 members whose path leads out of the archive"]));
    assert!(!Path::new("/etc/spiketrain-victim.csv").exists());
    let through =
        [tar_member("DvsGesture/way", T::Symlink, "../../victim", 0, b""), tar_file("DvsGesture/way/precious", b"spoilt")].concat();
    gesture_attack("a link, and a file through it", through, prepared(&["1 link or encrypted"]));
    let hard = tar_member("DvsGesture/user03_led_labels.csv", T::Link, "../../victim/precious", 0, b"");
    gesture_attack("hard link", hard, prepared(&["1 link or encrypted"]));
    let devices = [T::Char, T::Block, T::Fifo].map(|kind| tar_member("DvsGesture/user03_led.aedat", kind, "", 0, b"")).concat();
    gesture_attack("devices and pipes", devices, prepared(&["3 links or encrypted"]));
    gesture_attack("one name twice", tar_file("elsewhere/user01_led.aedat", b"x"), Refused(&["holds this member twice"]));
    let long = tar_member("././@LongLink", T::GNULongName, "", 1 << 33, b"");
    gesture_attack("a name of 8 GiB", long, Refused(&["DvsGesture.tar.gz"]));
    gesture_attack(
        "a recording of 8 GiB",
        tar_member("DvsGesture/user03_led.aedat", T::Regular, "", 1 << 33, b""),
        Refused(&["DvsGesture.tar.gz"]),
    );
    gesture_attack(
        "a text of 8 GiB",
        tar_member("DvsGesture/user03_led_labels.csv", T::Regular, "", 1 << 33, b""),
        Refused(&["expected 1048576 bytes at most"]),
    );
    gesture_attack("longer than any number", tar_member("DvsGesture/x", T::Regular, "", u64::MAX, b""), Refused(&["DvsGesture.tar.gz"]));
    println!("{} cases", TRIED.get());
}

/// `train` on MNIST with these training images.
fn mnist_attack(name: &str, images: &[u8], expected: Expected) {
    let place = Place::new();
    place.put("mnist/train-images-idx3-ubyte.gz", images);
    for other in ["train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"] {
        place.put(&format!("mnist/{other}"), &gzip(b"\0\0\x08\x01\0\0\0\0"));
    }
    place.attack(name, &["train", "--dataset", "mnist", "--net=4C3-10Voting", "--dry-run", "--threads=1"], &expected);
    let checked = Refused(&["train-images-idx3-ubyte.gz", "size wrong"]);
    place.attack(&format!("{name}, checked"), &["data", "check", "mnist"], &checked);
}

#[test]
fn gzip_bombs_are_refused_at_the_cap() {
    let bomb = gzipped_zeros(limits::MAX_DECOMPRESSED + 1);
    assert!(bomb.len() < 1 << 20);
    mnist_attack("bomb", &bomb, Refused(&["more than 536870912 bytes of data"]));
    let header = b"\0\0\x08\x03\xff\xff\xff\xff\0\0\x08\0\0\0\x08\0";
    mnist_attack("4 billion pictures announced", &gzip(header), Refused(&["expected 18014398505287680 pixels, found 0"]));
    mnist_attack("gzip within gzip", &gzip(&bomb), Refused(&["expected IDX images"]));
    let members = gzip(&[7; 1000]).repeat(200);
    mnist_attack("many members, the last cut off", &members[..members.len() - 3], Refused(&["ends too early"]));
    println!("{} cases", TRIED.get());
}

#[cfg(unix)]
#[test]
fn pipes_and_devices_in_the_place_of_files_are_refused_and_not_waited_for() {
    let place = Place::new();
    let pipe = place.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let images = place.path().join("data/mnist/train-images-idx3-ubyte.gz");
    for target in [pipe, PathBuf::from("/dev/zero")] {
        std::os::unix::fs::symlink(&target, &images).unwrap();
        for other in ["train-labels-idx1-ubyte.gz", "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz"] {
            place.put(&format!("mnist/{other}"), &gzip(b"\0\0\x08\x01\0\0\0\0"));
        }
        place.attack("train", &["train", "--dataset", "mnist", "--dry-run"], &Refused(&["not a file"]));
        place.attack("check", &["data", "check", "mnist"], &Refused(&["not a file"]));
        let target = target.to_str().unwrap();
        place.attack("inspect", &["data", "inspect", target], &Refused(&["not a file"]));
        fs::remove_file(&images).unwrap();
    }
    println!("{} cases", TRIED.get());
}
