//! The date and the day that SigV4 signs.

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use std::cell::Cell;
use std::time::{Duration, SystemTime};

/// A time in UTC to the second, in the form of `x-amz-date` (`20260131T235959Z`). Its first eight characters are the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AmzDate {
    text: [u8; 16],
    time: SystemTime,
}

thread_local! {
    // Thousands of requests are signed in a second; it is formatted once. The number counts seconds since 1970.
    static LAST: Cell<Option<(u64, AmzDate)>> = const { Cell::new(None) };
}

impl AmzDate {
    /// Makes the date of `time`.
    pub fn new(time: SystemTime) -> Self {
        let Ok(since) = time.duration_since(SystemTime::UNIX_EPOCH) else { return Self::written(time) };
        let second = since.as_secs();
        match LAST.get() {
            Some((last, date)) if last == second => Self { time, ..date },
            _ => {
                let date = Self::written(time);
                LAST.set(Some((second, date)));
                date
            }
        }
    }

    /// Parses a date in this form.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let number = |from: usize, to: usize| {
            let digits = text.get(from..to).filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?;
            digits.parse::<i16>().ok()
        };
        let small = |from: usize| number(from, from + 2).and_then(|number| i8::try_from(number).ok());
        let bytes: [u8; 16] = text.as_bytes().try_into().ok()?;
        if !matches!((bytes.get(8), bytes.get(15)), (Some(b'T'), Some(b'Z'))) {
            return None;
        }
        let date = Date::new(number(0, 4)?, small(4)?, small(6)?).ok()?;
        let time = Time::new(small(9)?, small(11)?, small(13)?, 0).ok()?;
        let timestamp = TimeZone::UTC.to_timestamp(date.to_datetime(time)).ok()?;
        let seconds = u64::try_from(timestamp.as_second()).ok()?;
        Some(Self { text: bytes, time: SystemTime::UNIX_EPOCH + Duration::from_secs(seconds) })
    }

    fn written(time: SystemTime) -> Self {
        let utc = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH).to_zoned_datetime(TimeZone::UTC);
        let mut text = *b"00000000T000000Z";
        write_digits(&mut text, 0, 4, utc.year().unsigned_abs());
        write_digits(&mut text, 4, 2, utc.month().unsigned_abs().into());
        write_digits(&mut text, 6, 2, utc.day().unsigned_abs().into());
        write_digits(&mut text, 9, 2, utc.hour().unsigned_abs().into());
        write_digits(&mut text, 11, 2, utc.minute().unsigned_abs().into());
        write_digits(&mut text, 13, 2, utc.second().unsigned_abs().into());
        Self { text, time }
    }

    /// Returns the date as text.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.text).unwrap_or_default()
    }

    /// Returns the date as bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text
    }

    /// Returns the day.
    pub fn day(&self) -> &str {
        self.as_str().get(..8).unwrap_or_default()
    }

    /// Returns whether it is in this day, which has the form of [`AmzDate::day`].
    pub fn is_in(&self, day: &str) -> bool {
        self.text.get(..8) == Some(day.as_bytes())
    }

    /// Returns the time that it was made of.
    pub fn time(&self) -> SystemTime {
        self.time
    }
}

fn write_digits(text: &mut [u8; 16], at: usize, count: usize, value: u16) {
    let mut rest = value;
    for place in text.iter_mut().skip(at).take(count).rev() {
        *place = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
    }
}

/// Formats `time` as RFC 3339 in UTC, to the second.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    let seconds = time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    i64::try_from(seconds)
        .ok()
        .and_then(|s| Timestamp::from_second(s).ok())
        .unwrap_or(Timestamp::UNIX_EPOCH)
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_dates() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_440_938_160_999);
        let date = AmzDate::new(time);
        assert_eq!((date.as_str(), date.day()), ("20150830T123600Z", "20150830"));
        assert_eq!(rfc3339(time), "2015-08-30T12:36:00Z");
    }

    #[test]
    fn parses_dates_and_nothing_else() {
        let date = AmzDate::parse("20150830T123600Z").unwrap();
        assert_eq!(date.time(), SystemTime::UNIX_EPOCH + Duration::from_mins(24_015_636));
        assert_eq!((date.as_str(), date.day()), ("20150830T123600Z", "20150830"));
        for text in [
            "",
            "20150830",
            "20150830T123600",
            "20150830T123600z",
            "20150830 123600Z",
            "20150830T123600Z ",
            "20150230T123600Z",
            "20151330T123600Z",
            "20150830T243600Z",
            "20150830T126000Z",
            "+0150830T123600Z",
            "2015083\u{e9}123600Z",
            "NaNNaNNaTNaNNaNZ",
        ] {
            assert_eq!(AmzDate::parse(text), None, "{text}");
        }
    }
}
