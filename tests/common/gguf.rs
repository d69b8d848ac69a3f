//! Writes small GGUF files for tests, after the format's description.

/// A metadata value.
pub enum Meta<'a> {
    Text(&'a str),
    U32(u32),
    F32(f32),
    Bool(bool),
    Texts(&'a [&'a str]),
    F32s(&'a [f32]),
    I32s(&'a [i32]),
}

fn text(out: &mut Vec<u8>, s: &str) {
    out.extend((s.len() as u64).to_le_bytes());
    out.extend(s.as_bytes());
}

fn array(out: &mut Vec<u8>, element: u32, len: usize) {
    out.extend(9u32.to_le_bytes());
    out.extend(element.to_le_bytes());
    out.extend((len as u64).to_le_bytes());
}

/// A GGUF 3 file with f32 tensors `(name, sizes fastest first, values)`. The data of the last tensor
/// ends the file.
pub fn write_gguf(meta: &[(&str, Meta)], tensors: &[(String, Vec<u64>, Vec<f32>)]) -> Vec<u8> {
    let mut out = b"GGUF".to_vec();
    out.extend(3u32.to_le_bytes());
    out.extend((tensors.len() as u64).to_le_bytes());
    out.extend((meta.len() as u64).to_le_bytes());
    for (key, value) in meta {
        text(&mut out, key);
        match value {
            Meta::Text(s) => {
                out.extend(8u32.to_le_bytes());
                text(&mut out, s);
            }
            Meta::U32(n) => {
                out.extend(4u32.to_le_bytes());
                out.extend(n.to_le_bytes());
            }
            Meta::F32(x) => {
                out.extend(6u32.to_le_bytes());
                out.extend(x.to_le_bytes());
            }
            Meta::Bool(b) => {
                out.extend(7u32.to_le_bytes());
                out.push(u8::from(*b));
            }
            Meta::Texts(all) => {
                array(&mut out, 8, all.len());
                all.iter().for_each(|s| text(&mut out, s));
            }
            Meta::F32s(all) => {
                array(&mut out, 6, all.len());
                out.extend(all.iter().flat_map(|x| x.to_le_bytes()));
            }
            Meta::I32s(all) => {
                array(&mut out, 5, all.len());
                out.extend(all.iter().flat_map(|x| x.to_le_bytes()));
            }
        }
    }
    let mut offset = 0u64;
    for (name, sizes, data) in tensors {
        text(&mut out, name);
        out.extend((sizes.len() as u32).to_le_bytes());
        out.extend(sizes.iter().flat_map(|n| n.to_le_bytes()));
        out.extend(0u32.to_le_bytes());
        out.extend(offset.to_le_bytes());
        offset = (offset + data.len() as u64 * 4).next_multiple_of(32);
    }
    for (_, _, data) in tensors {
        out.resize(out.len().next_multiple_of(32), 0);
        out.extend(data.iter().flat_map(|x| x.to_le_bytes()));
    }
    out
}
