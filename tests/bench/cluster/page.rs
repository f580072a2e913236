//! `docs/performance.md` and its pictures, made of the figures of one run. Words are written here; numbers are not.

use limits::Thousands;

use super::chart::{Chart, ChartLine};
use super::churn::NODES;
use super::figures::{ChurnFigures, ClusterFigures};
use super::needs::{
    BUSY_SHARE, COMPACTION_SECONDS, ClusterNeeds, DescribedCluster, PUBLISHED_CORES, PUBLISHED_DATABASE_GIB,
    PUBLISHED_FLUSHES, PUBLISHED_WRITES, WRITES_OF_A_POD, representative,
};
use super::tables::{self, count, ms};

/// As large as Kubernetes says a cluster may be, and pods as fast as any has been reported to start them.
const LARGEST: DescribedCluster = DescribedCluster { nodes: 5_000.0, pods: 150_000.0, rate: 1_000.0 };

/// The page.
pub(super) fn page(figures: &ClusterFigures) -> String {
    let parts = [
        introduction(figures),
        section(
            "An ADD by the addresses that are held",
            &[FLAT, "![latency against held](performance/held.svg)", &tables::flat(figures)],
        ),
        section("Strategies and policies", &[POLICIES, &tables::policies(figures)]),
        section(
            "The limit of the store, and the floor",
            &[FLOOR, &tables::floor(figures), FILLS, &tables::fills(figures)],
        ),
        section("Pods that come and go", &churn(figures).each_ref().map(String::as_str)),
        section("Storms", &[STORMS, &tables::storms(figures)]),
        section("Commands", &[COMMANDS, &tables::commands(figures), &beside_fsck(figures)]),
        section("What 5,000 nodes and 1,000 pods a second need", &[&needs(figures)]),
        section("Reproduce it", &[&reproduce(figures)]),
    ];
    parts.join("\n")
}

fn section(title: &str, paragraphs: &[&str]) -> String {
    let mut text = format!("## {title}\n");
    for paragraph in paragraphs.iter().filter(|paragraph| !paragraph.is_empty()) {
        text += &format!("\n{}\n", wrap(paragraph.trim_end()));
    }
    text
}

/// Lines of prose as long as those of the other documents. Tables, pictures and commands stay as they are.
fn wrap(text: &str) -> String {
    let mut wrapped = Vec::new();
    for line in text.lines() {
        let is_prose = !line.starts_with(['|', '!', '#']) && !line.starts_with("make ");
        let mut current = String::new();
        for word in line.split(' ').filter(|_| is_prose) {
            if !current.is_empty() && current.chars().count() + 1 + word.chars().count() > WIDTH {
                wrapped.push(std::mem::take(&mut current));
            }
            if !current.is_empty() {
                current.push(' ');
            }
            current += word;
        }
        wrapped.push(if is_prose { current } else { line.to_owned() });
    }
    wrapped.join("\n")
}

/// Characters of a line.
const WIDTH: usize = 140;

const FLAT: &str = "\
Each row is one call as a whole process, from its start to its end, taken in turn with the same call on a store in which nothing is held. \
The floor is a process that connects to etcd, reads a range, commits one transaction and leaves. GC is told of all containers of its node \
and finds no garbage.";

const POLICIES: &str = "\
An ADD by each strategy of the built-in policy and by each shipped policy, for a pod that has the same name each time. `quota` searches the \
slots that the pods of its namespace have left; `by-topology` asks an API server for its node.";

const FLOOR: &str = "What etcd and the disk do here without us:";

const FILLS: &str = "\
Claims made through the library by one process, 64 at a time, each with its two round trips: the limit of the store, where whole processes \
find the limit of the machine. The embedded store is filled in memory, so its rate there is without a disk.";

const STORMS: &str = "\
All calls of a storm are made as fast as the machine takes them. *Decided again* says how often an ADD lost \
the race for an address and decided again, on average.";

const COMMANDS: &str = "What an operator runs, as whole processes.";

