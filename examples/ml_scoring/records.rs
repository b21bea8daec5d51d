//! The records that both sessions score, always the same ones.

use super::flow::Record;

/// Records that both sessions score.
pub(super) const RECORDS: usize = 20;
/// Features of a record.
pub(super) const FEATURES: usize = 4;
/// How often each feature was read.
const READINGS: usize = 6;

/// Records all over the range that the models have learnt from, each with readings that scatter by at most 0.2.
pub(super) fn records() -> Vec<Record> {
    let mut chance = Chance(0x5EED);
    let record = |number| {
        let truth: [f64; FEATURES] = std::array::from_fn(|_| 0.25 + 4.5 * chance.next());
        let mut reading = || truth.iter().map(|value| value + 0.4 * (chance.next() - 0.5)).collect();
        let readings = (0..READINGS).map(|_| reading()).collect();
        Record { id: format!("record/{number:02}"), readings }
    };
    (0..RECORDS).map(record).collect()
}

/// Numbers from 0 to 1 in a sequence that never changes: splitmix64.
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((bits ^ (bits >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}
