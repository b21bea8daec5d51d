//! [`Chaos`] as text: `kill=5%,slow=10%:50ms,seed=7`, and back.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use super::Chaos;
use crate::error::ConfigError;

const NAMES: [&str; 6] = ["kill", "hang", "slow", "garbage", "raise", "seed"];
const UNITS: [(&str, u64); 5] =
    [("m", 60_000_000_000), ("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1000), ("ns", 1)];

impl fmt::Display for Chaos {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (fault, share) in self.shares() {
            if share == 0.0 {
                continue;
            }
            // The shortest percentage that is the same share again, where there is one.
            let percent = (share * 1e10).round() / 1e8;
            match percent / 100.0 == share {
                true => write!(f, "{fault}={percent}%")?,
                false => write!(f, "{fault}={share}")?,
            }
            if fault == "slow" {
                write!(f, ":{}", in_units(self.slow_by))?;
            }
            f.write_str(",")?;
        }
        write!(f, "seed={}", self.seed)
    }
}

/// In the largest unit of which it is a whole number.
fn in_units(time: Duration) -> String {
    let nanos = time.as_nanos();
    let unit = UNITS.iter().find(|(_, unit)| nanos > 0 && nanos.is_multiple_of(u128::from(*unit)));
    let (name, unit) = unit.copied().unwrap_or(("ms", 1_000_000));
    format!("{}{name}", nanos / u128::from(unit))
}

impl FromStr for Chaos {
    type Err = ConfigError;

    /// Reads faults, separated by commas: `kill`, `hang`, `garbage` and `raise` with a share, as `5%` or `0.05`; `slow`
    /// with a share and a time, as `10%:50ms`; and `seed` with a number, 0 without it.
    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let mut chaos = Self::seeded(0);
        let mut seen = Vec::new();
        for part in text.split(',') {
            let part = part.trim();
            if part.is_empty() {
                let example = "expected faults as in `kill=5%,hang=1%,slow=10%:50ms`";
                return Err(ConfigError::new("chaos: a fault is missing").hint(example));
            }
            let (name, value) =
                part.split_once('=').map_or((part, None), |(name, value)| (name, Some(value)));
            let name = name.trim();
            let Some(known) = NAMES.iter().find(|known| **known == name) else {
                return Err(ConfigError::unknown("fault", name, NAMES));
            };
            if seen.contains(known) {
                return Err(ConfigError::new(format!("chaos: `{name}` is there twice")));
            }
            seen.push(*known);
            let Some(value) = value.map(str::trim).filter(|value| !value.is_empty()) else {
                return Err(ConfigError::new(format!("chaos: `{name}` has no value")).hint(example(name)));
            };
            let wrong =
                || ConfigError::new(format!("chaos: `{name}={value}` is not understood")).hint(example(name));
            match *known {
                "kill" => chaos.kill = share(value).ok_or_else(wrong)?,
                "hang" => chaos.hang = share(value).ok_or_else(wrong)?,
                "garbage" => chaos.garbage = share(value).ok_or_else(wrong)?,
                "raise" => chaos.raise = share(value).ok_or_else(wrong)?,
                "slow" => {
                    let (of, by) = value.split_once(':').ok_or_else(wrong)?;
                    chaos.slow = share(of).ok_or_else(wrong)?;
                    chaos.slow_by = time(by).ok_or_else(wrong)?;
                }
                _ => chaos.seed = value.parse().map_err(|_| wrong())?,
            }
        }
        chaos.validate()?;
        Ok(chaos)
    }
}

fn example(name: &str) -> String {
    match name {
        "slow" => "expected a share and a time, as in `slow=10%:50ms`".to_owned(),
        "seed" => "expected a number from 0 to 18446744073709551615, as in `seed=7`".to_owned(),
        _ => format!("expected a share, as in `{name}=5%` or `{name}=0.05`"),
    }
}

fn share(text: &str) -> Option<f64> {
    let text = text.trim();
    let (number, scale) = text.strip_suffix('%').map_or((text, 1.0), |number| (number.trim_end(), 100.0));
    let plain = number.bytes().all(|byte| byte.is_ascii_digit() || b".-+e".contains(&byte));
    Some(number.parse::<f64>().ok().filter(|_| plain)? / scale)
}