fn introduction(figures: &ClusterFigures) -> String {
    wrap(&format!(
        "# Performance\n\n\
         This page is made by `make performance` from the figures of one run, [figures.json](performance/figures.json); no measured number \
         is typed by hand. **Everything shares the cores of one machine**: the plugin's processes, etcd, its disk and the benchmark, which \
         starts every process. A cluster has etcd on machines of its own and the plugin on thousands of others, so the rates below are \
         the least that it can expect, and the ratios say more than the milliseconds.\n\n{}\n\
         A percentile is left out (–) where too few calls were made to tell it.\n",
        tables::machine(figures)
    )) + "\n"
}

fn churn(figures: &ClusterFigures) -> [String; 5] {
    let first = figures.churn.first();
    let held = first.map_or(0, |churn| churn.held);
    let seconds = first.map_or(0.0, |churn| churn.seconds);
    let told = format!(
        "{} addresses are held; then pods start on {} nodes at a rate that waits for nobody, and each ends a second later. A latency counts from \
         the moment that a pod was due, so that it includes waiting for a machine that has fallen behind. Each rate lasts {seconds} \
         seconds, etcd is compacted half way through, and in the end the whole history is checked for addresses that two pods held at \
         once.",
        count(held),
        count(NODES)
    );
    let knee = figures.knee.map_or_else(String::new, |knee| {
        let limit = ms(figures.settings.knee_ms);
        let kept_up = format!(
            "The machine keeps up with {} pods a second (99 % of ADDs within {limit} ms, none failed)",
            knee.kept_up
        );
        match knee.fell_behind {
            Some(rate) => format!("{kept_up} and falls behind at {rate}."),
            None => format!("{kept_up}, and was asked for no more."),
        }
    });
    let spent = "Where the processor's time goes. *Other* is whatever else ran on the machine; a run with much of it is not worth keeping.";
    let tables = tables::churn(figures) + "\n" + &knee;
    let failure = figures.churn.iter().find_map(|churn| churn.first_failure.as_ref());
    let failure = failure.map_or_else(String::new, |failure| format!("The most frequent failure: {failure}"));
    [
        told,
        "![latency against rate](performance/churn.svg)".to_owned(),
        tables + "\n\n" + &failure,
        spent.to_owned(),
        tables::spent(figures),
    ]
}

fn beside_fsck(figures: &ClusterFigures) -> String {
    let Some(beside) = &figures.add_beside_fsck else { return String::new() };
    let most = figures.settings.most_held();
    let quiet = figures.flat.iter().find(|row| row.call == "ADD" && row.held == most && row.store == "etcd, IPv4");
    let ratio = quiet.map_or_else(String::new, |quiet| {
        format!(", {:.2} times that of a quiet moment", beside.p50 / quiet.filled.p50)
    });
    format!("An ADD elsewhere while `fsck` reads everything on etcd: p50 {} ms{ratio}.", ms(beside.p50))
}

/// The argument. It holds for the figures it is made of, and names those it takes from elsewhere.
fn needs(figures: &ClusterFigures) -> String {
    let (Some(needs), Some(churn)) = (ClusterNeeds::of(LARGEST, figures), representative(figures)) else {
        return "This run did not measure what the argument needs: churn, a filled etcd and the floor.".to_owned();
    };
    [cores(&needs, churn), disk(&needs, churn, figures), space(&needs), MEMBERS.to_owned(), breaks_first(&needs)]
        .join("\n\n")
}

fn cores(needs: &ClusterNeeds, churn: &ChurnFigures) -> String {
    format!(
        "**Cores.** At {} pods a second a pod costs etcd {} ms of processor time, in a claim and a release with their reads. {} pods a \
         second keep {:.1} cores busy, and STATUS of {} nodes another {:.1}. Cores that are at most {:.0} % busy answer without waiting, so \
         a member needs **{:.0} cores**; etcd's guide advises eight to sixteen under heavy load. A node spends {:.2} % of one core on \
         the plugin.",
        churn.rate,
        ms(needs.etcd_ms),
        Thousands(LARGEST.rate as u64),
        needs.busy_cores,
        Thousands(LARGEST.nodes as u64),
        needs.status_cores,
        BUSY_SHARE * 100.0,
        needs.cores,
        needs.node_share * 100.0
    )
}

