//! A run as a process of its own: what it does to itself is an outcome, and it has a time limit.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use slither::python::Interpreter;
use slither::{ConfigError, Death};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use super::findings::{Exit, Findings, Run};

/// How long a run may take.
pub(super) const LIMIT: Duration = Duration::from_secs(60);
/// What is kept of each of its streams, in bytes.
const KEEP: u64 = 256 * 1024;
/// Lines of its last words.
const LAST: usize = 4;

/// Calls the harness with what stands behind it.
const START: &str =
    "import sys; sys.path[:0] = sys.argv[4:]; from _harness import main; main(*sys.argv[1:4])";

/// What all runs of an example have in common.
#[derive(Debug, Clone)]
pub(super) struct Program {
    pub(super) module: &'static str,
    /// A file of JSON.
    pub(super) work: PathBuf,
    /// Folders to import from.
    pub(super) path: Vec<PathBuf>,
}

impl Program {
    /// With more folders to import from.
    pub(super) fn with(mut self, more: impl Iterator<Item = PathBuf>) -> Self {
        self.path.extend(more);
        self
    }

    /// Runs a mode to its end, whatever that is.
    ///
    /// # Errors
    /// If the interpreter cannot be started.
    ///
    /// # Cancellation
    /// Dropping the future kills the process.
    pub(super) async fn run(
        &self,
        interpreter: &Interpreter,
        mode: &'static str,
        limit: Duration,
    ) -> Result<Run, ConfigError> {
        let begun = Instant::now();
        let mut command = Command::new(&interpreter.executable);
        command.args(["-c", START, self.module, mode]).arg(&self.work).args(&self.path);
        command.env("PYTHONDONTWRITEBYTECODE", "1").kill_on_drop(true);
        // As Slither sets them for its workers: threads of threads only stand in each other's way.
        for threads in ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"] {
            if std::env::var_os(threads).is_none() {
                command.env(threads, "1");
            }
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let failed = |error| ConfigError::new(format!("{interpreter} cannot be run: {error}"));
        let mut child = command.spawn().map_err(failed)?;
        let stdout = tokio::spawn(kept(child.stdout.take()));
        let stderr = tokio::spawn(kept(child.stderr.take()));
        let exit = tokio::select! {
            status = child.wait() => {
                let status = status.map_err(failed)?;
                Exit::Died(match (status.code(), status.signal()) {
                    (Some(code), _) => Death::Code(code),
                    (None, Some(signal)) => Death::Signal(signal),
                    (None, None) => Death::Unknown,
                })
            }
            () = tokio::time::sleep(limit) => {
                child.kill().await.map_err(failed)?;
                Exit::TimedOut(limit.as_secs())
            }
        };
        let (stdout, stderr) = (stdout.await.unwrap_or_default(), stderr.await.unwrap_or_default());
        let findings = Findings::read(&stdout);
        let unclean = !exit.is_clean() || !findings.ended();
        let words: Vec<_> =
            stderr.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect();
        let last = words[words.len().saturating_sub(LAST)..].to_vec();
        Ok(Run {
            interpreter: interpreter.executable.display().to_string(),
            version: interpreter.version.clone(),
            gil: findings.gil(),
            mode,
            exit: exit.to_string(),
            invariants: findings.invariants(exit),
            stderr: if unclean { last } else { Vec::new() },
            elapsed_s: begun.elapsed().as_secs_f64(),
        })
    }
}

/// The beginning of a stream; the rest is read and left.
async fn kept(stream: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut stream) = stream else { return String::new() };
    let mut bytes = Vec::new();
    // An error ends it as its end does: what came until then is there.
    let _ = (&mut stream).take(KEEP).read_to_end(&mut bytes).await;
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::PYTHON;

    /// A run of a module of these lines, on whatever python there is.
    async fn run(lines: &str, limit: Duration) -> Run {
        let folder = tempfile::tempdir().unwrap();
        PYTHON.extract(folder.path()).unwrap();
        std::fs::write(folder.path().join("trial.py"), lines).unwrap();
        let work = folder.path().join("work.json");
        std::fs::write(&work, "{}").unwrap();
        let program = Program { module: "trial", work, path: vec![folder.path().to_owned()] };
        program.run(&Interpreter::find(None).unwrap(), "naive", limit).await.unwrap()
    }

    fn verdicts(run: &Run) -> Vec<(&str, bool)> {
        run.invariants.iter().map(|invariant| (invariant.name.as_str(), invariant.broke)).collect()
    }

    #[tokio::test]
    async fn a_run_that_hangs_is_killed_at_its_limit_and_what_it_found_stands() {
        let lines = "def run(run, work):\n run.equal('a', 1, 1)\n run.expect('b', 2)\n while True: pass\n";
        // Long enough for it to come to where it hangs.
        let run = run(lines, Duration::from_secs(8)).await;
        assert_eq!(run.exit, "timed out after 8 s");
        assert_eq!(verdicts(&run), [("a", false), ("b", true), ("process_survives", true)]);
        assert!(run.gil.is_some());
    }

    #[tokio::test]
    async fn a_run_that_kills_itself_is_an_outcome() {
        let lines = "import os\ndef run(run, work):\n run.expect('a', 1)\n os.kill(os.getpid(), 6)\n";
        let run = run(lines, LIMIT).await;
        assert_eq!(
            (run.exit.as_str(), verdicts(&run)),
            ("SIGABRT", vec![("a", true), ("process_survives", true)])
        );
    }

    #[tokio::test]
    async fn a_run_that_raises_says_what() {
        let run = run("def run(run, work):\n raise KeyError('the cat')\n", LIMIT).await;
        assert_eq!((run.exit.as_str(), verdicts(&run)), ("code 1", vec![("process_survives", true)]));
        assert_eq!(run.stderr.last().unwrap(), "KeyError: 'the cat'");
    }

    #[tokio::test]
    async fn a_thread_that_raises_breaks_the_run_and_not_the_others() {
        let lines = "def run(run, work):\n done = []\n def work(n):\n  done.append(1 / n)\n run.share(range(8), work)\n run.equal('done', 6, len(done))\n print('noise')\n";
        let run = run(lines, LIMIT).await;
        // The thread that had 0 and then 4 ends with the 0.
        assert_eq!(
            verdicts(&run),
            [("done", false), ("threads_finished", true), ("process_survives", false)]
        );
    }
}
