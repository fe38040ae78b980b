//! Times in the forms in which protocols and people read them; always UTC.

use crate::Timestamp;

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
const DAY: u64 = 86_400_000;

struct Civil {
    year: u64,
    month: u64,
    day: u64,
    weekday: usize,
    millis: u64,
}

/// The calendar date of a moment: years counted from March of year 0, so that the leap day comes last (the usual
/// days-to-civil computation).
fn civil(at: Timestamp) -> Civil {
    let days = at.0 / DAY;
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    Civil {
        year: era * 400 + year_of_era + u64::from(month <= 2),
        month,
        day: day_of_year - (153 * month_from_march + 2) / 5 + 1,
        weekday: usize::try_from(days % 7).unwrap_or_default(),
        millis: at.0 % DAY,
    }
}

/// `Sat, 13 Nov 2010 23:29:00 GMT` (RFC 3261 §20.17).
pub fn rfc1123(at: Timestamp) -> String {
    let Civil {
        year,
        month,
        day,
        weekday,
        millis,
    } = civil(at);
    let month = MONTHS
        .get(usize::try_from(month - 1).unwrap_or_default())
        .unwrap_or(&"Jan");
    let (hour, minute, second) = clock(millis);
    format!(
        "{}, {day:02} {month} {year} {hour:02}:{minute:02}:{second:02} GMT",
        DAYS[weekday]
    )
}

/// The time of such a date, as providers write it in every answer (RFC 9110 §5.6.7).
pub fn of_rfc1123(text: &str) -> Option<Timestamp> {
    let (_, rest) = text.trim().split_once(", ")?;
    let mut words = rest.strip_suffix(" GMT")?.split(' ');
    let (day, month, year) = (words.next()?, words.next()?, words.next()?);
    let month = 1 + MONTHS.iter().position(|it| *it == month)?;
    let time = words.next()?;
    of_iso8601(&format!("{year}-{month:02}-{day}T{time}Z"))
}

/// `2010-11-13T23:29:00.123Z` (RFC 3339).
pub fn iso8601(at: Timestamp) -> String {
    let Civil {
        year,
        month,
        day,
        millis,
        ..
    } = civil(at);
    format!("{year}-{month:02}-{day:02}T{}Z", clock_text(millis))
}

/// The moment of such a text: with any number of digits behind the second or none, in UTC (`Z`) or so far ahead of it (`+01:30`).
/// `None`: it is none, or before 1970. What is less than a millisecond is left out.
pub fn of_iso8601(text: &str) -> Option<Timestamp> {
    let (day, time) = text.split_once('T')?;
    let [year, month, day] = numbers(day, '-', [4, 2, 2])?;
    let utc = time.strip_suffix('Z').map(|time| (time, 0));
    let (time, ahead) = utc.or_else(|| local(time))?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let [hour, minute, second] = numbers(time, ':', [2, 2, 2])?;
    let is_number = |digits: &str| digits.bytes().all(|it| it.is_ascii_digit());
    if hour > 23 || minute > 59 || second > 60 || fraction.is_empty() || !is_number(fraction) {
        return None;
    }
    let digits = fraction.bytes().chain(*b"00").take(3);
    let millis = digits.fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    let millis = ((hour * 60 + minute) * 60 + second) * 1000 + millis;
    let at = days(year, month, day)? * DAY.cast_signed() + millis - ahead;
    u64::try_from(at).ok().map(Timestamp)
}

/// A time that ends with how far it is ahead of UTC, without that; and that, in milliseconds.
fn local(time: &str) -> Option<(&str, i64)> {
    let (time, ahead) = time.split_at(time.rfind(['+', '-'])?);
    let [hours, minutes] = numbers(&ahead[1..], ':', [2, 2])?;
    let millis = (hours * 60 + minutes) * 60_000;
    Some((
        time,
        if ahead.starts_with('-') {
            -millis
        } else {
            millis
        },
    ))
}

/// Numbers of so many digits each, with this between them.
fn numbers<const N: usize>(text: &str, between: char, digits: [usize; N]) -> Option<[i64; N]> {
    let mut numbers = [0; N];
    let mut parts = text.split(between);
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next().filter(|it| it.len() == digits)?;
        // A sign is no digit.
        let is_number = part.bytes().all(|it| it.is_ascii_digit());
        *number = part.parse().ok().filter(|_| is_number)?;
    }
    parts.next().is_none().then_some(numbers)
}

