//! The address space over time: columns are moments, rows are neighbouring addresses, colours say how many are held.

use std::time::Duration;

use svg::Document;
use svg::node::element::path::Data;
use svg::node::element::{Group, Line, Path, Rectangle, Text};

use super::history::{Event, History};
use super::model::Model;
use super::space::Space;
use super::statistics::held_at;
use ipam::RangeSets;
use limits::Thousands;

/// The most columns there are; fewer where there were fewer rounds.
const COLUMNS: usize = 256;
/// The most rows there are, of all range sets together.
const ROWS: usize = 400;
/// The size up to which a range set is shown whole; a larger one is shown only where it was used.
const SHOWN_WHOLE: u128 = 1 << 32;

/// From nothing held to everything held (ColorBrewer YlGnBu, told apart in grey and by the colour-blind).
const COLOURS: [&str; 9] =
    ["#f4f4f4", "#ffffd9", "#edf8b1", "#c7e9b4", "#7fcdbb", "#41b6c4", "#1d91c0", "#225ea8", "#081d58"];

const WIDTH: usize = 1024;
const LEFT: usize = 200;
const TOP: usize = 76;
const PLOT_WIDTH: usize = 704;
const PLOT_HEIGHT: usize = 480;
const GAP: usize = 28;
const BOTTOM: usize = 60;
const INK: &str = "#333333";

/// Draw a history as SVG, a panel for each range set. `name` is the policy's.
pub fn picture(name: &str, range_sets: &RangeSets, model: &Model, history: &History) -> String {
    let sets = range_sets.len().max(1);
    let height = (PLOT_HEIGHT - GAP * (sets - 1)) / sets;
    let bottom = TOP + sets * height + (sets - 1) * GAP;
    let mut document = Document::new()
        .set("viewBox", (0, 0, WIDTH, bottom + BOTTOM))
        .set("width", WIDTH)
        .set("height", bottom + BOTTOM)
        .set("font-family", "Helvetica, Arial, sans-serif")
        .set("font-size", 12)
        .add(Rectangle::new().set("width", "100%").set("height", "100%").set("fill", "white"))
        .add(text(LEFT, 30, "start", format!("Held addresses over time, policy {name}")).set("font-size", 18))
        .add(text(LEFT, 52, "start", describe(model)));
    for (nth, set) in range_sets.iter().enumerate() {
        let events: Vec<Event> = history.events.iter().filter(|event| event.range_set == nth).copied().collect();
        let panel = Panel::of(Space::of(set), set.size(), &events, history.ended, ROWS / sets);
        document = document.add(panel.draw(TOP + nth * (height + GAP), height));
    }
    document.add(time_axis(history.ended, bottom)).add(legend()).to_string()
}

fn describe(model: &Model) -> String {
    let churn: Vec<String> = model.churn.iter().map(ToString::to_string).collect();
    format!(
        "{} pods, filled to {}, then {} of the population replaced an hour; {} nodes ask at once; seed {}",
        Thousands(model.pods),
        model.fill,
        churn.join(", then "),
        model.contention,
        model.seed
    )
}

/// The part of the picture that shows one range set.
struct Panel {
    space: Space,
    /// The first place that is shown.
    first: u128,
    /// How many places are shown.
    extent: u128,
    rows: usize,
    /// For every column, how much of every row is held: 0 for nothing, 8 for all of it.
    columns: Vec<Vec<usize>>,
}

impl Panel {
    fn of(space: Space, size: u128, events: &[Event], until: Duration, most_rows: usize) -> Self {
        let (first, extent) = shown(size, events);
        let rows = usize::try_from(extent).unwrap_or(usize::MAX).min(most_rows);
        let mut panel = Self { space, first, extent, rows, columns: Vec::new() };
        let rounds = events.iter().map(|event| event.round + 1).max().unwrap_or(1);
        let columns = usize::try_from(rounds).unwrap_or(COLUMNS).min(COLUMNS) as u32;
        let moments: Vec<Duration> = (1..=columns).map(|nth| until * nth / columns).collect();
        let mut found = Vec::new();
        held_at(events, &moments, |held| found.push(panel.levels(held.iter().copied())));
        panel.columns = found;
        panel
    }

    /// How much of each row is held, as the number of its colour.
    fn levels(&self, held: impl Iterator<Item = u128>) -> Vec<usize> {
        let mut counts = vec![0_u128; self.rows];
        for place in held {
            let row = ((place - self.first + 1) * self.rows as u128 - 1) / self.extent;
            if let Some(count) = usize::try_from(row).ok().and_then(|row| counts.get_mut(row)) {
                *count += 1;
            }
        }
        let full = COLOURS.len() as u128 - 1;
        let mut levels = Vec::with_capacity(self.rows);
        for (row, count) in counts.into_iter().enumerate() {
            // Rounded up: a single address among thousands has to be seen.
            levels.push((count * full).div_ceil(self.length(row)) as usize);
        }
        levels
    }

