use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::DeflateEncoder;

use super::*;

/// A zip archive of (path, content), deflated.
pub(crate) fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut out, mut list) = (Vec::new(), Vec::new());
    for (path, content) in members {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(content).unwrap();
        let packed = encoder.finish().unwrap();
        let mut crc = Crc::new();
        crc.update(content);
        let offset = out.len() as u32;
        let mut common = vec![20, 0, 0, 0, 8, 0, 0, 0, 0, 0];
        for n in [crc.sum(), packed.len() as u32, content.len() as u32] {
            common.extend_from_slice(&n.to_le_bytes());
        }
        common.extend_from_slice(&(path.len() as u16).to_le_bytes());
        common.extend_from_slice(&[0, 0]);
        out.extend_from_slice(&LOCAL.to_le_bytes());
        out.extend_from_slice(&common);
        out.extend_from_slice(path.as_bytes());
        out.extend_from_slice(&packed);
        list.extend_from_slice(&CENTRAL.to_le_bytes());
        list.extend_from_slice(&[20, 3]);
        list.extend_from_slice(&common);
        list.extend_from_slice(&[0; 10]);
        let at = list.len() - 4;
        list[at..].copy_from_slice(&0o100_644u32.rotate_left(16).to_le_bytes());
        list.extend_from_slice(&offset.to_le_bytes());
        list.extend_from_slice(path.as_bytes());
    }
    let start = out.len() as u32;
    out.extend_from_slice(&list);
    out.extend_from_slice(&END.to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&(members.len() as u16).to_le_bytes().repeat(2));
    out.extend_from_slice(&(list.len() as u32).to_le_bytes());
    out.extend_from_slice(&start.to_le_bytes());
    out.extend_from_slice(&[0, 0]);
    out
}

fn with<T>(bytes: &[u8], look: impl FnOnce(Result<Zip>) -> T) -> T {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.zip");
    fs::write(&path, bytes).unwrap();
    look(Zip::open(&path))
}

#[test]
fn members_come_in_order_and_one_name_twice_is_seen() {
    let long = vec![7u8; 100_000];
    let bytes = zip(&[("Train/", b""), ("Train/0/1.bin", b"abc"), ("Train/0/1.bin", b""), ("b", &long)]);
    with(&bytes, |z| {
        let mut z = z.unwrap();
        let list: Vec<_> = z.members().iter().map(|m| (m.path.as_str(), m.bytes, m.is_file)).collect();
        assert_eq!(list, [("Train/", 0, false), ("Train/0/1.bin", 3, true), ("Train/0/1.bin", 0, true), ("b", 100_000, true)]);
        assert_eq!(z.read(3, 100_000).unwrap(), long);
        assert_eq!(z.read(1, 3).unwrap(), b"abc");
        let e = z.read(3, 99_999).unwrap_err();
        assert!(e.exit_code() == 2 && e.to_string().contains("expected 99999 bytes at most, found 100000"), "{e}");
        assert_eq!(z.read(4, 1).unwrap_err().exit_code(), 1);
    });
}

#[test]
fn an_archive_cut_anywhere_is_an_error() {
    let bytes = zip(&[("a.bin", b"some bytes, some bytes, some bytes"), ("b.bin", b"more")]);
    for cut in 0..bytes.len() {
        with(&bytes[..cut], |z| assert_eq!(z.err().map(|e| e.exit_code()), Some(2), "{cut}"));
    }
    println!("{} cuts", bytes.len());
}

#[test]
fn any_byte_changed_is_an_error_or_changes_no_content() {
    let content = b"some bytes, some bytes, some bytes";
    let bytes = zip(&[("a.bin", content)]);
    let mut errors = 0;
    for at in 0..bytes.len() {
        let mut wrong = bytes.clone();
        wrong[at] ^= 0x41;
        with(&wrong, |z| match z.and_then(|mut z| if z.members().is_empty() { Ok(content.to_vec()) } else { z.read(0, 1 << 20) }) {
            Ok(read) => assert_eq!(read, content, "byte {at}"),
            Err(e) => {
                assert_eq!(e.exit_code(), 2, "{at}: {e}");
                errors += 1;
            }
        });
    }
    assert!(errors > bytes.len() / 4);
    println!("{} bytes changed, {errors} errors", bytes.len());
}

#[test]
fn a_bomb_that_announces_little_ends_at_what_it_announced() {
    let mut bytes = zip(&[("bomb", &vec![0; 1 << 20])]);
    let central = bytes.windows(4).position(|w| w == CENTRAL.to_le_bytes()).unwrap();
    bytes[central + 24..central + 28].copy_from_slice(&10u32.to_le_bytes());
    with(&bytes, |z| {
        let e = z.unwrap().read(0, 1 << 30).unwrap_err().to_string();
        assert!(e.contains("expected 10 bytes, found 11 or more"), "{e}");
    });
}
