//! Running a child to its end within a time limit, in a process group of its own.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

/// What is kept of each stream: the last bytes, since that is where tools say what went wrong.
const KEEP: usize = 64 * 1024;

/// How often the caller is asked whether it still wants the result.
const SLICE: Duration = Duration::from_millis(100);

/// How a child ended, and what it had said by then.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) end: End,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Exited(ExitStatus),
    TimedOut(Duration),
    Cancelled,
}

impl Finished {
    pub(super) fn success(&self) -> bool {
        matches!(self.end, End::Exited(status) if status.success())
    }

    /// The one line of standard error that says the most, if there is any.
    pub(super) fn complaint(&self) -> Option<String> {
        let missing = matches!(self.end, End::Exited(status) if status.code() == Some(127));
        let lines = self.last_errors(usize::MAX);
        // A shell's or a shim's "command not found" comes before its advice; an exception ends its traceback.
        let line = if missing { lines.first() } else { lines.last() };
        line.map(|line| line.trim().to_owned())
    }

    /// The last lines of standard error that are not blank, at most `count`, with credentials in addresses hidden.
    pub(super) fn last_errors(&self, count: usize) -> Vec<String> {
        let lines: Vec<&str> = self.stderr.lines().filter(|line| !line.trim().is_empty()).collect();
        lines[lines.len().saturating_sub(count)..].iter().map(|line| without_credentials(line)).collect()
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(status) => match (status.code(), status.signal()) {
                (Some(code), _) => write!(f, "it exited with code {code}"),
                (None, Some(signal)) => write!(f, "it was killed by signal {signal}"),
                (None, None) => f.write_str("it ended"),
            },
            Self::TimedOut(limit) => write!(f, "it did not finish within {} s", limit.as_secs_f64()),
            Self::Cancelled => f.write_str("it was cancelled"),
        }
    }
}

/// Runs `command` until it exits, the limit passes, or `cancelled` says yes; in the last two cases its whole
/// process group is killed.
///
/// Output that a grandchild still writes after the child's exit is not waited for: a daemon that inherited the
/// pipe would otherwise hold us for ever.
pub(super) fn run(
    command: &mut Command,
    limit: Duration,
    cancelled: &dyn Fn() -> bool,
) -> io::Result<Finished> {
    let child = command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut child = Guard { group: Pid::from_child(&child), child, reaped: false };
    let pidfd = pidfd_open(child.group, PidfdFlags::empty())?;
    let mut stdout = Tail::new(child.child.stdout.take())?;
    let mut stderr = Tail::new(child.child.stderr.take())?;

    let started = Instant::now();
    let end = loop {
        let left = limit.saturating_sub(started.elapsed());
        if left.is_zero() {
            break End::TimedOut(limit);
        }
        if cancelled() {
            break End::Cancelled;
        }
        let exited = {
            let mut fds = vec![PollFd::new(&pidfd, PollFlags::IN)];
            fds.extend([&stdout, &stderr].into_iter().filter_map(Tail::poll_fd));
            let wait = left.min(SLICE);
            let wait = Timespec { tv_sec: 0, tv_nsec: wait.subsec_nanos().into() };
            match poll(&mut fds, Some(&wait)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => !fds[0].revents().is_empty(),
                Err(error) => return Err(error.into()),
            }
        };
        stdout.drain()?;
        stderr.drain()?;
        if exited {
            child.reaped = true;
            break End::Exited(child.child.wait()?);
        }
    };
    drop(child);
    stdout.drain()?;
    stderr.drain()?;
    Ok(Finished { end, stdout: stdout.text(), stderr: stderr.text() })
}

/// Runs `command` to its end and returns what it has said; otherwise why there is nothing.
pub(crate) fn run_to_end(command: &mut Command, limit: Duration) -> Result<String, String> {
    let finished = run(command, limit, &|| false).map_err(|error| format!("it cannot be run: {error}"))?;
    match finished.complaint().filter(|_| !finished.success()) {
        None if finished.success() => Ok(finished.stdout),
        None => Err(finished.end.to_string()),
        Some(line) => Err(format!("{}: {line}", finished.end)),
    }
}

