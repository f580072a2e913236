//! `prove`: searches schedules for one that breaks a promise.
#![allow(clippy::print_stdout, reason = "a program of the tests")]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use prove::explore::{Counterexample, Limits, Searched, exhaust, on_a_loop, replay, wander};
use prove::scenarios::Scenario;
use prove::{clock, mutants, page, scenarios};

const HELP: &str = "\
prove: the verbs of production under every schedule and every fault

    prove [SCENARIO …] [--cost 4] [--schedules N]   every schedule up to a cost, at most N of each scenario
    prove --seconds 60 [--seed N]                   schedules at random
    prove --replay FILE                             one that broke a promise, with what happens in it
    prove --mutants DIRECTORY                       a copy of the repository with all mutants in it
    prove --hunt-all PROGRAM                        each mutant, with the program of that copy

    --page docs/reliability.md                      writes the figures there
";

/// A schedule is made of small pieces of memory.
#[global_allocator]
static MEMORY: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

#[derive(Default)]
struct Arguments {
    scenarios: Vec<String>,
    cost: Option<u32>,
    schedules: Option<u64>,
    seconds: Option<u64>,
    seed: Option<u64>,
    replay: Option<PathBuf>,
    mutants: Option<PathBuf>,
    hunt: bool,
    hunt_all: Option<PathBuf>,
    page: Option<PathBuf>,
}

fn main() -> ExitCode {
    std::panic::set_hook(Box::new(|_| {}));
    match read(std::env::args().skip(1)).and_then(|arguments| run(&arguments)) {
        Ok(is_well) => ExitCode::from(u8::from(!is_well)),
        Err(error) => {
            println!("{error}");
            ExitCode::from(2)
        }
    }
}

fn read(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut read = Arguments::default();
    while let Some(word) = words.next() {
        if !word.starts_with('-') {
            read.scenarios.push(word);
            continue;
        }
        if word == "--hunt" {
            read.hunt = true;
            continue;
        }
        let Some(value) = words.next() else { return Err(HELP.to_owned()) };
        let number = || value.parse::<u64>().map_err(|_| format!("{word} {value}: a number is expected"));
        match word.as_str() {
            "--cost" => read.cost = Some(u32::try_from(number()?).unwrap_or(u32::MAX)),
            "--schedules" => read.schedules = Some(number()?),
            "--seconds" => read.seconds = Some(number()?),
            "--seed" => read.seed = Some(number()?),
            "--replay" => read.replay = Some(value.into()),
            "--mutants" => read.mutants = Some(value.into()),
            "--hunt-all" => read.hunt_all = Some(value.into()),
            "--page" => read.page = Some(value.into()),
            _ => return Err(HELP.to_owned()),
        }
    }
    Ok(read)
}

fn run(arguments: &Arguments) -> Result<bool, String> {
    if !clock::is_ours() {
        return Err("the clocks of this program are not its own: is it linked statically?".to_owned());
    }
    if let Some(directory) = &arguments.mutants {
        return mutants::write(directory).map(|()| true);
    }
    if let Some(program) = &arguments.hunt_all {
        return hunt_all(program, arguments);
    }
    if let Some(file) = &arguments.replay {
        let found = on_a_loop(async || replay(file).await)?;
        show(&found);
        return Ok(found.what.is_empty());
    }
    if arguments.hunt {
        return Ok(hunt(Duration::from_secs(arguments.seconds.unwrap_or(60))));
    }
    match arguments.seconds {
        Some(seconds) => search_at_random(arguments, Duration::from_secs(seconds)),
        None => search_all(arguments),
    }
}

fn search_all(arguments: &Arguments) -> Result<bool, String> {
    let limits = Limits {
        cost: arguments.cost.unwrap_or(4),
        schedules: arguments.schedules.unwrap_or(2_000_000),
        time: Duration::from_secs(24 * 3_600),
    };
    let names: Vec<&str> = scenarios::ALL
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| arguments.scenarios.is_empty() || arguments.scenarios.iter().any(|wanted| wanted == name))
        .collect();
    let rows = side_by_side(&names, |name| {
        on_a_loop(async || {
            let scenario = scenarios::named(name).expect("a scenario of the list");
            (name.to_owned(), scenario.what.to_owned(), exhaust(&scenario, limits).await)
        })
    });
    report(&rows, arguments, "schedules")
}

