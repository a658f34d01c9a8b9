//! Puts the built dashboard (`web/dist`, committed) into the binary: each file as it is and, where that is smaller, in gzip.
//!
//! What belongs here: the list of files. Building them is `make web`; serving them is `src/http/dashboard.rs`. Compressing
//! happens here and not in the repository, so that the committed bytes do not depend on a version of zlib.

use std::{
    env, fmt, fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use flate2::{Compression, write::GzEncoder};

fn main() -> io::Result<()> {
    let dist = Path::new(&variable("CARGO_MANIFEST_DIR")?).join("../../web/dist");
    let out = PathBuf::from(variable("OUT_DIR")?);
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={}", dist.display());
    let mut files = Vec::new();
    list(&dist, &mut files)?;
    // The order of a directory is not the same everywhere.
    files.sort();
    let mut table = String::from("&[\n");
    for (number, file) in files.iter().enumerate() {
        let path = file.strip_prefix(&dist).map_err(io::Error::other)?;
        let path = path.to_str().ok_or_else(|| io::Error::other("a path of the dashboard is no UTF-8"))?;
        let packed = pack(file, &out.join(format!("{number}.gz")))?;
        let packed = packed.map(Include);
        table += &format!(
            "    Embedded {{ path: {:?}, bytes: {}, gzip: {} }},\n",
            path.replace('\\', "/"),
            Include(fs::canonicalize(file)?),
            packed.map_or_else(|| "None".to_owned(), |packed| format!("Some({packed})")),
        );
    }
    table += "]\n";
    fs::write(out.join("dashboard.rs"), table)
}

fn variable(name: &str) -> io::Result<String> {
    env::var(name).map_err(io::Error::other)
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            list(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}

/// Compresses a file; `None` where that does not pay.
fn pack(file: &Path, to: &Path) -> io::Result<Option<PathBuf>> {
    let bytes = fs::read(file)?;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&bytes)?;
    let packed = encoder.finish()?;
    if packed.len() >= bytes.len() {
        return Ok(None);
    }
    fs::write(to, packed)?;
    Ok(Some(to.to_owned()))
}

/// An expression that has a file's bytes.
struct Include(PathBuf);

impl fmt::Display for Include {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "include_bytes!({:?})", self.0)
    }
}
