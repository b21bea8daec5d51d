//! The checks: what the run is to have proven. Nothing here looks at how the counts came about, only at whether
//! they agree.

use std::collections::HashSet;

use serde_json::{Value, json};

use super::flow::BATCH;
use super::merge::{Evidence, Recount, WordCounts, top};
use super::summary::TOP;
use crate::report::Check;

/// So many batches need not reach a second worker.
const FEW_BATCHES: u64 = 4;

/// What was to be proven, in the order in which it is shown.
pub(super) fn checks(workers: usize, evidence: &Evidence) -> Vec<Check> {
    // One quick worker may well be done with a few small batches before the next has looked up.
    let least = match evidence.analysed().div_ceil(BATCH as u64) {
        0 => 0,
        1..=FEW_BATCHES => 1,
        _ => 2.min(workers as u64),
    };
    let busy: HashSet<u32> = evidence.analysed_by.iter().copied().filter(|pid| *pid != 0).collect();
    let counted: u64 = evidence.accounts.iter().map(|account| account.documents).sum();
    let theirs = evidence.accounted_for().into_iter().filter(|counted| *counted).count();
    let mut checks = vec![
        documents_accounted(evidence),
        Check::equal("worker_counts_sum", theirs as u64, counted),
        Check::at_least("workers_distinct", least, busy.len() as u64),
        Check::equal("ledger_balanced", true, evidence.ledger.balanced()),
    ];
    // A run that was told to stop has nothing to compare with, which is no fault of the counts.
    let recount = match &evidence.recount {
        Recount::Stopped => return checks,
        Recount::Failed(reason) => Err(reason.as_str()),
        Recount::Done(counts) => Ok(counts),
    };
    checks.insert(2, merged_equals_serial(&evidence.merged, recount));
    checks
}

/// Each document that was read is in an output, once, or among the failures.
fn documents_accounted(evidence: &Evidence) -> Check {
    let arrived: u64 = evidence.outputs.values().sum();
    let twice = arrived.saturating_sub(evidence.analysed());
    let accounted = arrived + evidence.failures.count + evidence.ledger.cancelled;
    // A run that nobody stopped has read the whole input.
    let expected = match evidence.recount {
        Recount::Stopped => evidence.ledger.pulled,
        _ => evidence.documents,
    };
    Check {
        name: "documents_accounted",
        expected: expected.into(),
        actual: if twice == 0 { accounted.into() } else { json!({ "documents": accounted, "twice": twice }) },
        ok: accounted == expected && twice == 0,
    }
}

/// The whole counts are compared; what is shown is their size and their commonest words.
fn merged_equals_serial(merged: &WordCounts, serial: Result<&WordCounts, &str>) -> Check {
    let show = |counts: &WordCounts| -> Value {
        json!({
            "words": counts.len(),
            "occurrences": counts.values().sum::<u64>(),
            "top": top(counts, TOP),
        })
    };
    Check {
        name: "merged_equals_serial",
        expected: serial.map_or_else(Value::from, show),
        actual: show(merged),
        ok: serial == Ok(merged),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text_analysis::merge::Account;

    /// Two workers, 65 documents, of which worker 7 had the first 40.
    fn sound() -> Evidence {
        let account = |pid, documents| Account { pid, documents, words: 10 * documents, vocabulary: 2 };
        let words: WordCounts = [("bread".to_owned(), 30), ("river".to_owned(), 20)].into();
        let mut evidence = Evidence::new(65);
        evidence.analysed_by = [vec![7; 40], vec![8; 25]].concat();
        evidence.outputs = [("negative".to_owned(), 25), ("positive".to_owned(), 40)].into();
        evidence.ledger.pulled = 65;
        evidence.ledger.emitted = 65;
        evidence.accounts = vec![account(7, 40), account(8, 25)];
        evidence.merged = words.clone();
        evidence.recount = Recount::Done(words);
        evidence
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
                "documents_accounted",
                "worker_counts_sum",
                "merged_equals_serial",
                "workers_distinct",
                "ledger_balanced"
            ]
        );
    }

    #[test]
    fn a_document_that_got_lost_is_missed() {
        let lose = |evidence: &mut Evidence| *evidence.outputs.get_mut("negative").unwrap() -= 1;
        assert_eq!(broken_by(lose), ["documents_accounted"]);
    }

    #[test]
    fn a_document_that_arrived_twice_in_place_of_another_is_noticed() {
        let both = |evidence: &mut Evidence| {
            // The sum is right, and number 64 is another's double.
            evidence.analysed_by[64] = 0;
            evidence.accounts[1].documents -= 1;
        };
        assert_eq!(broken_by(both), ["documents_accounted"]);
    }

    #[test]
    fn a_document_that_a_worker_counted_twice_is_noticed() {
        assert_eq!(broken_by(|evidence| evidence.accounts[1].documents += 1), ["worker_counts_sum"]);
    }

    #[test]
    fn one_word_more_or_less_is_noticed() {
        let more = |evidence: &mut Evidence| *evidence.merged.get_mut("river").unwrap() += 1;
        assert_eq!(broken_by(more), ["merged_equals_serial"]);
        let another = |evidence: &mut Evidence| {
            evidence.merged.remove("river");
        };
        assert_eq!(broken_by(another), ["merged_equals_serial"]);
    }

    #[test]
    fn a_recount_that_failed_proves_nothing() {
        let fail = |evidence: &mut Evidence| evidence.recount = Recount::Failed("no memory".to_owned());
        assert_eq!(broken_by(fail), ["merged_equals_serial"]);
    }

    #[test]
    fn a_single_process_is_noticed() {
        let one = |evidence: &mut Evidence| {
            evidence.analysed_by = vec![7; 65];
            evidence.accounts.remove(1);
            evidence.accounts[0].documents = 65;
        };
        assert_eq!(broken_by(one), ["workers_distinct"]);
        let mut evidence = sound();
        one(&mut evidence);
        assert!(checks(1, &evidence).iter().all(|check| check.ok));
    }

    #[test]
    fn a_ledger_that_does_not_balance_is_noticed() {
        assert_eq!(broken_by(|evidence| evidence.ledger.emitted -= 1), ["ledger_balanced"]);
    }

    #[test]
    fn a_dead_worker_takes_only_its_own_counts_along() {
        let die = |evidence: &mut Evidence| {
            evidence.accounts.remove(1);
            evidence.failures.count = 3;
            evidence.outputs.insert("negative".to_owned(), 22);
            evidence.analysed_by.truncate(62);
        };
        assert_eq!(broken_by(die), [""; 0]);
    }

    #[test]
    fn a_stopped_run_answers_for_what_it_read() {
        let mut evidence = sound();
        evidence.documents = 1000;
        evidence.recount = Recount::Stopped;
        let checks = checks(2, &evidence);
        assert!(checks.iter().all(|check| check.ok));
        assert!(checks.iter().all(|check| check.name != "merged_equals_serial"));
        evidence.recount = Recount::Done(evidence.merged.clone());
        assert!(!super::checks(2, &evidence)[0].ok, "a run that nobody stopped read it all");
    }
}
