//! Under the name of a data file there is the published content or nothing new, whatever servers, disks and other processes do;
//! and no byte is fetched twice without need.

mod http;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use http::{DEAD, Reply, Server, cut, head, late, ranged, raw, response, whole};
use sha2::{Digest, Sha256};
use spiketrain::data::catalog::{Checksum, Set, SetFile};
use spiketrain::data::download::{Patience, download};
use spiketrain::data::verify::{Doing, Observer};
use spiketrain::error::{Error, Kind};

/// Larger than any buffer on the way.
const SIZE: usize = 300_000;

/// Bytes that are nowhere alike.
fn content(seed: u32, size: usize) -> &'static [u8] {
    let word = |i: u32| (i ^ seed).wrapping_mul(0x9E37_79B9).rotate_left(11).wrapping_mul(0x85EB_CA6B).to_le_bytes();
    Box::leak((0..size.div_ceil(4) as u32).flat_map(word).take(size).collect())
}

fn sha256(bytes: &[u8]) -> &'static str {
    Box::leak(Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect::<String>().into_boxed_str())
}

fn file(name: &'static str, content: &[u8], holds: u16) -> SetFile {
    let checksum = Checksum::Sha256(sha256(content));
    SetFile { paths: Box::leak(Box::new([name])), bytes: Some(content.len() as u64), checksum, holds, published: true }
}

/// A set of the given files; its own mirror is never to be reached by a test.
fn set(files: Vec<SetFile>) -> &'static Set {
    Box::leak(Box::new(Set {
        recordings: &[],
        name: "tiny",
        title: "",
        folder: "tiny",
        parts: &["one", "two"],
        files: Box::leak(files.into_boxed_slice()),
        mirrors: &["http://127.0.0.1:9/public/"],
        steps: "",
    }))
}

const STALL: Duration = Duration::from_secs(2);

/// Quick in giving up.
fn patience() -> Patience {
    let ms = Duration::from_millis;
    Patience { attempts: 3, pause: ms(1), connect: ms(5_000), stall: STALL }
}

/// A set of one file, and a folder for it.
struct Case {
    dir: tempfile::TempDir,
    set: &'static Set,
    content: &'static [u8],
}

impl Case {
    fn new() -> Case {
        let content = content(1, SIZE);
        Case { dir: tempfile::tempdir().unwrap(), set: set(vec![file("a.gz", content, 3)]), content }
    }
    fn folder(&self) -> PathBuf {
        self.dir.path().join("data/tiny")
    }
    fn target(&self) -> PathBuf {
        self.folder().join("a.gz")
    }
    fn part(&self) -> PathBuf {
        self.folder().join("a.gz.part")
    }
    /// Puts the bytes of an earlier attempt in place.
    fn with_part(self, bytes: &[u8]) -> Case {
        fs::create_dir_all(self.folder()).unwrap();
        fs::write(self.part(), bytes).unwrap();
        self
    }
    fn download(&self, mirrors: &[&str]) -> Result<Vec<&'static str>, Error> {
        download(self.set, &self.folder(), &mirrors.iter().map(|m| m.to_string()).collect::<Vec<_>>(), &patience(), &mut ())
    }
    /// Downloads from one server with this script; expects success and returns the ranges that were asked for.
    fn succeeds(&self, script: Vec<Reply>) -> Vec<Option<String>> {
        let server = Server::start(script);
        self.download(&[&server.url]).unwrap();
        self.is_whole();
        server.requests().into_iter().map(|r| r.range).collect()
    }
    /// Downloads from one server with this script; expects failure with all of `words`, and nothing in place.
    fn fails(&self, script: Vec<Reply>, words: &[&str]) -> Error {
        let server = Server::start(script);
        let e = self.download(&[&server.url]).unwrap_err();
        server.requests();
        assert_eq!((e.kind, e.exit_code()), (Kind::Storage, 4), "{e}");
        words.iter().for_each(|w| assert!(e.to_string().contains(w), "no '{w}' in: {e}"));
        assert!(!self.target().exists());
        e
    }
    fn is_whole(&self) {
        assert!(fs::read(self.target()).unwrap() == self.content);
        assert!(!self.part().exists());
    }
}

