//! A cluster on one machine: etcd filled as that of thousands of nodes is, and called as they call it. What is measured goes to
//! JSON, and from there to `docs/performance.md`.
//!
//! ```text
//!   settings ──► fill ──► flat · policies · commands ──► churn · storms ──► figures ──► page · chart
//!                          for each size and store        at the largest     JSON         needs
//! ```

mod chart;
mod churn;
mod commands;
mod figures;
mod fill;
mod flat;
mod judgement;
mod knee;
mod machine;
mod needs;
mod page;
mod pods;
mod policies;
mod schedule;
mod settings;
mod site;
mod spent;
mod storms;
mod tables;

use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use nix::sys::resource::{Resource, getrlimit, setrlimit};

pub(crate) use commands::{MEASURE_COMMAND, measure_command};

use churn::ChurnLoad;
use figures::{ClusterFigures, FillFigures};
use fill::Target;
use judgement::Described;
use knee::KneeSearch;
use policies::Policies;
use settings::BenchSettings;
use site::Site;

/// The longest that a rate is tried for that nobody asked for.
const SECONDS_OF_A_STEP: f64 = 10.0;

/// Nodes that section `scale` spreads its pods over.
const NODES_OF_SCALE: usize = 250;

/// Section `cluster`: everything.
pub(crate) fn print() {
    let settings = match BenchSettings::read(|name| std::env::var(name).ok()) {
        Ok(settings) => settings,
        Err(problem) => return println!("{problem}"),
    };
    let mut run = ClusterRun::begin(settings.clone());
    for store in &settings.stores {
        let filled = run.by_size(store);
        if store == "ipv4" {
            run.at_the_largest_size(&filled);
        }
    }
    println!("\nthe figures are in {}: `make performance FIGURES=…` makes a page of them", run.file.display());
}

/// Section `simulate`: one cluster, one rate, and whether this machine carries it.
pub(crate) fn simulate() {
    let described = match Described::read(|name| std::env::var(name).ok()) {
        Ok(described) => described,
        Err(problem) => return println!("{problem}"),
    };
    let Described { pods, rate, seconds, settings } = &described;
    let mut run = ClusterRun::begin(settings.clone());
    let mut site = Site::start("ipv4", settings);
    run.fill(&mut site, *pods);
    run.keep("filled", tables::fills);
    run.churn(&site, *rate, *seconds, 0);
    if settings.status_nodes > 0 {
        run.churn(&site, *rate, *seconds, settings.status_nodes);
    }
    run.keep("churn", tables::churn);
    println!("\n{}", tables::spent(&run.figures).trim_end());
    run.figures.storms = storms::measure(&site, settings.zone, settings.nodes);
    run.keep("storms", tables::storms);
    println!("\n{}", described.judge(&run.figures));
}

/// Section `performance`: the page, of the figures in a file.
pub(crate) fn write_page() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let file = std::env::var_os("FIGURES").filter(|file| !file.is_empty());
    let file = file.map_or_else(|| docs.join("performance/figures.json"), PathBuf::from);
    let figures = match ClusterFigures::read(&file) {
        Ok(figures) => figures,
        Err(problem) => return println!("{problem}"),
    };
    fs::create_dir_all(docs.join("performance")).unwrap();
    fs::write(docs.join("performance/figures.json"), figures.to_text()).unwrap();
    fs::write(docs.join("performance.md"), page::page(&figures)).unwrap();
    for (name, picture) in page::pictures(&figures) {
        fs::write(docs.join("performance").join(name), picture).unwrap();
    }
    println!("docs/performance.md is made of {}", file.display());
}

/// `OUT`, or a file below `target`.
fn output() -> PathBuf {
    let default = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/cluster.json");
    std::env::var_os("OUT").filter(|file| !file.is_empty()).map_or(default, PathBuf::from)
}

/// Each call on its way has three pipes.
fn allow_many_files() {
    let (_, most) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
    setrlimit(Resource::RLIMIT_NOFILE, most, most).unwrap();
}

