//! The picture as SVG. It is rectangles and some text, which is why the node's program has no library for it.

use super::area::{Area, Cell, MOST_COLUMNS, Row};
use super::describe;

/// From nothing taken to everything (ColorBrewer YlGnBu, told apart in grey and by the colour-blind).
const COLOURS: [&str; 9] =
    ["#f4f4f4", "#ffffd9", "#edf8b1", "#c7e9b4", "#7fcdbb", "#41b6c4", "#1d91c0", "#225ea8", "#081d58"];

/// Of cells in which more is on hold than held.
const KEPT: &str = "#fd8d3c";

const CELL: usize = 12;
const LEFT: usize = 260;
const MARGIN: usize = 20;
const LINE: usize = 20;
const WIDTH: usize = LEFT + MOST_COLUMNS * CELL + MARGIN;

pub(super) fn render(areas: &[Area]) -> String {
    let mut body = String::new();
    let mut y = MARGIN;
    for area in areas {
        y = draw(area, y, &mut body) + LINE;
    }
    y = legend(y, &mut body);
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {y}\" width=\"{WIDTH}\" height=\"{y}\" \
         font-family=\"Helvetica, Arial, sans-serif\" font-size=\"12\" fill=\"#333333\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{body}</svg>\n"
    )
}

/// Returns where the next area begins.
fn draw(area: &Area, top: usize, body: &mut String) -> usize {
    let Area { network, range_set, range, .. } = area;
    let title = format!("{network}, range set {range_set}: {range}");
    body.push_str(&text(MARGIN, top + LINE / 2, 14, "start", &title));
    body.push_str(&text(MARGIN, top + LINE / 2 + LINE, 12, "start", &describe(area, "square")));
    let mut y = top + 2 * LINE;
    for Row { first, cells } in &area.rows {
        body.push_str(&text(LEFT - 8, y + CELL - 2, 10, "end", &first.to_string()));
        for (nth, cell) in cells.iter().enumerate() {
            square(LEFT + nth * CELL, y, cell, body);
        }
        y += CELL;
    }
    y + LINE / 2
}

fn square(x: usize, y: usize, cell: &Cell, body: &mut String) {
    let Some(level) = cell.level() else { return };
    let fill = if cell.is_mostly_kept() { KEPT } else { COLOURS[level] };
    let side = CELL - 1;
    let Cell { offered, held, kept } = cell;
    body.push_str(&format!(
        "<rect x=\"{x}\" y=\"{y}\" width=\"{side}\" height=\"{side}\" fill=\"{fill}\"><title>{held} held, {kept} kept back of \
         {offered}</title></rect>\n"
    ));
}

fn legend(top: usize, body: &mut String) -> usize {
    let mut x = LEFT;
    body.push_str(&text(x - 8, top + CELL - 2, 12, "end", "free"));
    for fill in COLOURS {
        body.push_str(&format!("<rect x=\"{x}\" y=\"{top}\" width=\"{CELL}\" height=\"{CELL}\" fill=\"{fill}\"/>\n"));
        x += CELL;
    }
    body.push_str(&text(x + 8, top + CELL - 2, 12, "start", "all taken"));
    x += 90;
    body.push_str(&format!("<rect x=\"{x}\" y=\"{top}\" width=\"{CELL}\" height=\"{CELL}\" fill=\"{KEPT}\"/>\n"));
    body.push_str(&text(x + CELL + 8, top + CELL - 2, 12, "start", "mostly kept back"));
    top + CELL + MARGIN
}

fn text(x: usize, y: usize, size: usize, anchor: &str, text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!("<text x=\"{x}\" y=\"{y}\" font-size=\"{size}\" text-anchor=\"{anchor}\">{text}</text>\n")
}

#[cfg(test)]
mod tests {
    use super::super::area::tests::example;
    use super::*;

    #[test]
    fn a_picture_as_svg_is_as_the_snapshot_says() {
        insta::assert_snapshot!("svg", render(&example()));
    }
}