/// Days from 1970 to a date; `None`: the calendar does not have it.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let in_month = match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=in_month).contains(&day) {
        return None;
    }
    // As in `civil`: the year begins with March.
    let (year, month) = (year - i64::from(month <= 2), (month + 9) % 12);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

/// `23:29:00.123`.
pub fn time_of_day(at: Timestamp) -> String {
    clock_text(at.0 % DAY)
}

fn clock_text(millis: u64) -> String {
    let (hour, minute, second) = clock(millis);
    format!("{hour:02}:{minute:02}:{second:02}.{:03}", millis % 1000)
}

fn clock(millis: u64) -> (u64, u64, u64) {
    (millis / 3_600_000, millis / 60_000 % 60, millis / 1000 % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (millis, rfc, iso) in [
            (
                0,
                "Thu, 01 Jan 1970 00:00:00 GMT",
                "1970-01-01T00:00:00.000Z",
            ),
            (
                951_782_399_999,
                "Mon, 28 Feb 2000 23:59:59 GMT",
                "2000-02-28T23:59:59.999Z",
            ),
            (
                951_782_400_000,
                "Tue, 29 Feb 2000 00:00:00 GMT",
                "2000-02-29T00:00:00.000Z",
            ),
            (
                1_289_690_940_123,
                "Sat, 13 Nov 2010 23:29:00 GMT",
                "2010-11-13T23:29:00.123Z",
            ),
            (
                4_107_542_400_000,
                "Mon, 01 Mar 2100 00:00:00 GMT",
                "2100-03-01T00:00:00.000Z",
            ),
        ] {
            assert_eq!(rfc1123(Timestamp(millis)), rfc);
            assert_eq!(iso8601(Timestamp(millis)), iso);
            assert_eq!(of_iso8601(iso), Some(Timestamp(millis)));
            assert_eq!(of_rfc1123(rfc), Some(Timestamp(millis / 1000 * 1000)));
        }
    }

    #[test]
    fn what_is_no_date_of_an_answer_is_none() {
        for text in [
            "",
            "Thu, 01 Jan 1970 00:00:00",
            "Thu, 01 Jön 1970 00:00:00 GMT",
            "Thursday, 01-Jan-70 00:00:00 GMT",
            "Thu, 99 Jan 1970 00:00:00 GMT",
        ] {
            assert_eq!(of_rfc1123(text), None, "{text}");
        }
    }

    #[test]
    fn each_day_of_four_centuries_is_read_as_it_is_written() {
        for day in 0..146_097 {
            let at = Timestamp(day * DAY + day);
            assert_eq!(of_iso8601(&iso8601(at)), Some(at));
        }
    }

    #[test]
    fn a_time_is_read_in_each_of_its_forms() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("1970-01-01T00:00:01.5Z", Some(1_500)),
            ("1970-01-01T00:00:01.123456789Z", Some(1_123)),
            ("1970-01-02T00:00:00+00:00", Some(86_400_000)),
            ("1970-01-01T01:30:00.001+01:30", Some(1)),
            ("1969-12-31T19:00:00-05:00", Some(0)),
            ("2016-12-31T23:59:60Z", Some(1_483_228_800_000)),
            ("1969-12-31T23:59:59Z", None),
            ("2023-02-29T00:00:00Z", None),
            ("1900-02-29T00:00:00Z", None),
            ("2023-13-01T00:00:00Z", None),
            ("2023-00-01T00:00:00Z", None),
            ("2023-01-00T00:00:00Z", None),
            ("2023-01-01T24:00:00Z", None),
            ("2023-01-01T00:60:00Z", None),
            ("2023-01-01T00:00:00", None),
            ("2023-01-01T00:00:00.Z", None),
            ("2023-01-01T00:00:00.-1Z", None),
            ("2023-01-01T00:00Z", None),
            ("2023-01-01 00:00:00Z", None),
            ("2023-1-01T00:00:00Z", None),
            ("2023-01-01T00:00:00+1:00", None),
            ("2023-+1-01T00:00:00Z", None),
            ("2023-01-01T00:00:00:00Z", None),
            ("\u{661}970-01-01T00:00:00Z", None),
            ("", None),
            ("T", None),
        ] {
            assert_eq!(of_iso8601(text), expected.map(Timestamp), "{text}");
        }
    }
}