fn range(from: usize) -> Option<String> {
    Some(format!("bytes={from}-"))
}

fn done(cases: usize, of: &str) {
    println!("{cases} cases of {of}");
}

#[test]
fn files_arrive_whole_and_only_those_that_are_needed() {
    let (a, b) = (content(1, SIZE), content(2, 10));
    let set = set(vec![file("a.gz", a, 1), file("b.gz", b, 2)]);
    let dir = tempfile::tempdir().unwrap();
    let get = |script| {
        let server = Server::start(script);
        let fetched = download(set, dir.path(), std::slice::from_ref(&server.url), &patience(), &mut ()).unwrap();
        (fetched, server.requests().into_iter().map(|r| (r.path, r.range)).collect::<Vec<_>>())
    };
    let (fetched, requests) = get(vec![whole(a), whole(b)]);
    assert_eq!(fetched, ["a.gz", "b.gz"]);
    assert_eq!(requests, [("/a.gz".to_string(), None), ("/b.gz".to_string(), None)]);
    assert!(fs::read(dir.path().join("a.gz")).unwrap() == a && fs::read(dir.path().join("b.gz")).unwrap() == b);

    assert_eq!(get(vec![]), (vec![], vec![]), "complete already");

    fs::write(dir.path().join("b.gz"), [0; 10]).unwrap();
    assert_eq!(get(vec![whole(b)]).0, ["b.gz"], "damaged");
    fs::remove_file(dir.path().join("a.gz")).unwrap();
    assert_eq!(get(vec![whole(a)]).0, ["a.gz"], "gone");
    assert!(fs::read(dir.path().join("a.gz")).unwrap() == a && fs::read(dir.path().join("b.gz")).unwrap() == b);
    done(4, "whole downloads");
}

#[test]
fn a_part_is_gone_on_from() {
    let case = Case::new();
    let case = case.with_part(&content(1, SIZE)[..100_000]);
    assert_eq!(case.succeeds(vec![ranged(case.content)]), [range(100_000)]);

    // Complete but for the renaming: nobody is asked.
    let case = Case::new().with_part(content(1, SIZE));
    assert_eq!(case.succeeds(vec![]), []);

    // A server that does not know ranges.
    let case = Case::new().with_part(&content(1, SIZE)[..100_000]);
    assert_eq!(case.succeeds(vec![whole(case.content)]), [range(100_000)]);

    // 416, then everything.
    let case = Case::new().with_part(&content(1, SIZE)[..100_000]);
    let refused = raw(response("416 Range Not Satisfiable", "", b""));
    assert_eq!(case.succeeds(vec![refused, ranged(case.content)]), [range(100_000), None]);

    // Ranges that were not asked for, or are those of another file.
    let wrong = ["bytes 0-299999/300000", "bytes 100000-299999/300001", "bytes 100000-199999/300000", "100000-299999", "bytes x-y/z"];
    for wrong in wrong.map(|r| format!("Content-Range: {r}\r\n")).into_iter().chain([String::new()]) {
        let case = Case::new().with_part(&content(1, SIZE)[..100_000]);
        let reply = response("206 Partial Content", &wrong, &case.content[100_000..]);
        assert_eq!(case.succeeds(vec![raw(reply), ranged(case.content)]), [range(100_000), None], "{wrong}");
    }

    // The total may be left open.
    let case = Case::new().with_part(&content(1, SIZE)[..100_000]);
    let reply = response("206 Partial Content", "Content-Range: bytes 100000-299999/*\r\n", &case.content[100_000..]);
    assert_eq!(case.succeeds(vec![raw(reply)]), [range(100_000)]);

    // What is there is too long, or not the file's beginning.
    let case = Case::new().with_part(&[7; SIZE + 1]);
    assert_eq!(case.succeeds(vec![ranged(case.content)]), [None]);
    let case = Case::new().with_part(&[7; 100_000]);
    assert_eq!(case.succeeds(vec![ranged(case.content), ranged(case.content)]), [range(100_000), None]);
    let case = Case::new().with_part(&[7; SIZE]);
    assert_eq!(case.succeeds(vec![ranged(case.content)]), [None]);
    done(14, "parts");
}