    /// How many addresses a row has. Rows differ by one where the extent is not a multiple of their number.
    fn length(&self, row: usize) -> u128 {
        let rows = self.rows as u128;
        let (start, end) = (row as u128 * self.extent / rows, (row as u128 + 1) * self.extent / rows);
        (end - start).max(1)
    }

    fn draw(&self, top: usize, height: usize) -> Group {
        let columns = self.columns.len();
        let scale = format!(
            "translate({LEFT} {top}) scale({} {})",
            PLOT_WIDTH as f64 / columns as f64,
            height as f64 / self.rows as f64
        );
        let mut cells = Group::new()
            .set("transform", scale)
            .set("shape-rendering", "crispEdges")
            .add(Rectangle::new().set("width", columns).set("height", self.rows).set("fill", COLOURS[0]));
        for (level, colour) in COLOURS.iter().enumerate().skip(1) {
            let data = self.cells(level);
            if !data.is_empty() {
                cells =
                    cells.add(Path::new().set("class", format!("level-{level}")).set("fill", *colour).set("d", data));
            }
        }
        let frame = Rectangle::new()
            .set("x", LEFT)
            .set("y", top)
            .set("width", PLOT_WIDTH)
            .set("height", height)
            .set("fill", "none")
            .set("stroke", INK);
        self.addresses(top, height, Group::new().add(cells).add(frame))
    }

    /// The cells of one colour, as one path: every run of them in a row is a rectangle. An element for each cell would
    /// make a file of megabytes that browsers are slow to show.
    fn cells(&self, level: usize) -> Data {
        let mut data = Data::new();
        for row in 0..self.rows {
            let mut column = 0;
            while column < self.columns.len() {
                let run = self.columns[column..].iter().take_while(|rows| rows[row] == level).count();
                if run > 0 {
                    data = data.move_to((column, row)).horizontal_line_by(run).vertical_line_by(1);
                    data = data.horizontal_line_by(-(run as i32)).close();
                }
                column += run.max(1);
            }
        }
        data
    }

    /// The scale on the left, which says which address is where.
    fn addresses(&self, top: usize, height: usize, mut group: Group) -> Group {
        let labels = (height / 60).clamp(1, 8).min(self.rows);
        for nth in 0..=labels {
            let place = self.first + (self.extent - 1) * nth as u128 / labels as u128;
            let y = top + height * nth / labels;
            let tick = Line::new().set("x1", LEFT - 5).set("x2", LEFT).set("y1", y).set("y2", y).set("stroke", INK);
            group = group.add(tick).add(text(LEFT - 9, y + 4, "end", self.space.address(place).to_string()));
        }
        group
    }
}

/// The first place that is shown and how many: of a large range set only those that were used.
fn shown(size: u128, events: &[Event]) -> (u128, u128) {
    if size <= SHOWN_WHOLE {
        return (0, size.max(1));
    }
    let mut places: Vec<u128> = events.iter().map(|event| event.place).collect();
    places.sort_unstable();
    match (places.first(), places.last()) {
        (Some(first), Some(last)) => (*first, last - first + 1),
        _ => (0, SHOWN_WHOLE),
    }
}

fn time_axis(until: Duration, bottom: usize) -> Group {
    let (unit, name) = unit(until);
    let all = until.as_secs_f64() / unit;
    let step = step(all);
    let mut group = Group::new();
    let ticks = (all / step) as usize;
    for tick in 0..=ticks {
        let x = LEFT + (PLOT_WIDTH as f64 * tick as f64 * step / all).round() as usize;
        let line = Line::new().set("x1", x).set("x2", x).set("y1", bottom).set("y2", bottom + 5).set("stroke", INK);
        // Without the digits that a product of decimal fractions has too many.
        let label = (tick as f64 * step * 1e3).round() / 1e3;
        group = group.add(line).add(text(x, bottom + 19, "middle", label.to_string()));
    }
    group.add(text(LEFT + PLOT_WIDTH / 2, bottom + 42, "middle", format!("simulated time in {name}")))
}

/// The unit of the time axis: its length in seconds, and its name.
fn unit(until: Duration) -> (f64, &'static str) {
    match until.as_secs() {
        0..=180 => (1.0, "seconds"),
        181..=10_800 => (60.0, "minutes"),
        10_801..=259_200 => (3_600.0, "hours"),
        _ => (86_400.0, "days"),
    }
}

/// The distance between two ticks, such that there are at most ten: one, two or five times a power of ten.
fn step(all: f64) -> f64 {
    let mut power = 0.001;
    loop {
        for factor in [1.0, 2.0, 5.0] {
            let step = factor * power;
            if all <= step * 10.0 {
                return step;
            }
        }
        power *= 10.0;
    }
}

