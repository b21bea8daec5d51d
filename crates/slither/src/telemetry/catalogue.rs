//! The events, each defined once: name, level, meaning, measurements and fields.

use super::{Description, Event};

macro_rules! events {
    (@target) => { "slither" };
    (@target $target:literal) => { $target };
    ($(
        $(#[doc = $meaning:literal])+
        $level:ident $name:literal $type:ident $(in $target:literal)? {
            measurements: [$($measurement:ident),*],
            fields: [$($field:ident),*],
        }
    )*) => {
        $(
            $(#[doc = $meaning])+
            #[derive(Clone, Copy)]
            pub(crate) struct $type<'a> {
                $($measurement: f64,)*
                $($field: &'a dyn std::fmt::Display,)*
            }

            impl<'a> $type<'a> {
                #[allow(clippy::too_many_arguments, reason = "an event carries what it carries; fields are named at the definition")]
                pub(crate) fn new($($measurement: f64,)* $($field: &'a dyn std::fmt::Display,)*) -> Self {
                    Self { $($measurement,)* $($field,)* }
                }
            }

            impl Event for $type<'_> {
                const DESCRIPTION: Description = Description {
                    name: $name,
                    meaning: concat!($($meaning),+),
                    measurements: &[$(stringify!($measurement)),*],
                    fields: &[$(stringify!($field)),*],
                };

                fn measurements(&self) -> impl Iterator<Item = f64> {
                    [$(self.$measurement),*].into_iter()
                }

                fn trace(&self) {
                    tracing::event!(
                        target: events!(@target $($target)?),
                        tracing::Level::$level,
                        $($measurement = self.$measurement,)*
                        $($field = %self.$field,)*
                        $name
                    );
                }
            }
        )*

        /// Every event that Slither emits, in the order of the layers.
        pub const CATALOGUE: &[Description] = &[$($type::DESCRIPTION),*];
    };
}

events! {
    /// A batch was handed to the executor.
    DEBUG "slither.dispatch.batch.start" BatchStart {
        measurements: [items],
        fields: [run, pipe, stage, session, batch, pool],
    }
    /// A batch that is still running yielded results; `failed` of these items failed alone.
    DEBUG "slither.dispatch.batch.partial" BatchPartial {
        measurements: [items, failed],
        fields: [run, pipe, stage, session, batch, pool],
    }
    /// A batch came back; `failed` of its items failed alone. Those whose results it had yielded are among them.
    DEBUG "slither.dispatch.batch.stop" BatchStop {
        measurements: [items, failed, duration],
        fields: [run, pipe, stage, session, batch, pool],
    }
    /// A batch failed as a whole, but for what it had yielded; `worker` is the one it failed in.
    WARN "slither.dispatch.batch.exception" BatchException {
        measurements: [items, duration],
        fields: [run, pipe, stage, session, batch, pool, worker, kind, error],
    }
    /// A pipe was bound and begins to pull its input.
    INFO "slither.pipe.run.start" RunStart {
        measurements: [],
        fields: [run, pipe, session],
    }
    /// A run ended with its input, or was cancelled.
    INFO "slither.pipe.run.stop" RunStop {
        measurements: [pulled, emitted, dropped, failed, cancelled, duration],
        fields: [run, pipe, session],
    }
    /// A run ended before its input did.
    ERROR "slither.pipe.run.exception" RunException {
        measurements: [pulled, emitted, dropped, failed, cancelled, duration],
        fields: [run, pipe, session, error],
    }
    /// A stage of a run was started.
    DEBUG "slither.pipe.stage.start" StageStart {
        measurements: [],
        fields: [run, pipe, stage, session],
    }
    /// A stage has handed on its last item.
    DEBUG "slither.pipe.stage.stop" StageStop {
        measurements: [items_in, items_out, failed, duration],
        fields: [run, pipe, stage, session],
    }
    /// A stage halted its run.
    ERROR "slither.pipe.stage.exception" StageException {
        measurements: [items_in, items_out, failed, duration],
        fields: [run, pipe, stage, session, error],
    }
    /// A write transaction was committed as `version`.
    DEBUG "slither.store.write" StoreWrite {
        measurements: [operations, duration],
        fields: [store, version],
    }
    /// A store begins to load anew.
    INFO "slither.store.reload.start" ReloadStart {
        measurements: [],
        fields: [store],
    }
    /// The new data were swapped in as `version`.
    INFO "slither.store.reload.stop" ReloadStop {
        measurements: [duration],
        fields: [store, version],
    }
    /// Loading failed or panicked; the old data stay.
    ERROR "slither.store.reload.exception" ReloadException {
        measurements: [duration],
        fields: [store, error],
    }
    /// Python called a view.
    DEBUG "slither.bridge.view.start" ViewStart {
        measurements: [calls],
        fields: [view, run, session, worker],
    }
    /// A view answered.
    DEBUG "slither.bridge.view.stop" ViewStop {
        measurements: [calls, duration],
        fields: [view, run, session, worker],
    }
    /// A view was refused, ran out of time, failed or panicked; Python got an exception.
    WARN "slither.bridge.view.exception" ViewException {
        measurements: [calls, duration],
        fields: [view, run, session, worker, error],
    }
    /// The router has chosen a pool for a function: at the first batch of a run, and when it chooses another one than `before`.
    INFO "slither.routing.decided" RouteDecided {
        measurements: [slots],
        fields: [run, pipe, stage, session, pool, function, profile, reason, before],
    }
    /// A worker process was forked or spawned.
    DEBUG "slither.pool.worker.started" WorkerStarted {
        measurements: [],
        fields: [pool, worker, pid],
    }
    /// A worker has imported what it needs and takes work.
    DEBUG "slither.pool.worker.ready" WorkerReady {
        measurements: [duration],
        fields: [pool, worker, pid],
    }
    /// A worker process is gone; `reason` says how, or that it was asked to stop.
    INFO "slither.pool.worker.exited" WorkerExited {
        measurements: [uptime],
        fields: [pool, worker, pid, reason],
    }
    /// A worker is being replaced, `delay` seconds from now; `deaths` counts those in the budget's period.
    WARN "slither.pool.worker.restarted" WorkerRestarted {
        measurements: [delay, deaths],
        fields: [pool, worker, reason],
    }
    /// A worker runs `slots` calls at once from now on, and ran `before` until now; `reason` says what changed: the GIL is
    /// on, and what turned it on.
    WARN "slither.pool.worker.capacity" WorkerCapacity {
        measurements: [before, slots],
        fields: [pool, worker, pid, reason],
    }
    /// A worker has reached a limit of its life (`reason`), and its replacement is ready: it takes nothing new and goes.
    INFO "slither.pool.worker.recycled" WorkerRecycled {
        measurements: [uptime, requests, growth],
        fields: [pool, worker, pid, reason],
    }
    /// A pool's adapter has one slot in each worker because its class does not say that several threads may use it, or it
    /// says nothing and `Pool::thread_safety_check` is on; `reason` says which.
    WARN "slither.pool.adapter.limited" AdapterLimited {
        measurements: [],
        fields: [pool, adapter, reason],
    }
    /// A session was opened, or opened anew, and lives in that worker; none for one that only prefers a worker.
    INFO "slither.pool.session.opened" SessionOpened {
        measurements: [duration],
        fields: [pool, session, worker, affinity],
    }
    /// A session ended; `reason` says how.
    INFO "slither.pool.session.ended" SessionEnded {
        measurements: [lifetime],
        fields: [pool, session, reason],
    }
    /// A session's worker is gone, and what Python kept in it; `reason` says how.
    WARN "slither.pool.session.lost" SessionLost {
        measurements: [],
        fields: [pool, session, worker, pid, reason],
    }
    /// The pool's breaker opened for `cooldown` seconds: calls fail at once with `error`.
    ERROR "slither.pool.breaker.opened" BreakerOpened {
        measurements: [cooldown],
        fields: [pool, error],
    }
    /// The cooldown is over, and a worker or a call shows whether the pool works again.
    INFO "slither.pool.breaker.half_open" BreakerHalfOpen {
        measurements: [],
        fields: [pool],
    }
    /// It works again: all calls go through.
    INFO "slither.pool.breaker.closed" BreakerClosed {
        measurements: [],
        fields: [pool],
    }
    /// The pool gave up: it could not be started, or its restart budget is spent and it has no breaker.
    ERROR "slither.pool.failed" PoolFailed {
        measurements: [],
        fields: [pool, error],
    }
    /// A function has said with `slither.progress` that `done` of `total` are done.
    DEBUG "slither.pool.worker.progress" CallProgress {
        measurements: [],
        fields: [run, pipe, stage, session, pool, worker, call, done, total],
    }
    /// A batch met a fault that `Pool::chaos` injected, and has ended; `fault` is its name, `point` where or in which way.
    INFO "slither.pool.chaos.injected" ChaosInjected {
        measurements: [],
        fields: [run, pipe, stage, session, pool, call, attempt, fault, point],
    }
    /// A line that a worker printed; lines beyond the bound are counted in `suppressed`.
    INFO "slither.pool.worker.output" WorkerOutput in "slither::output" {
        measurements: [suppressed],
        fields: [pool, worker, stream, line],
    }
}

/// The catalogue as the table of `guides/operations.md`.
pub fn catalogue_table() -> String {
    let mut table = String::from("| event | when | measurements | fields |\n|---|---|---|---|\n");
    for event in CATALOGUE {
        table.push_str(&format!(
            "| `{}` | {} | {} | {} |\n",
            event.name,
            event.meaning.trim(),
            event.measurements.join(", "),
            event.fields.join(", ")
        ));
    }
    table
}
