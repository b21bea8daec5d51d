//! Sessions for plain Python: how many, and what they learn from.

use serde_json::json;

use super::Work;

/// The example whose work it is.
pub(super) const NAME: &str = "ml_scoring";

/// Two kinds of sessions, each of which learns from two clouds of points about these centres.
const CENTRES: [[[f64; 4]; 2]; 2] = [[[1.0, 2.0, 1.0, 2.0], [3.0, 4.0, 3.0, 4.0]], [[0.0; 4], [5.0; 4]]];

/// Sixty sessions in threads; data of the user's is not used, because the models are what is shared.
pub(super) fn work() -> Work {
    Work {
        example: NAME,
        module: "ml_scoring_baseline",
        python: None,
        given: json!({ "sessions": 60, "samples": 80, "records": 2000, "centres": CENTRES }),
        prepares: false,
        beside: &[
            ("models_stored", "models_differ"),
            ("sessions_keep_their_model", "own_models_only"),
            ("predictions_by_own_model", "predictions_by_own_model"),
            ("predictions_counted", "worker_counts_sum"),
            ("process_survives", "ledger_balanced"),
        ],
    }
}