fn legend() -> Group {
    let x = LEFT + PLOT_WIDTH + 24;
    let mut group = Group::new().add(text(x, TOP + 10, "start", "held".to_owned()));
    for (level, colour) in COLOURS.iter().enumerate() {
        let y = TOP + 20 + level * 22;
        let swatch = Rectangle::new().set("x", x).set("y", y).set("width", 18).set("height", 18).set("fill", *colour);
        let share = 100.0 / (COLOURS.len() - 1) as f64 * level as f64;
        let label = if level == 0 { "none".to_owned() } else { format!("to {share}%") };
        group = group.add(swatch.set("stroke", "#999999")).add(text(x + 25, y + 13, "start", label));
    }
    group
}

fn text(x: usize, y: usize, anchor: &str, content: String) -> Text {
    Text::new(content).set("x", x).set("y", y).set("text-anchor", anchor).set("fill", INK)
}

#[cfg(test)]
mod tests {
    use svg::node::element::path::{Command, Position};
    use svg::node::element::tag::Type;
    use svg::parser::Event as Parsed;

    use super::super::history::Change;
    use super::super::model::Share;
    use super::*;
    use ipam::RangeSpec;

    fn range_sets(subnets: &[&str]) -> RangeSets {
        let set = |subnet: &&str| vec![RangeSpec::of_subnet(subnet.parse().unwrap())];
        RangeSets::new(subnets.iter().map(set).collect(), &[]).unwrap()
    }

    fn event(round: u64, range_set: usize, place: u128, change: Change) -> Event {
        Event { at: Duration::from_secs(10 * (round + 1)), round, range_set, place, change }
    }

    /// How many cells have each colour. Panics unless every element that begins ends in its turn.
    fn cells(picture: &str) -> [usize; COLOURS.len()] {
        let (mut open, mut cells) = (Vec::new(), [0; COLOURS.len()]);
        for parsed in svg::read(picture).unwrap() {
            match parsed {
                Parsed::Error(error) => panic!("{error}"),
                Parsed::Tag(name, Type::Start, _) => open.push(name.to_owned()),
                Parsed::Tag(name, Type::End, _) => assert_eq!(open.pop().as_deref(), Some(name)),
                Parsed::Tag("path", Type::Empty, attributes) => {
                    let level: usize = attributes["class"].strip_prefix("level-").unwrap().parse().unwrap();
                    for command in Data::parse(&attributes["d"]).unwrap().iter() {
                        if let Command::HorizontalLine(Position::Relative, by) = command {
                            cells[level] += by[0].max(0.0) as usize;
                        }
                    }
                }
                _ => {}
            }
        }
        assert!(open.is_empty(), "{open:?}");
        cells
    }

    fn draw(sets: &RangeSets, events: Vec<Event>) -> String {
        let share = |text: &str| text.parse().unwrap();
        let model = Model {
            pods: 4,
            churn: vec![share("0.3")],
            fill: share("0.7"),
            stateful: Share::NONE,
            contention: 1,
            nodes: 1,
            namespaces: 1,
            seed: 1,
        };
        let history = History { events, ended: Duration::from_secs(40), ..History::default() };
        picture("<mine> & yours", sets, &model, &history)
    }

    #[test]
    fn every_held_address_is_a_cell_in_every_column_of_its_time() {
        let events = vec![
            event(0, 0, 0, Change::Claim),
            event(1, 0, 5, Change::Claim),
            event(2, 0, 5, Change::Release),
            event(3, 0, 12, Change::Claim),
        ];
        let picture = draw(&range_sets(&["10.0.0.0/28"]), events);
        // Four columns: one, two, one and two addresses, each a row of its own.
        assert_eq!(cells(&picture), [0, 0, 0, 0, 0, 0, 0, 0, 6]);
        for wanted in ["\n10.0.0.2\n", "\n10.0.0.14\n", "policy &lt;mine&gt; &amp; yours", "simulated time in seconds"]
        {
            assert!(picture.contains(wanted), "{wanted}");
        }
    }

    #[test]
    fn rows_of_many_addresses_are_coloured_by_the_part_that_is_held() {
        let sets = range_sets(&["10.0.0.0/20", "fd00::/64"]);
        let half = (0..4_093).filter(|place| place % 2 == 0).map(|place| event(0, 0, place, Change::Claim));
        let few = (0..600).map(|place| event(0, 1, place, Change::Claim));
        let found = cells(&draw(&sets, half.chain(few).collect()));
        // 200 rows of the one, half held; of the other only what is used is shown, and that is full.
        assert_eq!((found[8], found[4] + found[5]), (200, 200));
        assert_eq!(found.iter().sum::<usize>(), 400);
    }

    #[test]
    fn nothing_at_all_is_drawn_as_well() {
        assert_eq!(cells(&draw(&range_sets(&["10.0.0.0/28", "fd00::/64"]), Vec::new())), [0; COLOURS.len()]);
    }

    #[test]
    fn ticks_are_few_and_round() {
        assert_eq!((step(7.3), step(60.0), step(112.0), step(0.04)), (1.0, 10.0, 20.0, 0.005));
    }
}