fn time(text: &str) -> Option<Duration> {
    let text = text.trim();
    let number = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let (_, unit) = UNITS.iter().find(|(unit, _)| *unit == &text[number.len()..])?;
    let number = number.trim_end();
    match number.parse::<u64>() {
        Ok(whole) => whole.checked_mul(*unit).map(Duration::from_nanos),
        Err(_) => Duration::try_from_secs_f64(number.parse::<f64>().ok()? * (*unit as f64 / 1e9)).ok(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_not_understood_says_what_was_expected() {
        for (text, message) in [
            ("kil=5%", "unknown fault `kil`\n  hint: did you mean `kill`?"),
            ("kill", "chaos: `kill` has no value\n  hint: expected a share, as in `kill=5%` or `kill=0.05`"),
            ("kill=", "chaos: `kill` has no value\n  hint: expected a share, as in `kill=5%` or `kill=0.05`"),
            (
                "hang=often",
                "chaos: `hang=often` is not understood\n  hint: expected a share, as in `hang=5%` or `hang=0.05`",
            ),
            (
                "kill=120%",
                "chaos: `kill` is 120%, expected 0% to 100%\n  hint: a share is written as 5% or as 0.05",
            ),
            (
                "kill=5",
                "chaos: `kill` is 500%, expected 0% to 100%\n  hint: a share is written as 5% or as 0.05",
            ),
            (
                "kill=-1%",
                "chaos: `kill` is -1%, expected 0% to 100%\n  hint: a share is written as 5% or as 0.05",
            ),
            (
                "kill=60%,hang=60%",
                "chaos: the faults are 120% together, expected at most 100%\n  hint: a batch meets one fault at most",
            ),
            (
                "slow=10%",
                "chaos: `slow=10%` is not understood\n  hint: expected a share and a time, as in `slow=10%:50ms`",
            ),
            (
                "slow=10%:50",
                "chaos: `slow=10%:50` is not understood\n  hint: expected a share and a time, as in `slow=10%:50ms`",
            ),
            ("slow=1%:2m,slow=1%:2m", "chaos: `slow` is there twice"),
            ("slow=1%:61m", "chaos: `slow` by 3660s, expected at most an hour"),
            ("", "chaos: a fault is missing\n  hint: expected faults as in `kill=5%,hang=1%,slow=10%:50ms`"),
            (
                "kill=1%,",
                "chaos: a fault is missing\n  hint: expected faults as in `kill=5%,hang=1%,slow=10%:50ms`",
            ),
            (
                "seed=-1",
                "chaos: `seed=-1` is not understood\n  hint: expected a number from 0 to 18446744073709551615, as in `seed=7`",
            ),
            (
                "kill=nan",
                "chaos: `kill=nan` is not understood\n  hint: expected a share, as in `kill=5%` or `kill=0.05`",
            ),
        ] {
            assert_eq!(text.parse::<Chaos>().unwrap_err().to_string(), message, "{text}");
        }
    }

    #[test]
    fn shares_may_be_percentages_or_fractions_and_sum_to_all() {
        let chaos: Chaos = " kill = 10 % ,hang=0.2, slow=30%:1.5s,garbage=.1,raise=30%".parse().unwrap();
        assert_eq!(chaos.to_string(), "kill=10%,hang=20%,slow=30%:1500ms,garbage=10%,raise=30%,seed=0");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(
            shares in prop::array::uniform5(0.0..0.2f64), nanos in 0u64..3_600_000_000_000, seed: u64
        ) {
            let [kill, hang, slow, garbage, raise] = shares;
            let by = Duration::from_nanos(nanos);
            let chaos = Chaos::seeded(seed).kill(kill).hang(hang).slow(slow, by).garbage(garbage).raise(raise);
            let again: Chaos = chaos.to_string().parse().unwrap();
            prop_assert!(slow == 0.0 || again == chaos);
        }

        #[test]
        fn no_text_does_harm(text in "(kill|slow|seed|=|%|:|,|[0-9]|ms|é|\\PC){0,12}") {
            let _ = text.parse::<Chaos>();
        }
    }
}
