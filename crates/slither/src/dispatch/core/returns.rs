//! What comes back before a batch has ended, or has to go out again: results that are yielded, and recovery.

use std::time::Instant;

use super::{Core, Running};
use crate::dispatch::executor::{BatchId, Reply};
use crate::dispatch::limits::Order;
use crate::dispatch::outcome::Finished;
use crate::dispatch::permits::Permit;
use crate::dispatch::recovery::{Next, Recovery};
use crate::dispatch::yields::Yielded;
use crate::item::Keep;

/// What telemetry is told of results that were yielded.
pub(in crate::dispatch) struct Partial {
    pub(in crate::dispatch) batch: BatchId,
    pub(in crate::dispatch) items: usize,
    pub(in crate::dispatch) failed: usize,
}

/// The recovery of a batch whose items are in it, but for those that were yielded.
fn begin<I, O, K>(tags: &mut Vec<K>, order: Order, keep: Option<Keep<I>>) -> Box<Recovery<I, O, K>> {
    Box::new(Recovery::new(std::mem::take(tags), order, keep))
}

impl<I, O, K> Core<I, O, K> {
    /// Results came of a batch, or a part of one, that is still at the executor: they are final. What comes of one
    /// that is there no more is nobody's.
    pub(in crate::dispatch) fn partial(&mut self, yielded: Yielded<O>) -> Option<Partial> {
        let Yielded { permit, batch, mut results } = yielded;
        let running = self.permits.get_mut(permit).filter(|running| running.batch.id == batch)?;
        running.yielded += results.len();
        results.truncate(running.batch.items.len());
        let count = results.len();
        let failed = results.iter().filter(|result| result.is_err()).count();
        running.yielded_failed += failed;
        if running.recovery.is_none() && self.policy.accepts_each(running.attempt, &results) {
            let items = running.batch.items.drain(..count).collect();
            let tags = running.tags.drain(..count).collect();
            let attempts = running.attempt.number;
            let finished = Finished::new(items, tags, Ok(results), attempts, self.keep, self.stage.clone());
            self.window.insert(running.sequence, finished, false);
        } else {
            let Running { recovery, tags, batch, attempt, .. } = running;
            let recovery = recovery.get_or_insert_with(|| begin(tags, self.order, self.keep));
            recovery.yielded(batch.items.drain(..count), *attempt, results, &self.policy);
            let ready = recovery.take_ready();
            if !ready.is_empty() {
                self.window.insert(running.sequence, Finished::mixed(ready, self.stage.clone()), false);
            }
        }
        Some(Partial { batch, items: count, failed })
    }

    /// Settles what stays as it is, and has the rest run again.
    #[cold]
    pub(super) fn recover(&mut self, permit: Permit, reply: Reply<O>, now: Instant) -> Option<()> {
        let running = self.permits.get_mut(permit)?;
        let Running { recovery, tags, batch, attempt, sequence, yielded, .. } = running;
        let sequence = *sequence;
        let recovery = recovery.get_or_insert_with(|| begin(tags, self.order, self.keep));
        let items = std::mem::take(&mut batch.items);
        let next = recovery.came_back(items, *attempt, reply, &mut self.policy, *yielded);
        if let Some(part) = recovery.next_part() {
            batch.items = part.items;
            *attempt = part.attempt;
        }
        let ready = recovery.take_ready();
        let last = matches!(next, Next::Finish);
        match next {
            Next::Run => self.parts.push_back(permit),
            Next::Wait(wait) => {
                let running = self.permits.release(permit)?;
                self.waiting.insert((now + wait, sequence), running);
            }
            Next::Finish => self.sticky.end(self.permits.release(permit)?.batch.key),
        }
        if last || !ready.is_empty() {
            self.window.insert(sequence, Finished::mixed(ready, self.stage.clone()), last);
        }
        Some(())
    }
}
