//! The built command, run with a cache of its own, and the processes it starts.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Once;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;

/// How long anything may take before its test fails; ample, since the first to run may have to fetch packages.
pub(crate) const LIMIT: Duration = Duration::from_secs(120);

/// Lines of a long input: enough to be in the middle of it, and for debug builds not more.
pub(crate) const MANY: usize = if cfg!(debug_assertions) { 20_000 } else { 100_000 };

/// The command, with the cache that all tests share. What it needs is provided before the first use, so that no
/// test meets the lines that tell of it. An example is run without plain Python, which has tests of its own.
pub(crate) fn slither(args: &[&str]) -> Command {
    let mut command = whole(args);
    let runs = |arg: &str| !arg.starts_with('-') || ["--all", "--stdlib"].contains(&arg);
    if args.first() == Some(&"example") && args.get(1).is_some_and(|arg| runs(arg)) {
        command.arg("--no-baseline");
    }
    command
}

/// The same, with plain Python after an example.
pub(crate) fn whole(args: &[&str]) -> Command {
    static PROVIDED: Once = Once::new();
    PROVIDED.call_once(|| {
        // If it fails, so will the tests that run Python, and say why.
        let _ = prepared(&["setup"]).output();
    });
    prepared(args)
}

fn prepared(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_slither"));
    command
        .args(args)
        .env("SLITHER_CACHE_DIR", Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache"))
        .env_remove("SLITHER_LOG")
        .stdin(Stdio::null());
    command
}

/// `slither example text_analysis --input INPUT ARGS…`
pub(crate) fn text_analysis(input: &Path, args: &[&str]) -> Command {
    let mut command = slither(&["example", "text_analysis"]);
    command.arg("--input").arg(input).args(args);
    command
}

/// How a command ended and what it wrote.
pub(crate) struct Ended {
    status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// The one object on stdout.
    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.stdout.lines().count(), 1, "{self}");
        serde_json::from_str(&self.stdout).unwrap()
    }

    /// Code, stdout and stderr, with names in place of paths.
    pub(crate) fn snapshot(&self, paths: &[(&Path, &str)]) -> String {
        paths.iter().fold(self.to_string(), |text, (path, name)| text.replace(&*path.to_string_lossy(), name))
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.code() {
            Some(code) => write!(f, "exit code: {code}\n----- stdout -----\n")?,
            None => write!(f, "{}\n----- stdout -----\n", self.status)?,
        }
        write!(f, "{}----- stderr -----\n{}", self.stdout, self.stderr)
    }
}

/// Runs a command to its end.
pub(crate) fn run(mut command: Command) -> Ended {
    Running::start(&mut command).end()
}

/// A command that is running, in a process group of its own as a shell would start it.
pub(crate) struct Running {
    child: Child,
    stdout: Receiver<String>,
    lines: Receiver<String>,
    stderr: String,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        use std::os::unix::process::CommandExt as _;
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = command.spawn().unwrap();
        let (mut out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        let (sender, stdout) = sync_channel(1);
        thread::spawn(move || {
            let mut text = Vec::new();
            out.read_to_end(&mut text).unwrap();
            let _ = sender.send(String::from_utf8(text).unwrap());
        });
        // As many as a run with a long input writes with a debug log; the command is never held up.
        let (sender, lines) = sync_channel(1 << 20);
        thread::spawn(move || {
            BufReader::new(err).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
        });
        Self { child, stdout, lines, stderr: String::new() }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits for `count` lines on stderr that contain `what`.
    pub(crate) fn says(&mut self, what: &str, count: usize) {
        let until = Instant::now() + LIMIT;
        let mut seen = 0;
        while seen < count {
            let Ok(line) = self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) else {
                panic!("`{what}` was said {seen} times and not {count}: {}", self.stderr);
            };
            seen += usize::from(line.contains(what));
            let _ = writeln!(self.stderr, "{line}");
        }
    }

    /// Sends a signal to the group, as a terminal does.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process_group(pid(self.pid()), signal).unwrap();
    }

    /// Waits for the end.
    pub(crate) fn end(mut self) -> Ended {
        let until = Instant::now() + LIMIT;
        let stdout = self.stdout.recv_timeout(LIMIT).unwrap_or_else(|_| {
            let _ = self.child.kill();
            panic!("the command did not end: {}", self.stderr);
        });
        while let Ok(line) = self.lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            let _ = writeln!(self.stderr, "{line}");
        }
        Ended { status: self.child.wait().unwrap(), stdout, stderr: std::mem::take(&mut self.stderr) }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // A test that failed leaves nothing behind: the nursery sees its host die.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a signal to one process.
pub(crate) fn send(to: u32, signal: Signal) {
    kill_process(pid(to), signal).unwrap();
}

fn pid(number: u32) -> Pid {
    Pid::from_raw(i32::try_from(number).unwrap()).unwrap()
}

/// A process as `/proc` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    parent: u32,
    state: char,
    /// Processor time used, in hundredths of a second.
    pub(crate) used: u64,
}

