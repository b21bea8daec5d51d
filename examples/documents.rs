//! The user's documents: a `.txt` file is one, a `.jsonl` file holds one a line, a folder holds both kinds.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use slither::ConfigError;

use crate::jsonl::{self, Line};

/// A text with a name to report it by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// The file's name, with the line for a `.jsonl` file.
    pub name: String,
    /// The text.
    pub text: String,
}

/// Documents that have been checked and counted, and can be read any number of times.
#[derive(Debug, Clone)]
pub struct Documents {
    parts: Vec<Part>,
    count: u64,
}

#[derive(Debug, Clone)]
enum Part {
    Built(Document),
    Text(PathBuf),
    Lines(PathBuf),
}

type Read = Box<dyn Iterator<Item = Result<Document, ConfigError>> + Send>;

impl Documents {
    /// Documents that are in memory already.
    pub fn built_in(documents: impl IntoIterator<Item = Document>) -> Self {
        let parts: Vec<Part> = documents.into_iter().map(Part::Built).collect();
        Self { count: parts.len() as u64, parts }
    }

    /// A file or a folder, read through once to check and count it, in constant memory.
    ///
    /// # Errors
    /// If it is missing, of another kind, empty of documents, no UTF-8, or has a line that is no document; the
    /// message names the file and the line.
    pub fn open(path: &Path) -> Result<Self, ConfigError> {
        let mut parts = Vec::new();
        let metadata = fs::metadata(path).map_err(|error| unreadable(path, &error))?;
        if metadata.is_dir() {
            gather(path, &mut parts)?;
            if parts.is_empty() {
                return Err(ConfigError::new(format!("there is no document in {}", path.display()))
                    .hint("a folder is searched for files that end in .txt or .jsonl"));
            }
        } else {
            parts.push(part(path).ok_or_else(|| {
                ConfigError::new(format!("{} is neither a .txt nor a .jsonl file", path.display()))
                    .hint("a .txt file is one document, a .jsonl file one document a line")
            })?);
        }
        let mut documents = Self { parts, count: 0 };
        for document in documents.iter() {
            document?;
            documents.count += 1;
        }
        if documents.count == 0 {
            return Err(ConfigError::new(format!("there is no document in {}", path.display()))
                .hint("a .jsonl file holds one document a line; blank lines are passed over"));
        }
        Ok(documents)
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Reads them, in order; files in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = Result<Document, ConfigError>> + Send + use<> {
        self.parts.clone().into_iter().flat_map(|part| -> Read {
            match part {
                Part::Built(document) => Box::new(std::iter::once(Ok(document))),
                Part::Text(path) => Box::new(std::iter::once(whole(&path))),
                Part::Lines(path) => match lines(&path) {
                    Ok(lines) => Box::new(lines),
                    Err(error) => Box::new(std::iter::once(Err(unreadable(&path, &error)))),
                },
            }
        })
    }
}

fn gather(folder: &Path, parts: &mut Vec<Part>) -> Result<(), ConfigError> {
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut entries = entries.map_err(|error| unreadable(folder, &error))?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let path = entry.path();
        let kind = entry.file_type().map_err(|error| unreadable(&path, &error))?;
        if kind.is_dir() {
            gather(&path, parts)?;
        } else {
            parts.extend(part(&path));
        }
    }
    Ok(())
}

fn part(path: &Path) -> Option<Part> {
    let extension = path.extension()?.to_str()?.to_ascii_lowercase();
    match extension.as_str() {
        "txt" => Some(Part::Text(path.to_owned())),
        "jsonl" => Some(Part::Lines(path.to_owned())),
        _ => None,
    }
}

fn whole(path: &Path) -> Result<Document, ConfigError> {
    let size = fs::metadata(path).map_err(|error| unreadable(path, &error))?.len();
    if size > jsonl::LONGEST {
        return Err(jsonl::too_large(&path.display().to_string(), size));
    }
    let bytes = fs::read(path).map_err(|error| unreadable(path, &error))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        ConfigError::new(format!("{} is not UTF-8 text (byte {at})", path.display())).hint("save it as UTF-8")
    })?;
    Ok(Document { name: name(path), text })
}

fn lines(path: &Path) -> std::io::Result<impl Iterator<Item = Result<Document, ConfigError>> + Send + use<>> {
    let (name, path) = (name(path), path.to_owned());
    Ok(jsonl::lines(&path)?.map(move |line| {
        let Line { number, value } = line?;
        let text = match value {
            Value::String(text) => Some(text),
            Value::Object(mut fields) => match fields.remove("text") {
                Some(Value::String(text)) => Some(text),
                _ => None,
            },
            _ => None,
        };
        let expected = "expected an object with a `text` field that is text, or a bare string";
        let text = text.ok_or_else(|| {
            ConfigError::new(format!("{}: {expected}", jsonl::at(&path, number)))
                .hint("for example {\"text\": \"The words of one document.\"}")
        })?;
        Ok(Document { name: format!("{name}:{number}"), text })
    }))
}

pub(crate) fn name(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

pub(crate) fn unreadable(path: &Path, error: &std::io::Error) -> ConfigError {
    match error.kind() {
        std::io::ErrorKind::NotFound => {
            ConfigError::new(format!("there is no file or folder {}", path.display()))
                .hint("a relative path starts at the current folder")
        }
        _ => ConfigError::new(format!("{} cannot be read: {error}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refuse(name: &str, content: &[u8]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        let error = Documents::open(&path).unwrap_err().to_string();
        error.replace(&*folder.path().to_string_lossy(), "DIR")
    }

    #[test]
    fn a_folder_holds_both_kinds() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("b.txt"), "two").unwrap();
        fs::write(folder.path().join("a.jsonl"), "{\"text\": \"one\", \"more\": 1}\n\n\"bare\"\n").unwrap();
        fs::write(folder.path().join("c.md"), "no document").unwrap();
        let documents = Documents::open(folder.path()).unwrap();
        let read: Vec<_> = documents.iter().map(Result::unwrap).collect();
        let pairs: Vec<_> = read.iter().map(|it| (it.name.as_str(), it.text.as_str())).collect();
        assert_eq!(pairs, [("a.jsonl:1", "one"), ("a.jsonl:3", "bare"), ("b.txt", "two")]);
        assert_eq!(documents.count(), 3);
    }

    #[test]
    fn a_malformed_line_is_named() {
        assert_eq!(
            refuse("x.jsonl", b"\"fine\"\n{\"text\": \n"),
            "DIR/x.jsonl line 2, column 8: not JSON: EOF while parsing a value\n  hint: each line of a .jsonl file is one JSON value"
        );
        assert_eq!(
            refuse("x.jsonl", b"{\"body\": \"x\"}\n"),
            "DIR/x.jsonl line 1: expected an object with a `text` field that is text, or a bare string\n  hint: for example {\"text\": \"The words of one document.\"}"
        );
    }

    #[test]
    fn what_holds_no_document_is_refused() {
        assert!(refuse("x.jsonl", b"\n\n").starts_with("there is no document in DIR/x.jsonl"));
        assert!(refuse("x.csv", b"a,b").starts_with("DIR/x.csv is neither a .txt nor a .jsonl file"));
        assert!(refuse("x.txt", b"\xff").starts_with("DIR/x.txt is not UTF-8 text (byte 0)"));
        let empty = tempfile::tempdir().unwrap();
        assert!(
            Documents::open(empty.path()).unwrap_err().to_string().starts_with("there is no document in")
        );
        assert!(
            Documents::open(Path::new("/no/such/file"))
                .unwrap_err()
                .to_string()
                .starts_with("there is no file or folder /no/such/file")
        );
    }
}
