//! The telemetry of runs and stages; rare enough to look metrics up each time.

use std::time::Duration;

use super::ticket::StageCounts;
use crate::context::Context;
use crate::dispatch::ids;
use crate::error::RunError;
use crate::item::Ledger;
use crate::telemetry::{
    Labels, RunException, RunStart, RunStop, StageException, StageStart, StageStop, emit,
};

fn labels(context: &Context) -> Labels<'_> {
    Labels { pipe: context.pipe.as_deref(), stage: context.stage.as_deref(), ..Labels::default() }
}

pub(super) fn run_start(context: &Context) {
    let [run, pipe, _, session] = ids(context);
    emit(labels(context), &RunStart::new(run, pipe, session));
}

pub(super) fn run_end(context: &Context, ledger: &Ledger, elapsed: Duration, cause: Option<&RunError>) {
    let [run, pipe, _, session] = ids(context);
    let Ledger { pulled, emitted, dropped, failed, cancelled, .. } = *ledger;
    let [pulled, emitted, dropped, failed, cancelled] =
        [pulled, emitted, dropped, failed, cancelled].map(|count| count as f64);
    let seconds = elapsed.as_secs_f64();
    match cause {
        None => emit(
            labels(context),
            &RunStop::new(pulled, emitted, dropped, failed, cancelled, seconds, run, pipe, session),
        ),
        Some(error) => emit(
            labels(context),
            &RunException::new(
                pulled, emitted, dropped, failed, cancelled, seconds, run, pipe, session, error,
            ),
        ),
    }
}

pub(super) fn stage_start(context: &Context) {
    let [run, pipe, stage, session] = ids(context);
    emit(labels(context), &StageStart::new(run, pipe, stage, session));
}

pub(super) fn stage_end(
    context: &Context,
    counts: &StageCounts,
    elapsed: Duration,
    cause: Option<&RunError>,
) {
    let [run, pipe, stage, session] = ids(context);
    let [items_in, items_out, failed] = [&counts.items_in, &counts.items_out, &counts.failed]
        .map(|count| count.load(std::sync::atomic::Ordering::Relaxed) as f64);
    let seconds = elapsed.as_secs_f64();
    match cause {
        None => emit(
            labels(context),
            &StageStop::new(items_in, items_out, failed, seconds, run, pipe, stage, session),
        ),
        Some(error) => emit(
            labels(context),
            &StageException::new(items_in, items_out, failed, seconds, run, pipe, stage, session, error),
        ),
    }
}
