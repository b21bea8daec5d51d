"""Says what this interpreter is, as one line of JSON; must run on any Python, 2.7 included."""

import sys

# `-c` puts the working directory first: a user's json.py there must not answer for the interpreter. All else
# (PYTHONPATH, the user's site) stays, because a worker will see it too; that rules out -I.
if sys.path and sys.path[0] == "":
    del sys.path[0]

import json  # noqa: E402


def attempt(ask):
    try:
        return ask()
    except BaseException:
        return None


def implementation():
    return sys.implementation.name


def config(name):
    def ask():
        import sysconfig

        return sysconfig.get_config_var(name)

    return ask


def platform():
    import sysconfig

    return sysconfig.get_platform()


def msgspec():
    import msgspec

    return msgspec.__version__


def has_pip():
    import importlib.util

    return importlib.util.find_spec("pip") is not None


def pip_wheel():
    import glob
    import os
    import sysconfig

    import ensurepip

    # Distributions that unbundle the wheel name its directory in WHEEL_PKG_DIR.
    places = [os.path.join(os.path.dirname(ensurepip.__file__), "_bundled"), sysconfig.get_config_var("WHEEL_PKG_DIR")]
    wheels = [wheel for place in places if place for wheel in glob.glob(os.path.join(place, "pip-*.whl"))]
    return sorted(wheels)[-1] if wheels else None


answer = {
    "version": "%d.%d.%d" % sys.version_info[:3],
    "implementation": attempt(implementation) or "cpython",
    "executable": sys.executable or None,
    "base_executable": getattr(sys, "_base_executable", None),
    "prefix": sys.prefix,
    "base_prefix": getattr(sys, "base_prefix", sys.prefix),
    "free_threaded": bool(attempt(config("Py_GIL_DISABLED"))),
    # Asked before msgspec is imported: an extension module may switch the GIL on.
    "gil_enabled": getattr(sys, "_is_gil_enabled", lambda: True)(),
    "platform": attempt(platform) or sys.platform,
    "soabi": attempt(config("SOABI")),
    "pip": bool(attempt(has_pip)),
    "pip_wheel": attempt(pip_wheel),
    "msgspec": attempt(msgspec),
}
sys.stdout.write("\n" + json.dumps(answer) + "\n")
