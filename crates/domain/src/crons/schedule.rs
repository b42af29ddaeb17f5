//! When a cron fires: the notation of the wire, and the instants that it stands for.
//!
//! The search of the next moment is the `croner` crate's. Its notation differs a little, so that expressions are
//! rewritten: here seconds stand last, ranges may wrap around, and `5/15` is `5-59/15`.
//!
//! Source: reference/assistants-crons-store-system.md, 2.3; docs/crons.md.

use agent_server_storage::Timestamp;
use chrono::{DateTime, LocalResult, TimeDelta, TimeZone as _, Timelike as _};
use chrono_tz::Tz;
use croner::{Cron, JobType, parser::CronParser};

use crate::{Error, Result};

/// A field of the notation: its name, its smallest and largest number, and the words for its numbers.
struct Field {
    name: &'static str,
    min: u16,
    max: u16,
    words: &'static [&'static str],
    /// Letters and signs with a meaning beside those of every field.
    special: &'static str,
}

const MONTHS: &[&str] =
    &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: &[&str] = &["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

const MINUTE: Field = Field { name: "minute", min: 0, max: 59, words: &[], special: "" };
const HOUR: Field = Field { name: "hour", min: 0, max: 23, words: &[], special: "" };
const DAY_OF_MONTH: Field =
    Field { name: "day of month", min: 1, max: 31, words: &[], special: "lw?" };
const MONTH: Field = Field { name: "month", min: 1, max: 12, words: MONTHS, special: "" };
const DAY_OF_WEEK: Field =
    Field { name: "day of week", min: 0, max: 6, words: DAYS, special: "l#?" };
const SECOND: Field = Field { name: "second", min: 0, max: 59, words: &[], special: "" };
const YEAR: Field = Field { name: "year", min: 1970, max: 2099, words: &[], special: "" };

/// As expressions are written: year and seconds last.
const FIELDS: [&Field; 7] = [&MINUTE, &HOUR, &DAY_OF_MONTH, &MONTH, &DAY_OF_WEEK, &SECOND, &YEAR];

/// A schedule in its time zone.
#[derive(Clone, Debug)]
pub(crate) struct Schedule {
    cron: Cron,
    zone: Tz,
    /// Whether it names the hours at which it fires.
    has_hours: bool,
}

impl Schedule {
    /// Reads an expression and the name of a time zone; UTC if there is none.
    ///
    /// # Errors
    /// `Invalid`, with what is wrong and an example of what is right.
    pub(crate) fn parse(expression: &str, zone: Option<&str>) -> Result<Self> {
        let zone = zone.map_or(Ok(Tz::UTC), |name| {
            name.parse().map_err(|_| {
                Error::Invalid(format!(
                    "Invalid timezone: '{name}'. Must be the IANA name of a time zone, such as 'Europe/Paris'."
                ))
            })
        })?;
        let cron = rewritten(expression).and_then(|text| {
            // Only what `rewritten` cannot judge is left for the parser to refuse.
            let parser = CronParser::builder().build();
            let cron = parser.parse(&text);
            let cron = cron.map_err(|error| error.to_string().trim_end_matches('.').to_owned())?;
            Ok((cron, text.split(' ').nth(2).is_some_and(|hours| !hours.contains('*'))))
        });
        let (cron, has_hours) = cron.map_err(|reason| {
            Error::Invalid(format!(
                "Invalid cron schedule: '{expression}'. Reason: {reason}. Use five fields (minute, hour, day of month, \
                 month, day of week), such as '0 9 * * 1-5'; seconds may follow as a sixth."
            ))
        })?;
        Ok(Self { cron, zone, has_hours })
    }

    /// The first moment after `after` at which the schedule fires; `None` if it never does again.
    ///
    /// It fires whenever clocks of the zone show a time that matches: at both of two moments with the same time when they
    /// are put back. What they leave out of a schedule that names its hours fires at the moment they are put forward.
    pub(crate) fn next(&self, after: Timestamp) -> Option<Timestamp> {
        let after = after.with_timezone(&self.zone);
        let next = self.cron.find_next_occurrence(&after, false).ok();
        let all = [next, self.repeated(&after), self.left_out(&after)];
        let first = all.into_iter().flatten().min()?;
        first.to_utc().with_nanosecond(0)
    }

    /// The moment at which clocks are put forward, if the next time that matches is one that they leave out. The library
    /// sees to this only for schedules of a single time.
    fn left_out(&self, after: &DateTime<Tz>) -> Option<DateTime<Tz>> {
        if !self.has_hours {
            return None;
        }
        // As if this were UTC, where nothing is left out.
        let shown = after.naive_local().and_utc();
        let wanted = self.cron.find_next_occurrence(&shown, false).ok()?.naive_utc();
        let later =
            |minutes| wanted.with_second(0)?.checked_add_signed(TimeDelta::minutes(minutes));
        // A whole day is the most that a zone has ever left out.
        (0..=24 * 60)
            .map_while(|minutes| match self.zone.from_local_datetime(&later(minutes)?) {
                LocalResult::None => Some(None),
                // The time is shown, so that it is found without this.
                _ if minutes == 0 => None,
                shown => Some(shown.earliest()),
            })
            .find_map(|moment| moment)
    }

    /// The first repetition after `after` of a time that clocks show twice. The library takes fixed times at their first
    /// showing only.
    fn repeated(&self, after: &DateTime<Tz>) -> Option<DateTime<Tz>> {
        if self.cron.determine_job_type() != JobType::FixedTime {
            return None;
        }
        let again = |at: &DateTime<Tz>| match self.zone.from_local_datetime(&at.naive_local()) {
            LocalResult::Ambiguous(_, again) => Some(again),
            LocalResult::Single(_) | LocalResult::None => None,
        };
        let mut first = None;
        let mut at = self.cron.find_previous_occurrence(after, true).ok()?;
        while let Some(repetition) = again(&at) {
            if repetition > *after {
                first = Some(repetition);
            }
            at = self.cron.find_previous_occurrence(&at, false).ok()?;
        }
        first
    }
}

/// The expression in the notation of the library: seconds first, year last.
fn rewritten(expression: &str) -> Result<String, String> {
    let lower = expression.trim().to_ascii_lowercase();
    let expanded = match lower.as_str() {
        "@yearly" | "@annually" => "0 0 1 1 *",
        "@monthly" => "0 0 1 * *",
        "@weekly" => "0 0 * * 0",
        "@daily" | "@midnight" => "0 0 * * *",
        "@hourly" => "0 * * * *",
        alias if alias.starts_with('@') => return Err(format!("{alias} is not known")),
        fields => fields,
    };
    let texts: Vec<_> = expanded.split_whitespace().collect();
    if !(5..=7).contains(&texts.len()) {
        return Err(format!("5, 6 or 7 fields are needed, not {}", texts.len()));
    }
    let mut fields = Vec::with_capacity(7);
    for (field, text) in FIELDS.iter().zip(&texts) {
        let parts: Result<Vec<_>, _> = text.split(',').map(|part| field.part(part)).collect();
        let parts = parts.map_err(|why| format!("{} '{text}': {why}", field.name))?;
        fields.push(if parts.iter().any(|part| part == "*") {
            "*".into()
        } else {
            parts.join(",")
        });
    }
    let seconds = if fields.len() > 5 { fields.remove(5) } else { "0".into() };
    fields.insert(0, seconds);
    Ok(fields.join(" "))
}

impl Field {
    /// One part of a list in the notation of the library.
    fn part(&self, text: &str) -> Result<String, String> {
        if text.is_empty() {
            return Err("a part of the list is empty".into());
        }
        let text = self.numbered(text)?;
        if text == "*" || (text == "?" && self.special.contains('?')) {
            return Ok("*".into());
        }
        // The last of its weekdays in the month is written with the letter before the number, too.
        if let Some(day) = text.strip_prefix('l').filter(|day| !day.is_empty() && *day != "w") {
            let day = self.number(day)?;
            return Ok(format!("{day}L"));
        }
        if text.contains(['l', 'w', '#']) {
            return Ok(text.to_ascii_uppercase());
        }
        let (range, step) = match text.split_once('/') {
            None => (text.as_str(), None),
            Some((range, step)) => (range, Some(step)),
        };
        let step = match step.map(str::parse::<u16>) {
            None => 1,
            Some(Ok(step)) if step > 0 => step,
            Some(_) => return Err("a step is a number above 0".into()),
        };
        let (from, to) = match range.split_once('-') {
            // The library takes a schedule with a wildcard for one that is not of fixed times, so it has to see it.
            None if range == "*" && self.max < 1970 => return Ok(format!("*/{step}")),
            None if range == "*" => (self.min, self.max),
            None if text.contains('/') => (self.number(range)?, self.max),
            None => return self.number(range).map(|number| number.to_string()),
            Some((from, to)) => (self.number(from)?, self.number(to)?),
        };
        Ok(self.range(from, to, step))
    }

    /// A range as a list of its numbers; one that ends before it begins goes over the end of the field.
    fn range(&self, from: u16, to: u16, step: u16) -> String {
        let length = self.max - self.min + 1;
        let to = if to < from { to + length } else { to };
        let numbers = (from..=to).step_by(step.into());
        let wrapped =
            numbers.map(|number| if number > self.last() { number - length } else { number });
        wrapped.map(|number| number.to_string()).collect::<Vec<_>>().join(",")
    }

    /// Words replaced by their numbers; whatever else has no meaning here is refused.
    fn numbered(&self, text: &str) -> Result<String, String> {
        let mut text = text.to_owned();
        for (number, word) in (self.min..).zip(self.words) {
            text = text.replace(word, &number.to_string());
        }
        let stray = text.chars().find(|each| {
            !each.is_ascii_digit() && !"*/-".contains(*each) && !self.special.contains(*each)
        });
        stray.map_or(Ok(text), |each| Err(format!("'{each}' has no meaning there")))
    }

    fn number(&self, text: &str) -> Result<u16, String> {
        let number = text.parse().ok().filter(|number| (self.min..=self.last()).contains(number));
        number
            .ok_or_else(|| format!("'{text}' is not a number from {} to {}", self.min, self.last()))
    }

    /// Sunday is 7 as well.
    fn last(&self) -> u16 {
        if self.max == 6 { 7 } else { self.max }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Monday.
    const NOW: &str = "2026-11-23T17:21:00Z";

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn firings(expression: &str, zone: Option<&str>, after: &str, count: usize) -> Vec<String> {
        let schedule = Schedule::parse(expression, zone).unwrap();
        let mut at = time(after);
        let mut found = vec![];
        while found.len() < count {
            match schedule.next(at) {
                None => break,
                Some(next) => at = next,
            }
            found.push(at.format("%Y-%m-%d %H:%M:%S").to_string());
        }
        found
    }

    #[track_caller]
    fn check(expression: &str, expected: &[&str]) {
        assert_eq!(firings(expression, None, NOW, expected.len()), expected, "{expression}");
    }

    #[test]
    fn fields_lists_ranges_and_steps() {
        check("*/3 * * * *", &["2026-11-23 17:24:00", "2026-11-23 17:27:00"]);
        check(
            "5/20 * * * *",
            &["2026-11-23 17:25:00", "2026-11-23 17:45:00", "2026-11-23 18:05:00"],
        );
        check(
            "10-20/5,50 18 * * *",
            &[
                "2026-11-23 18:10:00",
                "2026-11-23 18:15:00",
                "2026-11-23 18:20:00",
                "2026-11-23 18:50:00",
            ],
        );
        check(
            "0 22-1 * * *",
            &[
                "2026-11-23 22:00:00",
                "2026-11-23 23:00:00",
                "2026-11-24 00:00:00",
                "2026-11-24 01:00:00",
                "2026-11-24 22:00:00",
            ],
        );
        check(
            "0 22-2/2 * * *",
            &["2026-11-23 22:00:00", "2026-11-24 00:00:00", "2026-11-24 02:00:00"],
        );
        check(
            "0 0 1 NOV-feb *",
            &[
                "2026-12-01 00:00:00",
                "2027-01-01 00:00:00",
                "2027-02-01 00:00:00",
                "2027-11-01 00:00:00",
            ],
        );
        check("0 0 ? * ?", &["2026-11-24 00:00:00"]);
        check("0 0 29 2 *", &["2028-02-29 00:00:00"]);
    }

    #[test]
    fn seconds_stand_sixth_and_years_seventh() {
        check("* * * * * */15", &["2026-11-23 17:21:15", "2026-11-23 17:21:30"]);
        check("*/2 * * * * *", &["2026-11-23 17:22:00", "2026-11-23 17:22:01"]);
        check("0 0 1 1 * 30 2030", &["2030-01-01 00:00:30"]);
        assert_eq!(firings("0 0 1 1 * 0 2030", None, NOW, 2), ["2030-01-01 00:00:00"]);
    }

    #[test]
    fn aliases() {
        for (alias, expected) in [
            ("@hourly", "2026-11-23 18:00:00"),
            ("@daily", "2026-11-24 00:00:00"),
            ("@Midnight", "2026-11-24 00:00:00"),
            ("@weekly", "2026-11-29 00:00:00"),
            ("@monthly", "2026-12-01 00:00:00"),
            ("@yearly", "2027-01-01 00:00:00"),
            ("@annually", "2027-01-01 00:00:00"),
        ] {
            check(alias, &[expected]);
        }
    }

    #[test]
    fn days_of_week() {
        for sunday in ["0", "7", "sun", "SUN"] {
            check(&format!("0 0 * * {sunday}"), &["2026-11-29 00:00:00", "2026-12-06 00:00:00"]);
        }
        check("0 9 * * 1-5", &["2026-11-24 09:00:00"]);
        check(
            "0 9 * * sat-mon",
            &[
                "2026-11-28 09:00:00",
                "2026-11-29 09:00:00",
                "2026-11-30 09:00:00",
                "2026-12-05 09:00:00",
            ],
        );
        check(
            "0 9 * * 5-7",
            &[
                "2026-11-27 09:00:00",
                "2026-11-28 09:00:00",
                "2026-11-29 09:00:00",
                "2026-12-04 09:00:00",
            ],
        );
        check("0 0 * * L5", &["2026-11-27 00:00:00", "2026-12-25 00:00:00"]);
        check("0 0 * * 5#2", &["2026-12-11 00:00:00"]);
        check("0 0 L * *", &["2026-11-30 00:00:00", "2026-12-31 00:00:00"]);
        check("0 0 1W * *", &["2026-12-01 00:00:00", "2027-01-01 00:00:00", "2027-02-01 00:00:00"]);
    }

    #[test]
    fn a_day_of_month_or_a_day_of_week_is_enough() {
        check(
            "0 0 1,15 * 1",
            &["2026-11-30 00:00:00", "2026-12-01 00:00:00", "2026-12-07 00:00:00"],
        );
        check("0 0 15 * *", &["2026-12-15 00:00:00"]);
    }

    #[track_caller]
    fn refused(expression: &str, reason: &str) {
        let error = Schedule::parse(expression, None).unwrap_err().to_string();
        let expected = format!(
            "Invalid cron schedule: '{expression}'. Reason: {reason}. Use five fields (minute, hour, day of month, month, \
             day of week), such as '0 9 * * 1-5'; seconds may follow as a sixth."
        );
        assert_eq!(error, expected);
    }

    #[test]
    fn what_is_no_schedule_is_refused_with_the_reason() {
        refused("bogus", "5, 6 or 7 fields are needed, not 1");
        refused("", "5, 6 or 7 fields are needed, not 0");
        refused("* * * *", "5, 6 or 7 fields are needed, not 4");
        refused("@every 5m", "@every 5m is not known");
        refused("@reboot", "@reboot is not known");
        refused("60 * * * *", "minute '60': '60' is not a number from 0 to 59");
        refused("*/0 * * * *", "minute '*/0': a step is a number above 0");
        refused("H * * * *", "minute 'h': 'h' has no meaning there");
        refused("R(0-30) * * * *", "minute 'r(0-30)': 'r' has no meaning there");
        refused("mon * * * *", "minute 'mon': 'm' has no meaning there");
        refused("1,,2 * * * *", "minute '1,,2': a part of the list is empty");
        refused("-1 * * * *", "minute '-1': '' is not a number from 0 to 59");
        refused("0 0 * * 8", "day of week '8': '8' is not a number from 0 to 7");
        refused("0 0 * * 5#6", "Component error: Nth specifier out of bounds");
        refused("0 0 0 * *", "day of month '0': '0' is not a number from 1 to 31");
    }

    #[test]
    fn what_never_comes_is_found_out() {
        assert_eq!(firings("0 0 30 2 *", None, NOW, 1), [""; 0]);
        assert_eq!(firings("0 0 1 1 * 0 2020", None, NOW, 1), [""; 0]);
    }

    #[test]
    fn times_are_those_of_the_zone() {
        let next = |zone| firings("0 3 * * *", zone, NOW, 1);
        assert_eq!(next(Some("Asia/Tokyo")), ["2026-11-23 18:00:00"]);
        assert_eq!(next(Some("Europe/Paris")), ["2026-11-24 02:00:00"]);
        assert_eq!(next(None), ["2026-11-24 03:00:00"]);
        let error = Schedule::parse("* * * * *", Some("Mars/Base")).unwrap_err().to_string();
        let expected = "Invalid timezone: 'Mars/Base'. Must be the IANA name of a time zone, such as 'Europe/Paris'.";
        assert_eq!(error, expected);
    }

    #[track_caller]
    fn in_new_york(expression: &str, after: &str, expected: &[&str]) {
        let found = firings(expression, Some("America/New_York"), after, expected.len());
        assert_eq!(found, expected, "{expression} after {after}");
    }

    #[test]
    fn a_time_that_is_left_out_fires_when_clocks_are_put_forward() {
        let before = "2027-03-14T05:00:00Z";
        in_new_york("30 2 * * *", before, &["2027-03-14 07:00:00", "2027-03-15 06:30:00"]);
        in_new_york("0,30 2 * * *", before, &["2027-03-14 07:00:00", "2027-03-15 06:00:00"]);
        in_new_york("0 2,14 * * *", before, &["2027-03-14 07:00:00", "2027-03-14 18:00:00"]);
        in_new_york("15 2 14 3 *", before, &["2027-03-14 07:00:00", "2028-03-14 06:15:00"]);
        in_new_york("0 3 * * *", before, &["2027-03-14 07:00:00", "2027-03-15 07:00:00"]);
        in_new_york(
            "0 * * * *",
            before,
            &["2027-03-14 06:00:00", "2027-03-14 07:00:00", "2027-03-14 08:00:00"],
        );
        in_new_york(
            "30 * * * *",
            before,
            &["2027-03-14 05:30:00", "2027-03-14 06:30:00", "2027-03-14 07:30:00"],
        );
    }

    #[test]
    fn a_time_that_comes_twice_fires_twice() {
        let before = "2026-11-01T04:00:00Z";
        in_new_york(
            "30 1 * * *",
            before,
            &["2026-11-01 05:30:00", "2026-11-01 06:30:00", "2026-11-02 06:30:00"],
        );
        in_new_york(
            "0,30 1 * * *",
            before,
            &[
                "2026-11-01 05:00:00",
                "2026-11-01 05:30:00",
                "2026-11-01 06:00:00",
                "2026-11-01 06:30:00",
                "2026-11-02 06:00:00",
            ],
        );
        in_new_york(
            "0 * * * *",
            before,
            &["2026-11-01 05:00:00", "2026-11-01 06:00:00", "2026-11-01 07:00:00"],
        );
        in_new_york("0 2 * * *", before, &["2026-11-01 07:00:00", "2026-11-02 07:00:00"]);
        // Asked in the middle of it.
        in_new_york(
            "30 1 * * *",
            "2026-11-01T06:00:00.5Z",
            &["2026-11-01 06:30:00", "2026-11-02 06:30:00"],
        );
        in_new_york("30 1 * * *", "2026-11-01T06:30:00Z", &["2026-11-02 06:30:00"]);
    }
}
