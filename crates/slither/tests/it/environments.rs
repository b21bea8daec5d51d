//! Promise: a worker's Python is found or named, completed in the cache once, and the user's own is left alone.
#![allow(clippy::unwrap_used, reason = "the helpers of tests may fail as the tests do")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use slither::python::{
    Candidate, Diagnosis, Env, Environment, EnvironmentSpec, Interpreter, Origin, Progress, Traced, UvOrigin,
    diagnose_in,
};

/// A directory that goes with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("slither-environments-{}-{count}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        Self(dir.canonicalize().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// A shell script. A child writes it: a descriptor open for writing in this process could be inherited by a
    /// child of another test just then, and the script could not be run ("text file busy").
    fn script(&self, name: &str, body: &str) -> PathBuf {
        let path = self.path(name);
        let status = Command::new("/bin/sh")
            .args([
                "-c",
                r#"mkdir -p "${1%/*}" && printf '#!/bin/sh\n%s\n' "$2" > "$1" && chmod +x "$1""#,
                "sh",
            ])
            .args([path.as_os_str(), body.as_ref()])
            .status();
        assert!(status.unwrap().success());
        path
    }

    /// A program that answers the probe as a Python of this version would.
    fn fake_python(&self, name: &str, version: &str, msgspec: Option<&str>) -> PathBuf {
        let path = self.path(name);
        let prefix = path.parent().unwrap();
        let answer = serde_json::json!({
            "version": version, "implementation": "cpython", "executable": path, "prefix": prefix,
            "base_prefix": prefix, "base_executable": null, "free_threaded": false, "gil_enabled": true,
            "platform": "linux-x86_64", "soabi": null, "msgspec": msgspec, "pip": false, "pip_wheel": null,
        });
        self.script(name, &format!("echo '{answer}'"))
    }

    /// A `uv` that says its version, logs each installation, and then does `body` with the target in `$t`.
    fn fake_uv(&self, body: &str) -> PathBuf {
        let log = self.path("uv.log");
        let body = format!(
            r#"[ "$1" = --version ] && {{ echo "uv 0.9.9 (fake)"; exit; }}
echo "$@" >> {log}
t=; while [ $# -gt 0 ]; do [ "$1" = --target ] && t=$2; shift; done
{body}"#,
            log = log.display()
        );
        self.script("uv-bin/uv", &body);
        self.path("uv-bin")
    }

    fn installations(&self) -> usize {
        fs::read_to_string(self.path("uv.log")).map_or(0, |log| log.lines().count())
    }

    /// Variables that keep everything inside this directory; `path` is searched before the system's tools.
    fn env(&self, path: &[&Path]) -> Env {
        let path = path.iter().map(|dir| dir.to_path_buf()).chain([self.tools()]);
        let mut env = Env::from_variables([
            ("PATH", std::env::join_paths(path).unwrap()),
            ("HOME", self.path("home").into_os_string()),
            ("SLITHER_CACHE_DIR", self.path("cache").into_os_string()),
        ]);
        // Ample, since the machine may be busy; the tests of the limits set their own.
        env.probe_timeout = Duration::from_secs(60);
        env
    }

    /// The few programs that the fake ones use, without whatever else is in `/usr/bin`.
    fn tools(&self) -> PathBuf {
        let tools = self.path("tools");
        fs::create_dir_all(&tools).unwrap();
        for name in ["sleep", "mkdir", "touch"] {
            let _ = symlink(Path::new("/bin").join(name), tools.join(name));
        }
        tools
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const INSTALLS: &str = r#"mkdir -p "$t/msgspec" && touch "$t/msgspec/__init__.py""#;

/// What preparing said.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Told {
    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap().clone()
    }
}

impl Progress for Told {
    fn line(&self, line: &str) {
        self.0.lock().unwrap().push(line.to_owned());
    }
}

fn prepare(env: &Env, requirements: &[&str]) -> Result<Environment, String> {
    let requirements = requirements.iter().map(|&text| text.to_owned()).collect();
    let spec = EnvironmentSpec { python: None, requirements };
    Environment::prepare_in(env, &spec, &Traced).map_err(|error| error.to_string())
}

