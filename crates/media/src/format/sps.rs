//! A picture's size from its sequence parameter set (ITU-T H.264 §7.3.2.1.1, ITU-T H.265 §7.3.2.2.1).

use super::{Size, bits::Bits};
use crate::ts::psi::VideoCodec;

/// The size that a frame's first parameter set has.
pub(super) fn size(codec: VideoCodec, frame: &[u8]) -> Option<Size> {
    let mut units = nal_units(frame);
    match codec {
        VideoCodec::H264 => {
            units.find(|unit| unit.first().is_some_and(|byte| byte & 0x1F == 7)).and_then(h264)
        }
        VideoCodec::H265 => {
            units.find(|unit| unit.first().is_some_and(|byte| byte >> 1 & 0x3F == 33)).and_then(h265)
        }
        VideoCodec::Other(_) => None,
    }
}

/// What lies between start codes.
fn nal_units(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let starts: Vec<usize> =
        bytes.windows(3).enumerate().filter(|(_, code)| *code == [0, 0, 1]).map(|(at, _)| at + 3).collect();
    let ends: Vec<usize> = starts.iter().skip(1).map(|next| next - 3).chain([bytes.len()]).collect();
    starts.into_iter().zip(ends).filter_map(|(start, end)| bytes.get(start..end))
}

fn h264(unit: &[u8]) -> Option<Size> {
    let mut bits = Bits::of(unit.get(1..)?);
    let profile = bits.number(8)?;
    bits.skip(16);
    bits.unsigned()?;
    let mut chroma = 1;
    if matches!(profile, 100 | 110 | 122 | 244 | 44 | 83 | 86 | 118 | 128 | 138 | 139 | 134 | 135) {
        chroma = bits.unsigned()?;
        if chroma == 3 {
            bits.bit()?;
        }
        bits.unsigned()?;
        bits.unsigned()?;
        bits.bit()?;
        if bits.bit()? {
            scaling_lists(&mut bits, if chroma == 3 { 12 } else { 8 })?;
        }
    }
    bits.unsigned()?;
    match bits.unsigned()? {
        0 => drop(bits.unsigned()?),
        1 => {
            bits.bit()?;
            bits.signed()?;
            bits.signed()?;
            for _ in 0..bits.unsigned()?.min(255) {
                bits.signed()?;
            }
        }
        _ => {}
    }
    bits.unsigned()?;
    bits.bit()?;
    let width = bits.unsigned()?.checked_add(1)?.checked_mul(16)?;
    let map_height = bits.unsigned()?.checked_add(1)?;
    let frames_only = bits.bit()?;
    let height = map_height.checked_mul(if frames_only { 16 } else { 32 })?;
    if !frames_only {
        bits.bit()?;
    }
    bits.bit()?;
    let (unit_x, unit_y) = chroma_units(chroma);
    crop(&mut bits, (width, height), unit_x, if frames_only { unit_y } else { unit_y * 2 })
}

fn scaling_lists(bits: &mut Bits, lists: usize) -> Option<()> {
    for list in 0..lists {
        if !bits.bit()? {
            continue;
        }
        let (mut last, mut next) = (8i32, 8i32);
        for _ in 0..if list < 6 { 16 } else { 64 } {
            if next != 0 {
                next = last.wrapping_add(bits.signed()?).rem_euclid(256);
            }
            last = if next == 0 { last } else { next };
        }
    }
    Some(())
}

fn h265(unit: &[u8]) -> Option<Size> {
    let mut bits = Bits::of(unit.get(2..)?);
    bits.skip(4);
    let sub_layers = bits.number(3)?;
    // Temporal nesting, then the general profile, tier and level.
    bits.skip(1 + 96);
    let mut present = Vec::new();
    for _ in 0..sub_layers {
        present.push((bits.bit()?, bits.bit()?));
    }
    if sub_layers > 0 {
        bits.skip(2 * (8 - sub_layers as usize));
    }
    for (profile, level) in present {
        bits.skip(if profile { 88 } else { 0 } + if level { 8 } else { 0 });
    }
    bits.unsigned()?;
    let chroma = bits.unsigned()?;
    if chroma == 3 {
        bits.bit()?;
    }
    let size = (bits.unsigned()?, bits.unsigned()?);
    let (unit_x, unit_y) = chroma_units(chroma);
    crop(&mut bits, size, unit_x, unit_y)
}

/// How many pixels a unit of cropping is, by the chroma format.
const fn chroma_units(chroma: u32) -> (u32, u32) {
    match chroma {
        1 => (2, 2),
        2 => (2, 1),
        _ => (1, 1),
    }
}

/// Takes off what the stream says is not shown: left, right, top, bottom.
fn crop(bits: &mut Bits, (width, height): Size, unit_x: u32, unit_y: u32) -> Option<Size> {
    if !bits.bit()? {
        return Some((width, height));
    }
    let (left, right) = (bits.unsigned()?, bits.unsigned()?);
    let (top, bottom) = (bits.unsigned()?, bits.unsigned()?);
    let width = width.checked_sub(left.checked_add(right)?.checked_mul(unit_x)?)?;
    let height = height.checked_sub(top.checked_add(bottom)?.checked_mul(unit_y)?)?;
    Some((width, height))
}
