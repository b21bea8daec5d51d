//! Promise: what is claimed of libraries can be read, replaced by one's own claims, and held against an interpreter.

use std::fs;

use insta::assert_snapshot;
use serde_json::Value;

use crate::support::{Scratch, run, slither};

const OURS: &str = r#"
[[library]]
name = "json"
import = "json"
thread_safety = "safe"
without_gil = "stays_off"
native_threads = []
memory = "next to nothing"
recommend = "either"
because = "it is plain Python"
conditions = []
sources = ["its source"]

[[library]]
name = "no-such-library"
import = "no_such_library"
thread_safety = "unsafe"
without_gil = "unknown"
native_threads = []
memory = "unknown"
recommend = "processes"
because = "nobody has it"
conditions = []
sources = ["nobody"]
"#;

fn library<'a>(all: &'a Value, name: &str) -> &'a Value {
    let libraries = all["libraries"].as_array().unwrap();
    libraries.iter().find(|library| library["name"] == name).unwrap_or_else(|| panic!("{name}: {all}"))
}

#[test]
fn all_libraries_stand_in_a_table_and_one_in_full() {
    let ended = run(slither(&["matrix"]));
    assert_eq!(ended.code(), Some(0), "{ended}");
    let row = ended.stdout.lines().find(|line| line.trim_start().starts_with("pandas ")).unwrap();
    assert!(row.contains("unsafe") && row.contains("processes"), "{row}");
    assert_snapshot!(run(slither(&["matrix", "lxml.html"])).snapshot(&[]), @r#"
    exit code: 0
    ----- stdout -----
    lxml
      belongs in      processes: importing it turns the GIL on, and a pool of threads is down to one slot
      in threads      conditional
      without a GIL   importing it turns the GIL on (6.1.3 on CPython 3.14t: importing lxml.etree turned the GIL on)
      native threads  none
      memory          4 MiB a process
      conditions      with a GIL, trees may be parsed at once; one tree belongs to one thread
      sources         https://lxml.de/FAQ.html#threading
    ----- stderr -----
    "#);
}

#[test]
fn what_an_interpreter_has_is_imported_and_what_it_lacks_is_said() {
    let scratch = Scratch::new();
    let file = scratch.path().join("ours.toml");
    fs::write(&file, OURS).unwrap();
    let mut command =
        slither(&["matrix", "json", "no-such-library", "--python", "python3", "--json", "--file"]);
    command.arg(&file);
    let found = run(command).json();
    let with_gil = found["python"]["gil_enabled"].as_bool().unwrap();
    let json = &library(&found, "json")["looked"];
    assert_eq!(json["version"], "standard library", "{found}");
    assert_eq!((json["gil_before"].as_bool(), json["error"].as_str()), (Some(with_gil), None), "{found}");
    assert!(json["memory"].is_u64() && json["seconds"].is_f64(), "{found}");
    assert_eq!(library(&found, "no-such-library")["looked"], Value::Null, "{found}");
}

#[test]
fn what_cannot_be_read_or_is_not_known_is_named() {
    let scratch = Scratch::new();
    let file = scratch.path().join("ours.toml");
    fs::write(&file, OURS.replace("\"unsafe\"", "\"perhaps\"")).unwrap();
    let mut command = slither(&["matrix", "--file"]);
    command.arg(&file);
    assert_snapshot!(run(command).snapshot(&[(scratch.path(), "DIR")]), @r#"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: DIR/ours.toml: not a matrix: TOML parse error at line 17, column 17
       |
    17 | thread_safety = "perhaps"
       |                 ^^^^^^^^^
    unknown variant `perhaps`, expected one of `safe`, `conditional`, `unsafe`
    "#);
    assert_snapshot!(run(slither(&["matrix", "panda"])).snapshot(&[]), @r#"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: nothing is known of a library `panda`
      hint: did you mean `pandas`?
    "#);
    assert_snapshot!(run(slither(&["matrix", "--python", "/no/python"])).snapshot(&[]), @r#"
    exit code: 2
    ----- stdout -----
    ----- stderr -----
    error: /no/python is not a python that works: there is no such file
      hint: give the path of a python 3.10 or newer, or install one: `uv python install 3.12`
    "#);
}
