//! For how long: `90s`, `30m`, `24h`, `7d`, `1d12h`.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

/// A duration of at least a second, and at most as long as the host keeps an address for anybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Keep {
    seconds: u64,
}

/// What a duration looks like.
pub(crate) const EXPECTED: &str = "expected a duration above zero, such as 90s, 30m, 24h, 7d or 1d12h, and at most 90d";

/// The host's limit, in seconds.
const MOST: u64 = 90 * 24 * 60 * 60;

impl Keep {
    /// As long as a pod may ask for where the settings do not say.
    pub(crate) const WEEK: Self = Self { seconds: 7 * 24 * 60 * 60 };

    /// At least 1, and at most 90 days.
    pub fn seconds(self) -> u64 {
        self.seconds
    }
}

impl fmt::Display for Keep {
    /// In the units it is read in.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.seconds;
        for (unit, name) in [(24 * 60 * 60, 'd'), (60 * 60, 'h'), (60, 'm'), (1, 's')] {
            if rest >= unit {
                write!(f, "{}{name}", rest / unit)?;
            }
            rest %= unit;
        }
        Ok(())
    }
}

impl Default for Keep {
    fn default() -> Self {
        Self { seconds: 60 * 60 }
    }
}

impl FromStr for Keep {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        seconds(text).filter(|seconds| (1..=MOST).contains(seconds)).map(|seconds| Self { seconds }).ok_or(EXPECTED)
    }
}

impl TryFrom<String> for Keep {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse().map_err(|expected| format!("{text:?}: {expected}"))
    }
}

/// Numbers with their units, the larger unit first.
fn seconds(mut rest: &str) -> Option<u64> {
    let (mut sum, mut larger) = (0_u64, u64::MAX);
    while !rest.is_empty() {
        let (number, tail) = rest.split_at(rest.find(|c: char| !c.is_ascii_digit())?);
        let unit = match tail.chars().next()? {
            's' => 1,
            'm' => 60,
            'h' => 60 * 60,
            'd' => 24 * 60 * 60,
            _ => return None,
        };
        if unit >= larger {
            return None;
        }
        sum = sum.checked_add(number.parse::<u64>().ok()?.checked_mul(unit)?)?;
        (larger, rest) = (unit, &tail[1..]);
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_and_their_sums() {
        for (text, seconds) in [
            ("1s", 1),
            ("90s", 90),
            ("30m", 1_800),
            ("24h", 86_400),
            ("7d", 604_800),
            ("1d12h", 129_600),
            ("1h30m10s", 5_410),
            ("0h1s", 1),
            ("90d", MOST),
        ] {
            let keep = text.parse::<Keep>().unwrap();
            assert_eq!((keep.seconds(), keep.to_string().parse()), (seconds, Ok(keep)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration() {
        for text in [
            "",
            "0s",
            "0d0h",
            "1",
            "h",
            "1.5h",
            "-1h",
            "+1h",
            "1w",
            "1H",
            "1h ",
            " 1h",
            "1 h",
            "30m1h",
            "1h1h",
            "1µ",
            "90d1s",
            "99999999999d",
            "18446744073709551616s",
            "18446744073709551615m",
            "18446744073709551615d1s",
        ] {
            assert_eq!(text.parse::<Keep>(), Err(EXPECTED), "{text:?}");
        }
    }
}