#[test]
fn a_broken_connection_is_taken_up_where_it_broke() {
    let case = Case::new();
    let script = vec![cut(ranged(case.content), 200_000), cut(ranged(case.content), 50_000), ranged(case.content)];
    assert_eq!(case.succeeds(script), [None, range(100_000), range(250_000)]);

    // Without a length, only the catalogue tells that something is missing.
    let case = Case::new();
    let open_end = raw(head("200 OK", "", &case.content[..100_000]));
    assert_eq!(case.succeeds(vec![open_end, ranged(case.content)]), [None, range(100_000)]);

    // Hung up before the first word; busy.
    let case = Case::new();
    assert_eq!(case.succeeds(vec![raw(vec![]), raw(response("503 Busy", "", b"")), whole(case.content)]), [None, None, None]);

    // Silent for longer than we wait, but not until the second attempt loses patience too.
    let case = Case::new();
    assert_eq!(case.succeeds(vec![late(raw(vec![]), STALL + STALL / 2), whole(case.content)]), [None, None]);

    // Three times nothing new is enough; what came stays for the next time.
    let case = Case::new().with_part(&content(1, SIZE)[..1_000]);
    case.fails((0..3).map(|_| cut(ranged(case.content), SIZE - 1_000)).collect(), &["connection broke", "tried 3 times"]);
    assert!(fs::read(case.part()).unwrap() == case.content[..1_000]);
    assert_eq!(case.succeeds(vec![ranged(case.content)]), [range(1_000)]);
    done(6, "broken connections");
}

#[test]
fn what_is_not_the_file_is_never_put_in_place() {
    let other = content(3, SIZE);
    let longer: &'static [u8] = content(1, SIZE + 1);
    let html = "Content-Type: text/html; charset=utf-8\r\n";
    let chunked = |body: &[u8]| {
        let body = [format!("{:x}\r\n", body.len()).as_bytes(), body, b"\r\n0\r\n\r\n"].concat();
        head("200 OK", "Transfer-Encoding: chunked\r\n", &body)
    };
    let cases: Vec<(Vec<u8>, &[&str])> = vec![
        (response("200 OK", "", other), &["damaged: SHA-256 expected"]),
        (response("404 Not Found", "", b"no"), &["404 Not Found"]),
        (response("403 Forbidden", html, b"<html>"), &["403 Forbidden"]),
        (response("200 OK", html, b"<html>sign in</html>"), &["web page"]),
        (head("200 OK", html, other), &["web page"]),
        (response("200 OK", "", b"short"), &["announces 5 bytes, expected 300000"]),
        (response("200 OK", "", longer), &["announces 300001 bytes, expected 300000"]),
        (head("200 OK", "", longer), &["more than the expected 300000 bytes"]),
        (chunked(longer), &["more than the expected 300000 bytes"]),
        (chunked(other), &["damaged: SHA-256"]),
        (response("204 No Content", "", b""), &["204 No Content"]),
        (response("206 Partial Content", "Content-Range: bytes 0-299999/300000\r\n", other), &["206 Partial Content"]),
        (b"220 this is not HTTP\r\n\r\n".to_vec(), &["127.0.0.1"]),
    ];
    let count = cases.len();
    for (bytes, words) in cases {
        let case = Case::new();
        case.fails(vec![raw(bytes)], words);
        assert!(!case.part().exists(), "{words:?}");
    }
    done(count, "wrong answers");
}

#[test]
fn a_refusal_costs_nothing_of_a_good_part() {
    let case = Case::new().with_part(&content(1, SIZE)[..100_000]);
    case.fails(vec![raw(response("404 Not Found", "", b""))], &["404"]);
    case.fails(vec![raw(response("200 OK", "Content-Type: text/html\r\n", b"<html>"))], &["web page"]);
    assert_eq!(case.succeeds(vec![ranged(case.content)]), [range(100_000)]);
    done(2, "refusals");
}

