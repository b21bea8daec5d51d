//! The checks: what the run is to have proven. Nothing here looks at how the evidence came about, only at
//! whether it agrees.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use slither::{Death, ErrorKind, SessionEnd};

use super::evidence::{Evidence, Fell, Real, Scored, close};
use super::flow::{SessionStats, Trained};
use super::play::{DATASETS, MODELS};
use super::records::RECORDS;
use crate::report::Check;

/// A model of either real data set is right at least so often, or something is wrong with it.
const ACCURATE: f64 = 0.9;
const SIGKILL: Death = Death::Signal(9);

/// What was to be proven, in the order in which it is shown.
pub(super) fn checks(evidence: &Evidence) -> Vec<Check> {
    let [cancer, wine] = &evidence.real;
    vec![
        records_accounted(evidence),
        workers_distinct(evidence),
        trained_concurrently(evidence),
        models_differ(evidence),
        own_models_only(evidence),
        predictions_by_own_model(evidence),
        predictions_diverge(evidence),
        failed_write_changes_nothing(evidence),
        worker_killed(evidence),
        lost_loudly(evidence),
        reopened_empty(evidence),
        retrained_the_same(evidence),
        other_untouched(evidence),
        features_outlive_worker(evidence),
        features_written_through(evidence),
        accuracy("breast_cancer_accuracy", cancer),
        accuracy("wine_accuracy", wine),
        worker_counts_sum(evidence),
        sessions_ended_once(evidence),
        Check::equal("ledger_balanced", true, evidence.ledger().balanced()),
    ]
}

/// Holds if `ok`; for what is more than one comparison.
fn check(name: &'static str, expected: impl Into<Value>, actual: impl Into<Value>, ok: bool) -> Check {
    Check { name, expected: expected.into(), actual: actual.into(), ok }
}

/// Every run judged each of its records, once, or names it among the failures.
fn records_accounted(evidence: &Evidence) -> Check {
    let runs = evidence.runs().map(|(_, scored)| scored);
    let records: usize = runs.iter().map(|scored| scored.records).sum();
    let judged = |scored: &Scored| scored.predictions.len() as u64 + scored.failures.count;
    let accounted: u64 = runs.iter().copied().map(judged).sum();
    let twice: u64 = runs.iter().map(|scored| scored.twice).sum();
    let each = runs.iter().all(|scored| judged(scored) == scored.records as u64);
    let both = evidence.scored.iter().all(|scored| scored.records == RECORDS);
    check(
        "records_accounted",
        json!({ "records": records, "twice": 0 }),
        json!({ "records": accounted, "twice": twice }),
        each && both && twice == 0,
    )
}

fn workers_distinct(evidence: &Evidence) -> Check {
    let pids = BTreeSet::from(evidence.trained.each_ref().map(|trained| trained.pid));
    Check::equal("workers_distinct", 2, pids.len())
}

/// For some time both were at it, by the clock that they share.
fn trained_concurrently(evidence: &Evidence) -> Check {
    let together = together(evidence);
    let actual = format!("{together:.1} ms together");
    check("trained_concurrently", "more than 0 ms together", actual, together > 0.0)
}

/// For how many milliseconds both sessions trained at the same time.
pub(super) fn together(evidence: &Evidence) -> f64 {
    let [a, b] = &evidence.trained;
    let (from, to) = (a.began_ns.max(b.began_ns), a.ended_ns.min(b.ended_ns));
    to.saturating_sub(from) as f64 / 1e6
}

fn models_differ(evidence: &Evidence) -> Check {
    let [a, b] = &evidence.trained;
    let (left, right) = (a.coefficients.concat(), b.coefficients.concat());
    let differences = left.iter().zip(&right).map(|(left, right)| (left - right).abs());
    let most = differences.fold(0.0, f64::max);
    let apart = a.fingerprint != b.fingerprint && most > 0.0;
    check("models_differ", "other weights", format!("weights differ by up to {most:.3}"), apart)
}

/// Each session has the models that were trained in it, and no worker has those of another's.
fn own_models_only(evidence: &Evidence) -> Check {
    let names = |models: [&str; 2]| BTreeSet::from(models.map(str::to_owned));
    let of = |stats: &SessionStats| stats.models.keys().cloned().collect::<BTreeSet<_>>();
    let expected = [0, 1].map(|at| names([MODELS[at], DATASETS[at]]));
    let actual = evidence.finals.each_ref().map(of);
    let first = [0, 1].map(|at| BTreeSet::from([MODELS[at].to_owned()]));
    let before = evidence.loss.before.each_ref().map(of);
    // What the workers themselves have written down: sessions that met in one worker would both be in its log.
    let alone = evidence.accounts.iter().all(|account| {
        account.trained.iter().map(|(session, _)| session).collect::<BTreeSet<_>>().len() <= 1
    });
    let logged: BTreeSet<_> = evidence.accounts.iter().flat_map(|account| account.trained.clone()).collect();
    let wanted = evidence.sessions.iter().zip(&expected);
    let wanted: BTreeSet<_> =
        wanted.flat_map(|(id, models)| models.iter().map(move |model| (id.clone(), model.clone()))).collect();
    let shown = |models: &[BTreeSet<String>; 2], apart: bool| {
        let [a, b] =
            models.each_ref().map(|models| Vec::from_iter(models.iter().map(String::as_str)).join(", "));
        format!(
            "A: {a}; B: {b}; {}",
            if apart { "a worker each" } else { "and the workers' logs do not agree" }
        )
    };
    let apart = before == first && alone && logged == wanted;
    let ok = actual == expected && apart;
    check("own_models_only", shown(&expected, true), shown(&actual, apart), ok)
}

