//! What `faulthandler` wrote, taken apart: whose stack is which (`docs/PROTOCOL.md`, *A death*).

use crate::pool::worker::CallId;

/// The stacks in a worker's black box, one block a thread or a task.
#[derive(Debug, Clone)]
pub(crate) struct Stacks(String);

impl Stacks {
    pub(super) fn new(text: String) -> Self {
        Self(text)
    }

    /// Everything, as it was written.
    pub(super) fn all(&self) -> &str {
        &self.0
    }

    /// The blocks, the last first: of several dumps that of the death is behind the others.
    fn blocks(&self) -> impl Iterator<Item = &str> {
        self.0.rsplit("\n\n").map(str::trim).filter(|block| !block.is_empty())
    }

    /// The slot whose thread met the fatal signal, if it was the thread of one.
    pub(super) fn fatal_slot(&self) -> Option<usize> {
        self.blocks().find(|block| block.lines().any(is_fatal)).and_then(slot)
    }

    /// Where the call was, if that can be told: the stack of its slot's thread, or where its task awaited.
    ///
    /// Not where the fatal signal met a thread that runs no calls: then that one's stack is the one to see.
    pub(super) fn of(&self, slot: usize, call: CallId) -> Option<String> {
        if self.title().is_some() && self.fatal_slot().is_none() {
            return None;
        }
        let stack =
            self.of_task(call).or_else(|| self.blocks().find(|block| self::slot(block) == Some(slot)))?;
        // Without the GIL it begins with the excuse that it is the only one.
        let stack = stack.trim_start_matches(ALONE).trim_start();
        let fatal = if stack.lines().any(is_fatal) { self.title() } else { None };
        Some(fatal.map_or_else(|| stack.to_owned(), |title| format!("{title}\n\n{stack}")))
    }

    /// Where the task of the call awaited, if it was asked and has said so.
    pub(super) fn of_task(&self, call: CallId) -> Option<&str> {
        self.blocks().find(|block| task(block) == Some(call))
    }

    /// What stands above all stacks: the signal, if one was fatal.
    fn title(&self) -> Option<&str> {
        self.0.lines().find(|line| line.starts_with(FATAL))
    }
}

/// How the line begins that names a fatal signal.
const FATAL: &str = "Fatal Python error: ";

/// What stands before the one stack that can be had without the GIL.
const ALONE: &str = "<Cannot show all threads while the GIL is disabled>";

/// Whether a stack that begins so is of the thread that met the fatal signal.
fn is_fatal(line: &str) -> bool {
    line.starts_with("Current thread 0x") || line.starts_with("Stack (most recent call first)")
}

/// The call whose task such a block is of.
fn task(block: &str) -> Option<CallId> {
    block.strip_prefix("Task of call ")?.split_whitespace().next()?.parse().ok()
}

/// The slot that a thread of this stack runs calls in: its outermost such frame says so.
fn slot(block: &str) -> Option<usize> {
    let frame = block.lines().rev().find_map(|line| line.trim_end().rsplit_once(" in slot_"))?;
    frame.1.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CRASH: &str = "Fatal Python error: Segmentation fault\n\n\
        Thread 0x01 [slither-0] (most recent call first):\n  File \"a.py\", line 1 in work\n  File \"x/_lane.py\", line 70 in slot_0\n\n\
        Current thread 0x02 [slither-3] (most recent call first):\n  File \"a.py\", line 2 in crash\n  File \"x/_lane.py\", line 70 in slot_3\n\n\
        Thread 0x03 (most recent call first):\n  File \"x/_threads.py\", line 9 in read\n";

    #[test]
    fn the_slot_of_the_current_thread_is_to_blame() {
        let stacks = Stacks::new(CRASH.to_owned());
        assert_eq!(stacks.fatal_slot(), Some(3));
        assert!(stacks.of(0, 77).unwrap().contains("in work"));
        assert!(stacks.of(0, 77).unwrap().starts_with("Thread 0x01"));
        assert!(stacks.of(3, 77).unwrap().starts_with("Fatal Python error: Segmentation fault\n\nCurrent"));
        assert_eq!(stacks.of(1, 77), None);
    }

    #[test]
    fn a_stack_without_the_gil_names_no_thread_but_its_slot() {
        let text = "Fatal Python error: Aborted\n\n<Cannot show all threads while the GIL is disabled>\nStack (most recent call first):\n  File \"a.py\", line 2 in f\n  File \"_lane.py\", line 1 in slot_12\n";
        let stacks = Stacks::new(text.to_owned());
        assert_eq!(stacks.fatal_slot(), Some(12));
        assert!(stacks.of(12, 77).unwrap().starts_with("Fatal Python error: Aborted\n\nStack (most"));
        let main = "Stack (most recent call first):\n  File \"a.py\", line 2 in main\n";
        assert_eq!(Stacks::new(main.to_owned()).fatal_slot(), None);
    }

    #[test]
    fn where_a_thread_without_calls_met_the_signal_no_stack_of_a_call_hides_it() {
        let text = CRASH.replace(" in slot_3", " in run");
        assert_eq!(Stacks::new(text).of(0, 77), None);
    }

    #[test]
    fn a_task_is_found_by_its_call() {
        let text = "Task of call 4294967301 (most recent call first):\n  File \"a.py\", line 9 in wait\n\nThread 0x01 (most recent call first):\n  File \"b.py\", line 1 in run\n";
        let stacks = Stacks::new(text.to_owned());
        let found = stacks.of(0, 4_294_967_301).unwrap();
        assert!(found.starts_with("Task of call 4294967301 ") && found.ends_with("in wait"), "{found}");
        assert_eq!(stacks.of(0, 42_949_673), None);
    }
}
