//! The form of a ZIP file: read back as written, never otherwise; and as others read it.

use std::io::Cursor;

use proptest::prelude::*;

use super::*;

fn entry(name: &str, data: &[u8]) -> Entry {
    let mut crc = Crc::new();
    crc.push(data);
    Entry { name: name.to_owned(), bytes: data.len() as u64, crc: crc.value() }
}

fn written(files: &[(&str, &[u8])]) -> Vec<u8> {
    let entries: Vec<Entry> = files.iter().map(|(name, data)| entry(name, data)).collect();
    let mut out = Vec::new();
    for (entry, (_, data)) in entries.iter().zip(files) {
        out.extend(local_header(entry));
        out.extend_from_slice(data);
    }
    out.extend(directory(&entries));
    out
}

#[test]
fn the_checksum_matches_the_published_value() {
    let mut crc = Crc::new();
    crc.push(b"1234");
    crc.push(b"56789");
    assert_eq!(crc.value(), 0xCBF4_3926);
}

#[test]
fn what_is_written_is_read_and_others_read_it_too() {
    let files: [(&str, &[u8]); 3] = [("packs/a.ts", &[1; 1000]), ("report.json", b"{}"), ("empty", b"")];
    let bytes = written(&files);
    let placed = read(&mut Cursor::new(&bytes)).unwrap();
    assert_eq!(placed.len(), 3);
    for (placed, (name, data)) in placed.iter().zip(files) {
        let at = placed.data_at as usize;
        assert_eq!((placed.entry.name.as_str(), &bytes[at..at + data.len()]), (name, data));
    }
    let folder = std::env::temp_dir().join(format!("dashvault-zip-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("a.zip");
    std::fs::write(&path, &bytes).unwrap();
    let script = "import sys,zipfile; z=zipfile.ZipFile(sys.argv[1]); assert z.testzip() is None; print(len(z.read('packs/a.ts')))";
    let output = std::process::Command::new("python3").args(["-c", script]).arg(&path).output().unwrap();
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "1000\n",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn no_flipped_bit_of_a_header_goes_by() {
    let bytes = written(&[("a", &[7; 20]), ("b", &[8; 5])]);
    let data: Vec<_> = read(&mut Cursor::new(&bytes)).unwrap();
    let is_data = |at: usize| {
        data.iter().any(|one| (one.data_at..one.data_at + one.entry.bytes).contains(&(at as u64)))
    };
    for bit in 0..bytes.len() * 8 {
        let mut wrong = bytes.clone();
        wrong[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(read(&mut Cursor::new(&wrong)).is_err(), !is_data(bit / 8), "bit {bit}");
    }
}

#[test]
fn bytes_before_after_or_between_are_noticed() {
    let bytes = written(&[("a", &[7; 20]), ("b", &[8; 5])]);
    for at in [0, 40, bytes.len() / 2, bytes.len()] {
        let mut wrong = bytes.clone();
        wrong.insert(at, 0);
        assert!(read(&mut Cursor::new(&wrong)).is_err(), "{at}");
    }
    assert!(matches!(read(&mut Cursor::new(b"")), Err(ZipError::NoEnd)));
}

/// A file with a hole: only what was put is there, the rest is zeros.
struct Sparse {
    parts: Vec<(u64, Vec<u8>)>,
    len: u64,
    at: u64,
}

impl Read for Sparse {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let len = into.len().min(usize::try_from(self.len.saturating_sub(self.at)).unwrap_or(usize::MAX));
        for (index, byte) in into[..len].iter_mut().enumerate() {
            let at = self.at + index as u64;
            let part =
                self.parts.iter().find(|(from, part)| (*from..*from + part.len() as u64).contains(&at));
            *byte = part.map_or(0, |(from, part)| part[(at - from) as usize]);
        }
        self.at += len as u64;
        Ok(len)
    }
}

impl Seek for Sparse {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = match to {
            SeekFrom::Start(at) => at,
            SeekFrom::End(by) => self.len.saturating_add_signed(by),
            SeekFrom::Current(by) => self.at.saturating_add_signed(by),
        };
        Ok(self.at)
    }
}

#[test]
fn lengths_and_places_beyond_four_gigabytes_are_read_back() {
    let entries = [
        Entry { name: "large".into(), bytes: 5 << 30, crc: 1 },
        Entry { name: "behind".into(), bytes: 10, crc: 2 },
        Entry { name: "exactly".into(), bytes: u32::MAX.into(), crc: 3 },
    ];
    let (mut parts, mut at) = (Vec::new(), 0);
    for entry in &entries {
        let header = local_header(entry);
        let len = header.len() as u64;
        parts.push((at, header));
        at += len + entry.bytes;
    }
    let end = directory(&entries);
    let len = at + end.len() as u64;
    parts.push((at, end));
    let placed = read(&mut Sparse { parts, len, at: 0 }).unwrap();
    assert_eq!(placed.iter().map(|one| one.entry.clone()).collect::<Vec<_>>(), entries);
}

proptest! {
    #[test]
    fn hostile_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..400), end: bool) {
        if end {
            bytes.extend(END.to_le_bytes());
            bytes.extend([0; 18]);
        }
        let _ = read(&mut Cursor::new(&bytes));
    }
}