/// Every verdict is what Rust computes from the weights of the session's own model, and was signed by it.
fn predictions_by_own_model(evidence: &Evidence) -> Check {
    let (mut own, mut others) = (0u64, 0u64);
    for (model, scored) in evidence.runs() {
        for (id, prediction) in &scored.predictions {
            let signed = prediction.fingerprint == model.fingerprint
                && prediction.pid == model.pid
                && prediction.session == model.session;
            let features = evidence.written.table.get(id);
            let computed = features.map(|features| model.probabilities(features)).unwrap_or_default();
            let greatest = prediction.probabilities.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let label = prediction.probabilities.get(prediction.label) == Some(&greatest);
            match signed && label && close(&prediction.probabilities, &computed) {
                true => own += 1,
                false => others += 1,
            }
        }
    }
    let sessions = evidence.trained.iter().map(|trained| trained.session.as_deref());
    let theirs = sessions.eq(evidence.sessions.iter().map(|id| Some(id.as_str())));
    check(
        "predictions_by_own_model",
        json!({ "by another": 0 }),
        json!({ "by their own": own, "by another": others }),
        others == 0 && own > 0 && theirs,
    )
}

fn predictions_diverge(evidence: &Evidence) -> Check {
    let [a, b] = &evidence.scored;
    Check::at_least("predictions_diverge", 1, a.divergent(b).len() as u64)
}

/// A write that failed half-way left file and table as they were; the same write went through afterwards.
fn failed_write_changes_nothing(evidence: &Evidence) -> Check {
    let refused = &evidence.refused;
    let nothing = refused.before == refused.after;
    let went = refused.again.values == refused.wanted && refused.again.lines > refused.before.lines;
    let (expected, actual) = match &refused.error {
        Some(_) => ("file and table as before, then the write", seen(nothing, went)),
        None => ("a write that fails", "it did not fail"),
    };
    check("failed_write_changes_nothing", expected, actual, refused.error.is_some() && nothing && went)
}

fn seen(nothing: bool, went: bool) -> &'static str {
    match (nothing, went) {
        (true, true) => "file and table as before, then the write",
        (true, false) => "the write did not go through afterwards",
        (false, _) => "the failed write left a trace",
    }
}

/// The process is gone, and the training that it was doing failed as its death says.
fn worker_killed(evidence: &Evidence) -> Check {
    let loss = &evidence.loss;
    let Fell { kind, message, death } = &loss.running;
    let crashed = *kind == Some(ErrorKind::Crash) && *death == Some(SIGKILL);
    let home = loss.before[0].pid == loss.killed;
    let actual = match death {
        Some(death) if loss.gone && home => format!("pid {} {death}", loss.killed),
        _ => format!("pid {}, gone: {}: {message}", loss.killed, loss.gone),
    };
    let ok = crashed && loss.gone && home;
    check("worker_killed", format!("pid {} {SIGKILL}", loss.before[0].pid), actual, ok)
}

/// What waited behind the training, and what came after the death, failed as lost: nothing ran on fresh state.
fn lost_loudly(evidence: &Evidence) -> Check {
    let loss = &evidence.loss;
    let mut kinds: BTreeMap<&str, u64> = BTreeMap::new();
    for fell in loss.queued.iter().chain([&loss.later]) {
        *kinds.entry(fell.kind.map_or("answered", ErrorKind::as_str)).or_default() += 1;
    }
    // A record each, the call behind them, and the one that came later.
    let all = RECORDS as u64 + 2;
    Check::equal("lost_loudly", json!({ "session_lost": all }), json!(kinds))
}

fn reopened_empty(evidence: &Evidence) -> Check {
    let loss = &evidence.loss;
    let reopened = &loss.reopened;
    let models = reopened.models.len();
    let same = reopened.session == Some(evidence.sessions[0].clone());
    check(
        "reopened_empty",
        json!({ "models": 0, "predictions": 0 }),
        json!({ "models": models, "predictions": reopened.predictions }),
        models == 0 && reopened.predictions == 0 && reopened.pid != loss.killed && same,
    )
}

