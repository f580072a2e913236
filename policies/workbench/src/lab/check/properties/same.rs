//! A policy is a function.

use super::answers::outcome;
use crate::lab::check::Bench;
use crate::lab::check::counterexample::Expect;
use crate::lab::check::scene::Scene;
use crate::lab::check::trial::{Finding, Trial};
use engine::Call;

/// Asked again, whatever was asked in between; asked of the same module loaded anew; asked in the same world made anew.
pub(super) fn answer(bench: &Bench, scene: &Scene) -> Finding {
    let (trial, anew) = (Trial::of(bench, scene)?, Trial::anew(bench, scene)?);
    let first = trial.propose(&scene.requester, 0, &[]);
    for nth in 0..scene.rivals.min(4) {
        trial.propose(&scene.kin(nth), 1, &[]);
    }
    for (again, when) in [(&trial, "asked again"), (&anew, "loaded anew")] {
        let second = again.propose(&scene.requester, 0, &[]);
        if let Some(how) = difference(&first.calls, &second.calls) {
            let (one, two) = (outcome(&first.verdict), outcome(&second.verdict));
            let what = format!("{when}, it answers {two} where it answered {one}: {how}");
            return Err(trial.broken_asking(&scene.requester, what, Expect::default()));
        }
    }
    Ok(true)
}

/// In the answer, or in what it took to get there.
fn difference(one: &[Call], two: &[Call]) -> Option<&'static str> {
    let told = |calls: &[Call], tell: fn(&Call) -> String| calls.iter().map(tell).collect::<Vec<_>>();
    let differs = |tell| told(one, tell) != told(two, tell);
    [
        ("another answer", (|call| format!("{:?}", call.answer)) as fn(&Call) -> String),
        ("other lines in the log", |call| format!("{:?}", call.lines)),
        ("another use of fuel", |call| format!("{:?}", call.spent)),
    ]
    .into_iter()
    .find_map(|(how, tell)| differs(tell).then_some(how))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use engine::{Line, Spent};
    use ipam::{Refusal, Verdict};

    #[test]
    fn any_difference_but_that_of_time_is_seen() {
        let refused = |why: &str| Ok(Verdict::Refuse(Refusal::Denied(why.to_owned())));
        let call = Call { answer: refused("a"), spent: Spent::default(), lines: Vec::new(), took: Duration::ZERO };
        let with = |change: fn(&mut Call)| {
            let mut other = call.clone();
            change(&mut other);
            difference(std::slice::from_ref(&call), &[other])
        };
        assert_eq!(with(|call| call.took = Duration::from_secs(1)), None);
        assert_eq!(with(|call| call.answer = Err("a".to_owned())), Some("another answer"));
        assert_eq!(with(|call| call.spent.fuel = 1), Some("another use of fuel"));
        let line = |call: &mut Call| call.lines.push(Line { level: tracing::Level::INFO, text: String::new() });
        assert_eq!(with(line), Some("other lines in the log"));
        assert_eq!(difference(&[call], &[]), Some("another answer"));
    }
}
