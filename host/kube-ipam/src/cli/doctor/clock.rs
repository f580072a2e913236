//! The clock of this node beside those of others: certificates, holds and cool-downs end by it, and GC compares by it.

use jiff::SignedDuration;

use super::check::Check;
use limits::{CLOCK_BAD, CLOCK_DOUBTFUL};

/// What it means that another's clock is so far ahead.
pub(super) fn compared(whose: &str, ahead: SignedDuration) -> Check {
    let apart = ahead.unsigned_abs();
    let direction = if ahead.is_negative() { "ahead of" } else { "behind" };
    let detail = format!("{:#} {direction} that of {whose}", SignedDuration::from_secs(apart.as_secs().cast_signed()));
    let hint =
        Some("set the clock of whichever is wrong: `timedatectl` shows whether this one is synchronised".to_owned());
    if apart > CLOCK_BAD {
        return Check::bad("clock", detail, hint);
    }
    if apart > CLOCK_DOUBTFUL {
        return Check::warning("clock", detail, hint);
    }
    Check::good("clock", format!("as that of {whose}, within {}s", CLOCK_DOUBTFUL.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::check::Verdict;

    #[test]
    fn seconds_are_told_and_minutes_are_bad() {
        let of = |seconds: i64| compared("etcd", SignedDuration::from_secs(seconds));
        assert_eq!(of(1).verdict, Verdict::Good);
        assert_eq!((of(-30).verdict, of(-30).detail.as_str()), (Verdict::Warning, "30s ahead of that of etcd"));
        assert_eq!((of(3_600).verdict, of(3_600).detail.as_str()), (Verdict::Bad, "1h behind that of etcd"));
    }
}
