//! Lines over an axis, as SVG.

use svg::Document;
use svg::node::element::path::Data;
use svg::node::element::{Circle, Group, Line, Path, Rectangle, Text};

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 460.0;
const LEFT: f64 = 70.0;
const TOP: f64 = 70.0;
const PLOT_WIDTH: f64 = 610.0;
const PLOT_HEIGHT: f64 = 310.0;
const INK: &str = "#333333";
const GRID: &str = "#dddddd";

/// Told apart by the colour-blind (Okabe and Ito).
const COLOURS: [&str; 8] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999"];

/// One picture. Where a point lies from left to right is for the caller to say: anything that ascends.
#[derive(Clone, Debug, Default)]
pub(super) struct Chart {
    pub(super) title: String,
    pub(super) note: String,
    pub(super) below: String,
    pub(super) beside: String,
    /// Labels of the axis below.
    pub(super) ticks: Vec<(f64, String)>,
    /// Whether the axis beside is by powers of ten, rather than from 0.
    pub(super) by_powers: bool,
    pub(super) lines: Vec<ChartLine>,
}

/// One line of a chart.
#[derive(Clone, Debug)]
pub(super) struct ChartLine {
    pub(super) name: String,
    pub(super) dashed: bool,
    pub(super) points: Vec<(f64, f64)>,
}

impl Chart {
    pub(super) fn draw(&self) -> String {
        let ticks = self.ticks_beside();
        let mut document = Document::new()
            .set("viewBox", (0, 0, WIDTH as u32, HEIGHT as u32))
            .set("width", WIDTH as u32)
            .set("height", HEIGHT as u32)
            .set("font-family", "Helvetica, Arial, sans-serif")
            .set("font-size", 12)
            .add(Rectangle::new().set("width", "100%").set("height", "100%").set("fill", "white"))
            .add(text(LEFT, 28.0, "start", &self.title).set("font-size", 17))
            .add(text(LEFT, 50.0, "start", &self.note))
            .add(self.axis_beside(&ticks))
            .add(self.axis_below());
        for (nth, line) in self.lines.iter().enumerate() {
            document = document.add(self.line(nth, line, &ticks)).add(legend(nth, line));
        }
        document.to_string() + "\n"
    }

    fn line(&self, nth: usize, line: &ChartLine, ticks: &[f64]) -> Group {
        let colour = COLOURS[nth % COLOURS.len()];
        let (mut data, mut group) = (Data::new(), Group::new());
        for (at, (x, y)) in line.points.iter().enumerate() {
            let place = (self.x(*x), self.y(*y, ticks));
            data = if at == 0 { data.move_to(place) } else { data.line_to(place) };
            group = group.add(Circle::new().set("cx", place.0).set("cy", place.1).set("r", 3).set("fill", colour));
        }
        group.add(stroke(Path::new().set("d", data).set("fill", "none").set("stroke", colour), line.dashed))
    }

    fn axis_beside(&self, ticks: &[f64]) -> Group {
        let mut group = Group::new();
        for tick in ticks {
            let y = self.y(*tick, ticks);
            group = group.add(straight((LEFT, y), (LEFT + PLOT_WIDTH, y), GRID));
            group = group.add(text(LEFT - 8.0, y + 4.0, "end", &number(*tick)));
        }
        let turned = format!("translate(18 {}) rotate(-90)", TOP + PLOT_HEIGHT / 2.0);
        group.add(text(0.0, 0.0, "middle", &self.beside).set("transform", turned))
    }

    fn axis_below(&self) -> Group {
        let bottom = TOP + PLOT_HEIGHT;
        let mut group = Group::new().add(straight((LEFT, bottom), (LEFT + PLOT_WIDTH, bottom), INK));
        for (at, label) in &self.ticks {
            let x = self.x(*at);
            group = group.add(straight((x, bottom), (x, bottom + 5.0), INK));
            group = group.add(text(x, bottom + 20.0, "middle", label));
        }
        group.add(text(LEFT + PLOT_WIDTH / 2.0, bottom + 46.0, "middle", &self.below))
    }

    /// From the first label to the last one, with some room beside both.
    fn x(&self, at: f64) -> f64 {
        let first = self.ticks.first().map_or(0.0, |(at, _)| *at);
        let last = self.ticks.last().map_or(1.0, |(at, _)| *at);
        let share = if last > first { (at - first) / (last - first) } else { 0.5 };
        rounded(LEFT + 20.0 + share * (PLOT_WIDTH - 40.0))
    }

    /// Between the first and the last tick.
    fn y(&self, value: f64, ticks: &[f64]) -> f64 {
        let place = |value: f64| if self.by_powers { value.max(1e-9).log10() } else { value };
        let (low, high) = (place(ticks[0]), place(ticks[ticks.len() - 1]));
        rounded(TOP + PLOT_HEIGHT * (1.0 - (place(value) - low) / (high - low)))
    }