#[test]
fn the_next_mirror_is_tried() {
    let content = content(1, SIZE);
    let answers = [
        response("200 OK", "", self::content(3, SIZE)),
        response("404 Not Found", "", b""),
        response("200 OK", "Content-Type: text/html\r\n", b"<html>"),
        head("200 OK", "", self::content(1, SIZE + 1)),
    ];
    let count = answers.len();
    for answer in answers {
        let case = Case::new();
        let (first, second) = (Server::start(vec![raw(answer)]), Server::start(vec![ranged(content)]));
        case.download(&[DEAD, &first.url, &second.url]).unwrap();
        case.is_whole();
        assert_eq!(first.requests().len(), 1);
        assert_eq!(second.requests()[0].range, None);
    }
    // Half of it from one, half from the other.
    let case = Case::new();
    let broken = (0..3).map(|i| cut(ranged(content), if i == 0 { 150_000 } else { 150_000 - 1 })).collect();
    let (first, second) = (Server::start(broken), Server::start(vec![ranged(content)]));
    case.download(&[&first.url, &second.url]).unwrap();
    case.is_whole();
    assert_eq!(first.requests().len(), 3);
    assert!(second.requests()[0].range.is_some());
    done(count + 1, "first mirrors that fail");
}

#[test]
fn when_no_mirror_helps_the_way_by_hand_is_told() {
    let case = Case::new();
    let (one, two) = (DEAD, &format!("{DEAD}copy/"));
    let began = Instant::now();
    let e = case.download(&[one, two]).unwrap_err();
    assert_eq!(e.exit_code(), 4);
    let folder = case.folder().display().to_string();
    let text = e.to_string();
    for word in [one, two, "refused", "http://127.0.0.1:9/public/a.gz", &folder, sha256(case.content), "spiketrain data check tiny"] {
        assert!(text.contains(word), "no '{word}' in: {text}");
    }
    assert!(began.elapsed() < Duration::from_secs(5), "a refused connection is not worth waiting");
    assert!(!case.target().exists());

    let by_hand = Box::leak(Box::new(Set { mirrors: &[], steps: "ask the author", ..*set(vec![]) }));
    let e = download(by_hand, &case.folder(), &[one.to_string()], &patience(), &mut ()).unwrap_err();
    assert!(e.exit_code() == 2 && e.remedy.contains("ask the author") && e.remedy.contains(&folder), "{e}");
    done(2, "sets without a way");
}

#[test]
fn a_damaged_file_is_kept_until_a_good_one_is_here() {
    let case = Case::new();
    fs::create_dir_all(case.folder()).unwrap();
    fs::write(case.target(), "damaged").unwrap();
    let server = Server::start(vec![raw(response("200 OK", "", content(3, SIZE)))]);
    assert!(case.download(&[&server.url]).is_err());
    server.requests();
    assert_eq!(fs::read(case.target()).unwrap(), b"damaged");
    assert_eq!(case.succeeds(vec![whole(case.content)]), [None]);
    done(1, "damaged files");
}

#[test]
fn an_unpacked_file_makes_the_packed_one_unnecessary() {
    let (packed, unpacked) = (content(1, SIZE), content(4, SIZE * 2));
    let set = set(vec![file("a.gz", packed, 3), SetFile { published: false, ..file("a", unpacked, 3) }]);
    let dir = tempfile::tempdir().unwrap();
    for name in ["a", "a.gz"] {
        fs::write(dir.path().join(name), unpacked).unwrap();
        assert_eq!(download(set, dir.path(), &[DEAD.to_string()], &patience(), &mut ()).unwrap(), [""; 0]);
        fs::remove_file(dir.path().join(name)).unwrap();
    }
    // Damaged and unpacked: the published one is fetched, the damaged one left and named.
    fs::write(dir.path().join("a"), content(5, SIZE * 2)).unwrap();
    let server = Server::start(vec![whole(packed)]);
    let mut notes = Notes::default();
    download(set, dir.path(), std::slice::from_ref(&server.url), &patience(), &mut notes).unwrap();
    server.requests();
    assert!(dir.path().join("a").exists() && notes.0.iter().any(|n| n.contains("remove it")), "{:?}", notes.0);
    done(3, "unpacked files");
}

