//! The checks: what the runs are to have proven. Nothing here looks at how the evidence came about, only at
//! whether it agrees.

use std::collections::{BTreeSet, HashSet};

use serde_json::{Value, json};

use super::contention::Way;
use super::evidence::{Account, Evidence, Run};
use crate::report::Check;

/// The run of the second act.
const SECOND_ACT: u32 = 3;
/// So few batches need not reach a second worker.
const FEW_BATCHES: usize = 4;

/// What was to be proven, in the order in which it is shown.
pub(super) fn checks(workers: usize, evidence: &Evidence) -> Vec<Check> {
    let mut checks = vec![
        rows_accounted(evidence),
        no_mixed_batches(evidence),
        no_torn_reads(evidence),
        versions_as_expected(evidence),
        Check::equal("verdicts_recomputed", 0, evidence.misjudged),
        audit_logs_match(evidence),
        Check::equal("ledger_balanced", true, evidence.ledger.balanced()),
        workers_distinct(workers, evidence),
    ];
    // A run that was told to stop has not come to all of them, which is no fault of the store.
    if !evidence.stopped {
        checks.insert(6, reloads_done(evidence));
    }
    checks
}

/// Each row that was pulled is in an output, once, or in a chunk that failed.
fn rows_accounted(evidence: &Evidence) -> Check {
    let sum = |of: fn(&Run) -> u64| evidence.runs.values().map(of).sum::<u64>();
    let expected = if evidence.stopped { sum(|run| run.pulled) } else { sum(|run| run.rows) };
    let (accounted, twice) = (sum(|run| run.arrived() + run.failed), sum(|run| run.twice));
    Check {
        name: "rows_accounted",
        expected: expected.into(),
        actual: if twice == 0 { accounted.into() } else { json!({ "rows": accounted, "twice": twice }) },
        ok: accounted == expected && twice == 0,
    }
}

fn no_mixed_batches(evidence: &Evidence) -> Check {
    let mixed = evidence.batches.values().filter(|versions| versions.len() != 1).count();
    Check {
        name: "no_mixed_batches",
        expected: json!({ "mixed": 0 }),
        actual: json!({ "mixed": mixed, "batches": evidence.batches.len() }),
        ok: mixed == 0 && !evidence.batches.is_empty(),
    }
}

/// Neither the reader nor any chunk has met a table that was empty, partial or mixed, or an older version than
/// before; and the reader has read.
fn no_torn_reads(evidence: &Evidence) -> Check {
    let seen = &evidence.sightings;
    let torn = seen.torn + seen.backwards + evidence.torn_chunks;
    Check {
        name: "no_torn_reads",
        expected: json!({ "torn": 0 }),
        actual: json!({ "torn": torn, "reads": seen.reads }),
        ok: torn == 0 && (seen.reads > 0 || evidence.stopped),
    }
}

/// The batches of the first act saw version 1 and version 2; the rows of the second saw later and later ones, to
/// the last, and at least half of them.
fn versions_as_expected(evidence: &Evidence) -> Check {
    let empty = Run::default();
    let run = |number| evidence.runs.get(&number).unwrap_or(&empty);
    let batch = |number: u32| run(number).seen();
    let first = |number: u32| match run(number).arrived() {
        0 => BTreeSet::new(),
        _ => BTreeSet::from([u64::from(number)]),
    };
    let during = run(SECOND_ACT);
    let seen = during.seen();
    let (oldest, newest) = (2, 1 + evidence.to_publish);
    let arrived = during.versions.iter().filter(|version| **version != 0);
    let in_order = arrived.is_sorted();
    let known = seen.iter().all(|version| (oldest..=newest).contains(version));
    let partial = evidence.stopped || during.failed > 0;
    let chunks = during.rows.div_ceil(super::rows::CHUNK as u64);
    let least = (evidence.to_publish / 2).min(chunks.div_ceil(2));
    let enough = partial || (seen.len() as u64 >= least && seen.contains(&newest));
    Check {
        name: "versions_as_expected",
        expected: json!({
            "batch_1": first(1), "batch_2": first(2), "versions": format!("at least {least}"), "last": newest,
            "in_order": true,
        }),
        actual: json!({
            "batch_1": batch(1), "batch_2": batch(2), "versions": seen.len(), "last": seen.last(),
            "in_order": in_order,
        }),
        ok: batch(1) == first(1) && batch(2) == first(2) && in_order && known && enough,
    }
}

