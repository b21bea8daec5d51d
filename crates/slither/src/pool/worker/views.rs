//! The views that a worker waits for: who is asked, and what is said when nobody answers in time.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::link::Link;
use crate::pool::clock::{later, now};
use crate::pool::service::Service;
use crate::pool::station::{Station, lock};
use crate::store::ViewError;
use crate::wire::{self, ViewCall};

/// Views that a worker may wait for at once.
const MAX_VIEWS: usize = 64;

/// Views asked and not yet answered.
#[derive(Debug, Default)]
pub(super) struct Views {
    asked: HashMap<u64, Asked>,
}

#[derive(Debug)]
struct Asked {
    name: String,
    timeout: Duration,
    deadline: Instant,
}

impl Views {
    /// Has a view called whose answer comes as an order, or refuses at once.
    pub(super) fn ask(
        &mut self,
        id: u64,
        call: ViewCall,
        many: bool,
        station: &Arc<Station>,
        service: &Service,
        link: &mut impl Link,
    ) {
        let context = {
            let held = lock(&station.held);
            held.get(call.call).map(|job| job.context.clone())
        };
        let refusal = match context {
            None => "no such call is running in this worker",
            Some(_) if self.asked.len() >= MAX_VIEWS => "too many views are being waited for",
            Some(context) => {
                let timeout = service.view_timeout(&call.name);
                let deadline = later(now(), timeout);
                self.asked.insert(id, Asked { name: call.name.clone(), timeout, deadline });
                service.call_view(station, id, call, many, context);
                return;
            }
        };
        link.write(&wire::view_error(id, "failed", refusal));
    }

    /// Passes an answer on. One that comes after its timeout finds nobody.
    pub(super) fn answer(
        &mut self,
        id: u64,
        answer: Result<Vec<u8>, (String, String)>,
        max_frame: usize,
        link: &mut impl Link,
    ) {
        if self.asked.remove(&id).is_some() {
            match answer {
                Ok(value) => link.write(&wire::view_reply(id, &value, max_frame)),
                Err((kind, message)) => link.write(&wire::view_error(id, &kind, &message)),
            }
        }
    }

    /// Gives up those whose time has come.
    pub(super) fn give_up(&mut self, now: Instant, link: &mut impl Link) {
        self.asked.retain(|id, asked| {
            let waits = asked.deadline > now;
            if !waits {
                let error = ViewError::timeout(&asked.name, asked.timeout);
                link.write(&wire::view_error(*id, error.kind().as_str(), error.message()));
            }
            waits
        });
    }

    /// When the first of them is given up.
    pub(super) fn due(&self) -> Option<Instant> {
        self.asked.values().map(|asked| asked.deadline).min()
    }
}
