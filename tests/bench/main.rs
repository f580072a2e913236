//! Whole-process times, paired in one run: every sample of ours stands beside one of the other program, taken right
//! after it, so that a noisy machine hurts both alike. Read the ratios.
//!
//! `bench [earlier] [embedded] [etcd] [kubernetes] [scale] [burst] [languages]`: these sections, or all of them. What takes long
//! is run by its name only: `cluster`, `simulate` and, of the figures of the first, the page `performance`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a program for a developer's terminal")]

mod burst;
mod bytes;
mod cluster;
mod earlier;
mod embedded;
mod etcd;
mod kubernetes;
mod languages;
mod phases;
mod sample;
mod scale;
mod server;

/// A part of the benchmark: how it is asked for, what it compares, and how it is run.
type Section = (&'static str, &'static str, fn());

const SECTIONS: [Section; 10] = [
    ("earlier", "an earlier program, whose file BEFORE names", earlier::print),
    ("embedded", "the embedded store; host-local is Debian's", embedded::print),
    ("etcd", "etcd; the floor connects, reads a range, commits a transaction and leaves", etcd::print),
    ("kubernetes", "who asks? The API server is the tests' own, in this process", kubernetes::print),
    ("scale", "etcd with addresses held, beside an etcd with none", scale::print),
    ("burst", "many at once, on both stores; host-local is Debian's", burst::print),
    ("languages", "policies by language, precompiled; the step is over a process that does nothing", languages::print),
    ("cluster", "a cluster with many addresses held", cluster::print),
    ("simulate", "the cluster that NODES, PODS, RATE and SECONDS describe", cluster::simulate),
    ("performance", "the page of a run of `cluster`", cluster::write_page),
];

/// How many sections are run where none is named.
const BY_DEFAULT: usize = 7;

fn main() {
    let asked: Vec<String> = std::env::args().skip(1).collect();
    if let [what, program] = &asked[..]
        && what == sample::PEAK_MEMORY
    {
        return sample::print_peak_memory(program);
    }
    if let Some((first, command)) = asked.split_first()
        && first == cluster::MEASURE_COMMAND
    {
        return cluster::measure_command(command);
    }
    if let Some(unknown) = asked.iter().find(|asked| SECTIONS.iter().all(|(name, ..)| name != asked)) {
        println!("no section \"{unknown}\": there are {}", SECTIONS.map(|(name, ..)| name).join(", "));
        return;
    }
    println!("whole processes, spawn to exit, medians of paired rounds");
    for (nth, (name, what, print)) in SECTIONS.into_iter().enumerate() {
        let is_default = asked.is_empty() && nth < BY_DEFAULT;
        if is_default || asked.iter().any(|asked| asked == name) {
            println!("\n# {name}: {what}\n");
            print();
        }
    }
}
