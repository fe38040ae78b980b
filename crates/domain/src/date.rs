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
        }
    }
}
