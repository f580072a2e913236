//! The page that authors read says what the program does.

use super::*;

#[test]
fn the_contract_names_every_limit_with_its_default() {
    let page = include_str!("../../../policies/CONTRACT.md");
    let limits = [
        &FUEL,
        &TIME,
        &MEMORY,
        &HOST_CALLS,
        &STACK,
        &TABLE,
        &LOG_LINES,
        &TRANSFER,
        &TEXT,
        &IDENTITY,
        &SCHEMA,
        &PROPOSALS,
        &ASSIGNMENTS,
        &ANNOTATION,
        &ANNOTATIONS,
        &MODULE,
        &COMPILE_TIME,
        &COMPILE_MEMORY,
    ];
    for limit in limits {
        let most = if limit.least < limit.most { Thousands(limit.most).to_string() } else { String::new() };
        let row = format!("| `{}` | {} | {most}", limit.key, Thousands(limit.default)).trim_end().to_owned();
        assert!(page.contains(&row), "policies/CONTRACT.md has no row {row:?}");
    }
}