fn found(env: &Env, setting: Option<&Path>) -> Result<PathBuf, String> {
    Interpreter::find_in(env, setting).map(|found| found.executable).map_err(|error| error.to_string())
}

#[test]
fn what_is_named_comes_before_what_is_found() {
    let scratch = Scratch::new();
    let variable = scratch.fake_python("variable/python", "3.12.1", None);
    let setting = scratch.fake_python("setting/python", "3.12.1", None);
    let venv = scratch.fake_python("venv/bin/python", "3.12.1", None);
    let python3 = scratch.fake_python("three/python3", "3.12.1", None);
    let python = scratch.fake_python("plain/python", "3.12.1", None);
    let dirs = [scratch.path("plain"), scratch.path("three")];

    let env = scratch.env(&[&dirs[0]]);
    assert_eq!(found(&env, None), Ok(python));
    let env = scratch.env(&[&dirs[0], &dirs[1]]);
    assert_eq!(found(&env, None), Ok(python3.clone()));
    let env = env.with("VIRTUAL_ENV", scratch.path("venv"));
    assert_eq!(found(&env, None), Ok(venv));
    assert_eq!(found(&env, Some(&setting)), Ok(setting.clone()));
    assert_eq!(found(&env, Some(Path::new("python3"))), Ok(python3));
    let env = env.with("SLITHER_PYTHON", &variable);
    assert_eq!(found(&env, Some(&setting)), Ok(variable));
}

#[test]
fn a_bad_name_is_an_error_and_not_passed_over() {
    let scratch = Scratch::new();
    scratch.fake_python("good/python3", "3.12.1", None);
    let env = scratch.env(&[&scratch.path("good")]);
    let bad = env.clone().with("SLITHER_PYTHON", "/no/such/python");
    assert_eq!(
        found(&bad, None).unwrap_err(),
        "SLITHER_PYTHON names /no/such/python as the python to use, but: there is no such file\n  \
         hint: give the path of a python 3.10 or newer, or unset it; \
         while SLITHER_PYTHON is set, no other python is tried"
    );
    assert_eq!(
        found(&env, Some(Path::new("python9"))).unwrap_err().lines().next().unwrap(),
        "the pool's setting names python9 as the python to use, but: there is no such program on PATH"
    );
    let bad = env.clone().with("SLITHER_PYTHON", "/bin/true");
    assert!(found(&bad, None).unwrap_err().contains("but: it ran, but did not answer as python does"));
    let bad = env.clone().with("SLITHER_PYTHON", "/bin/false");
    assert!(found(&bad, None).unwrap_err().contains("but: it exited with code 1"));
    let venv = scratch.fake_python("venv/bin/python", "3.12.1", None);
    let bad = env.with("SLITHER_PYTHON", scratch.path("venv"));
    assert!(
        found(&bad, None)
            .unwrap_err()
            .contains(&format!("it is a directory; did you mean {}?", venv.display()))
    );
}

#[test]
fn a_python_that_is_too_old_is_named_with_what_to_do() {
    let scratch = Scratch::new();
    let old = scratch.fake_python("bin/python3", "3.9.2", None);
    let env = scratch.env(&[&scratch.path("bin")]);
    assert_eq!(
        found(&env, None).unwrap_err(),
        format!(
            "python 3.9.2 at {} is too old: slither needs 3.10 or newer\n  hint: run `uv python install 3.12` and \
             set SLITHER_PYTHON=$(uv python find 3.12), or set SLITHER_PYTHON to one that you have",
            old.display()
        )
    );
    // With a newer one in reach, the hint names that.
    let newer = scratch.fake_python("more/python3.12", "3.12.1", None);
    let env = scratch.env(&[&scratch.path("bin"), &scratch.path("more")]);
    let error = found(&env, None).unwrap_err();
    assert_eq!(error.lines().last().unwrap(), format!("  hint: set SLITHER_PYTHON={}", newer.display()));
    let named = env.with("SLITHER_PYTHON", &old);
    assert!(found(&named, None).unwrap_err().contains("3.10 or newer (SLITHER_PYTHON names it)\n"));
}

