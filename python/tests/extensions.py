"""Extension modules for tests, built on the spot: one that can do without the GIL, and one that does not say so."""

from __future__ import annotations

import shutil
import subprocess
import sysconfig
from pathlib import Path

import pytest

_SOURCE = """
#include <Python.h>
#define NAME "{name}"
static int fill(PyObject *module) {{
    {imports}
    return PyModule_AddIntConstant(module, "answer", 42);
}}
static PyModuleDef_Slot slots[] = {{
    {{Py_mod_exec, (void *)fill}},
    {gil}
    {{0, NULL}}
}};
static struct PyModuleDef definition = {{PyModuleDef_HEAD_INIT, .m_name = NAME, .m_size = 0, .m_slots = slots}};
PyMODINIT_FUNC PyInit_{stem}(void) {{ return PyModuleDef_Init(&definition); }}
"""


def compiler() -> str:
    """The C compiler, or a skip that says why."""
    found = shutil.which("cc") or shutil.which("gcc")
    if found is None:
        print("not run: there is no C compiler to build an extension module with")
        pytest.skip("no C compiler")
    return found


def build(folder: Path, name: str, declares: bool, imports: str = "") -> None:
    """Build the module `name` into `folder`; it imports `imports`, if that is not empty, when it is loaded."""
    stem = name.rpartition(".")[2]
    place = folder.joinpath(*name.split(".")[:-1])
    place.mkdir(parents=True, exist_ok=True)
    if place != folder:
        place.joinpath("__init__.py").touch()
    gil = "{Py_mod_gil, Py_MOD_GIL_NOT_USED}," if declares else ""
    load = f'if (PyImport_ImportModule("{imports}") == NULL) return -1;' if imports else ""
    source = place / f"{stem}.c"
    source.write_text(_SOURCE.format(name=name, stem=stem, gil=gil, imports=load))
    target = place / (stem + sysconfig.get_config_var("EXT_SUFFIX"))
    include = sysconfig.get_path("include")
    subprocess.run([compiler(), "-shared", "-fPIC", "-I", include, "-o", target, source], check=True)
