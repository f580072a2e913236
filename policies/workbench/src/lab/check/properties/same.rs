//! A policy is a function.

use super::answers::outcome;
use crate::lab::check::Bench;
use crate::lab::check::counterexample::Expect;
use crate::lab::check::scene::Scene;
use crate::lab::check::trial::{Finding, Trial};
use engine::Call;

/// The same request gets the same answer: asked again, whatever was asked in between, and asked of the same module in the
/// same world, both made once more.
pub(super) fn answer(bench: &Bench, scene: &Scene) -> Finding {
    let (trial, loaded_again) = (Trial::of(bench, scene)?, Trial::loaded_again(bench, scene)?);
    let first = trial.propose(&scene.requester, 0, &[]);
    for nth in 0..scene.rivals.min(4) {
        trial.propose(&scene.kin(nth), 1, &[]);
    }
    for (again, when) in [(&trial, "asked again"), (&loaded_again, "loaded again")] {
        let second = again.propose(&scene.requester, 0, &[]);
        if let Some(how) = difference(&first.calls, &second.calls) {
            let (one, two) = (outcome(&first.verdict), outcome(&second.verdict));
            let what = format!("{when}, it answers {two} where it answered {one}: {how}");
            return Err(trial.broken_asking(&scene.requester, what, Expect::default()));
        }
    }
    Ok(true)
}

/// How the calls differ: in an answer, or in what it took to get there. Time alone is no difference. Fuel is one, because
/// a policy that spends another amount has seen something that is not in its input.
fn difference(one: &[Call], two: &[Call]) -> Option<&'static str> {
    let pairs: Vec<(&Call, &Call)> = one.iter().zip(two).collect();
    if one.len() != two.len() || pairs.iter().any(|(one, two)| one.answer != two.answer) {
        return Some("another answer");
    }
    if pairs.iter().any(|(one, two)| one.lines != two.lines) {
        return Some("other lines in the log");
    }
    if pairs.iter().any(|(one, two)| one.spent != two.spent) {
        return Some("another use of fuel");
    }
    None
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
        let call = Call {
            answer: refused("a"),
            spent: Spent::default(),
            lines: Vec::new(),
            asked: Vec::new(),
            took: Duration::ZERO,
        };
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