#[test]
fn a_broken_virtual_environment_is_passed_over_and_reported() {
    let scratch = Scratch::new();
    let python = scratch.fake_python("bin/python3", "3.12.1", Some("0.19.0"));
    let gone = scratch.path("gone");
    let env = scratch.env(&[&scratch.path("bin")]).with("VIRTUAL_ENV", &gone);
    assert_eq!(found(&env, None), Ok(python));
    let diagnosis = diagnose_in(&env);
    assert_eq!(diagnosis.problems.len(), 1, "{:?}", diagnosis.problems);
    assert_eq!(
        diagnosis.problems[0].problem,
        format!("VIRTUAL_ENV is passed over: {}/bin/python: there is no such file", gone.display())
    );
    assert_eq!(diagnosis.problems[0].mend, "unset VIRTUAL_ENV");
}

#[test]
fn without_any_python_each_place_is_listed() {
    let scratch = Scratch::new();
    let env = scratch.env(&[]).with("VIRTUAL_ENV", "/gone");
    assert_eq!(
        found(&env, None).unwrap_err(),
        "no python was found: slither needs CPython 3.10 or newer\n  \
         SLITHER_PYTHON: not set\n  \
         the pool's setting: not set\n  \
         VIRTUAL_ENV: /gone/bin/python: there is no such file\n  \
         PATH: no python3\n  \
         PATH: no python\n  \
         hint: run `uv python install 3.12` and set SLITHER_PYTHON=$(uv python find 3.12)"
    );
}

#[test]
fn a_python_that_hangs_is_given_up_on() {
    let scratch = Scratch::new();
    let hanging = scratch.script("python", "sleep 1000");
    let mut env = scratch.env(&[]);
    env.probe_timeout = Duration::from_millis(200);
    let started = Instant::now();
    let error = Interpreter::probe_in(&env, &hanging).unwrap_err();
    assert!(error.message().ends_with("it did not finish within 0.2 s"), "{error}");
    assert!(started.elapsed() < Duration::from_secs(30));
}

#[test]
fn discovery_lists_an_interpreter_once_and_its_faults_as_data() {
    let scratch = Scratch::new();
    let python = scratch.fake_python("bin/python3.12", "3.12.1", None);
    symlink(&python, scratch.path("bin/python3")).unwrap();
    scratch.fake_python("old/python3.9", "3.9.2", None);
    let env = scratch.env(&[&scratch.path("bin"), &scratch.path("old")]);
    let candidates: Vec<Candidate> = Interpreter::discover_all_in(&env, None);
    let seen: Vec<_> = candidates.iter().map(|found| (found.origin, found.usable())).collect();
    assert_eq!(seen, [(Origin::Path, true), (Origin::Path, false)], "{candidates:?}");
    assert!(candidates[1].interpreter.is_some());
}

#[test]
fn an_interpreter_with_msgspec_needs_nothing() {
    let scratch = Scratch::new();
    scratch.fake_python("bin/python3", "3.12.1", Some("0.18.6"));
    let env = scratch.env(&[&scratch.path("bin")]).with("SLITHER_OFFLINE", "1");
    let environment = prepare(&env, &[]).unwrap();
    assert_eq!(environment.overlay, None);
    assert!(environment.sdk.join("slither/__init__.py").is_file());
    assert!(environment.sdk.join("slither/py.typed").is_file());
}

#[test]
fn requirements_that_the_interpreter_meets_need_nothing() {
    let scratch = Scratch::new();
    let probe = scratch.path("probe");
    fs::rename(scratch.fake_python("bin/python3", "3.12.1", Some("0.19.0")), &probe).unwrap();
    let answers =
        format!("case $2 in *metadata*) echo '{{\"numpy\": \"2.1.0\"}}';; *) {};; esac", probe.display());
    scratch.script("bin/python3", &answers);
    let env = scratch.env(&[&scratch.path("bin")]).with("SLITHER_OFFLINE", "1");
    assert_eq!(prepare(&env, &["numpy>=2"]).unwrap().overlay, None);
    assert!(prepare(&env, &["numpy>=2.2"]).is_err());
    assert!(prepare(&env, &["numpy>=2", "scipy"]).is_err());
}

