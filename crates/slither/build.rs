//! Lists the files of the Python SDK, and of what adapters find beside it, so that the library can carry them.
//!
//! `sdk` is a link to `python/slither` in the repository, `bridge` one to `python/snakepit_bridge`, and both are folders of
//! their own in a packaged crate.

use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> Result<(), Box<dyn Error>> {
    let here = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").ok_or("CARGO_MANIFEST_DIR is not set")?);
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    println!("cargo::rerun-if-changed=build.rs");
    let code = [list(&here.join("sdk"), "FILES")?, list(&here.join("bridge"), "BRIDGE")?];
    fs::write(out.join("sdk.rs"), code.concat())?;
    Ok(())
}

/// The constant that holds the files of a package.
fn list(root: &Path, constant: &str) -> Result<String, Box<dyn Error>> {
    println!("cargo::rerun-if-changed={}", root.display());
    let mut files = Vec::new();
    collect(root, &mut files).map_err(|error| format!("no package is at {}: {error}", root.display()))?;
    if !files.contains(&root.join("__init__.py")) {
        return Err(format!("{} does not hold a package: it has no __init__.py", root.display()).into());
    }
    files.sort();
    let mut code = format!("const {constant}: &[(&str, &[u8])] = &[\n");
    for file in &files {
        // Debug quotes both as Rust literals.
        let name = file.strip_prefix(root)?.to_str().ok_or("a file has a name that is not UTF-8")?;
        let path = file.to_str().ok_or("the path of the source tree is not UTF-8")?;
        writeln!(code, "    ({name:?}, include_bytes!({path:?})),")?;
    }
    code.push_str("];\n");
    Ok(code)
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default();
        if path.is_dir() {
            if name != "__pycache__" {
                collect(&path, files)?;
            }
        } else if name == "py.typed" || path.extension().is_some_and(|extension| extension == "py") {
            files.push(path);
        }
    }
    Ok(())
}