/// Kills the child's group unless it was seen to exit, so that no way out of [`run`] leaves it behind.
struct Guard {
    child: Child,
    group: Pid,
    reaped: bool,
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.reaped {
            // The child has not been waited for, so its id, and with it the group's, cannot have been reused.
            let _ = kill_process_group(self.group, Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

/// The end of a stream that is read without blocking.
struct Tail {
    pipe: Option<OwnedFd>,
    bytes: Vec<u8>,
}

impl Tail {
    fn new(pipe: Option<impl Into<OwnedFd>>) -> io::Result<Self> {
        let pipe = pipe.map(Into::into);
        if let Some(pipe) = &pipe {
            fcntl_setfl(pipe, fcntl_getfl(pipe)? | OFlags::NONBLOCK)?;
        }
        Ok(Self { pipe, bytes: Vec::new() })
    }

    fn poll_fd(&self) -> Option<PollFd<'_>> {
        self.pipe.as_ref().map(|pipe| PollFd::from_borrowed_fd(pipe.as_fd(), PollFlags::IN))
    }

    /// Reads what is there; bounded by one pipe's worth a call, so that a flood cannot outlast the time limit.
    fn drain(&mut self) -> io::Result<()> {
        let mut buffer = [0; 8192];
        for _ in 0..16 {
            let Some(pipe) = &self.pipe else { return Ok(()) };
            match rustix::io::read(pipe, &mut buffer) {
                Ok(0) => self.pipe = None,
                Ok(count) => self.bytes.extend_from_slice(&buffer[..count]),
                Err(rustix::io::Errno::AGAIN) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            if self.bytes.len() > 2 * KEEP {
                self.bytes.drain(..self.bytes.len() - KEEP);
            }
        }
        Ok(())
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// Replaces `user:password@` after every `//`: an index's address often carries a token, and errors get pasted.
fn without_credentials(line: &str) -> String {
    let mut parts = line.split("//");
    let mut clean = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let authority = part.find(['/', ' ', '`', '\'', '"']).unwrap_or(part.len());
        let rest = match part[..authority].rfind('@') {
            Some(at) => format!("****{}", &part[at..]),
            None => part.to_owned(),
        };
        clean.push_str("//");
        clean.push_str(&rest);
    }
    clean
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, limit: Duration, cancelled: &dyn Fn() -> bool) -> Finished {
        run(Command::new("/bin/sh").args(["-c", script]), limit, cancelled).unwrap()
    }

    #[test]
    fn both_streams_and_the_code_come_back() {
        let finished = shell("echo out; echo err >&2; exit 3", Duration::from_secs(10), &|| false);
        assert_eq!((finished.stdout.as_str(), finished.stderr.as_str()), ("out\n", "err\n"));
        assert_eq!(finished.end.to_string(), "it exited with code 3");
    }

    #[test]
    fn a_child_that_hangs_dies_with_its_own_children() {
        // Ample, as it is to have said whom it has started.
        let limit = Duration::from_secs(5);
        let finished = shell("sleep 1000 & echo $!; wait", limit, &|| false);
        assert_eq!(finished.end, End::TimedOut(limit));
        let grandchild: i32 = finished.stdout.trim().parse().unwrap();
        // The signal has been sent; wait for it to have been obeyed.
        if let Ok(pidfd) = pidfd_open(Pid::from_raw(grandchild).unwrap(), PidfdFlags::empty()) {
            let limit = Timespec { tv_sec: 10, tv_nsec: 0 };
            assert_eq!(poll(&mut [PollFd::new(&pidfd, PollFlags::IN)], Some(&limit)), Ok(1));
        }
    }

    #[test]
    fn a_flood_is_kept_to_its_end() {
        let finished = shell("seq 1 200000 >&2", Duration::from_secs(20), &|| false);
        assert!(finished.stderr.len() <= 2 * KEEP);
        assert_eq!(finished.last_errors(1), ["200000"]);
    }

    #[test]
    fn cancelling_kills() {
        let finished = shell("sleep 1000", Duration::from_secs(60), &|| true);
        assert_eq!(finished.end, End::Cancelled);
    }

    #[test]
    fn a_grandchild_that_keeps_the_pipe_is_not_waited_for() {
        let finished = shell("sleep 3 & echo done", Duration::from_secs(60), &|| false);
        assert!(finished.success());
        assert_eq!(finished.stdout, "done\n");
    }

    #[test]
    fn credentials_never_reach_an_error() {
        assert_eq!(without_credentials("at `https://me:secret@host/x` no"), "at `https://****@host/x` no");
        assert_eq!(without_credentials("see https://host/a@b"), "see https://host/a@b");
    }
}
