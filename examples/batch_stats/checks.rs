//! The checks: what the acts are to have proven.

use serde_json::json;
use slither::Death;

use super::evidence::{Evidence, Fell, Played};
use super::flow::{Batches, PULLED_AT_FIRST};
use super::straight::Figures;
use crate::report::Check;

/// The number of the signal that a wrong address raises.
const SIGSEGV: i32 = 11;

/// What was to be proven, in the order in which it is shown.
pub(super) fn checks(workers: usize, evidence: &Evidence) -> Vec<Check> {
    let least = if evidence.expected.len() > 32 { 2.min(workers as u64) } else { 1 };
    let kills = evidence.expected.iter().any(|expected| expected.kills);
    let balanced = evidence.acts.iter().all(|played| played.ledger.balanced());
    let mut checks = vec![
        datasets_accounted(evidence),
        bad_datasets_fail(evidence),
        Check::equal("isolate_loses_none", 0, lost(evidence, true)),
        Check::equal("skip_loses_neighbours_only", 0, lost_without_cause(evidence)),
        dispatches_bounded(evidence),
        Check::equal(
            "deaths_explained",
            sum(evidence, |it| evidence.deadly(it)),
            sum(evidence, |it| it.deaths),
        ),
        welford_recomputed(evidence),
        results_recomputed(evidence),
        Check::at_least("workers_distinct", least, evidence.busy().len() as u64),
        Check::equal("ledger_balanced", true, balanced),
    ];
    if kills {
        checks.insert(2, killed_by_sigsegv(evidence));
    }
    checks.extend(streaming_overlaps(evidence));
    checks
}

fn sum(evidence: &Evidence, of: impl Fn(&Played) -> u64) -> u64 {
    evidence.acts.iter().map(of).sum()
}

/// Each dataset that was read has one outcome in each act.
fn datasets_accounted(evidence: &Evidence) -> Check {
    let read = |played: &Played| match played.whole {
        true => evidence.expected.len() as u64,
        false => played.ledger.pulled,
    };
    let outcomes = |played: &Played| (played.described.len() + played.fell.len()) as u64;
    let accounted = evidence.acts.iter().all(|played| {
        let both = played.described.keys().any(|number| played.fell.contains_key(number));
        !both && played.twice == 0 && outcomes(played) + played.ledger.cancelled == read(played)
    });
    Check {
        name: "datasets_accounted",
        expected: sum(evidence, read).into(),
        actual: json!({ "outcomes": sum(evidence, outcomes), "twice": sum(evidence, |it| it.twice) }),
        ok: accounted,
    }
}

/// No bad dataset has a result.
fn bad_datasets_fail(evidence: &Evidence) -> Check {
    let fell = |played: &Played| played.fell.keys().filter(|number| evidence.is_bad(**number)).count() as u64;
    let slipped =
        |played: &Played| played.described.keys().filter(|number| evidence.is_bad(**number)).count() as u64;
    let expected = sum(evidence, |played| fell(played) + slipped(played));
    Check::equal("bad_datasets_fail", expected, sum(evidence, fell))
}

/// The dataset that kills did, by that signal, in each act that met it, and its process is gone. Under `skip` it
/// may share a batch with one that raises first.
fn killed_by_sigsegv(evidence: &Evidence) -> Check {
    let (mut expected, mut actual) = (0, 0);
    for played in evidence.acts.iter().filter(|played| played.act.isolate || evidence.deadly(played) > 0) {
        for (_, fell) in played.fell.iter().filter(|(number, _)| evidence.kills(**number)) {
            expected += 1;
            actual += u64::from(matches!(fell.death, Some(Death::Signal(SIGSEGV))) && !fell.alive);
        }
    }
    Check {
        name: "killed_by_sigsegv",
        expected: expected.into(),
        actual: actual.into(),
        ok: expected == actual && expected > 0,
    }
}

fn lost(evidence: &Evidence, isolate: bool) -> u64 {
    let acts = evidence.acts.iter().filter(|played| played.act.isolate == isolate);
    acts.map(|played| evidence.lost(played).count() as u64).sum()
}

/// Good datasets that failed under `skip` though no bad one was in their batch.
fn lost_without_cause(evidence: &Evidence) -> u64 {
    let skipped = evidence.acts.iter().filter(|played| !played.act.isolate);
    let without = |fell: &Fell| !fell.batch.iter().any(|number| evidence.is_bad(*number));
    skipped.map(|played| evidence.lost(played).filter(|(_, fell)| without(fell)).count() as u64).sum()
}

