// In front of every kernel, behind its constants. Values are words of 32 bits; what a word holds, each kernel says.

// Position of a thread in a list that goes over two dimensions of workgroups of 256.
fn flat(group: vec3<u32>, groups: vec3<u32>, lane: u32) -> u32 {
    return (group.y * groups.x + group.x) * 256u + lane;
}

// Bits of a number without its sign: as integers they are in the order of the magnitudes, infinities and NaN last.
fn magnitude(word: u32) -> u32 {
    return word & 0x7fffffffu;
}
