//! A sound run for the tests of checks and summary: acts played by the rules, without Python.

use std::collections::BTreeMap;
use std::time::Duration;

use slither::{Death, ErrorKind, Ledger, LostWorker, SessionEnd};

use super::evidence::{Evidence, Fell, Loss, Real, Refused, Scored, Standing, Written};
use super::flow::{Learnt, Prediction, Record, SessionStats, Trained, WorkerStats};
use super::play::{DATASETS, LATE, MODELS};
use super::records::{FEATURES, RECORDS, records};
use crate::report::Failures;

/// A's worker until it is killed, the one after it, and B's.
pub(super) const PIDS: [u32; 3] = [7, 9, 8];
const HELD_OUT: usize = 20;

/// A model of two classes that has learnt these weights.
pub(super) fn trained(model: &str, session: &str, pid: u32, weights: [f64; FEATURES]) -> Trained {
    let began_ns = u64::from(pid);
    Trained {
        model: model.to_owned(),
        session: Some(session.to_owned()),
        pid,
        began_ns,
        ended_ns: began_ns + 1_000_000,
        samples: 400,
        rounds: 8,
        validated: 0.99,
        fingerprint: format!("{weights:?}"),
        coefficients: vec![weights.to_vec()],
        intercepts: vec![-5.0],
    }
}

/// What comes of records that a model judges, `featurized` of which were not in the store.
fn scored(model: &Trained, records: &[Record], featurized: u64) -> Scored {
    let judge = |record: &Record| {
        let probabilities = model.probabilities(&record.readings[0]);
        let prediction = Prediction {
            id: record.id.clone(),
            label: usize::from(probabilities[1] > 0.5),
            probabilities,
            session: model.session.clone(),
            pid: model.pid,
            fingerprint: model.fingerprint.clone(),
        };
        (record.id.clone(), prediction)
    };
    let count = records.len() as u64;
    Scored {
        records: records.len(),
        predictions: records.iter().map(judge).collect(),
        twice: 0,
        featurized,
        outputs: BTreeMap::from([("sure".to_owned(), count)]),
        ledger: Ledger { pulled: count, emitted: count, ..Ledger::default() },
        failures: Failures::default(),
    }
}

fn real(dataset: &str, session: &str, pid: u32) -> Real {
    let trained = trained(dataset, session, pid, [1.0, 1.0, 1.0, 1.0]);
    let reading = |number: usize| vec![number as f64 / 4.0; FEATURES];
    let held_out: Vec<_> = (0..HELD_OUT)
        .map(|number| Record { id: format!("{dataset}/{number}"), readings: vec![reading(number)] })
        .collect();
    let scored = scored(&trained, &held_out, held_out.len() as u64);
    let mut labels: Vec<_> = held_out.iter().map(|record| scored.predictions[&record.id].label).collect();
    // One is not what the model takes it for.
    labels[0] = 1 - labels[0];
    let classes = ["first", "second"].map(str::to_owned).to_vec();
    Real { learnt: Learnt { trained, held_out, labels, classes, score: 0.95 }, scored }
}

fn stats(session: &str, pid: u32, models: &[&Trained], predictions: usize) -> SessionStats {
    let models = models.iter().map(|model| (model.model.clone(), model.fingerprint.clone())).collect();
    SessionStats { session: Some(session.to_owned()), pid, models, predictions: predictions as u64 }
}

fn lost() -> Fell {
    Fell { kind: Some(ErrorKind::SessionLost), message: "it is lost".to_owned(), death: None }
}

fn refused() -> Refused {
    let standing = |version, lines, values: [Option<f64>; 2]| Standing {
        version,
        rows: lines,
        bytes: lines as u64 * 40,
        lines,
        values: values.map(|value| value.map(|value| vec![value])).to_vec(),
    };
    let again = standing(5, 23, [Some(2.0), Some(3.0)]);
    Refused {
        error: Some("no storage space".to_owned()),
        before: standing(4, 21, [Some(1.0), None]),
        after: standing(4, 21, [Some(1.0), None]),
        wanted: again.values.clone(),
        again,
    }
}

/// A run in which everything went as it should.
pub(super) fn sound() -> Evidence {
    let [first, second, other] = PIDS;
    let mut input = records();
    input.iter_mut().for_each(|record| record.readings.truncate(1));
    let a = trained(MODELS[0], "s-a", first, [1.0, 0.0, 1.0, 0.0]);
    let b = trained(MODELS[1], "s-b", other, [0.0, 1.0, 0.0, 1.0]);
    let retrained = Trained { pid: second, ..a.clone() };
    let real = [real(DATASETS[0], "s-a", second), real(DATASETS[1], "s-b", other)];
    let finals = [
        stats("s-a", second, &[&retrained, &real[0].learnt.trained], RECORDS + HELD_OUT),
        stats("s-b", other, &[&b, &real[1].learnt.trained], 2 * RECORDS + HELD_OUT),
    ];
    let account = |session: &str, stats: &SessionStats| WorkerStats {
        pid: stats.pid,
        trained: stats.models.keys().map(|model| (session.to_owned(), model.clone())).collect(),
        predictions: stats.predictions,
        ended: vec![session.to_owned()],
    };
    let running = Fell {
        kind: Some(ErrorKind::Crash),
        message: "the worker was killed".to_owned(),
        death: Some(Death::Signal(9)),
    };
    let held_out = real.iter().flat_map(|real| &real.learnt.held_out);
    let refused = refused();
    let mut table: BTreeMap<_, _> =
        input.iter().chain(held_out).map(|record| (record.id.clone(), record.readings[0].clone())).collect();
    let late = LATE.iter().zip(&refused.wanted);
    table.extend(late.filter_map(|(id, wanted)| Some(((*id).to_owned(), wanted.clone()?))));
    Evidence {
        sessions: ["s-a", "s-b"].map(str::to_owned),
        scored: [scored(&a, &input, 20), scored(&b, &input, 3)],
        refused,
        loss: Loss {
            before: [stats("s-a", first, &[&a], RECORDS), stats("s-b", other, &[&b], RECORDS)],
            killed: first,
            gone: true,
            running,
            queued: vec![lost(); RECORDS + 1],
            queued_ledger: Ledger { pulled: RECORDS as u64, failed: RECORDS as u64, ..Ledger::default() },
            later: lost(),
            meanwhile: scored(&b, &input, 0),
            reopened: stats("s-a", second, &[], 0),
            rescored: scored(&retrained, &input, 0),
            retrained,
            other: stats("s-b", other, &[&b], 2 * RECORDS),
        },
        accounts: vec![account("s-a", &finals[0]), account("s-b", &finals[1])],
        finals,
        real,
        written: Written { lines: table.len() + 1, file: table.clone(), expected: table.clone(), table },
        ends: [vec![SessionEnd::Closed], vec![SessionEnd::Closed]],
        lost: vec![LostWorker { worker: "models/0#1".to_owned(), pid: first, reason: "SIGKILL".to_owned() }],
        silent: Vec::new(),
        chaos: None,
        elapsed: Duration::from_secs(1),
        trained: [a, b],
    }
}

/// Somebody's verdict, to be changed.
pub(super) fn verdict(scored: &mut Scored) -> &mut Prediction {
    scored.predictions.values_mut().next().expect("every run judges something")
}
