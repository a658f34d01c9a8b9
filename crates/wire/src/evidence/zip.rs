//! ZIP files with stored entries in their one possible form (PKWARE APPNOTE 6.3.10), with ZIP64 where lengths need it.
//!
//! Belongs here: headers, and the strict reading of them. Does not: files; reading takes any `Read + Seek`.
//!
//! Why not a general crate: a bundle must not have a bit that nobody checks. Times, attributes and flags are fixed here, so
//! a reader writes the headers again from names, lengths and checksums, and compares.

use std::io::{self, Read, Seek, SeekFrom};

/// An entry of a ZIP file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name, with `/` between folders.
    pub name: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// CRC-32 of its bytes.
    pub crc: u32,
}

/// An entry and where its bytes lie in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The entry.
    pub entry: Entry,
    /// Where its bytes begin.
    pub data_at: u64,
}

/// Why a file is no such ZIP file.
#[derive(Debug, thiserror::Error)]
pub enum ZipError {
    /// It cannot be read.
    #[error("it cannot be read")]
    Io(#[from] io::Error),
    /// It is no ZIP file, or its end is missing.
    #[error("it has no end of a ZIP file")]
    NoEnd,
    /// It is not what this program writes.
    #[error("it is not as it was written, from byte {at} on")]
    Altered {
        /// The first byte that differs, or where the difference shows.
        at: u64,
    },
}

const LOCAL: u32 = 0x0403_4B50;
const CENTRAL: u32 = 0x0201_4B50;
const END: u32 = 0x0605_4B50;
const END_64: u32 = 0x0606_4B50;
const LOCATOR_64: u32 = 0x0706_4B50;
/// 2.0, and 4.5 with ZIP64.
const VERSIONS: [u16; 2] = [20, 45];
const MADE_BY_UNIX: u16 = 3 << 8 | 45;
/// Names are UTF-8.
const FLAGS: u16 = 0x0800;
/// The first of January 1980: an entry's time is in the report.
const DATE: u16 = 0x0021;
const READABLE_FILE: u32 = 0o100_644 << 16;
const LARGE: u32 = u32::MAX;
const END_BYTES: u64 = 22;
const LOCATOR_BYTES: u64 = 20;
const END_64_BYTES: u64 = 56;
/// The longest directory that is read: some 200,000 entries.
const MOST_DIRECTORY_BYTES: u64 = 32 << 20;

/// The header before an entry's bytes; its length does not depend on the checksum, so it may be written again later.
#[must_use]
pub fn local_header(entry: &Entry) -> Vec<u8> {
    let large = entry.bytes >= LARGE.into();
    let mut out = Vec::with_capacity(50 + entry.name.len());
    put(&mut out, &LOCAL.to_le_bytes());
    put_common(&mut out, entry, large);
    put(&mut out, &len_16(if large { 20 } else { 0 }));
    put(&mut out, entry.name.as_bytes());
    if large {
        put(&mut out, &[1, 0, 16, 0]);
        put(&mut out, &entry.bytes.to_le_bytes());
        put(&mut out, &entry.bytes.to_le_bytes());
    }
    out
}

/// What follows the last entry's bytes. Entries lie one after the other, each behind its header.
#[must_use]
pub fn directory(entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut at = 0u64;
    for entry in entries {
        put_central(&mut out, entry, at);
        at += local_header(entry).len() as u64 + entry.bytes;
    }
    put_end(&mut out, entries.len() as u64, at);
    out
}

fn put_central(out: &mut Vec<u8>, entry: &Entry, at: u64) {
    let (large, far) = (entry.bytes >= LARGE.into(), at >= LARGE.into());
    let extra = if large { 16 } else { 0 } + if far { 8 } else { 0 };
    put(out, &CENTRAL.to_le_bytes());
    put(out, &MADE_BY_UNIX.to_le_bytes());
    put_common(out, entry, large || far);
    put(out, &len_16(if extra > 0 { extra + 4 } else { 0 }));
    // No comment, first disk, no internal attributes.
    put(out, &[0; 6]);
    put(out, &READABLE_FILE.to_le_bytes());
    put(out, &small(at).to_le_bytes());
    put(out, entry.name.as_bytes());
    if extra > 0 {
        put(out, &[1, 0]);
        put(out, &len_16(extra));
    }
    if large {
        put(out, &entry.bytes.to_le_bytes());
        put(out, &entry.bytes.to_le_bytes());
    }
    if far {
        put(out, &at.to_le_bytes());
    }
}

/// From the version that is needed to the length of the name.
fn put_common(out: &mut Vec<u8>, entry: &Entry, version_64: bool) {
    put(out, &VERSIONS[usize::from(version_64)].to_le_bytes());
    put(out, &FLAGS.to_le_bytes());
    // Stored, midnight.
    put(out, &[0; 4]);
    put(out, &DATE.to_le_bytes());
    put(out, &entry.crc.to_le_bytes());
    put(out, &small(entry.bytes).to_le_bytes());
    put(out, &small(entry.bytes).to_le_bytes());
    put(out, &len_16(entry.name.len()));
}

fn put_end(out: &mut Vec<u8>, entries: u64, directory_at: u64) {
    let directory_bytes = out.len() as u64;
    let many = entries >= u64::from(u16::MAX);
    if many || directory_at >= LARGE.into() || directory_bytes >= LARGE.into() {
        put(out, &END_64.to_le_bytes());
        put(out, &(END_64_BYTES - 12).to_le_bytes());
        put(out, &MADE_BY_UNIX.to_le_bytes());
        put(out, &VERSIONS[1].to_le_bytes());
        put(out, &[0; 8]);
        for number in [entries, entries, directory_bytes, directory_at] {
            put(out, &number.to_le_bytes());
        }
        put(out, &LOCATOR_64.to_le_bytes());
        put(out, &[0; 4]);
        put(out, &(directory_at + directory_bytes).to_le_bytes());
        put(out, &1u32.to_le_bytes());
    }
    let count = u16::try_from(entries).unwrap_or(u16::MAX);
    put(out, &END.to_le_bytes());
    put(out, &[0; 4]);
    put(out, &count.to_le_bytes());
    put(out, &count.to_le_bytes());
    put(out, &small(directory_bytes).to_le_bytes());
    put(out, &small(directory_at).to_le_bytes());
    put(out, &[0; 2]);
}

/// The entries of a ZIP file. Every byte but those of the entries themselves is compared with what [`local_header`] and
/// [`directory`] write.
///
/// # Errors
/// [`ZipError`].
pub fn read(file: &mut (impl Read + Seek)) -> Result<Vec<Placed>, ZipError> {
    let len = file.seek(SeekFrom::End(0))?;
    let directory_at = find_directory(file, len)?;
    let found = bytes_at(file, directory_at, len - directory_at)?;
    let entries = parse(&found, directory_at)?;
    compare(&found, &directory(&entries), directory_at)?;
    let mut at = 0;
    let mut placed = Vec::with_capacity(entries.len());
    for entry in entries {
        let header = local_header(&entry);
        let end = at + header.len() as u64 + entry.bytes;
        if end > directory_at {
            return Err(ZipError::Altered { at: directory_at });
        }
        compare(&bytes_at(file, at, header.len() as u64)?, &header, at)?;
        placed.push(Placed { data_at: at + header.len() as u64, entry });
        at = end;
    }
    if at == directory_at { Ok(placed) } else { Err(ZipError::Altered { at }) }
}

fn find_directory(file: &mut (impl Read + Seek), len: u64) -> Result<u64, ZipError> {
    let end_at = len.checked_sub(END_BYTES).ok_or(ZipError::NoEnd)?;
    let end = bytes_at(file, end_at, END_BYTES)?;
    if u32_at(&end, 0) != Some(END) {
        return Err(ZipError::NoEnd);
    }
    let mut at = u64::from(u32_at(&end, 16).ok_or(ZipError::NoEnd)?);
    let locator_at = end_at.checked_sub(LOCATOR_BYTES);
    if let Some(locator_at) = locator_at {
        let locator = bytes_at(file, locator_at, LOCATOR_BYTES)?;
        if u32_at(&locator, 0) == Some(LOCATOR_64) {
            let end_64_at = locator_at.checked_sub(END_64_BYTES).ok_or(ZipError::NoEnd)?;
            at = u64_at(&bytes_at(file, end_64_at, END_64_BYTES)?, 48).ok_or(ZipError::NoEnd)?;
        }
    }
    // What says a wrong place is altered itself.
    let possible = at <= end_at && len - at <= MOST_DIRECTORY_BYTES;
    if possible { Ok(at) } else { Err(ZipError::Altered { at: end_at }) }
}

/// The entries of a directory, as far as names, lengths and checksums go.
fn parse(directory: &[u8], directory_at: u64) -> Result<Vec<Entry>, ZipError> {
    let mut entries = Vec::new();
    let mut at = 0;
    while u32_at(directory, at) == Some(CENTRAL) {
        let broken = ZipError::Altered { at: directory_at + at as u64 };
        let fields = (|| {
            let name_bytes = usize::from(u16_at(directory, at + 28)?);
            let extra_bytes = usize::from(u16_at(directory, at + 30)?);
            let name = directory.get(at + 46..at + 46 + name_bytes)?;
            let bytes = match u32_at(directory, at + 24)? {
                LARGE => u64_at(directory, at + 46 + name_bytes + 4)?,
                bytes => bytes.into(),
            };
            let name = String::from_utf8(name.to_vec()).ok()?;
            Some((Entry { name, bytes, crc: u32_at(directory, at + 16)? }, 46 + name_bytes + extra_bytes))
        })();
        let (entry, length) = fields.ok_or(broken)?;
        entries.push(entry);
        at += length;
    }
    Ok(entries)
}

fn compare(found: &[u8], expected: &[u8], at: u64) -> Result<(), ZipError> {
    let same = found.iter().zip(expected).take_while(|(a, b)| a == b).count();
    if same == found.len() && same == expected.len() {
        Ok(())
    } else {
        Err(ZipError::Altered { at: at + same as u64 })
    }
}

fn bytes_at(file: &mut (impl Read + Seek), at: u64, len: u64) -> Result<Vec<u8>, ZipError> {
    file.seek(SeekFrom::Start(at))?;
    let mut bytes = Vec::new();
    file.by_ref().take(len).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend_from_slice(bytes);
}

/// A length that fits by construction: names and extra fields are short.
fn len_16(len: usize) -> [u8; 2] {
    u16::try_from(len).unwrap_or(u16::MAX).to_le_bytes()
}

/// What stands in 32 bits where ZIP64 has the number.
fn small(number: u64) -> u32 {
    u32::try_from(number).unwrap_or(LARGE)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().map(|bytes| u16::from_le_bytes(*bytes))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

/// CRC-32 as ZIP has it (ISO 3309), over bytes that come in pieces.
#[derive(Debug, Clone, Copy)]
pub struct Crc(u32);

const TABLE: [u32; 256] = table();

const fn table() -> [u32; 256] {
    let mut table = [0; 256];
    let mut index = 0u32;
    while index < 256 {
        let mut crc = index;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xEDB8_8320 } else { crc >> 1 };
            bit += 1;
        }
        table[index as usize] = crc;
        index += 1;
    }
    table
}

impl Crc {
    /// The checksum of nothing.
    #[must_use]
    pub const fn new() -> Self {
        Self(u32::MAX)
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |crc, byte| {
            let [low, ..] = crc.to_le_bytes();
            crc >> 8 ^ TABLE[usize::from(low ^ byte)]
        });
    }

    /// The checksum.
    #[must_use]
    pub const fn value(self) -> u32 {
        !self.0
    }
}

impl Default for Crc {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests;
