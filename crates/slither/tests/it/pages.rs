//! The pages that users read, as their code blocks: what the tests of README and guides take apart.

use std::path::PathBuf;

/// A fenced block of a page.
#[derive(Debug)]
pub(crate) struct Block {
    /// What stands behind the opening fence, up to the first comma: `rust`, `python`, `text`, `toml`.
    pub(crate) language: String,
    /// Whether `no_run` does not stand there.
    pub(crate) runs: bool,
    /// The packages that `requires=` names there, with `+` between them.
    pub(crate) requires: Vec<String>,
    /// The lines between the fences.
    pub(crate) text: String,
    /// The heading `##` that it stands under.
    pub(crate) section: String,
    /// The last line before it that is not empty.
    pub(crate) above: String,
    /// Where the opening fence stands, for messages.
    pub(crate) line: usize,
}

/// The repository's root.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
        .canonicalize()
        .expect("the tests run in the repository")
}

/// README and the guides, by name, with their blocks. A guide that is added is found.
pub(crate) fn pages() -> Vec<(String, Vec<Block>)> {
    let mut paths = vec![root().join("README.md")];
    let guides = std::fs::read_dir(root().join("guides")).expect("there are guides");
    let mut guides: Vec<_> = guides.map(|entry| entry.expect("a folder can be listed").path()).collect();
    guides.sort();
    paths.extend(guides.into_iter().filter(|path| path.extension().is_some_and(|it| it == "md")));
    let page = |path: PathBuf| {
        let name = path.file_stem().expect("a page has a name").to_string_lossy().to_lowercase();
        (name, blocks(&std::fs::read_to_string(&path).expect("a page is text")))
    };
    paths.into_iter().map(page).collect()
}

fn blocks(page: &str) -> Vec<Block> {
    let mut found: Vec<Block> = Vec::new();
    let (mut open, mut section, mut above) = (false, "", "");
    for (index, line) in page.lines().enumerate() {
        match (line.strip_prefix("```"), found.last_mut()) {
            (Some(_), _) if open => open = false,
            (Some(info), _) => {
                open = true;
                let language = info.split(',').next().unwrap_or_default().to_owned();
                let runs = !info.split(',').any(|word| word == "no_run");
                let requires = info.split(',').find_map(|word| word.strip_prefix("requires="));
                let requires = requires.iter().flat_map(|them| them.split('+')).map(str::to_owned).collect();
                let (section, above) = (section.to_owned(), above.to_owned());
                found.push(Block {
                    language,
                    runs,
                    requires,
                    text: String::new(),
                    section,
                    above,
                    line: index + 1,
                });
            }
            (None, Some(block)) if open => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            _ => {
                section = line.strip_prefix("## ").unwrap_or(section);
                above = if line.trim().is_empty() { above } else { line };
            }
        }
    }
    assert!(!open, "a block is not closed");
    found
}