/// From the same points comes the same model, in another process, and it says the same.
fn retrained_the_same(evidence: &Evidence) -> Check {
    let (before, after) = (&evidence.trained[0], &evidence.loss.retrained);
    let weights = |trained: &Trained| [trained.coefficients.concat(), trained.intercepts.clone()].concat();
    let same = close(&weights(before), &weights(after));
    let says = evidence.scored[0].agrees(&evidence.loss.rescored);
    let elsewhere = after.pid != before.pid && after.session == before.session;
    let actual = match (same, says, elsewhere) {
        (true, true, true) => "the same model in another process",
        (true, true, false) => "the same process or another session",
        (true, false, _) => "other verdicts",
        (false, ..) => "another model",
    };
    check(
        "retrained_the_same",
        "the same model in another process",
        actual,
        actual.starts_with("the same model"),
    )
}

/// Session B kept its process, its model and its count, and went on while A's worker died.
fn other_untouched(evidence: &Evidence) -> Check {
    let loss = &evidence.loss;
    let meanwhile = &loss.meanwhile.predictions;
    let expected = SessionStats {
        predictions: loss.before[1].predictions + meanwhile.len() as u64,
        ..loss.before[1].clone()
    };
    let shown = |stats: &SessionStats| json!({ "pid": stats.pid, "models": stats.models, "predictions": stats.predictions });
    let went_on = evidence.scored[1].agrees(&loss.meanwhile);
    check(
        "other_untouched",
        shown(&expected),
        shown(&loss.other),
        loss.other == expected && went_on && loss.other.pid == evidence.trained[1].pid,
    )
}

/// What a worker has made of the readings was in the store before it died: nothing had to be made again.
fn features_outlive_worker(evidence: &Evidence) -> Check {
    let first: u64 = evidence.scored.iter().map(|scored| scored.featurized).sum();
    let again = evidence.loss.rescored.featurized + evidence.loss.meanwhile.featurized;
    let ok = again == 0 && first >= RECORDS as u64;
    check(
        "features_outlive_worker",
        json!({ "made again": 0 }),
        json!({ "made": first, "made again": again }),
        ok,
    )
}

/// Table and file hold the same, which is what comes of the readings, and each row was written once; only the row that
/// was meant to change was written twice.
fn features_written_through(evidence: &Evidence) -> Check {
    let written = &evidence.written;
    let right = written.table.len() == written.expected.len()
        && written
            .expected
            .iter()
            .all(|(id, features)| written.table.get(id).is_some_and(|found| close(found, features)));
    let ok = right && written.file == written.table && written.lines == written.table.len() + 1;
    check(
        "features_written_through",
        json!({ "in the table": written.expected.len(), "in the file": written.expected.len() }),
        json!({ "in the table": written.table.len(), "in the file": written.file.len() }),
        ok,
    )
}

/// The accuracy on what was held out, which scikit-learn computes too.
fn accuracy(name: &'static str, real: &Real) -> Check {
    let accuracy = real.accuracy();
    let agreed = close(&[accuracy], &[real.learnt.score]);
    let ok = agreed && accuracy >= ACCURATE && accuracy > real.guessing();
    let expected = format!("at least {ACCURATE}, as scikit-learn's {:.4}", real.learnt.score);
    check(name, expected, format!("{accuracy:.4}"), ok)
}

/// The workers' own counts, and the sessions', are those of the verdicts that came from them.
fn worker_counts_sum(evidence: &Evidence) -> Check {
    let killed = evidence.loss.killed;
    let runs = evidence.runs();
    let from = |pid: Option<u32>| -> u64 {
        let all = runs.iter().flat_map(|(_, scored)| scored.predictions.values());
        all.filter(|it| pid.map_or(it.pid != killed, |pid| it.pid == pid)).count() as u64
    };
    let told: u64 = evidence.accounts.iter().map(|account| account.predictions).sum();
    let sessions = evidence.finals.iter().all(|stats| stats.predictions == from(Some(stats.pid)));
    let workers = evidence.accounts.iter().all(|account| account.predictions == from(Some(account.pid)));
    let lost = evidence.lost.iter().any(|lost| lost.pid == killed);
    let expected = from(None);
    check("worker_counts_sum", expected, told, told == expected && sessions && workers && lost)
}

/// Both hooks of each session were called once: Rust's for both, Python's in the workers that lived to the end.
fn sessions_ended_once(evidence: &Evidence) -> Check {
    let closed = evidence.ends.iter().all(|ends| *ends == [SessionEnd::Closed]);
    let mut python: Vec<_> = evidence.accounts.iter().flat_map(|account| account.ended.clone()).collect();
    python.sort_unstable();
    let mut sessions = evidence.sessions.to_vec();
    sessions.sort_unstable();
    let host: usize = evidence.ends.iter().map(Vec::len).sum();
    check(
        "sessions_ended_once",
        json!({ "hooks in Rust": 2, "hooks in Python": 2 }),
        json!({ "hooks in Rust": host, "hooks in Python": python.len() }),
        closed && python == sessions,
    )
}

#[cfg(test)]
mod tests;