fn search_at_random(arguments: &Arguments, time: Duration) -> Result<bool, String> {
    let seed = arguments.seed.unwrap_or_else(|| std::time::UNIX_EPOCH.elapsed().map_or(1, |since| since.as_secs()));
    println!("seed {seed}");
    let names: Vec<&str> = scenarios::ALL.iter().map(|(name, _)| *name).chain([scenarios::CROWD.0]).collect();
    // As many turns as there are processors share the time.
    let turns = names.len().div_ceil(processors()) as u32;
    let rows = side_by_side(&names, |name| {
        on_a_loop(async || {
            let scenario = scenarios::named(name).expect("a scenario of the list");
            (name.to_owned(), scenario.what.to_owned(), wander(&scenario, seed, time / turns, u64::MAX).await)
        })
    });
    report(&rows, arguments, "random")
}

/// All scenarios: what is nearly in order, and then more and more at random, until one breaks a promise.
fn hunt(time: Duration) -> bool {
    on_a_loop(async || {
        let began = clock::real(Instant::now);
        let all: Vec<Scenario> = scenarios::ALL.iter().map(|(_, make)| make()).collect();
        let second = Duration::from_secs(1);
        for round in 0.. {
            for scenario in &all {
                let searched = match round {
                    0 => exhaust(scenario, Limits { cost: 1, schedules: u64::MAX, time: second }).await,
                    _ => wander(scenario, round << 32, second, u64::MAX).await,
                };
                if let Some(found) = searched.broken {
                    let how = if round == 0 { "in order" } else { "at random" };
                    println!("found: {}, {how}, after {}: {}", scenario.name, searched.schedules, found.what);
                    return false;
                }
                if clock::real(Instant::now) - began > time {
                    return true;
                }
            }
        }
        true
    })
}

fn hunt_all(program: &Path, arguments: &Arguments) -> Result<bool, String> {
    let within = Duration::from_secs(arguments.seconds.unwrap_or(60));
    let mut hunted = Vec::new();
    for mutant in mutants::all()? {
        if !arguments.scenarios.is_empty() && !arguments.scenarios.contains(&mutant.name) {
            continue;
        }
        let one = mutants::hunt(program, &mutant, within)?;
        println!(
            "{:<28} {:>5.1} s  {}",
            mutant.name,
            one.took.as_secs_f64(),
            one.found.as_deref().unwrap_or("NOT FOUND")
        );
        hunted.push(one);
    }
    if let Some(file) = &arguments.page {
        page::write(file, "mutants", &page::mutants(&hunted))?;
    }
    let found = hunted.iter().filter(|one| one.found.is_some()).count();
    println!("{found} of {} mutants were found", hunted.len());
    Ok(found == hunted.len())
}

fn report(rows: &[(String, String, Searched)], arguments: &Arguments, mark: &str) -> Result<bool, String> {
    println!("{}", page::schedules(rows));
    let mut is_well = true;
    for found in rows.iter().filter_map(|(_, _, searched)| searched.broken.as_ref()) {
        let file = format!("target/prove-{}.json", found.scenario);
        let text = serde_json::to_string_pretty(found).map_err(|error| error.to_string())?;
        std::fs::write(&file, text).map_err(|error| format!("{file}: {error}"))?;
        show(found);
        println!("\nit is in {file}: make prove REPLAY={file}\n");
        is_well = false;
    }
    if !is_well {
        return Ok(false);
    }
    if let Some(file) = &arguments.page {
        page::write(file, mark, &page::schedules(rows))?;
    }
    Ok(true)
}

fn show(found: &Counterexample) {
    println!("scenario {}: {}", found.scenario, if found.what.is_empty() { "nothing is broken" } else { &found.what });
    for line in &found.trace {
        println!("  {line}");
    }
}

fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// A search for each name, as many at once as there are processors.
fn side_by_side<T: Send>(names: &[&str], search: impl Fn(&str) -> T + Sync) -> Vec<T> {
    let (next, done) = (Mutex::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..processors() {
            scope.spawn(|| {
                loop {
                    let nth = {
                        let mut next = next.lock().expect("nobody panics here");
                        *next += 1;
                        *next - 1
                    };
                    let Some(name) = names.get(nth) else { return };
                    let found = search(name);
                    done.lock().expect("nobody panics here").push((nth, found));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("nobody panics here");
    done.sort_by_key(|(nth, _)| *nth);
    done.into_iter().map(|(_, found)| found).collect()
}