/// Have the addresses of a subnet with these numbers held on an etcd, for section `scale`.
pub(crate) fn claim(url: &str, subnet: &str, numbers: Range<usize>) {
    fill::claim(&Target::Etcd(vec![url.to_owned()]), subnet, numbers, NODES_OF_SCALE);
}

/// What has been measured so far, and where it is kept.
struct ClusterRun {
    figures: ClusterFigures,
    file: PathBuf,
}

impl ClusterRun {
    /// Look at the machine, and at what an etcd does on it without us. That etcd is gone afterwards.
    fn begin(settings: BenchSettings) -> Self {
        allow_many_files();
        let empty = Site::start("ipv4", &settings);
        let machine = machine::describe(&empty);
        let mut run = Self { figures: ClusterFigures::new(settings, machine), file: output() };
        println!("{}", tables::machine(&run.figures).trim_end());
        run.figures.floor = Some(machine::floor(&empty));
        run.keep("the floor", tables::floor);
        run
    }

    /// Write everything down, so that a run that is ended early has not been for nothing, and print the part that is new.
    fn keep(&self, what: &str, table: fn(&ClusterFigures) -> String) {
        fs::write(&self.file, self.figures.to_text()).unwrap();
        println!("\n## {what}\n\n{}", table(&self.figures).trim_end());
    }

    /// Fill a store size by size, and measure at each.
    fn by_size(&mut self, store: &str) -> Site {
        let settings = self.figures.settings.clone();
        let (mut filled, empty) = (Site::start(store, &settings), Site::start(store, &settings));
        let policies = (store == "ipv4").then(|| Policies::prepare([&filled, &empty]));
        for held in &settings.held {
            self.fill(&mut filled, *held);
            self.figures.flat.extend(flat::measure(&filled, &empty, settings.rounds));
            if let Some(policies) = &policies {
                self.figures.policies.extend(policies.measure(&filled, &empty, settings.rounds.div_ceil(2)));
            }
            if *held > 0 && store != "ipv6" {
                self.figures.commands.extend(commands::measure(&filled, settings.nodes));
            }
        }
        fs::write(&self.file, self.figures.to_text()).unwrap();
        let of_store = self.figures.of_store(filled.name);
        println!("\n## {}", filled.name);
        for table in [tables::fills, tables::flat, tables::commands] {
            println!("\n{}", table(&of_store).trim_end());
        }
        if policies.is_some() {
            println!("\n{}", tables::policies(&self.figures).trim_end());
        }
        filled
    }

    fn fill(&mut self, site: &mut Site, held: usize) {
        let (claims, took) = site.fill(held);
        self.figures.fills.push(FillFigures {
            store: site.name.to_owned(),
            held,
            claims,
            seconds: (took.as_secs_f64() * 1e3).round() / 1e3,
            database_bytes: site.database_bytes(),
        });
    }

    /// What is asked of a whole cluster.
    fn at_the_largest_size(&mut self, site: &Site) {
        let settings = self.figures.settings.clone();
        self.figures.add_beside_fsck = Some(commands::add_beside_fsck(site));
        let mut search = KneeSearch::new(&settings.rates);
        while let Some(rate) = search.next_rate() {
            let was_asked_for = settings.rates.contains(&rate);
            let seconds = if was_asked_for { settings.seconds } else { settings.seconds.min(SECONDS_OF_A_STEP) };
            self.churn(site, rate, seconds, 0);
            let kept_up = self.figures.churn.last().is_some_and(|churn| churn.kept_up(settings.knee_ms));
            search.tell(rate, kept_up);
        }
        self.figures.knee = Some(search.found());
        if let Some(rate) = settings.rates.first().filter(|_| settings.status_nodes > 0) {
            self.churn(site, *rate, settings.seconds, settings.status_nodes);
        }
        self.keep("churn", tables::churn);
        println!("\n{}", tables::spent(&self.figures).trim_end());
        self.figures.storms = storms::measure(site, settings.zone, settings.nodes);
        self.keep("storms", tables::storms);
    }

    fn churn(&mut self, site: &Site, rate: f64, seconds: f64, status_nodes: usize) {
        self.figures.churn.push(churn::run(site, ChurnLoad { rate, seconds, status_nodes }));
    }
}
