//! The Python of README and of the guides: it compiles, and what it asserts holds, with the SDK and without a worker.

use std::process::Command;

use slither::python::Interpreter;

use crate::pages::{pages, root};

#[test]
fn python_blocks_run_without_a_worker() {
    let python = Interpreter::find(None).unwrap();
    let mut ran = 0;
    for (page, blocks) in pages() {
        for block in blocks.iter().filter(|block| block.language == "python") {
            // Defining functions runs; calling what needs a worker is left to a worker.
            let alone = block.text.contains("\nimport ") || block.text.starts_with("import ") || block.text.contains("assert ");
            let program = if alone { block.text.clone() } else { format!("compile({:?}, 'block', 'exec')", block.text) };
            let done = Command::new(&python.executable)
                .args(["-W", "error", "-c", &program])
                .env("PYTHONPATH", root().join("python"))
                .env("PYTHONDONTWRITEBYTECODE", "1")
                .output()
                .unwrap();
            assert!(done.status.success(), "{page}:{}\n{}", block.line, String::from_utf8_lossy(&done.stderr));
            ran += 1;
        }
    }
    assert!(ran > 0, "the pages show some Python");
}
