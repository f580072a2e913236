//! Parts of ranges that are read, or counted, one by one.

use std::net::IpAddr;

use ipam::address::number;
use ipam::{RangeSet, Span};
use limits::store::{COUNTED_PARTS, WINDOW_GAP, WINDOW_SPANS};

/// The first addresses of a range set, or the first after an address: so many, neighbours together.
pub(crate) fn windows(set: &RangeSet, after: Option<IpAddr>, mut room: u128) -> Vec<Span> {
    let mut windows: Vec<Span> = Vec::new();
    for span in set.offered() {
        if room == 0 {
            break;
        }
        let behind = match after {
            Some(after) => span.above(after),
            None => Some(span),
        };
        let Some(behind) = behind else { continue };
        let part = head(behind, room);
        room -= part.size();
        // A range with gaps for gateways and exclusions is still one read where the gaps are small.
        if let Some(last) = windows.last_mut()
            && let Some(joined) = join(last, &part)
        {
            *last = joined;
        } else if windows.len() < WINDOW_SPANS {
            windows.push(part);
        } else {
            break;
        }
    }
    windows
}

fn join(one: &Span, two: &Span) -> Option<Span> {
    let is_behind = one.family() == two.family() && one.last() < two.first();
    if !is_behind || number(two.first()) - number(one.last()) > WINDOW_GAP {
        return None;
    }
    Span::new(one.first(), two.last())
}

/// The first addresses of a span, at most so many.
pub(super) fn head(span: Span, length: u128) -> Span {
    let last = span.nth(length - 1);
    last.and_then(|last| Span::new(span.first(), last)).unwrap_or(span)
}

pub(super) fn doubling_parts(span: Span, length: u128) -> Vec<Span> {
    cut(span, length, 2)
}

pub(super) fn equal_parts(span: Span) -> Vec<Span> {
    cut(span, span.size().div_ceil(COUNTED_PARTS), 1)
}

fn cut(span: Span, mut length: u128, growth: u128) -> Vec<Span> {
    let mut parts = Vec::new();
    let mut rest = Some(span);
    while let Some(span) = rest {
        let part = head(span, length);
        parts.push(part);
        rest = span.above(part.last());
        length = length.saturating_mul(growth);
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;
    use ipam::{Gateway, RangeSets, RangeSpec};
    use limits::store::WINDOW;

    fn span(first: &str, last: &str) -> Span {
        Span::new(first.parse().unwrap(), last.parse().unwrap()).unwrap()
    }

    fn text(spans: &[Span]) -> Vec<String> {
        spans.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_first_windows_take_near_neighbours_together() {
        let mut spec = RangeSpec::of_subnet("10.0.0.0/16".parse().unwrap());
        spec.gateway = Gateway::At("10.0.0.10".parse().unwrap());
        let excluded = ["10.0.0.64/26".parse().unwrap()];
        let sets = RangeSets::new(vec![vec![spec]], &excluded).unwrap();
        let set = sets.get(0).unwrap();
        assert_eq!(text(&windows(set, None, WINDOW)), ["10.0.0.2-10.0.0.63", "10.0.0.128-10.0.1.66"]);
        assert_eq!(text(&windows(set, Some("10.0.255.200".parse().unwrap()), WINDOW)), ["10.0.255.201-10.0.255.254"]);
        assert_eq!(windows(set, Some("10.0.255.254".parse().unwrap()), WINDOW), []);
    }

    #[test]
    fn parts_cover_a_span_without_gap_or_overlap() {
        for span in [span("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), span("10.0.0.7", "10.3.9.1")] {
            for parts in [doubling_parts(span, 256), equal_parts(span)] {
                assert!(parts.len() <= 128, "{}", parts.len());
                assert_eq!((parts[0].first(), parts[parts.len() - 1].last()), (span.first(), span.last()));
                assert!(parts.windows(2).all(|pair| number(pair[0].last()) + 1 == number(pair[1].first())));
            }
        }
    }
}