    fn ticks_beside(&self) -> Vec<f64> {
        let values = self.lines.iter().flat_map(|line| line.points.iter().map(|(_, y)| *y));
        let (least, most) = values.fold((f64::MAX, 0.0_f64), |(least, most), y| (least.min(y), most.max(y)));
        if self.by_powers { powers(least, most) } else { steps(most) }
    }
}

/// From 0 to beyond the greatest value, in at most ten steps: one, two or five times a power of ten.
fn steps(most: f64) -> Vec<f64> {
    let mut power = 1e-6;
    loop {
        for factor in [1.0, 2.0, 5.0] {
            let step = factor * power;
            if most <= step * 8.0 {
                let count = (most / step).ceil().max(1.0) as u32;
                return (0..=count).map(|nth| f64::from(nth) * step).collect();
            }
        }
        power *= 10.0;
    }
}

/// Powers of ten with two and five times between them, around all values.
fn powers(least: f64, most: f64) -> Vec<f64> {
    let least = least.min(most).max(1e-3);
    let first = least.log10().floor() as i32;
    let last = (most.max(least) * 1.000_001).log10().ceil() as i32;
    let mut ticks = Vec::new();
    for exponent in first..last.max(first + 1) {
        for factor in [1.0, 2.0, 5.0] {
            ticks.push(factor * 10_f64.powi(exponent));
        }
    }
    ticks.push(10_f64.powi(last.max(first + 1)));
    // Of the decades at either end only as much as is needed.
    while ticks.len() > 2 && ticks[1] <= least {
        ticks.remove(0);
    }
    while ticks.len() > 2 && ticks[ticks.len() - 2] >= most {
        ticks.pop();
    }
    ticks
}

fn legend(nth: usize, line: &ChartLine) -> Group {
    let (x, y) = (LEFT + PLOT_WIDTH + 18.0, TOP + 14.0 + nth as f64 * 22.0);
    let colour = COLOURS[nth % COLOURS.len()];
    let data = Data::new().move_to((x, y)).horizontal_line_by(26);
    let sample = stroke(Path::new().set("d", data).set("stroke", colour), line.dashed);
    Group::new().add(sample).add(text(x + 34.0, y + 4.0, "start", &line.name))
}

fn stroke(path: Path, dashed: bool) -> Path {
    let path = path.set("stroke-width", 2);
    if dashed { path.set("stroke-dasharray", "6 4") } else { path }
}

fn straight(from: (f64, f64), to: (f64, f64), colour: &str) -> Line {
    Line::new().set("x1", from.0).set("y1", from.1).set("x2", to.0).set("y2", to.1).set("stroke", colour)
}

fn text(x: f64, y: f64, anchor: &str, content: &str) -> Text {
    Text::new(content).set("x", x).set("y", y).set("text-anchor", anchor).set("fill", INK)
}

/// A tenth of a pixel is less than anybody sees.
fn rounded(pixels: f64) -> f64 {
    (pixels * 10.0).round() / 10.0
}

/// Without the digits that a product of decimal fractions has too many.
fn number(value: f64) -> String {
    ((value * 1e6).round() / 1e6).to_string()
}

#[cfg(test)]
mod tests {
    use svg::node::element::tag::Type;
    use svg::parser::Event;

    use super::*;

    #[test]
    fn ticks_are_few_and_reach_around_all_values() {
        assert_eq!(steps(7.3), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]);
        assert_eq!(steps(0.0).len(), 2);
        assert_eq!(powers(3.0, 450.0), [2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0]);
        assert_eq!(powers(1.0, 1.0), [1.0, 2.0]);
    }

    #[test]
    fn points_lie_inside_the_plot_and_text_is_escaped() {
        let points = vec![(1.0, 2.5), (3.0, 250.0)];
        let mut chart = Chart {
            title: "<a> & b".to_owned(),
            ticks: vec![(1.0, "0".to_owned()), (3.0, "10".to_owned())],
            lines: vec![ChartLine { name: "ADD".to_owned(), dashed: false, points }],
            ..Chart::default()
        };
        for by_powers in [false, true] {
            chart.by_powers = by_powers;
            let picture = chart.draw();
            let mut circles = 0;
            for event in svg::read(&picture).unwrap() {
                match event {
                    Event::Error(error) => panic!("{error}"),
                    Event::Tag("circle", Type::Empty, attributes) => {
                        let [x, y] = ["cx", "cy"].map(|name| attributes[name].parse::<f64>().unwrap());
                        assert!((LEFT..=LEFT + PLOT_WIDTH).contains(&x) && (TOP..=TOP + PLOT_HEIGHT).contains(&y));
                        circles += 1;
                    }
                    _ => {}
                }
            }
            assert_eq!(circles, 2);
            assert!(picture.contains("&lt;a&gt; &amp; b"), "{picture}");
        }
    }
}
