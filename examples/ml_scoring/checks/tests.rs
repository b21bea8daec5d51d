//! Each result, perturbed, turns its check false.

use super::*;
use crate::ml_scoring::trial::{PIDS, sound, verdict};

/// The checks that do not hold once the evidence is changed.
fn broken_by(change: impl FnOnce(&mut Evidence)) -> Vec<&'static str> {
    let mut evidence = sound();
    change(&mut evidence);
    checks(&evidence).into_iter().filter(|check| !check.ok).map(|check| check.name).collect()
}

#[test]
fn all_hold_on_a_sound_run() {
    assert_eq!(broken_by(|_| ()), [""; 0]);
    assert_eq!(checks(&sound()).len(), 20);
}

#[test]
fn a_record_that_got_lost_or_came_twice_is_noticed() {
    let lose = |evidence: &mut Evidence| drop(evidence.scored[0].predictions.pop_first());
    assert!(broken_by(lose).contains(&"records_accounted"));
    assert_eq!(broken_by(|evidence| evidence.scored[1].twice = 1), ["records_accounted"]);
    let few = |evidence: &mut Evidence| evidence.scored[1].records = 0;
    assert_eq!(broken_by(few), ["records_accounted"]);
}

#[test]
fn sessions_that_share_a_worker_are_noticed() {
    let share = |evidence: &mut Evidence| evidence.trained[1].pid = PIDS[0];
    assert_eq!(broken_by(share)[0], "workers_distinct");
    let meet = |evidence: &mut Evidence| {
        let theirs = evidence.accounts[0].trained.remove(0);
        evidence.accounts[1].trained.push(theirs);
    };
    assert_eq!(broken_by(meet), ["own_models_only"]);
}

#[test]
fn trainings_one_after_the_other_are_noticed() {
    let after = |evidence: &mut Evidence| evidence.trained[1].began_ns = evidence.trained[0].ended_ns;
    assert_eq!(broken_by(after), ["trained_concurrently"]);
}

#[test]
fn one_model_for_both_is_noticed() {
    let same = |evidence: &mut Evidence| {
        evidence.trained[1].coefficients = evidence.trained[0].coefficients.clone();
    };
    assert_eq!(broken_by(same), ["models_differ", "predictions_by_own_model"]);
    let agree = |evidence: &mut Evidence| evidence.scored[1] = evidence.scored[0].clone();
    assert!(broken_by(agree).starts_with(&["predictions_by_own_model", "predictions_diverge"]));
    let known = |evidence: &mut Evidence| {
        evidence.finals[1].models.insert(MODELS[0].to_owned(), String::new());
    };
    assert_eq!(broken_by(known), ["own_models_only"]);
    let before = |evidence: &mut Evidence| evidence.loss.before[0].models.clear();
    assert_eq!(broken_by(before), ["own_models_only"]);
}

#[test]
fn a_verdict_of_another_model_is_noticed() {
    let forged = |evidence: &mut Evidence| verdict(&mut evidence.real[0].scored).probabilities[0] += 0.01;
    assert_eq!(broken_by(forged), ["predictions_by_own_model"]);
    let signed = |evidence: &mut Evidence| verdict(&mut evidence.real[0].scored).fingerprint.clear();
    assert_eq!(broken_by(signed), ["predictions_by_own_model"]);
    let session = |evidence: &mut Evidence| verdict(&mut evidence.real[0].scored).session = None;
    assert_eq!(broken_by(session), ["predictions_by_own_model"]);
    let label = |evidence: &mut Evidence| verdict(&mut evidence.loss.meanwhile).label ^= 1;
    assert_eq!(broken_by(label), ["predictions_by_own_model", "other_untouched"]);
}

#[test]
fn half_a_write_is_noticed() {
    let broken = ["failed_write_changes_nothing"];
    assert_eq!(broken_by(|evidence| evidence.refused.error = None), broken);
    assert_eq!(broken_by(|evidence| evidence.refused.after.bytes += 9), broken);
    assert_eq!(broken_by(|evidence| evidence.refused.after.version += 1), broken);
    assert_eq!(broken_by(|evidence| evidence.refused.after.values[0] = Some(vec![2.0])), broken);
    assert_eq!(broken_by(|evidence| evidence.refused.again.values[1] = None), broken);
}

#[test]
fn a_death_that_was_none_is_noticed() {
    assert_eq!(broken_by(|evidence| evidence.loss.gone = false), ["worker_killed"]);
    assert_eq!(broken_by(|evidence| evidence.loss.running.kind = None), ["worker_killed"]);
    let segfault = |evidence: &mut Evidence| evidence.loss.running.death = Some(Death::Signal(11));
    assert_eq!(broken_by(segfault), ["worker_killed"]);
}