#[test]
fn offline_nothing_is_tried() {
    let scratch = Scratch::new();
    let python = scratch.fake_python("bin/python3", "3.12.1", None);
    let uv = scratch.fake_uv(INSTALLS);
    let env = scratch.env(&[&scratch.path("bin"), &uv]).with("SLITHER_OFFLINE", "1");
    let python = python.display();
    assert_eq!(
        prepare(&env, &[]).unwrap_err(),
        format!(
            "python 3.12.1 at {python} lacks msgspec>=0.18.6, and SLITHER_OFFLINE is set\n  \
             hint: run `slither setup` while online, install msgspec into that python, \
             or set SLITHER_PYTHON to one that has it"
        )
    );
    assert_eq!(
        prepare(&env, &["scipy>=1", "numpy"]).unwrap_err(),
        format!(
            "python 3.12.1 at {python} lacks msgspec>=0.18.6, numpy, scipy>=1, and SLITHER_OFFLINE is set\n  \
             hint: run `slither setup numpy 'scipy>=1'` while online, install msgspec, numpy, scipy into that \
             python, or set SLITHER_PYTHON to one that has them"
        )
    );
    assert_eq!(scratch.installations(), 0);
}

#[test]
fn what_uv_says_is_passed_on() {
    let scratch = Scratch::new();
    let python = scratch.fake_python("bin/python3", "3.12.1", None);
    let uv = scratch.fake_uv("echo 'error: nothing known of numpy at https://me:secret@index/' >&2; exit 2");
    let env = scratch.env(&[&scratch.path("bin"), &uv]);
    assert_eq!(
        prepare(&env, &["numpy>=99", "scipy"]).unwrap_err(),
        format!(
            "numpy>=99 could not be installed for python 3.12.1 at {}: uv exited with code 2\n  \
             uv: error: nothing known of numpy at https://****@index/\n  \
             hint: run `slither setup 'numpy>=99' scipy` while online, install msgspec, numpy, scipy into that \
             python, or set SLITHER_PYTHON to one that has them",
            python.display()
        )
    );
    // Nothing half-made is taken for an overlay.
    assert_eq!(fs::read_dir(scratch.path("cache/overlays")).unwrap().count(), 0);
}

#[test]
fn an_installation_that_hangs_is_killed() {
    let scratch = Scratch::new();
    scratch.fake_python("bin/python3", "3.12.1", None);
    let uv = scratch.fake_uv("sleep 1000");
    let mut env = scratch.env(&[&scratch.path("bin"), &uv]);
    env.install_timeout = Duration::from_millis(300);
    let error = prepare(&env, &[]).unwrap_err();
    assert!(error.contains("uv did not finish within 0.3 s"), "{error}");
}

#[test]
fn a_cache_that_cannot_be_made_is_named() {
    let scratch = Scratch::new();
    scratch.fake_python("bin/python3", "3.12.1", Some("0.19.0"));
    let file = scratch.script("file", "");
    let env = scratch.env(&[&scratch.path("bin")]).with("SLITHER_CACHE_DIR", file.join("cache"));
    let error = prepare(&env, &[]).unwrap_err();
    assert!(
        error.starts_with(&format!("slither's cache {}/cache cannot be written to", file.display())),
        "{error}"
    );
    assert!(error.contains("hint: set SLITHER_CACHE_DIR"), "{error}");
}

#[test]
fn cancelling_gives_up_and_leaves_nothing() {
    struct Cancelled;
    impl Progress for Cancelled {
        fn line(&self, _line: &str) {}
        fn cancelled(&self) -> bool {
            true
        }
    }
    let scratch = Scratch::new();
    scratch.fake_python("bin/python3", "3.12.1", None);
    let uv = scratch.fake_uv("sleep 1000");
    let env = scratch.env(&[&scratch.path("bin"), &uv]);
    let error = Environment::prepare_in(&env, &EnvironmentSpec::default(), &Cancelled).unwrap_err();
    assert!(error.message().contains("uv was cancelled"), "{error}");
    assert_eq!(fs::read_dir(scratch.path("cache/overlays")).unwrap().count(), 0);
}

