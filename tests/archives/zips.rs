//! Zip archives as no honest program writes them. (The fields: PKWARE's APPNOTE.TXT 6.3, 4.3.7, 4.3.12 and 4.3.16.)

use std::io::Write;

/// One member; what is `None` is as it should be.
#[derive(Clone, Default)]
pub struct Member {
    /// As it stands in both headers.
    pub path: Vec<u8>,
    /// Before it is packed.
    pub content: Vec<u8>,
    /// Content of a member that another program would make a link, a device…: the Unix mode.
    pub mode: Option<u32>,
    /// General purpose bits: 1 is encrypted.
    pub flags: u16,
    /// Announced length.
    pub bytes: Option<u32>,
    /// Announced length of what is packed.
    pub packed: Option<u32>,
    /// Announced CRC-32.
    pub crc: Option<u32>,
    /// Where its local header is said to be.
    pub offset: Option<u32>,
    /// Extra field.
    pub extra: Vec<u8>,
}

impl Member {
    /// An honest one.
    pub fn new(path: &str, content: &[u8]) -> Member {
        Member { path: path.into(), content: content.into(), ..Member::default() }
    }
}

/// The archive, and where its list begins.
pub fn archive(members: &[Member]) -> (Vec<u8>, usize) {
    let (mut out, mut list) = (Vec::new(), Vec::new());
    for m in members {
        let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(&m.content).unwrap();
        let packed = encoder.finish().unwrap();
        let mut crc = flate2::Crc::new();
        crc.update(&m.content);
        let numbers = [m.crc.unwrap_or(crc.sum()), m.packed.unwrap_or(packed.len() as u32), m.bytes.unwrap_or(m.content.len() as u32)];
        let mut common = Vec::new();
        [20, m.flags, 8, 0, 0].iter().for_each(|n: &u16| common.extend(n.to_le_bytes()));
        numbers.iter().for_each(|n| common.extend(n.to_le_bytes()));
        [m.path.len() as u16, m.extra.len() as u16].iter().for_each(|n| common.extend(n.to_le_bytes()));
        let offset = m.offset.unwrap_or(out.len() as u32);
        if m.offset.is_none() {
            [b"PK\x03\x04", &common[..], &m.path, &m.extra, &packed].iter().for_each(|part| out.extend_from_slice(part));
        }
        list.extend([b"PK\x01\x02\x14\x03", &common[..], &[0; 6]].concat());
        list.extend((m.mode.unwrap_or(0o100_644) << 16).to_le_bytes());
        list.extend(offset.to_le_bytes());
        list.extend([&m.path[..], &m.extra].concat());
    }
    let start = out.len();
    out.extend_from_slice(&list);
    out.extend(end(members.len() as u16, list.len() as u32, start as u32));
    (out, start)
}

/// The end record.
pub fn end(count: u16, list: u32, start: u32) -> Vec<u8> {
    let mut out = b"PK\x05\x06\0\0\0\0".to_vec();
    out.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
    out.extend([list.to_le_bytes(), start.to_le_bytes()].concat());
    out.extend([0; 2]);
    out
}