/// Each worker's log is as long as its count, and holds the rows that came back from it, no others.
fn audit_logs_match(evidence: &Evidence) -> Check {
    let none = Vec::new();
    let logged = |account: &Account| account.audit_log.len() as u64;
    let matches = |account: &&Account| {
        let returned = evidence.returned.get(&account.pid).unwrap_or(&none);
        logged(account) == account.validations && account.audit_log == *returned
    };
    let matching: Vec<&Account> = evidence.accounts.iter().filter(matches).collect();
    // What a dead worker wrote down is lost, and reported as such; one that is alive has to answer.
    let answered: HashSet<u32> = evidence.accounts.iter().map(|account| account.pid).collect();
    let lost: HashSet<u32> = evidence.lost.iter().map(|lost| lost.pid).collect();
    let silent =
        evidence.returned.keys().filter(|pid| !answered.contains(pid) && !lost.contains(pid)).count();
    let sum = |accounts: &mut dyn Iterator<Item = &Account>| accounts.map(logged).sum::<u64>();
    let validations: u64 = evidence.accounts.iter().map(|account| account.validations).sum();
    Check {
        name: "audit_logs_match",
        expected: json!({ "workers": evidence.accounts.len() + silent, "entries": validations }),
        actual: json!({ "workers": matching.len(), "entries": sum(&mut evidence.accounts.iter()) }),
        ok: matching.len() == evidence.accounts.len() + silent && !matching.is_empty(),
    }
}

fn reloads_done(evidence: &Evidence) -> Check {
    // One of them is the change between the two batches.
    let (puts, reloads) = (evidence.to_publish.div_ceil(2), evidence.to_publish / 2);
    let failed: Vec<&String> = evidence.published.iter().filter_map(|way| way.as_ref().err()).collect();
    let (put, reloaded) = (evidence.ways(Way::Put), evidence.ways(Way::Reload));
    let mut actual = json!({ "puts": put, "reloads": reloaded });
    if let Some(first) = failed.first() {
        actual["failed"] = Value::from(first.as_str());
    }
    Check {
        name: "reloads_done",
        expected: json!({ "puts": puts, "reloads": reloads }),
        actual,
        ok: (puts, reloads) == (put, reloaded) && failed.is_empty(),
    }
}

