//! README and the first guide, followed word for word in a crate outside the workspace: their `Cargo.toml`, their
//! Python and their programs, which must print what the page says that they print.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::pages::{Block, pages, root};
use crate::support::Folder;

/// The pages whose programs belong to a crate with a `python` folder; the other guides' run as doc tests.
const PAGES: [&str; 3] = ["readme", "getting-started", "threaded-workers"];

struct Program {
    /// The binary's name, which is also that of the folder it runs in.
    page: String,
    name: String,
    prints: String,
    line: usize,
}

#[test]
fn the_programs_of_the_pages_print_what_the_pages_say() {
    let folder = Folder::new();
    let project = folder.path("");
    let project = Path::new(&project);
    fs::create_dir_all(project.join("src/bin")).unwrap();
    fs::copy(root().join("Cargo.lock"), project.join("Cargo.lock")).unwrap();

    let mut manifest = None;
    let mut programs = Vec::new();
    for (page, blocks) in pages().into_iter().filter(|(page, _)| PAGES.contains(&page.as_str())) {
        fs::create_dir_all(project.join(&page).join("python")).unwrap();
        for (at, block) in blocks.iter().enumerate() {
            match block.language.as_str() {
                "toml" if manifest.is_none() => manifest = Some(dependencies(block)),
                "python" => write_module(&project.join(&page), block),
                "rust" if block.text.contains("fn main()") => {
                    let name = format!("{}_{at}", page.replace('-', "_"));
                    fs::write(project.join(format!("src/bin/{name}.rs")), &block.text).unwrap();
                    let said = blocks.get(at + 1).filter(|next| next.above.ends_with("prints:"));
                    let prints = said.unwrap_or_else(|| panic!("{page}:{}: prints what?", block.line));
                    let prints = prints.text.clone();
                    programs.push(Program { page: page.clone(), name, prints, line: block.line });
                }
                _ => {}
            }
        }
    }
    let mut manifest = manifest.expect("README says what goes into Cargo.toml");
    manifest.push_str(
        "\n[package]\nname = \"scratch\"\nedition = \"2024\"\n\n[workspace]\n\n[profile.dev]\ndebug = 0\n",
    );
    fs::write(project.join("Cargo.toml"), manifest).unwrap();

    build(project);
    for Program { page, name, prints, line } in &programs {
        let program = target().join("debug").join(name);
        let ran = Command::new(program).current_dir(project.join(page)).output().unwrap();
        let stderr = String::from_utf8_lossy(&ran.stderr);
        assert!(ran.status.success(), "{page}:{line}: {}\n{stderr}", ran.status);
        assert_eq!(String::from_utf8_lossy(&ran.stdout), *prints, "{page}:{line}\n{stderr}");
    }
    assert!(programs.iter().any(|program| program.page == "readme"));
}

/// The page's lines for `Cargo.toml`, with this checkout in the place of the reader's.
fn dependencies(block: &Block) -> String {
    let mut lines = String::new();
    for line in block.text.lines() {
        let _ = match line.strip_prefix("slither = ") {
            Some(_) => writeln!(lines, "slither = {{ path = {:?} }}", env!("CARGO_MANIFEST_DIR")),
            None => writeln!(lines, "{line}"),
        };
    }
    lines
}

/// A block that begins with `# python/name.py` is that file.
fn write_module(folder: &Path, block: &Block) {
    let first = block.text.lines().next().unwrap_or_default();
    if let Some(path) = first.strip_prefix("# ").filter(|path| path.ends_with(".py")) {
        fs::write(folder.join(path), &block.text).expect("the folder is there");
    }
}

/// Kept from one run of the tests to the next, so that only the programs are compiled again.
fn target() -> &'static Path {
    Path::new(concat!(env!("CARGO_TARGET_TMPDIR"), "/scratch"))
}

fn build(project: &Path) {
    let built = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--offline", "--bins"])
        .current_dir(project)
        .env("CARGO_TARGET_DIR", target())
        .env_remove("RUSTFLAGS")
        .output()
        .expect("cargo is there, for it runs this test");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
}