/// Not a test of its own: what the tests below run as a process, with the scratch directory in a variable.
#[test]
fn as_a_child() {
    if let Some(dir) = std::env::var_os("SLITHER_TEST_SCRATCH") {
        let scratch = std::mem::ManuallyDrop::new(Scratch(PathBuf::from(dir)));
        let env = scratch.env(&[&scratch.path("bin"), &scratch.path("uv-bin")]);
        prepare(&env, &[]).unwrap();
    }
}

fn child(scratch: &Scratch) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "environments::as_a_child"])
        .env("SLITHER_TEST_SCRATCH", &scratch.0)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

#[test]
fn eight_processes_at_once_install_once() {
    let scratch = Scratch::new();
    scratch.fake_python("bin/python3", "3.12.1", None);
    scratch.fake_uv(&format!("sleep 1; {INSTALLS}"));
    let children: Vec<Child> = (0..8).map(|_| child(&scratch)).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(scratch.installations(), 1);
}

#[test]
fn eight_threads_at_once_install_once_and_the_others_say_that_they_wait() {
    let scratch = Scratch::new();
    scratch.fake_python("bin/python3", "3.12.1", None);
    // It is done when one of the others waits.
    let waits = scratch.path("waits");
    let uv = scratch.fake_uv(&format!("while [ ! -e {} ]; do sleep 0.01; done; {INSTALLS}", waits.display()));
    let mut env = scratch.env(&[&scratch.path("bin"), &uv]);
    env.install_timeout = Duration::from_secs(120);
    let told = Told::default();
    let tell = |line: &str| {
        told.line(line);
        if line.starts_with("waiting for another process") {
            fs::write(&waits, "").unwrap();
        }
    };
    let start = std::sync::Barrier::new(8);
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                start.wait();
                Environment::prepare_in(&env, &EnvironmentSpec::default(), &tell).unwrap();
            });
        }
    });
    assert_eq!(scratch.installations(), 1);
    let lines = told.lines();
    assert!(lines.contains(&"installing msgspec for python 3.12.1 (once)…".to_owned()), "{lines:?}");
    assert!(lines.iter().any(|line| line.starts_with("waiting for another process")), "{lines:?}");
}

#[test]
fn after_a_kill_in_the_middle_the_next_one_succeeds() {
    let scratch = Scratch::new();
    scratch.fake_python("bin/python3", "3.12.1", None);
    // It says through a pipe that it is in the middle, with half of it done.
    let pipe = scratch.path("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    scratch.fake_uv(&format!(r#"touch "$t/half"; echo $$ > {}; sleep 1000"#, pipe.display()));
    let mut victim = child(&scratch);
    let uv = fs::read_to_string(&pipe).unwrap();
    victim.kill().unwrap();
    victim.wait().unwrap();
    let killed = Command::new("kill").args(["-9", "--", &format!("-{}", uv.trim())]).status().unwrap();
    assert!(killed.success());

    let uv = scratch.fake_uv(INSTALLS);
    let env = scratch.env(&[&scratch.path("bin"), &uv]);
    let overlay = prepare(&env, &[]).unwrap().overlay.unwrap();
    assert!(overlay.join("msgspec/__init__.py").is_file());
    assert!(!overlay.join("half").exists());
    // What the victim had begun is gone as well.
    assert_eq!(fs::read_dir(scratch.path("cache/overlays")).unwrap().count(), 1);
}

/// The real tools, on a virtual environment without msgspec; `None` if the machine is said to be offline.
fn real(scratch: &Scratch, options: &[&str]) -> Option<(PathBuf, Env)> {
    let process = Env::from_process();
    if process.offline() {
        return None;
    }
    let venv = scratch.path("venv");
    let made = Command::new("python3").args(["-m", "venv"]).args(options).arg(&venv).status().unwrap();
    assert!(made.success());
    let mut env = process
        .without("SLITHER_PYTHON")
        .without("PYTHONPATH")
        .with("VIRTUAL_ENV", &venv)
        .with("SLITHER_CACHE_DIR", scratch.path("cache"));
    env.probe_timeout = Duration::from_secs(60);
    Some((venv, env))
}

/// Every file with its contents: what must not change.
fn contents(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() {
            all.extend(contents(&path));
        } else {
            all.push((path.clone(), fs::read(&path).unwrap_or_default()));
        }
    }
    all.sort();
    all
}