#[test]
fn a_call_that_found_fresh_state_is_noticed() {
    assert_eq!(broken_by(|evidence| evidence.loss.queued[3].kind = None), ["lost_loudly"]);
    assert_eq!(broken_by(|evidence| evidence.loss.later.kind = None), ["lost_loudly"]);
    assert_eq!(broken_by(|evidence| drop(evidence.loss.queued.pop())), ["lost_loudly"]);
    assert_eq!(broken_by(|evidence| evidence.loss.reopened.predictions = 1), ["reopened_empty"]);
    assert_eq!(broken_by(|evidence| evidence.loss.reopened.pid = PIDS[0]), ["reopened_empty"]);
    let kept = |evidence: &mut Evidence| {
        evidence.loss.reopened.models = evidence.loss.before[0].models.clone();
    };
    assert_eq!(broken_by(kept), ["reopened_empty"]);
}

#[test]
fn another_model_after_the_second_training_is_noticed() {
    let other = |evidence: &mut Evidence| evidence.loss.retrained.coefficients[0][0] += 0.01;
    assert_eq!(broken_by(other), ["predictions_by_own_model", "retrained_the_same"]);
    let says = |evidence: &mut Evidence| drop(evidence.loss.rescored.predictions.pop_last());
    assert!(broken_by(says).contains(&"retrained_the_same"));
    let same = |evidence: &mut Evidence| evidence.loss.retrained.pid = PIDS[0];
    assert!(broken_by(same).contains(&"retrained_the_same"));
}

#[test]
fn whatever_happens_to_the_other_session_is_noticed() {
    assert_eq!(broken_by(|evidence| evidence.loss.other.pid = 1), ["other_untouched"]);
    assert_eq!(broken_by(|evidence| evidence.loss.other.predictions -= 1), ["other_untouched"]);
    assert_eq!(broken_by(|evidence| evidence.loss.other.models.clear()), ["other_untouched"]);
}

#[test]
fn features_that_were_lost_or_differ_are_noticed() {
    let again = |evidence: &mut Evidence| evidence.loss.rescored.featurized = 1;
    assert_eq!(broken_by(again), ["features_outlive_worker"]);
    let row = |evidence: &mut Evidence| drop(evidence.written.file.pop_last());
    assert_eq!(broken_by(row), ["features_written_through"]);
    assert_eq!(broken_by(|evidence| evidence.written.lines += 1), ["features_written_through"]);
    let value = |evidence: &mut Evidence| {
        for rows in [&mut evidence.written.table, &mut evidence.written.file] {
            rows.insert(crate::ml_scoring::play::LATE[0].to_owned(), vec![9.0]);
        }
    };
    assert_eq!(broken_by(value), ["features_written_through"]);
}

#[test]
fn a_model_that_guesses_and_a_figure_that_is_not_scikit_learns_are_noticed() {
    let guess = |evidence: &mut Evidence| {
        evidence.real[0].learnt.labels.iter_mut().take(8).for_each(|label| *label ^= 1);
        evidence.real[0].learnt.score = evidence.real[0].accuracy();
    };
    assert_eq!(broken_by(guess), ["breast_cancer_accuracy"]);
    assert_eq!(broken_by(|evidence| evidence.real[1].learnt.score = 1.0), ["wine_accuracy"]);
}

#[test]
fn counts_that_differ_are_noticed() {
    assert_eq!(broken_by(|evidence| evidence.accounts[0].predictions += 1), ["worker_counts_sum"]);
    assert_eq!(broken_by(|evidence| evidence.finals[0].predictions -= 1), ["worker_counts_sum"]);
    assert_eq!(broken_by(|evidence| evidence.lost.clear()), ["worker_counts_sum"]);
    assert_eq!(broken_by(|evidence| evidence.scored[0].ledger.emitted -= 1), ["ledger_balanced"]);
    assert_eq!(broken_by(|evidence| evidence.loss.queued_ledger.failed -= 1), ["ledger_balanced"]);
}

#[test]
fn a_session_that_ended_twice_or_not_at_all_is_noticed() {
    let twice = |evidence: &mut Evidence| evidence.ends[0].push(SessionEnd::Dropped);
    assert_eq!(broken_by(twice), ["sessions_ended_once"]);
    assert_eq!(broken_by(|evidence| evidence.ends[1].clear()), ["sessions_ended_once"]);
    assert_eq!(broken_by(|evidence| evidence.accounts[1].ended.clear()), ["sessions_ended_once"]);
}

#[test]
fn what_fails_and_was_not_meant_to_makes_the_run_fail() {
    let mut evidence = sound();
    evidence.scored[0].failures.count = 1;
    assert_eq!(crate::ml_scoring::summary::report(evidence).exit, 1);
    assert_eq!(crate::ml_scoring::summary::report(sound()).exit, 0);
}
