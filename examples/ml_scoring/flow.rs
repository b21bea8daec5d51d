//! The pipe, and the types that travel through it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use slither::{Call, ConfigError, OnError, Pipe, Router, StoreHandle};

use super::backing::Line;
use super::features::{FeatureStore, known, remember};

/// The module that the workers import.
pub(super) const MODULE: &str = "ml_scorer";
/// The pool's name.
pub(super) const POOL: &str = "models";
/// The package it needs.
pub(super) const SCIKIT_LEARN: &str = "scikit-learn>=1.3";
/// Records that are judged or written together.
pub(super) const BATCH: usize = 5;
/// A verdict that is less probable goes to `unsure`.
const SURE: f64 = 0.8;
/// The stage that only records pass whose features the store does not have.
pub(super) const FEATURIZE: &str = "featurize";

/// A record as it arrives: several readings of the same features.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(super) id: String,
    pub(super) readings: Vec<Vec<f64>>,
}

/// A record with what the store has for it.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Looked {
    id: String,
    readings: Vec<Vec<f64>>,
    features: Option<Vec<f64>>,
}

/// A record's features, and the model that is to judge them.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Question {
    pub(super) id: String,
    pub(super) model: String,
    pub(super) features: Vec<f64>,
}

/// A verdict, and who gave it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Prediction {
    pub(super) id: String,
    pub(super) label: usize,
    pub(super) probabilities: Vec<f64>,
    pub(super) session: Option<String>,
    pub(super) pid: u32,
    pub(super) fingerprint: String,
}

/// A model that was trained, and what it has learnt.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Trained {
    pub(super) model: String,
    pub(super) session: Option<String>,
    pub(super) pid: u32,
    pub(super) began_ns: u64,
    pub(super) ended_ns: u64,
    pub(super) samples: u64,
    pub(super) rounds: u64,
    pub(super) validated: f64,
    pub(super) coefficients: Vec<Vec<f64>>,
    pub(super) intercepts: Vec<f64>,
    pub(super) fingerprint: String,
}

impl Trained {
    /// What the model says of these features, computed without Python.
    pub(super) fn probabilities(&self, features: &[f64]) -> Vec<f64> {
        let scores = self.coefficients.iter().zip(&self.intercepts).map(|(weights, intercept)| {
            intercept + weights.iter().zip(features).map(|(weight, value)| weight * value).sum::<f64>()
        });
        let scores: Vec<f64> = scores.collect();
        if let [score] = scores[..] {
            let second = 1.0 / (1.0 + (-score).exp());
            return vec![1.0 - second, second];
        }
        let greatest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let powers: Vec<f64> = scores.iter().map(|score| (score - greatest).exp()).collect();
        let sum: f64 = powers.iter().sum();
        powers.into_iter().map(|power| power / sum).collect()
    }
}

/// A model of a real data set, and what was held out from it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Learnt {
    pub(super) trained: Trained,
    pub(super) held_out: Vec<Record>,
    pub(super) labels: Vec<usize>,
    pub(super) classes: Vec<String>,
    /// The accuracy on what was held out, as scikit-learn sees it.
    pub(super) score: f64,
}

/// What a session keeps in Python.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct SessionStats {
    pub(super) session: Option<String>,
    pub(super) pid: u32,
    /// The fingerprints of its models.
    pub(super) models: BTreeMap<String, String>,
    pub(super) predictions: u64,
}

/// What happened in one worker, whoever asked for it.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct WorkerStats {
    pub(super) pid: u32,
    /// By session, with the model.
    pub(super) trained: Vec<(String, String)>,
    pub(super) predictions: u64,
    /// Sessions whose end hooks were called.
    pub(super) ended: Vec<String>,
}

/// Looks features up and has them made where there are none, has a model of the session judge them, and sorts the
/// verdicts.
pub(super) fn pipe(
    store: StoreHandle<FeatureStore>,
    model: &str,
    on_error: OnError,
) -> Result<Pipe<Record, Prediction>, ConfigError> {
    let (write, model) = (store.clone(), model.to_owned());
    Pipe::builder("ml_scoring")
        .map("look_up", move |record: Record, _: &_| {
            let Record { id, readings } = record;
            let features = known(&store.snapshot(), &id).cloned();
            Looked { id, readings, features }
        })
        .branch("known", |branches| {
            branches
                .when(
                    "new",
                    |looked: &Looked| looked.features.is_none(),
                    |new| {
                        new.python::<Looked>(FEATURIZE, call("featurize")).try_map_batch(
                            "remember",
                            BATCH,
                            move |batch, _: &_| through(&write, batch),
                        )
                    },
                )
                .otherwise(|known| known)
        })
        .try_map("ask", move |looked: Looked, _: &_| {
            let Looked { id, features, .. } = looked;
            let features = features.ok_or("there are no features after `featurize`")?;
            Ok::<_, &str>(Question { id, model: model.clone(), features })
        })
        .python::<Prediction>("predict", call("predict"))
        .route("route", Router::new().when("sure", sure).when("unsure", |_: &Prediction| true))
        .on_error(FEATURIZE, on_error.clone())
        .on_error("predict", on_error)
        .on_error("*", OnError::Skip)
        .build()
}

/// A function of the module, over batches of the example's size.
pub(super) fn call<I>(function: &str) -> Call<I> {
    Call::new(format!("{MODULE}:{function}")).pool(POOL).batch_size(BATCH)
}

fn sure(prediction: &Prediction) -> bool {
    prediction.probabilities.iter().any(|probability| *probability >= SURE)
}

/// Writes a batch through, in one write: all of it fails if that does.
fn through(store: &StoreHandle<FeatureStore>, batch: Vec<Looked>) -> Vec<Result<Looked, String>> {
    let row = |looked: &Looked| Some(Line { id: looked.id.clone(), features: looked.features.clone()? });
    match remember(store, batch.iter().filter_map(row)) {
        Ok(_) => batch.into_iter().map(Ok).collect(),
        Err(error) => batch.iter().map(|_| Err(error.to_string())).collect(),
    }
}

#[cfg(test)]
mod tests {
    use crate::ml_scoring::trial;

    #[test]
    fn probabilities_are_those_of_logistic_regression() {
        let close = |left: Vec<f64>, right: &[f64]| {
            assert!(left.iter().zip(right).all(|(left, right)| (left - right).abs() < 1e-12), "{left:?}");
        };
        let mut model = trial::trained("a", "s", 1, [1.0, 0.0, 0.0, 0.0]);
        model.intercepts = vec![-2.0];
        close(model.probabilities(&[2.0, 9.0, 9.0, 9.0]), &[0.5, 0.5]);
        close(model.probabilities(&[2.0 + 3f64.ln(), 0.0, 0.0, 0.0]), &[0.25, 0.75]);
        model.coefficients = vec![vec![1.0], vec![0.0], vec![0.0]];
        model.intercepts = vec![1000.0, 1000.0, 1000.0];
        close(model.probabilities(&[2f64.ln()]), &[0.5, 0.25, 0.25]);
    }
}
