//! The picture in characters. A character says how full a cell is; a colour, where there are colours, says it again.

use std::io::IsTerminal;

use super::area::{Area, Cell, MOST_COLUMNS, Row};
use super::describe;
use ipam::shown::one_line;

/// From nothing taken to everything.
const CHARACTERS: [char; 9] = ['·', '░', '░', '▒', '▒', '▓', '▓', '▓', '█'];

/// Of cells in which more is on hold than held.
const KEPT: [char; 9] = ['·', '◦', '◦', '◦', '○', '○', '○', '◎', '◎'];

/// Of 256 colours, from grey over green and yellow to red.
const COLOURS: [u8; 9] = [240, 22, 28, 34, 106, 142, 178, 208, 196];

/// Blue, for what is on hold.
const KEPT_COLOUR: u8 = 75;

/// The widest address that stands before a row, and the space behind it.
const LABEL: usize = 27;

/// How the picture is coloured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Paint {
    Colours,
    Characters,
}

impl Paint {
    /// Colours on a terminal that has them, unless nobody wants any (no-color.org).
    pub(super) fn of_stdout() -> Self {
        let is_unwanted = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        if std::io::stdout().is_terminal() && !is_unwanted && !is_dumb { Self::Colours } else { Self::Characters }
    }
}

/// How many cells fit into a row: a power of two.
pub(super) fn columns() -> usize {
    let width = terminal_size::terminal_size().map_or(100, |(width, _)| usize::from(width.0));
    let fitting = width.saturating_sub(LABEL).clamp(8, MOST_COLUMNS);
    1 << fitting.ilog2()
}

pub(super) fn render(areas: &[Area], paint: Paint) -> String {
    let mut text = String::new();
    for area in areas {
        render_area(area, paint, &mut text);
        text.push('\n');
    }
    text + &legend(paint)
}

fn render_area(area: &Area, paint: Paint, text: &mut String) {
    let Area { network, range_set, range, only_occupied, rows, .. } = area;
    text.push_str(&format!("{}, range set {range_set}: {range}\n", one_line(network)));
    let left_out = if *only_occupied { "; rows in which nothing is taken are left out" } else { "" };
    text.push_str(&format!("{}{left_out}\n", describe(area, "character")));
    for Row { first, cells } in rows {
        text.push_str(&format!("{first:<LABEL$}"));
        render_cells(cells, paint, text);
        while text.ends_with(' ') {
            text.pop();
        }
        text.push('\n');
    }
}

fn render_cells(cells: &[Cell], paint: Paint, text: &mut String) {
    let mut colour = None;
    for cell in cells {
        let (character, wanted) = match cell.level() {
            None => (' ', None),
            Some(level) if cell.is_mostly_kept() => (KEPT[level], Some(KEPT_COLOUR)),
            Some(level) => (CHARACTERS[level], Some(COLOURS[level])),
        };
        if paint == Paint::Colours && wanted != colour {
            text.push_str(&wanted.map_or_else(|| RESET.to_owned(), set_colour));
            colour = wanted;
        }
        text.push(character);
    }
    if colour.is_some() {
        text.push_str(RESET);
    }
}

const RESET: &str = "\x1b[0m";

fn set_colour(colour: u8) -> String {
    format!("\x1b[38;5;{colour}m")
}

fn legend(paint: Paint) -> String {
    let sample = |character: char, colour: u8| match paint {
        Paint::Colours => format!("{}{character}{RESET}", set_colour(colour)),
        Paint::Characters => character.to_string(),
    };
    format!(
        "{} free  {} some  {} half  {} most  {} all taken  {} mostly kept back\n",
        sample(CHARACTERS[0], COLOURS[0]),
        sample(CHARACTERS[1], COLOURS[1]),
        sample(CHARACTERS[4], COLOURS[4]),
        sample(CHARACTERS[7], COLOURS[7]),
        sample(CHARACTERS[8], COLOURS[8]),
        sample(KEPT[8], KEPT_COLOUR),
    )
}

#[cfg(test)]
mod tests {
    use super::super::area::tests::example;
    use super::*;

    #[test]
    fn a_picture_in_characters_is_as_the_snapshot_says() {
        insta::assert_snapshot!("terminal", render(&example(), Paint::Characters));
    }

    #[test]
    fn colours_change_nothing_but_the_colour() {
        let mut plain = String::new();
        for (nth, piece) in render(&example(), Paint::Colours).split('\x1b').enumerate() {
            let rest = if nth == 0 { piece } else { piece.split_once('m').unwrap().1 };
            plain.push_str(rest);
        }
        let trimmed = |text: &str| text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
        assert_eq!(trimmed(&plain), trimmed(&render(&example(), Paint::Characters)));
    }
}
