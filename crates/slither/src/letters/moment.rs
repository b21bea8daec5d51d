//! A point in time as text: RFC 3339 in UTC, to the microsecond, for the years 0000 to 9999.

use crate::value::Timestamp;

const DAY: i64 = 86_400;

/// The text; none for a year that has no four digits.
pub(super) fn write(time: Timestamp) -> Option<String> {
    let (year, month, day) = date(time.seconds().div_euclid(DAY));
    if !(0..=9999).contains(&year) {
        return None;
    }
    let second = time.seconds().rem_euclid(DAY);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let micros = time.subsec_nanos() / 1000;
    let fraction = if micros == 0 { String::new() } else { format!(".{micros:06}") };
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z"))
}

/// The time; none unless the text is as [`write()`] makes it.
pub(super) fn read(text: &str) -> Option<Timestamp> {
    let number = |range: std::ops::Range<usize>| {
        let digits = text.get(range).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
        digits.parse::<i64>().ok()
    };
    let days = days(number(0..4)?, number(5..7)?, number(8..10)?);
    let seconds = days * DAY + number(11..13)? * 3600 + number(14..16)? * 60 + number(17..19)?;
    let micros = if text.len() == 20 { 0 } else { number(20..26)? };
    let time = Timestamp::new(seconds, u32::try_from(micros * 1000).ok()?)?;
    // A 31st of February, or other signs between the numbers, do not come out as they went in.
    (write(time).as_deref() == Some(text)).then_some(time)
}

/// Year, month and day of a day since 1970-01-01. Years begin in March here, so that the day of a leap year is
/// the last, and an era of 400 of them has always as many days.
fn date(day: i64) -> (i64, i64, i64) {
    let day = day + 719_468;
    let (era, day) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let (day, month) = (day - (153 * month + 2) / 5 + 1, if month < 10 { month + 3 } else { month - 9 });
    (era * 400 + year + i64::from(month <= 2), month, day)
}

fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    let month = (month + 9) % 12;
    era * 146_097 + year * 365 + year / 4 - year / 100 + (153 * month + 2) / 5 + day - 1 - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_moments_are_written_and_read() {
        for (seconds, nanos, text) in [
            (0, 0, "1970-01-01T00:00:00Z"),
            (-1, 999_999_000, "1969-12-31T23:59:59.999999Z"),
            (951_782_400, 0, "2000-02-29T00:00:00Z"),
            (4_107_542_399, 1000, "2100-02-28T23:59:59.000001Z"),
            (-62_167_219_200, 0, "0000-01-01T00:00:00Z"),
            (253_402_300_799, 0, "9999-12-31T23:59:59Z"),
        ] {
            let time = Timestamp::new(seconds, nanos).unwrap();
            assert_eq!(write(time).unwrap(), text);
            assert_eq!(read(text), Some(time));
        }
        assert_eq!(write(Timestamp::new(253_402_300_800, 0).unwrap()), None);
        assert_eq!(write(Timestamp::new(i64::MIN, 0).unwrap()), None);
    }

    #[test]
    fn no_other_text_is_a_moment() {
        for bad in [
            "",
            "1970-02-30T00:00:00Z",
            "1970-01-01T24:00:00Z",
            "1970-01-01 00:00:00Z",
            "1970-01-01T00:00:00+01:00",
            "1970-01-01T00:00:00.000000Z",
            "1970-01-01T00:00:00.5Z",
            "1970-13-01T00:00:00Z",
            "é970-01-01T00:00:00Z",
            "+970-01-01T00:00:00Z",
            "1970-01-01T00:00:00.0000é1Z",
        ] {
            assert_eq!(read(bad), None, "{bad:?}");
        }
    }
}
