//! The files that the checks look at: what git tracks, and what it would track after `git add`.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::tokens::{self, Token};

/// The tree, read once.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) files: Vec<File>,
    folders: BTreeSet<String>,
}

/// A file of the tree.
#[derive(Debug)]
pub(crate) struct File {
    /// From the root, with `/`.
    pub(crate) path: String,
    /// `None` for a binary file.
    pub(crate) text: Option<String>,
    tokens: OnceCell<Result<Vec<Token>, tokens::Unlexed>>,
}

impl Tree {
    /// Reads the tree under `root`. Where git is missing, or the tree was unpacked from an archive, every file
    /// counts except those in folders that tools write.
    ///
    /// # Errors
    /// A folder or file cannot be read.
    pub(crate) fn read(root: &Path) -> Result<Self, String> {
        let paths = match listed(root) {
            Some(paths) => paths,
            None => walked(root)?,
        };
        let mut files = Vec::new();
        for path in paths {
            let full = root.join(&path);
            // A tracked file may have been deleted, and a link to a folder is no file.
            if full.is_file() {
                let bytes = std::fs::read(&full).map_err(|error| format!("cannot read {path}: {error}"))?;
                files.push(File::new(path, String::from_utf8(bytes).ok()));
            }
        }
        Ok(Self::new(files))
    }

    /// A tree made up for a test.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, &str)]) -> Self {
        Self::new(files.iter().map(|(path, text)| File::new((*path).into(), Some((*text).into()))).collect())
    }

    fn new(files: Vec<File>) -> Self {
        let mut folders = BTreeSet::from([String::new()]);
        for file in &files {
            let mut path = file.path.as_str();
            while let Some((folder, _)) = path.rsplit_once('/') {
                folders.insert(folder.to_owned());
                path = folder;
            }
        }
        Self { files, folders }
    }

    /// The file at `path`.
    pub(crate) fn file(&self, path: &str) -> Option<&File> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Whether `path` is a file or a folder with files.
    pub(crate) fn has(&self, path: &str) -> bool {
        self.folders.contains(path) || self.file(path).is_some()
    }

    /// Files whose name ends in `.extension`, with their text.
    pub(crate) fn with_extension<'a>(
        &'a self,
        extension: &'a str,
    ) -> impl Iterator<Item = (&'a File, &'a str)> {
        self.files
            .iter()
            .filter(move |file| file.extension() == extension)
            .filter_map(|file| Some((file, file.text.as_deref()?)))
    }
}

impl File {
    fn new(path: String, text: Option<String>) -> Self {
        Self { path, text, tokens: OnceCell::new() }
    }

    pub(crate) fn extension(&self) -> &str {
        Path::new(&self.path).extension().and_then(|extension| extension.to_str()).unwrap_or("")
    }

    /// Whether a folder called `name` is on the way to this file.
    pub(crate) fn is_under(&self, name: &str) -> bool {
        self.path.rsplit_once('/').is_some_and(|(folders, _)| folders.split('/').any(|folder| folder == name))
    }

    /// The tokens of a Rust file.
    ///
    /// # Errors
    /// The file is not Rust.
    pub(crate) fn tokens(&self) -> Result<&[Token], &tokens::Unlexed> {
        self.tokens.get_or_init(|| tokens::lex(self.text.as_deref().unwrap_or_default())).as_deref()
    }
}

/// What git lists, or `None` if it cannot.
fn listed(root: &Path) -> Option<Vec<String>> {
    let output = Command::new("git")
        // CI often runs as another user than the one who cloned.
        .args(["-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root)
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let listed = String::from_utf8(output.stdout).ok()?;
    let paths: BTreeSet<_> = listed.split_terminator('\0').map(str::to_owned).collect();
    (output.status.success() && !paths.is_empty()).then(|| paths.into_iter().collect())
}

/// Every file below `root`, without what builds and caches leave.
fn walked(root: &Path) -> Result<Vec<String>, String> {
    const WRITTEN: &[&str] = &[".git", "target", "__pycache__", ".venv", "node_modules"];
    let mut paths = Vec::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        let broken = |error| format!("cannot list {folder}: {error}");
        for entry in std::fs::read_dir(root.join(&folder)).map_err(broken)? {
            let entry = entry.map_err(broken)?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            if !entry.file_type().map_err(broken)?.is_dir() {
                paths.push(path);
            } else if !WRITTEN.contains(&name.as_str()) && !name.ends_with("_cache") {
                folders.push(path);
            }
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_exist_through_their_files() {
        let tree = Tree::of(&[("docs/wire/frames.md", "")]);
        assert!(tree.has("docs/wire") && tree.has("docs") && tree.has("docs/wire/frames.md"));
        assert!(!tree.has("docs/frames.md"));
    }

    #[test]
    fn a_file_is_under_its_folders_only() {
        let tree = Tree::of(&[("python/tests/tests.py", ""), ("src/tests.rs", "")]);
        assert!(tree.files[0].is_under("tests"));
        assert!(!tree.files[1].is_under("tests"));
    }

    #[test]
    fn walking_finds_sources_and_skips_what_tools_write() {
        let root = std::env::temp_dir().join(format!("slither-xtask-walk-{}", std::process::id()));
        for path in ["src/lib.rs", "target/debug/out.rs", ".ruff_cache/x"] {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let found = walked(&root);
        std::fs::remove_dir_all(&root).unwrap();
        assert_eq!(found.unwrap(), ["src/lib.rs"]);
    }
}