/// The most dispatches that a batch of `n` with `k` culprits may cost: 2k(1+⌈log₂ n⌉)+1.
fn bound(n: usize, k: usize) -> u64 {
    (2 * k * (1 + n.next_power_of_two().ilog2() as usize) + 1) as u64
}

fn dispatches_bounded(evidence: &Evidence) -> Check {
    let (mut allowed, mut taken, mut within) = (0, 0, true);
    for played in &evidence.acts {
        for (numbers, times) in played.batches() {
            let culprits = numbers.iter().filter(|number| evidence.is_bad(**number)).count();
            let most = if played.act.isolate { bound(numbers.len(), culprits) } else { 1 };
            allowed += most;
            taken += times;
            within &= times <= most;
        }
    }
    Check {
        name: "dispatches_bounded",
        expected: format!("at most {allowed}").into(),
        actual: taken.into(),
        ok: within && taken > 0,
    }
}

/// Each living worker's figures are those of the datasets that came back from it in the act.
fn welford_recomputed(evidence: &Evidence) -> Check {
    let (mut workers, mut right, mut values) = (0, 0, 0);
    for played in &evidence.acts {
        for account in &played.accounts {
            let (datasets, figures) = evidence.recomputed(played, account.pid);
            let theirs = Figures { count: account.count, mean: account.mean, m2: account.m2 };
            workers += 1;
            right += u64::from(datasets == account.datasets && figures.agrees(theirs));
            values += account.count;
        }
    }
    Check {
        name: "welford_recomputed",
        expected: json!({ "workers": workers }),
        actual: json!({ "workers": right, "values": values }),
        ok: right == workers && workers > 0,
    }
}

fn results_recomputed(evidence: &Evidence) -> Check {
    let right = |played: &Played| {
        let described = played.described.iter();
        let right = described.filter(|(number, described)| {
            **number == described.number
                && evidence
                    .at(**number)
                    .and_then(|it| it.figures)
                    .is_some_and(|straight| straight.agrees(described))
        });
        right.count() as u64
    };
    Check::equal("results_recomputed", sum(evidence, |it| it.described.len() as u64), sum(evidence, right))
}