fn disk(needs: &ClusterNeeds, churn: &ChurnFigures, figures: &ClusterFigures) -> String {
    format!(
        "**Disk.** {} pods a second are {} transactions a second, and each waits for a flush of etcd's log. etcd writes what has gathered \
         meanwhile in one flush: with a flush of {} ms, as here, each has to carry {:.1} transactions; in the run above it carried {:.1}. A \
         disk of {PUBLISHED_FLUSHES:.0} flushes a second, which the guide recommends for heavy load, carries {:.1} in each. The disk's \
         latency is in every ADD once and in every DEL once.",
        Thousands(LARGEST.rate as u64),
        Thousands((LARGEST.rate * WRITES_OF_A_POD) as u64),
        ms(figures.machine.flush_ms),
        needs.writes_of_a_flush,
        writes_of_a_flush(churn),
        LARGEST.rate * WRITES_OF_A_POD / PUBLISHED_FLUSHES
    )
}

fn space(needs: &ClusterNeeds) -> String {
    format!(
        "**Space.** {} held addresses take {:.2} GiB, and what {} pods a second leave behind until it is compacted, every {:.0} minutes, \
         {:.2} GiB: together **{:.1} GiB** of the {PUBLISHED_DATABASE_GIB:.0} GiB that etcd advises at most. Its default quota is 2 GiB and \
         its default compaction none: set both (`--quota-backend-bytes`, `--auto-compaction-retention`).",
        Thousands(LARGEST.pods as u64),
        needs.held_gib,
        Thousands(LARGEST.rate as u64),
        COMPACTION_SECONDS / 60.0,
        needs.history_gib,
        needs.held_gib + needs.history_gib
    )
}

const MEMBERS: &str = "\
**Members.** Three, each on a disk of its own, in zones that are at most some milliseconds apart: a claim waits for one round trip to the \
nearer of the others and for its flush. Five survive a second loss and make no claim faster.";

fn breaks_first(needs: &ClusterNeeds) -> String {
    let mut text = format!("**What breaks first.** With {PUBLISHED_CORES:.0} cores, by these figures:\n\n");
    for (nth, ceiling) in needs.ceilings.iter().enumerate() {
        text += &format!("{}. {}, at {} pods a second\n", nth + 1, ceiling.what, Thousands(ceiling.rate as u64));
    }
    text += &format!(
        "\nPublished is {} writes a second on three members with eight cores and an SSD each \
         ([performance](https://etcd.io/docs/latest/op-guide/performance/), \
         [hardware](https://etcd.io/docs/latest/op-guide/hardware/), [limits](https://etcd.io/docs/latest/dev-guide/limit/)); a pod makes \
         {WRITES_OF_A_POD:.0}. Beyond the first of these, give networks an etcd each: they share nothing.\n",
        Thousands(PUBLISHED_WRITES as u64)
    );
    text
}

/// How many transactions a flush of the run carried.
fn writes_of_a_flush(churn: &ChurnFigures) -> f64 {
    // The run goes on for a second after its last pod, and waits for threads a moment before.
    let took = churn.seconds + 1.2;
    churn.pods as f64 * WRITES_OF_A_POD / took / churn.spent.flushes_per_second.max(1e-3)
}

fn reproduce(figures: &ClusterFigures) -> String {
    format!(
        "This run, on a machine that does nothing else (the figures go to `target/cluster.json`):\n\n```sh\n{}\n\
         make performance FIGURES=target/cluster.json   # this page\n```\n\n\
         `HELD=\"0 1500 15000 150000 550000\" SECONDS=60 ZONE=55000` is the whole of it, about an hour and a half on two cores; without any of them it \
         takes less than ten minutes. `ETCD=3.5` measures the other etcd, `MEMBERS=3` a cluster of three on this machine, \
         `ETCD_BENCHMARK=FILE` names etcd's own tool, and `TMPDIR` the disk. A cluster of your size:\n\n\
         ```sh\nmake simulate-cluster NODES=5000 PODS=150000 RATE=100 SECONDS=60\n```\n",
        figures.settings.command()
    )
}