#[derive(Default)]
struct Notes(Vec<String>);

impl Observer for Notes {
    fn begin(&mut self, doing: Doing, file: &str, done: u64, total: u64) {
        self.0.push(format!("{doing:?} {file} {done}/{total}"));
    }
    fn advance(&mut self, _: u64) {}
    fn note(&mut self, text: &str) {
        self.0.push(text.to_string());
    }
}

#[test]
fn the_observer_hears_what_happens() {
    let case = Case::new().with_part(&content(1, SIZE)[..100_000]);
    let server = Server::start(vec![cut(ranged(case.content), 100_000), ranged(case.content)]);
    let mut notes = Notes::default();
    download(case.set, &case.folder(), std::slice::from_ref(&server.url), &patience(), &mut notes).unwrap();
    server.requests();
    let expected = ["Fetching a.gz 100000/300000", "broke", "Fetching a.gz 200000/300000", "Checking a.gz.part 0/300000", "verified"];
    assert_eq!(notes.0.len(), expected.len(), "{:?}", notes.0);
    assert!(notes.0.iter().zip(expected).all(|(n, e)| n.contains(e)), "{:?}", notes.0);
    done(1, "watched downloads");
}

/// Holds the lock that a download holds.
fn lock(folder: &Path) -> fs::File {
    fs::create_dir_all(folder).unwrap();
    let file = fs::File::create(folder.join(".lock")).unwrap();
    file.try_lock().unwrap();
    file
}

#[test]
fn one_process_at_a_time() {
    let case = Case::new();
    let held = lock(&case.folder());
    let e = case.download(&[DEAD]).unwrap_err();
    assert!(e.exit_code() == 4 && e.to_string().contains("another spiketrain process"), "{e}");
    assert!(!case.part().exists());
    drop(held);
    assert_eq!(case.succeeds(vec![whole(case.content)]), [None]);
    done(1, "second processes");
}

#[test]
fn disks_that_do_not_take_the_file() {
    // A file stands where the folder belongs.
    let case = Case::new();
    fs::write(case.dir.path().join("data"), "").unwrap();
    let e = case.download(&[DEAD]).unwrap_err();
    assert!(e.exit_code() == 4 && e.remedy.contains("--data-dir"), "{e}");
    // A folder stands where the file belongs, or its part.
    let case = Case::new();
    fs::create_dir_all(case.target()).unwrap();
    let e = case.download(&[DEAD]).unwrap_err();
    assert!(e.exit_code() == 2 && e.place.ends_with("a.gz"), "{e}");
    let case = Case::new();
    fs::create_dir_all(case.part()).unwrap();
    assert_eq!(case.download(&[DEAD]).unwrap_err().exit_code(), 4);
    let mut cases = 3;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let case = Case::new();
        fs::create_dir_all(case.folder()).unwrap();
        fs::set_permissions(case.folder(), fs::Permissions::from_mode(0o555)).unwrap();
        // root may write anyway.
        if fs::write(case.folder().join("probe"), "").is_err() {
            let e = case.download(&[DEAD]).unwrap_err();
            assert!(e.exit_code() == 4 && e.remedy.contains("you may write to"), "{e}");
            cases += 1;
        }
    }
    // A device that is always full, where there is one.
    if Path::new("/dev/full").exists() {
        #[cfg(unix)]
        {
            let case = Case::new();
            fs::create_dir_all(case.folder()).unwrap();
            std::os::unix::fs::symlink("/dev/full", case.part()).unwrap();
            let server = Server::start(vec![whole(case.content)]);
            let e = case.download(&[&server.url]).unwrap_err();
            server.requests();
            assert!(e.exit_code() == 4 && e.remedy.contains("free some space"), "{e}");
            assert!(!case.target().exists() && case.part().symlink_metadata().is_ok());
            cases += 1;
        }
    }
    done(cases, "disks");
}
