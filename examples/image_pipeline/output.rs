//! Where thumbnails are written, and what is read back from there.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use slither::ConfigError;

/// The page with all thumbnails.
pub(super) const SHEET: &str = "contact-sheet.png";

/// Makes the folder, or takes one that is there if nothing in it can come to harm.
///
/// # Errors
/// If it holds other files than those of an earlier run, lies inside the input or holds it, or cannot be made.
pub(super) fn folder(output: &Path, input: Option<&Path>) -> Result<PathBuf, ConfigError> {
    let unwritable =
        |error: std::io::Error| ConfigError::new(format!("{} cannot be used: {error}", output.display()));
    // Made or not, it must not hold the input; and made inside it, it would be searched the next time.
    let target = std::path::absolute(output).map_err(unwritable)?;
    if let Some(input) = input.map(fs::canonicalize).and_then(Result::ok)
        && (resolved(&target).starts_with(&input) || input.starts_with(resolved(&target)))
    {
        return Err(ConfigError::new(format!("the output {} and the input overlap", output.display()))
            .hint("give a folder of its own to --output"));
    }
    fs::create_dir_all(&target).map_err(unwritable)?;
    let empty = fs::read_dir(&target).map_err(unwritable)?.next().is_none();
    if empty || target.join(SHEET).is_file() {
        return Ok(target);
    }
    Err(ConfigError::new(format!("{} is not empty, and not from an earlier run", output.display()))
        .hint("give a new folder to --output, so that no file of yours is written over"))
}

/// The path without links, as far as it is there.
fn resolved(path: &Path) -> PathBuf {
    path.ancestors()
        .find_map(|there| Some(fs::canonicalize(there).ok()?.join(path.strip_prefix(there).ok()?)))
        .unwrap_or_else(|| path.to_owned())
}

/// The width and height in a PNG file's header; none if it is not there or is no PNG.
pub(super) fn png_size(path: &Path) -> Option<(u32, u32)> {
    let mut header = [0; 24];
    File::open(path).and_then(|mut file| file.read_exact(&mut header)).ok()?;
    let number = |at: usize| u32::from_be_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]);
    header.starts_with(b"\x89PNG\r\n\x1a\n").then(|| (number(16), number(20)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_the_users_are_not_written_over() {
        let root = tempfile::tempdir().unwrap();
        let output = root.path().join("new/deep");
        assert_eq!(folder(&output, None).unwrap(), output);
        fs::write(output.join("mine.png"), "").unwrap();
        assert!(folder(&output, None).unwrap_err().to_string().contains("is not empty"));
        fs::write(output.join(SHEET), "").unwrap();
        folder(&output, None).unwrap();
    }

    #[test]
    fn input_and_output_are_kept_apart() {
        let root = tempfile::tempdir().unwrap();
        let input = root.path().join("pictures");
        fs::create_dir(&input).unwrap();
        for output in [input.clone(), input.join("thumbnails"), root.path().to_owned()] {
            let refused = folder(&output, Some(&input)).unwrap_err().to_string();
            assert!(refused.contains("overlap"), "{refused}");
        }
        assert!(!input.join("thumbnails").exists());
        folder(&root.path().join("pictures-small"), Some(&input)).unwrap();
    }

    #[test]
    fn a_size_is_read_from_a_png_only() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("x.png");
        assert_eq!(png_size(&path), None);
        let header = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x01\0\0\0\0\x90";
        fs::write(&path, header).unwrap();
        assert_eq!(png_size(&path), Some((256, 144)));
        fs::write(&path, [b'x'; 24]).unwrap();
        assert_eq!(png_size(&path), None);
    }
}
