//! The same figures by another route: two passes over the values instead of Welford's one, and sums of parts.

/// How many values there are, their mean, and the sum of their squared distances from it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Figures {
    pub(super) count: u64,
    pub(super) mean: f64,
    pub(super) m2: f64,
}

impl Figures {
    /// Of these values.
    pub(super) fn of(values: &[f64]) -> Self {
        let count = values.len() as u64;
        let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
        Self { count, mean, m2: values.iter().map(|value| (value - mean).powi(2)).sum() }
    }

    /// Of two parts together (Chan, Golub and LeVeque).
    pub(super) fn and(self, other: Self) -> Self {
        if self.count == 0 || other.count == 0 {
            return if self.count == 0 { other } else { self };
        }
        let (ours, theirs) = (self.count as f64, other.count as f64);
        let (together, apart) = (ours + theirs, other.mean - self.mean);
        Self {
            count: self.count + other.count,
            mean: self.mean + apart * theirs / together,
            m2: self.m2 + other.m2 + apart * apart * ours * theirs / together,
        }
    }

    /// The standard deviation of the sample; 0 for a single value.
    pub(super) fn deviation(self) -> f64 {
        if self.count > 1 { (self.m2 / (self.count - 1) as f64).sqrt() } else { 0.0 }
    }

    /// Whether both can be of the same values, each with the rounding of its own route.
    pub(super) fn agrees(self, other: Self) -> bool {
        let count = self.count as f64;
        // What rounding can come to in one pass: it grows with the distance of the values from zero.
        let rounding = count * f64::EPSILON * self.mean.abs();
        let mean = 1e-12 * (self.deviation() + self.mean.abs()) + rounding;
        let m2 = 1e-9 * self.m2 + 4.0 * rounding * (count * self.m2).sqrt() + 4.0 * rounding * rounding;
        self.count == other.count
            && (self.mean - other.mean).abs() <= mean
            && (self.m2 - other.m2).abs() <= m2
    }
}

/// The value in the middle of values in order, or the mean of the two there.
pub(super) fn median(ordered: &[f64]) -> f64 {
    let middle = ordered.len() / 2;
    match ordered.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => ordered[middle],
        _ => (ordered[middle - 1] + ordered[middle]) / 2.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Python does it.
    fn welford(values: &[f64]) -> Figures {
        let mut running = Figures::default();
        for value in values {
            running.count += 1;
            let delta = value - running.mean;
            running.mean += delta / running.count as f64;
            running.m2 += delta * (value - running.mean);
        }
        running
    }

    #[test]
    fn both_routes_agree_on_values_near_and_far_from_zero() {
        for offset in [0.0, 1.0, -3e3, 1e9] {
            let values: Vec<f64> = (0..2000).map(|n| offset + f64::from(n * 7919 % 1000) / 10.0).collect();
            let parts = values.chunks(37).map(Figures::of).fold(Figures::default(), Figures::and);
            assert!(parts.agrees(welford(&values)), "{offset}: {parts:?} {:?}", welford(&values));
            assert!(Figures::of(&values).agrees(parts), "{offset}");
        }
        let same = [0.1; 999];
        assert!(Figures::of(&same).agrees(welford(&same)));
    }

    #[test]
    fn a_value_more_a_value_less_and_a_torn_update_do_not_agree() {
        let values: Vec<f64> = (0..500).map(|n| f64::from(n * 7919 % 1000) / 10.0).collect();
        let right = Figures::of(&values);
        assert!(!right.agrees(welford(&values[1..])));
        assert!(!right.agrees(Figures { count: right.count + 1, ..right }));
        assert!(!right.agrees(Figures { mean: right.mean + 1e-6, ..right }));
        assert!(!right.agrees(Figures { m2: right.m2 * 1.000_001, ..right }));
        assert!(!right.agrees(Figures { mean: f64::NAN, ..right }));
    }

    #[test]
    fn the_middle() {
        assert_eq!([median(&[1.0, 2.0, 9.0]), median(&[1.0, 2.0])], [2.0, 1.5]);
        assert!(median(&[]).is_nan());
    }
}