/// The first outcome came when most of the input had not been pulled.
fn streaming_overlaps(evidence: &Evidence) -> Option<Check> {
    let streams = || evidence.acts.iter().filter(|played| played.act.batches == Batches::Streaming);
    let latest = streams().map(|played| played.pulled_at_first).max()?;
    (evidence.expected.len() as u64 > PULLED_AT_FIRST).then(|| Check {
        name: "streaming_overlaps",
        expected: format!("at most {PULLED_AT_FIRST} pulled at the first outcome").into(),
        actual: latest.map_or(json!("no outcome came"), Into::into),
        ok: streams().all(|played| played.pulled_at_first.is_some_and(|pulled| pulled <= PULLED_AT_FIRST)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch_stats::trial::sound;

    /// The checks that do not hold once the evidence is changed.
    fn broken_by(change: impl FnOnce(&mut Evidence)) -> Vec<&'static str> {
        let mut evidence = sound();
        change(&mut evidence);
        checks(2, &evidence).into_iter().filter(|check| !check.ok).map(|check| check.name).collect()
    }

    fn isolated(evidence: &mut Evidence) -> &mut Played {
        evidence.acts.iter_mut().find(|played| played.act.isolate).unwrap()
    }

    fn skipped(evidence: &mut Evidence) -> &mut Played {
        evidence.acts.iter_mut().find(|played| !played.act.isolate).unwrap()
    }

    #[test]
    fn all_hold_on_a_sound_run() {
        assert_eq!(broken_by(|_| ()), [""; 0]);
        assert_eq!(checks(2, &sound()).len(), 12);
    }

    #[test]
    fn a_dataset_that_got_lost_is_missed() {
        let lose = |evidence: &mut Evidence| drop(isolated(evidence).fell.pop_first());
        assert_eq!(broken_by(lose), ["datasets_accounted"]);
        assert_eq!(broken_by(|evidence| isolated(evidence).twice = 1), ["datasets_accounted"]);
    }

    #[test]
    fn a_bad_dataset_with_a_result_is_noticed() {
        let slip = |evidence: &mut Evidence| {
            let played = isolated(evidence);
            let (number, _) = played.fell.pop_first().unwrap();
            let other = played.described.values().next().unwrap().clone();
            let pid = 999;
            played.described.insert(number, super::super::flow::Described { number, pid, ..other });
        };
        assert_eq!(broken_by(slip), ["bad_datasets_fail", "results_recomputed"]);
    }

    #[test]
    fn a_good_dataset_lost_under_isolate_is_noticed() {
        let lose = |evidence: &mut Evidence| {
            let played = isolated(evidence);
            let (number, gone) = played.described.pop_last().unwrap();
            let fell = played.fell.values().next().unwrap().clone();
            played.fell.insert(number, Fell { death: None, ..fell });
            played.accounts.retain(|account| account.pid != gone.pid);
        };
        assert_eq!(broken_by(lose), ["isolate_loses_none"]);
    }

    #[test]
    fn a_good_dataset_lost_without_a_bad_neighbour_is_noticed() {
        let lose = |evidence: &mut Evidence| {
            for fell in skipped(evidence).fell.values_mut() {
                fell.batch.retain(|number| *number >= 10);
            }
        };
        assert_eq!(broken_by(lose), ["skip_loses_neighbours_only"]);
    }

    #[test]
    fn another_signal_and_a_process_that_lives_are_noticed() {
        let of = |evidence: &mut Evidence, change: fn(&mut Fell)| {
            isolated(evidence).fell.values_mut().filter(|fell| fell.death.is_some()).for_each(change);
        };
        let abort = |fell: &mut Fell| fell.death = Some(Death::Signal(6));
        assert_eq!(broken_by(|evidence| of(evidence, abort)), ["killed_by_sigsegv"]);
        assert_eq!(broken_by(|evidence| of(evidence, |fell| fell.alive = true)), ["killed_by_sigsegv"]);
    }

    #[test]
    fn one_dispatch_more_than_allowed_is_noticed() {
        let more = |evidence: &mut Evidence| {
            let played = isolated(evidence);
            let again = played.begun.last().unwrap().clone();
            let (numbers, times) = played.batches()[0];
            let culprits = 1;
            let room = bound(numbers.len(), culprits) - times;
            played.begun.extend(vec![again; usize::try_from(room + 1).unwrap()]);
        };
        assert!(broken_by(more).contains(&"dispatches_bounded"));
        let twice = |evidence: &mut Evidence| {
            let again = skipped(evidence).begun[0].clone();
            skipped(evidence).begun.push(super::super::journal::Begun { attempt: 2, ..again });
        };
        assert!(broken_by(twice).contains(&"dispatches_bounded"));
    }

    #[test]
    fn a_death_that_no_dataset_explains_is_noticed() {
        assert_eq!(broken_by(|evidence| isolated(evidence).deaths += 1), ["deaths_explained"]);
        assert_eq!(broken_by(|evidence| skipped(evidence).deaths -= 1), ["deaths_explained"]);
    }

    #[test]
    fn a_torn_figure_and_a_batch_counted_twice_are_noticed() {
        type Account = super::super::flow::WorkerStats;
        let of =
            |evidence: &mut Evidence, change: fn(&mut Account)| change(&mut evidence.acts[1].accounts[0]);
        assert_eq!(broken_by(|it| of(it, |account| account.mean += 1e-3)), ["welford_recomputed"]);
        assert_eq!(broken_by(|it| of(it, |account| account.m2 *= 1.001)), ["welford_recomputed"]);
        assert_eq!(broken_by(|it| of(it, |account| account.datasets += 1)), ["welford_recomputed"]);
        assert_eq!(broken_by(|it| of(it, |account| account.count += 7)), ["welford_recomputed"]);
    }

    #[test]
    fn a_result_that_is_not_the_datasets_own_is_noticed() {
        type Described = super::super::flow::Described;
        let of = |evidence: &mut Evidence, change: fn(&mut Described)| {
            change(isolated(evidence).described.values_mut().next().unwrap());
        };
        assert_eq!(broken_by(|it| of(it, |it| it.median += 1.0)), ["results_recomputed"]);
        assert_eq!(broken_by(|it| of(it, |it| it.stdev *= 1.1)), ["results_recomputed"]);
    }

    #[test]
    fn a_single_process_a_ledger_and_a_stream_that_waits_are_noticed() {
        let one = |evidence: &mut Evidence| {
            evidence.slots.values_mut().for_each(|slot| *slot = "statistics/0".to_owned());
        };
        assert_eq!(broken_by(one), ["workers_distinct"]);
        assert_eq!(broken_by(|evidence| isolated(evidence).ledger.emitted += 1), ["ledger_balanced"]);
        let stream = |evidence: &mut Evidence| evidence.acts[2].pulled_at_first = Some(PULLED_AT_FIRST + 1);
        assert_eq!(broken_by(stream), ["streaming_overlaps"]);
    }
}