impl Process {
    fn read(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name, in brackets, may hold anything.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
        Some(Self {
            pid,
            parent: u32::try_from(number(1)?).ok()?,
            state: fields.first()?.chars().next()?,
            used: number(11)? + number(12)?,
        })
    }

    fn all() -> Vec<Self> {
        let entries = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        entries.filter_map(|entry| Self::read(entry.file_name().to_str()?.parse().ok()?)).collect()
    }
}

/// The children of a process, the oldest first.
pub(crate) fn children(of: u32) -> Vec<Process> {
    let mut children: Vec<_> = Process::all().into_iter().filter(|process| process.parent == of).collect();
    children.sort_unstable_by_key(|process| process.pid);
    children
}

/// Children, their children, and so on: nurseries and workers.
pub(crate) fn descendants(of: u32) -> Vec<u32> {
    let all = Process::all();
    let mut family = vec![of];
    let mut next = 0;
    while let Some(parent) = family.get(next).copied() {
        family.extend(all.iter().filter(|process| process.parent == parent).map(|process| process.pid));
        next += 1;
    }
    family.split_off(1)
}

/// Waits until all of them have ended, at most as long as is promised.
pub(crate) fn gone(processes: &[u32], within: Duration) {
    let alive = |pid: &u32| Process::read(*pid).is_some_and(|process| !matches!(process.state, 'Z' | 'X'));
    eventually(
        within,
        || !processes.iter().any(alive),
        || {
            let left: Vec<_> = processes.iter().copied().filter(alive).collect();
            format!("still there: {left:?}")
        },
    );
}

/// Looks again and again until something holds.
pub(crate) fn eventually(within: Duration, mut holds: impl FnMut() -> bool, otherwise: impl Fn() -> String) {
    let until = Instant::now() + within;
    while !holds() {
        assert!(Instant::now() < until, "{}", otherwise());
        thread::park_timeout(Duration::from_millis(10));
    }
}

/// A folder that goes with the test.
pub(crate) struct Scratch(tempfile::TempDir);

impl Scratch {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// A `.jsonl` file of one document a line.
    pub(crate) fn jsonl(&self, name: &str, texts: impl IntoIterator<Item = String>) -> PathBuf {
        let mut content = String::new();
        for text in texts {
            let _ = writeln!(content, "{}", serde_json::json!({ "text": text }));
        }
        self.file(name, content)
    }

    /// A script that another process writes: a descriptor open for writing here could be inherited by a child
    /// of another test just then, and the script could not be run ("text file busy").
    pub(crate) fn script(&self, name: &str, body: &str) -> PathBuf {
        let path = self.path().join(name);
        let write = r#"printf '#!/bin/sh\n%s\n' "$2" > "$1" && chmod +x "$1""#;
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", write, "sh"]).args([path.as_os_str(), body.as_ref()]);
        assert!(shell.status().unwrap().success());
        path
    }

    /// A program that answers as a Python of this version would.
    pub(crate) fn python(&self, version: &str) -> PathBuf {
        let path = self.path().join("python");
        let answer = serde_json::json!({
            "version": version, "implementation": "cpython", "executable": path, "prefix": self.path(),
            "base_prefix": self.path(), "base_executable": null, "free_threaded": false, "gil_enabled": true,
            "platform": "linux-x86_64", "soabi": null, "msgspec": null, "pip": false, "pip_wheel": null,
        });
        self.script("python", &format!("echo '{answer}'"))
    }
}

/// Short sentences, each one different.
pub(crate) fn sentences(count: usize) -> impl Iterator<Item = String> {
    const WHO: [&str; 7] =
        ["A neighbour", "The baker", "Her brother", "Nobody", "The clerk", "My aunt", "A fox"];
    const DID: [&str; 5] = ["praised", "broke", "painted", "never found", "happily mended"];
    const WHAT: [&str; 11] = [
        "the boat",
        "a letter",
        "an old clock",
        "the garden gate",
        "seven plates",
        "the bread",
        "a wretched road",
        "the lamp",
        "a wonderful song",
        "the empty house",
        "his coat",
    ];
    const WHEN: [&str; 3] = ["in the rain", "before noon", "last winter"];
    (0..count).map(|n| {
        let (who, did, what, when) = (WHO[n % 7], DID[n % 5], WHAT[n % 11], WHEN[n % 3]);
        format!("{who} {did} {what} {when}.")
    })
}

/// A text of so many words that no analysis has met before: it keeps a worker busy for about 10 µs a word.
pub(crate) fn slow(words: u32) -> String {
    let mut text = String::new();
    for mut number in 0..words {
        let mut word = String::from("w");
        for _ in 0..6 {
            word.push(char::from(b'a' + (number % 26) as u8));
            number /= 26;
        }
        text.push_str(&word);
        text.push(' ');
    }
    text
}

/// The checks that do not hold.
pub(crate) fn broken(report: &Value) -> Vec<&Value> {
    report["checks"].as_array().unwrap().iter().filter(|check| check["ok"] != true).collect()
}

/// A check's actual value.
pub(crate) fn actual<'a>(report: &'a Value, name: &str) -> &'a Value {
    &report["checks"].as_array().unwrap().iter().find(|check| check["name"] == name).unwrap()["actual"]
}