#[test]
fn a_virtual_environment_is_completed_beside_itself() {
    let scratch = Scratch::new();
    let Some((venv, env)) = real(&scratch, &["--without-pip"]) else { return };
    let before = contents(&venv);
    let told = Told::default();
    let environment = Environment::prepare_in(&env, &EnvironmentSpec::default(), &told).unwrap();
    assert_eq!(environment.interpreter.executable, venv.join("bin/python"));
    let lines = told.lines();
    assert!(
        lines.last().is_some_and(|line| line.starts_with("installing msgspec for python 3.")),
        "{lines:?}"
    );

    // The second time all is there: no line, no network.
    let offline = env.clone().with("SLITHER_OFFLINE", "1");
    let told = Told::default();
    let again = Environment::prepare_in(&offline, &EnvironmentSpec::default(), &told).unwrap();
    assert_eq!((told.lines(), &again), (Vec::new(), &environment));

    let overlay = environment.overlay.as_ref().unwrap();
    let script = "import json, sys, msgspec, slither; \
                  print(json.dumps([msgspec.__file__, slither.__file__, sys.path[:2]]))";
    // A module stands in for the SDK's nursery, beside the SDK.
    let module = scratch.path("home");
    fs::create_dir_all(&module).unwrap();
    fs::write(module.join("shown.py"), format!("def main():\n    {script}\n")).unwrap();
    let shown = environment.command("shown").env("PYTHONPATH", &module).output().unwrap();
    let shown: (PathBuf, PathBuf, Vec<PathBuf>) = serde_json::from_slice(&shown.stdout).unwrap();
    assert!(shown.0.starts_with(overlay), "{shown:?}");
    assert!(shown.1.starts_with(&environment.sdk), "{shown:?}");
    assert_eq!(shown.2, [environment.sdk.clone(), overlay.clone()]);
    assert_eq!(contents(&venv), before);
}

#[test]
fn uv_is_fetched_where_there_is_none_and_the_venv_is_left_alone() {
    let scratch = Scratch::new();
    // With a pip of its own in the environment, and then with none anywhere but in ensurepip.
    for options in [[].as_slice(), &["--without-pip", "--clear"]] {
        let Some((venv, env)) = real(&scratch, options) else { return };
        let env = env
            .with("PATH", scratch.tools())
            .with("SLITHER_CACHE_DIR", scratch.path(&options.len().to_string()));
        let before = contents(&venv);
        let environment = prepare(&env, &[]).unwrap();
        assert!(environment.overlay.unwrap().join("msgspec/__init__.py").is_file());
        assert_eq!(contents(&venv), before);
        let diagnosis: Diagnosis = diagnose_in(&env);
        assert_eq!(diagnosis.uv.unwrap().origin, UvOrigin::Cache);
        assert!(diagnosis.problems.is_empty(), "{:?}", diagnosis.problems);
        assert!(diagnosis.cache.unwrap().bytes > 0);
    }
}

#[test]
fn a_diagnosis_names_the_command_that_mends() {
    let scratch = Scratch::new();
    let python = scratch.fake_python("bin/python3", "3.12.1", None);
    let uv = scratch.fake_uv(INSTALLS);
    let env = scratch.env(&[&scratch.path("bin"), &uv]);
    let diagnosis = serde_json::to_value(diagnose_in(&env)).unwrap();
    assert_eq!(
        diagnosis["problems"],
        serde_json::json!([{
            "problem": format!("python 3.12.1 at {} lacks msgspec>=0.18.6", python.display()),
            "mend": "slither setup",
        }])
    );
    assert_eq!(diagnosis["uv"]["version"], "0.9.9");
    prepare(&env, &[]).unwrap();
    assert!(diagnose_in(&env).problems.is_empty());

    let env = env.with("SLITHER_PYTHON", "/no/such/python");
    let problems = diagnose_in(&env).problems;
    assert_eq!(problems[0].mend, "unset SLITHER_PYTHON", "{problems:?}");
}
