//! Numbers with a unit: data for programs, and a few words for people.

use serde::Serialize;
use std::fmt;

/// A time span in seconds. People see it as `14 min` or `3 h 5 min`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(super) struct Seconds(pub u64);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(seconds) = self;
        match seconds {
            0..120 => write!(f, "{seconds} s"),
            120..7200 => write!(f, "{} min", seconds / 60),
            7200..172_800 => write!(f, "{} h {} min", seconds / 3600, seconds / 60 % 60),
            _ => write!(f, "{} days", seconds / 86_400),
        }
    }
}

/// A number of bytes. People see it as `1.5 GiB`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(super) struct Size(pub u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(bytes) = *self;
        let units = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
        let Some(at) = (bytes.max(1).ilog2() / 10).checked_sub(1) else { return write!(f, "{bytes} B") };
        let unit = units.get(at as usize).copied().unwrap_or_default();
        let tenths = (u128::from(bytes) * 10) >> (10 * (at + 1));
        write!(f, "{}.{} {unit}", tenths / 10, tenths % 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_see_few_digits() {
        let spans = [(5, "5 s"), (119, "119 s"), (840, "14 min"), (11_100, "3 h 5 min"), (400_000, "4 days")];
        for (seconds, expected) in spans {
            assert_eq!(Seconds(seconds).to_string(), expected);
        }
        let sizes =
            [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (1 << 30, "1.0 GiB"), (u64::MAX, "15.9 EiB")];
        for (bytes, expected) in sizes {
            assert_eq!(Size(bytes).to_string(), expected);
        }
    }

    #[test]
    fn programs_see_a_number() {
        assert_eq!(serde_json::to_string(&(Seconds(840), Size(1536))).unwrap(), "[840,1536]");
    }
}