fn workers_distinct(workers: usize, evidence: &Evidence) -> Check {
    // One quick worker may well be done with a few small batches before the next has looked up.
    let least = match evidence.batches.len() {
        0 => 0,
        1..=FEW_BATCHES => 1,
        _ => 2.min(workers as u64),
    };
    Check::at_least("workers_distinct", least, evidence.returned.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data_etl::flow::{Entry, Problem, Record};
    use crate::data_etl::rows::{Input, Row};

    /// Worker 7 had both batches, then 7 and 8 a chunk each while one version was reloaded and one put.
    fn sound() -> Evidence {
        let input = Input::built_in().unwrap();
        let mut evidence = Evidence::new(input.edition.clone());
        for (run, chunk, pid, batch, version) in
            [(1, 0, 7, 1, 1), (2, 0, 7, 2, 2), (3, 0, 7, 3, 2), (3, 1, 8, 1, 3), (3, 2, 8, 2, 4)]
        {
            let rows: Vec<Row> = input.rows(run).skip(chunk * 16).take(16).map(Result::unwrap).collect();
            evidence.run(run).rows = if run == 3 { 48 } else { 16 };
            evidence.run(run).pulled = evidence.run(run).rows;
            for row in rows {
                let record = record(&mut evidence, row, (pid, batch), version);
                evidence.add(run, "default", record);
            }
        }
        for (pid, batches) in [(7, 3), (8, 2)] {
            let audit_log = evidence.returned[&pid].clone();
            evidence.accounts.push(Account { pid, batches, validations: audit_log.len() as u64, audit_log });
        }
        evidence.to_publish = 3;
        evidence.published = vec![Ok(Way::Put), Ok(Way::Reload), Ok(Way::Put)];
        evidence.sightings.reads = 100;
        evidence.ledger.pulled = 5;
        evidence.ledger.expanded = 75;
        evidence.ledger.emitted = 80;
        evidence
    }

    /// What Python would have said.
    fn record(evidence: &mut Evidence, row: Row, checked_by: (u32, u64), version: u64) -> Record {
        let problem = |(column, rule): (&str, &str)| Problem {
            column: column.to_owned(),
            rule: rule.to_owned(),
            message: String::new(),
        };
        let problems = evidence.schema(version).verdict(&row.cells).map(problem).collect();
        Record { row, version, checked_by, problems, fields: Default::default(), uncast: 0 }
    }

    /// The checks that do not hold once the evidence is changed.
    fn broken_by(change: impl FnOnce(&mut Evidence)) -> Vec<&'static str> {
        let mut evidence = sound();
        change(&mut evidence);
        checks(2, &evidence).into_iter().filter(|check| !check.ok).map(|check| check.name).collect()
    }

    #[test]
    fn all_hold_on_a_sound_run() {
        assert_eq!(broken_by(|_| ()), [""; 0]);
        let names: Vec<_> = checks(2, &sound()).into_iter().map(|check| check.name).collect();
        assert_eq!(
            names,
            [
                "rows_accounted",
                "no_mixed_batches",
                "no_torn_reads",
                "versions_as_expected",
                "verdicts_recomputed",
                "audit_logs_match",
                "reloads_done",
                "ledger_balanced",
                "workers_distinct"
            ]
        );
    }

    #[test]
    fn a_row_that_got_lost_or_came_twice_is_noticed() {
        assert_eq!(broken_by(|evidence| evidence.run(3).versions[20] = 0), ["rows_accounted"]);
        assert_eq!(broken_by(|evidence| evidence.run(3).twice += 1), ["rows_accounted"]);
        let again = |evidence: &mut Evidence| {
            let row = Input::built_in().unwrap().rows(3).next().unwrap().unwrap();
            let record = record(evidence, row, (7, 3), 2);
            evidence.add(3, "default", record);
        };
        // The worker has not written it down twice either.
        assert_eq!(broken_by(again), ["rows_accounted", "audit_logs_match"]);
    }

    #[test]
    fn a_batch_with_two_versions_is_noticed() {
        let mix = |evidence: &mut Evidence| {
            evidence.batches.get_mut(&(8, 1)).unwrap().insert(4);
        };
        assert_eq!(broken_by(mix), ["no_mixed_batches"]);
    }

    #[test]
    fn a_torn_read_is_noticed_by_the_reader_and_by_a_chunk() {
        assert_eq!(broken_by(|evidence| evidence.sightings.torn = 1), ["no_torn_reads"]);
        assert_eq!(broken_by(|evidence| evidence.sightings.backwards = 1), ["no_torn_reads"]);
        assert_eq!(broken_by(|evidence| evidence.torn_chunks = 1), ["no_torn_reads"]);
        assert_eq!(broken_by(|evidence| evidence.sightings.reads = 0), ["no_torn_reads"]);
    }

    #[test]
    fn a_row_with_the_version_of_another_time_is_noticed() {
        let expected = ["versions_as_expected"];
        assert_eq!(broken_by(|evidence| evidence.run(1).versions[3] = 2), expected);
        assert_eq!(broken_by(|evidence| evidence.run(2).versions[3] = 1), expected);
        // Back to an older one, one that never was, and nothing new for the whole run.
        assert_eq!(broken_by(|evidence| evidence.run(3).versions[47] = 2), expected);
        assert_eq!(broken_by(|evidence| evidence.run(3).versions[47] = 9), expected);
        assert_eq!(broken_by(|evidence| evidence.run(3).versions.fill(2)), expected);
    }

    #[test]
    fn a_verdict_of_another_version_than_the_row_carries_is_noticed() {
        let mut evidence = sound();
        let lenient = evidence.schema(3).clone();
        let passes = |row: &Row| lenient.verdict(&row.cells).next().is_none();
        let rows = Input::built_in().unwrap().rows(3).map(Result::unwrap).skip(48).filter(passes);
        // Refused by the strict schema, and said to be checked by the lenient one.
        let judged = rows.map(|row| record(&mut evidence, row, (8, 2), 4));
        let refused = judged.into_iter().find(|record| !record.problems.is_empty()).unwrap();
        evidence.add(3, "invalid", Record { version: 3, ..refused });
        assert_eq!(evidence.misjudged, 1);
        assert_eq!(broken_by(|evidence| evidence.misjudged = 1), ["verdicts_recomputed"]);
    }

    #[test]
    fn a_log_that_differs_is_noticed() {
        let expected = ["audit_logs_match"];
        assert_eq!(broken_by(|evidence| evidence.accounts[0].validations += 1), expected);
        let lose = |evidence: &mut Evidence| {
            evidence.accounts[0].audit_log.pop();
        };
        assert_eq!(broken_by(lose), expected);
        let falsify = |entry: &mut Entry| entry.version += 1;
        assert_eq!(broken_by(|evidence| falsify(&mut evidence.accounts[1].audit_log[0])), expected);
        let silence = |evidence: &mut Evidence| {
            evidence.accounts.remove(1);
        };
        assert_eq!(broken_by(silence), expected);
    }

    #[test]
    fn a_dead_worker_takes_only_its_own_log_along() {
        let die = |evidence: &mut Evidence| {
            let lost = evidence.accounts.remove(1);
            let reason = "SIGKILL".to_owned();
            evidence.lost.push(slither::LostWorker {
                worker: "validation/1".to_owned(),
                pid: lost.pid,
                reason,
            });
        };
        assert_eq!(broken_by(die), [""; 0]);
    }

    #[test]
    fn a_publication_that_failed_or_never_came_is_noticed() {
        assert_eq!(broken_by(|evidence| evidence.published[1] = Err("no room".to_owned())), ["reloads_done"]);
        assert_eq!(broken_by(|evidence| evidence.published.truncate(2)), ["reloads_done"]);
        assert_eq!(broken_by(|evidence| evidence.published[1] = Ok(Way::Put)), ["reloads_done"]);
    }

    #[test]
    fn an_unbalanced_ledger_and_a_single_process_are_noticed() {
        assert_eq!(broken_by(|evidence| evidence.ledger.expanded -= 1), ["ledger_balanced"]);
        let one = |evidence: &mut Evidence| {
            let theirs = evidence.returned.remove(&8).unwrap();
            evidence.returned.get_mut(&7).unwrap().extend(theirs);
            evidence.accounts.truncate(1);
            evidence.accounts[0].audit_log = evidence.returned[&7].clone();
            evidence.accounts[0].validations = 80;
        };
        assert_eq!(broken_by(one), ["workers_distinct"]);
    }

    #[test]
    fn a_stopped_run_answers_for_what_it_pulled() {
        let stop = |evidence: &mut Evidence| {
            evidence.stopped = true;
            evidence.run(3).rows = 10_000;
            evidence.to_publish = 201;
        };
        assert_eq!(broken_by(stop), [""; 0]);
        let unstopped = |evidence: &mut Evidence| {
            stop(evidence);
            evidence.stopped = false;
        };
        assert_eq!(broken_by(unstopped), ["rows_accounted", "versions_as_expected", "reloads_done"]);
    }
}
