//! Answers that a worker has ready and sends with the next: what becomes of them if the next is long in coming, or never
//! comes because the worker dies.
//!
//! They stand in the black box meanwhile, which is read while the worker may be writing to it. So what is read of a living
//! worker counts only when it reads the same a moment later. The worker knows nothing of that, and sends them in the end.

use std::time::{Duration, Instant};

use super::machine::CallId;
use crate::pool::blackbox::Reading;
use crate::pool::clock::later;
use crate::wire::{Frame, Kind, frames};

/// After an answer a worker that has more to do is silent for so long before anybody looks, and then as long again as it
/// has been silent, up to the second.
const LOOK: Duration = Duration::from_millis(1);
const LONGEST_LOOK: Duration = Duration::from_millis(50);
/// And after so long it is stuck, by the measure of calls of which several are sent ahead.
const STUCK: Duration = Duration::from_millis(5);
/// A worker sends its answer to a call that took longer at once, and with it all that it has withheld.
const SHORT: Duration = Duration::from_micros(200);
/// So many frames fit the black box, each with a header and a body.
const MOST: usize = 1024;

/// What is known of a worker's withheld answers.
#[derive(Debug, Default)]
pub(super) struct Withheld {
    /// When it was last given a call, or answered one.
    heard: Option<Instant>,
    /// When to look, if it still has a call then behind the one that is due.
    look: Option<Instant>,
    /// What was found the last time that had not come.
    seen: Vec<Frame>,
    /// Calls whose answers were taken from the black box, and are still to come over the socket.
    taken: Vec<CallId>,
}

impl Withheld {
    /// It was given a call, or has answered one: it may withhold the answer that comes next.
    pub(super) fn arm(&mut self, now: Instant) {
        self.heard = Some(now);
        self.look = Some(later(now, LOOK));
    }

    /// Whether it has been silent for so long that more than one call ahead is too many.
    pub(super) fn is_stuck(&self, now: Instant) -> bool {
        self.heard.is_some_and(|at| now >= later(at, STUCK))
    }

    /// When to look.
    pub(super) fn due(&self) -> Option<Instant> {
        self.look
    }

    /// Whether the answer that came over the socket was taken before. Whatever comes else lies behind all that were taken.
    pub(super) fn is_known(&mut self, id: CallId) -> bool {
        if self.taken.is_empty() {
            return false;
        }
        match self.taken.iter().position(|taken| *taken == id) {
            Some(at) => {
                self.taken.swap_remove(at);
                true
            }
            None => {
                self.taken.clear();
                false
            }
        }
    }

    /// The answer was taken from the black box.
    pub(super) fn took(&mut self, id: CallId) {
        self.taken.truncate(MOST - 1);
        self.taken.push(id);
    }

    /// Looks at what the worker runs, and at the answers to outstanding calls that were there after that was seen; gives
    /// those that it has certainly written.
    pub(super) fn look(&mut self, found: Vec<Frame>, readings: &[Reading], now: Instant) -> Vec<Frame> {
        let stuck = self.heard.map(|at| later(at, STUCK)).filter(|at| *at > now);
        self.look = if !found.is_empty() {
            Some(later(now, LOOK))
        } else if readings.iter().any(|reading| reading.call != 0 && reading.running >= SHORT) {
            // That one is sent when it is ready, and there is nothing to be looked for until then.
            stuck
        } else {
            let silent = self.heard.map_or(LOOK, |at| now.saturating_duration_since(at));
            let next = later(now, silent.clamp(LOOK, LONGEST_LOOK));
            Some(stuck.map_or(next, |stuck| next.min(stuck)))
        };
        if found != self.seen {
            self.seen = found;
            return Vec::new();
        }
        std::mem::take(&mut self.seen)
    }
}

