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
            // Defining functions needs no worker; a block that calls what needs one says so behind its language.
            let program = match block.runs {
                true => block.text.clone(),
                false => format!("compile({:?}, 'block', 'exec')", block.text),
            };
            let done = Command::new(&python.executable)
                .args(["-W", "error", "-c", &program])
                .env("PYTHONPATH", root().join("python"))
                .env("PYTHONDONTWRITEBYTECODE", "1")
                .output()
                .unwrap();
            assert!(
                done.status.success(),
                "{page}:{}\n{}",
                block.line,
                String::from_utf8_lossy(&done.stderr)
            );
            ran += 1;
        }
    }
    assert!(ran > 0, "the pages show some Python");
}