/// The pictures of the page, by the names of their files.
pub(super) fn pictures(figures: &ClusterFigures) -> [(&'static str, String); 2] {
    [("held.svg", held(figures).draw()), ("churn.svg", rates(figures).draw())]
}

/// Latency against what is held: every verb on etcd, and an ADD on the others.
fn held(figures: &ClusterFigures) -> Chart {
    let mut chart = Chart {
        title: "Whole processes by the addresses that are held".to_owned(),
        note: format!("median of {} calls each; dashed: the floor of etcd's protocol", figures.settings.rounds),
        below: "addresses held".to_owned(),
        beside: "milliseconds".to_owned(),
        ..Chart::default()
    };
    let sizes = &figures.settings.held;
    let least = sizes.iter().find(|held| **held > 0).copied().unwrap_or(1);
    // By powers of ten, to which nothing belongs as one power less than the least.
    let place = |held: usize| if held == 0 { (least as f64).log10() - 1.0 } else { (held as f64).log10() };
    chart.ticks = sizes.iter().map(|held| (place(*held), count(*held))).collect();
    let mut lines: Vec<(&str, &str)> = Vec::new();
    for row in &figures.flat {
        let is_drawn = row.store == "etcd, IPv4" || row.call == "ADD";
        if is_drawn && !lines.contains(&(row.call.as_str(), row.store.as_str())) {
            lines.push((&row.call, &row.store));
        }
    }
    for (call, store) in lines {
        let rows = figures.flat.iter().filter(|row| row.call == call && row.store == store);
        let points = rows.map(|row| (place(row.held), row.filled.p50)).collect();
        chart.lines.push(ChartLine { name: format!("{call}, {store}"), dashed: call == "floor", points });
    }
    chart
}

/// Latency of an ADD against the rate at which pods start.
fn rates(figures: &ClusterFigures) -> Chart {
    let mut plain: Vec<&ChurnFigures> = figures.churn.iter().filter(|churn| churn.status_nodes == 0).collect();
    plain.sort_by(|one, other| one.rate.total_cmp(&other.rate));
    let held = plain.first().map_or(0, |churn| churn.held);
    let mut chart = Chart {
        title: format!("An ADD by the pods that start and end, {} held", count(held)),
        note: "from the moment that the pod was due".to_owned(),
        below: "pods a second".to_owned(),
        beside: "milliseconds".to_owned(),
        by_powers: true,
        ..Chart::default()
    };
    // Those between them, where the knee was looked for, lie too close for a label each.
    chart.ticks = figures.settings.rates.iter().map(|rate| (rate.log10(), rate.to_string())).collect();
    for name in ["p50", "p99", "p99.9"] {
        let mut points = Vec::new();
        for churn in &plain {
            let value = match name {
                "p50" => Some(churn.add.p50),
                "p99" => churn.add.p99,
                _ => churn.add.p999,
            };
            points.extend(value.map(|value| (churn.rate.log10(), value)));
        }
        chart.lines.push(ChartLine { name: format!("ADD {name}"), dashed: false, points });
    }
    // Few calls tell no high percentile.
    chart.lines.retain(|line| !line.points.is_empty());
    chart
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::super::figures::MachineFigures;
    use super::super::settings::BenchSettings;
    use super::*;

    #[test]
    fn the_documented_page_is_made_of_the_documented_figures() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
        let figures = ClusterFigures::read(&docs.join("performance/figures.json")).unwrap();
        let differs = "it is written by `make performance`, not by hand";
        assert!(
            fs::read_to_string(docs.join("performance.md")).unwrap() == page(&figures),
            "performance.md: {differs}"
        );
        for (name, picture) in pictures(&figures) {
            let drawn = fs::read_to_string(docs.join("performance").join(name)).unwrap();
            assert!(drawn == picture, "{name}: {differs}");
        }
    }

    #[test]
    fn prose_is_wrapped_and_nothing_else() {
        let words = "word ".repeat(40).trim_end().to_owned();
        let wrapped = wrap(&format!("{words}\n| {words} |"));
        let lines: Vec<&str> = wrapped.lines().collect();
        assert_eq!((lines.len(), lines[0].len()), (3, 139));
        assert_eq!(lines[..2].join(" "), words);
    }

    #[test]
    fn a_run_that_was_ended_early_has_a_page() {
        let figures = ClusterFigures::new(BenchSettings::default(), MachineFigures::default());
        let page = page(&figures);
        assert!(page.contains("did not measure what the argument needs") && page.contains(&figures.settings.command()));
        for (name, picture) in pictures(&figures) {
            assert!(picture.contains("</svg>") && !picture.contains("NaN"), "{name}: {picture}");
        }
    }
}
