//! Where a bundle's files are: in a ZIP file, or in the folder that it was unpacked to.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufReader, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
};

use dashvault_wire::evidence::zip::{self, ZipError};

use crate::verify::report::Finding;

/// Folders below the bundle's that are looked into: it has one level.
const DEEPEST: usize = 3;

/// A bundle's files by name.
pub(super) enum Source {
    /// Where each lies in the file.
    Zip { path: PathBuf, files: BTreeMap<String, (u64, u64)> },
    /// Their lengths.
    Folder { root: PathBuf, files: BTreeMap<String, u64> },
}

impl Source {
    /// Opens a bundle; a ZIP file that is not as it was written is told of and not read any further.
    pub(super) fn open(path: &Path) -> io::Result<Result<Self, Finding>> {
        if path.is_dir() {
            let mut files = BTreeMap::new();
            list(path, "", DEEPEST, &mut files)?;
            return Ok(Ok(Self::Folder { root: path.to_owned(), files }));
        }
        let mut file = BufReader::new(File::open(path)?);
        let placed = match zip::read(&mut file) {
            Ok(placed) => placed,
            Err(ZipError::Io(error)) => return Err(error),
            Err(error) => {
                let finding = Finding::of_file(path.to_owned(), format!("the ZIP file is altered: {error}"));
                return Ok(Err(match error {
                    ZipError::Altered { at } => finding.starting_at(at),
                    _ => finding,
                }));
            }
        };
        let mut files = BTreeMap::new();
        for one in placed {
            let name = one.entry.name;
            if files.insert(name.clone(), (one.data_at, one.entry.bytes)).is_some() {
                return Ok(Err(Finding::of_file(path.join(name), "is in the ZIP file twice")));
            }
        }
        Ok(Ok(Self::Zip { path: path.to_owned(), files }))
    }

    pub(super) fn has(&self, name: &str) -> bool {
        match self {
            Self::Zip { files, .. } => files.contains_key(name),
            Self::Folder { files, .. } => files.contains_key(name),
        }
    }

    pub(super) fn names(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        match self {
            Self::Zip { files, .. } => Box::new(files.keys().map(String::as_str)),
            Self::Folder { files, .. } => Box::new(files.keys().map(String::as_str)),
        }
    }

    /// How people are told of a file.
    pub(super) fn path_of(&self, name: &str) -> PathBuf {
        match self {
            Self::Zip { path, .. } => path.join(name),
            Self::Folder { root, .. } => root.join(name),
        }
    }

    /// A file's bytes.
    pub(super) fn reader(&self, name: &str) -> io::Result<Window> {
        let gone = || io::Error::from(io::ErrorKind::NotFound);
        match self {
            Self::Zip { path, files } => {
                let (start, len) = *files.get(name).ok_or_else(gone)?;
                Window::new(File::open(path)?, start, len)
            }
            Self::Folder { root, files } => {
                let len = *files.get(name).ok_or_else(gone)?;
                Window::new(File::open(root.join(name))?, 0, len)
            }
        }
    }

    /// A small file whole.
    pub(super) fn read(&self, name: &str, most: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let mut reader = self.reader(name)?;
        if reader.len > most {
            return Err(io::Error::other(format!("it has {} bytes", reader.len)));
        }
        reader.read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// Only names of what the listing itself gave are ever opened.
fn list(folder: &Path, prefix: &str, depth: usize, files: &mut BTreeMap<String, u64>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let kind = entry.metadata()?;
        if kind.is_dir() && depth > 1 {
            list(&entry.path(), &format!("{name}/"), depth - 1, files)?;
        } else {
            files.insert(name, kind.len());
        }
    }
    Ok(())
}

/// A part of a file, read like a file.
pub(super) struct Window {
    file: File,
    start: u64,
    len: u64,
    at: u64,
}

impl Window {
    fn new(mut file: File, start: u64, len: u64) -> io::Result<Self> {
        file.seek(SeekFrom::Start(start))?;
        Ok(Self { file, start, len, at: 0 })
    }
}

impl Read for Window {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.len.saturating_sub(self.at)).unwrap_or(usize::MAX);
        let most = left.min(into.len());
        let read = self.file.read(&mut into[..most])?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Window {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.len.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = target.ok_or(io::ErrorKind::InvalidInput)?;
        self.file.seek(SeekFrom::Start(self.start + self.at))?;
        Ok(self.at)
    }
}