/// The answers in it, up to the first bytes that are none.
pub(super) fn answers(bytes: &[u8]) -> Vec<Frame> {
    let cap = bytes.len();
    frames(bytes, cap).map_while(Result::ok).take_while(|frame| frame.header.kind == Kind::Result).collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::error::Phase;
    use crate::pool::clock::now;
    use crate::wire::{self, Header};

    fn answer(id: CallId, body: &'static [u8]) -> Frame {
        let header = Header { length: body.len(), kind: Kind::Result, flags: 0, id };
        Frame { header, body: Bytes::from_static(body) }
    }

    fn bytes(frames: &[Frame]) -> Vec<u8> {
        frames.iter().flat_map(Frame::bytes).collect()
    }

    fn runs(call: CallId, running: Duration) -> [Reading; 1] {
        [Reading { slot: 0, call, running, phase: Some(Phase::User) }]
    }

    #[test]
    fn answers_are_read_up_to_the_first_that_is_none() {
        let all = [answer(1, b"one"), answer(2, b"")];
        assert_eq!(answers(&bytes(&all)), all);
        assert_eq!(answers(&bytes(&all)[..20]), all[..1], "the second is cut off");
        let mut torn = bytes(&all);
        torn.extend_from_slice(&[0xFF; 40]);
        assert_eq!(answers(&torn), all);
        let log = Frame { header: Header { kind: Kind::Log, ..all[0].header }, ..all[0].clone() };
        assert_eq!(answers(&bytes(&[all[0].clone(), log, all[1].clone()])), all[..1]);
        assert_eq!(answers(&[]), []);
    }

    #[test]
    fn what_is_found_counts_when_it_is_found_twice_and_comes_again_unheeded() {
        let (mut withheld, now) = (Withheld::default(), now());
        withheld.arm(now);
        assert_eq!(withheld.due(), Some(now + LOOK));
        let (first, second) = (answer(1, b"one"), answer(2, b"two"));
        assert_eq!(
            withheld.look(vec![answer(1, b"o?e")], &runs(2, SHORT), now),
            [],
            "as it is being written"
        );
        assert_eq!(withheld.look(vec![first.clone()], &runs(2, SHORT), now), []);
        assert_eq!(withheld.look(vec![first.clone(), second.clone()], &runs(3, SHORT), now), []);
        let found = withheld.look(vec![first.clone(), second.clone()], &runs(3, SHORT), now);
        assert_eq!(found, [first, second]);
        withheld.took(1);
        withheld.took(2);
        assert!(withheld.is_known(1) && withheld.is_known(2), "they come over the socket in the end");
        assert!(!withheld.is_known(1), "and once");
        assert!(!withheld.is_known(3));
    }

    #[test]
    fn there_is_nothing_to_look_for_behind_a_call_that_is_no_short_one() {
        let (mut withheld, now) = (Withheld::default(), now());
        withheld.arm(now);
        assert_eq!(withheld.look(Vec::new(), &runs(1, SHORT / 2), now), []);
        assert_eq!(withheld.due(), Some(now + LOOK), "it may be withheld yet");
        assert_eq!(withheld.look(Vec::new(), &[], now), []);
        assert_eq!(withheld.due(), Some(now + LOOK), "it has not begun, or has just ended");
        assert_eq!(withheld.look(Vec::new(), &[], now + 2 * LOOK), []);
        assert_eq!(withheld.due(), Some(now + 4 * LOOK), "it is silent");
        assert_eq!(withheld.look(Vec::new(), &[], now + 4 * LOOK), []);
        assert_eq!(withheld.due(), Some(now + STUCK));
        for (silent, next) in [(STUCK, 2 * STUCK), (100 * STUCK, 100 * STUCK + LONGEST_LOOK)] {
            assert_eq!(withheld.look(Vec::new(), &[], now + silent), []);
            assert_eq!(withheld.due(), Some(now + next));
        }
        assert_eq!(withheld.look(Vec::new(), &runs(1, SHORT), now), []);
        assert_eq!(withheld.due(), Some(now + STUCK), "when others are to have what is behind it");
        assert!(!withheld.is_stuck(now + LOOK) && withheld.is_stuck(now + STUCK));
        assert_eq!(withheld.look(Vec::new(), &runs(1, STUCK), now + STUCK), []);
        assert_eq!(withheld.due(), None);
        withheld.arm(now);
        assert_eq!(withheld.due(), Some(now + LOOK), "it was answered");
    }

    #[test]
    fn a_worker_that_never_sends_what_it_withholds_is_not_remembered_without_bound() {
        let (mut withheld, now) = (Withheld::default(), now());
        for id in 0..3 * MOST as u64 {
            let found = vec![answer(id, b"")];
            withheld.look(found.clone(), &[], now);
            assert_eq!(withheld.look(found.clone(), &[], now), found);
            withheld.took(id);
            assert!(withheld.taken.len() <= MOST);
        }
        assert!(wire::frames(&[], 0).next().is_none());
    }
}
