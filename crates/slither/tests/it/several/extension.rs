//! An extension module that turns the GIL on, built where it is needed.

use std::path::Path;
use std::process::Command;

/// A tiny extension module that does not say that it can do without the GIL.
pub(crate) fn extension(python: &Path, folder: &str) -> String {
    let folder = Path::new(folder);
    let source = folder.join("needy.c");
    std::fs::write(
        &source,
        "#include <Python.h>\n\
         static PyModuleDef_Slot slots[] = {{0, NULL}};\n\
         static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, \"needy\", NULL, 0, NULL, slots, NULL, NULL, NULL};\n\
         PyMODINIT_FUNC PyInit_needy(void) { return PyModuleDef_Init(&module); }\n",
    )
    .unwrap();
    let out = Command::new(python)
        .args(["-c", "import sysconfig as s; print(s.get_path('include'), s.get_config_var('EXT_SUFFIX'))"])
        .output()
        .unwrap();
    let said = String::from_utf8(out.stdout).unwrap();
    let (include, suffix) = said.trim().split_once(' ').unwrap();
    let library = folder.join(format!("needy{suffix}"));
    let built = Command::new("cc")
        .args(["-shared", "-fPIC", "-I", include])
        .arg(&source)
        .arg("-o")
        .arg(&library)
        .output()
        .expect("a C compiler is there");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    library.to_string_lossy().into_owned()
}
