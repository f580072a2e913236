//! The place of each value in the text of a case: for errors that name a place, and for changes that leave everything
//! else as it is. JSON is YAML.

use std::ops::Range;

use serde_saphyr::granit_parser::{Event, Parser, ScanError, StructureStyle};

/// One part of a way into a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// The value of a key of a mapping.
    Key(&'a str),
    /// An element of a list, counted from 0.
    Nth(usize),
}

/// A value in the text.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// The bytes of it, without the white space and comments behind it.
    pub(super) range: Range<usize>,
    /// Line and column of its first character, counted from 1.
    pub(super) place: (usize, usize),
    /// Whether it is written in braces or brackets.
    pub(super) is_flow: bool,
    pub(super) content: Content,
}

/// What a value consists of, in the order of the text.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// A text, a number or an alias.
    Scalar,
    List(Vec<Node>),
    Mapping(Vec<MappingEntry>),
}

/// A key of a mapping and its value.
#[derive(Clone, Debug)]
pub(super) struct MappingEntry {
    pub(super) key: String,
    /// The bytes of the key.
    pub(super) range: Range<usize>,
    /// Line and column of the key's first character, counted from 1.
    pub(super) place: (usize, usize),
    pub(super) value: Node,
}

/// Find the places of a document's values.
pub(super) fn read(text: &str) -> Result<Node, ScanError> {
    let mut reader = Reader(Parser::new_from_str(text));
    loop {
        let (event, node) = reader.next()?;
        match event {
            Event::StreamStart | Event::DocumentStart(..) => {}
            _ => return reader.rest_of(event, node),
        }
    }
}

impl Node {
    /// The value at the end of a way.
    pub(super) fn find(&self, way: &[Part<'_>]) -> Option<&Self> {
        way.iter().try_fold(self, |node, part| node.part(*part))
    }

    /// The place of the value at the end of a way, or of what is nearest around it where there is no such value. The
    /// value of a mapping is found where its key is, which is what an error is about.
    pub(super) fn place_of(&self, way: &[Part<'_>]) -> (usize, usize) {
        let mut node = self;
        let mut place = self.place;
        for part in way {
            let Some(inner) = node.part(*part) else { break };
            place = match part {
                Part::Key(key) => node.entry(key).map_or(inner.place, |entry| entry.place),
                Part::Nth(_) => inner.place,
            };
            node = inner;
        }
        place
    }

    pub(super) fn entry(&self, key: &str) -> Option<&MappingEntry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// The entries of a mapping; none of anything else.
    pub(super) fn entries(&self) -> &[MappingEntry] {
        match &self.content {
            Content::Mapping(entries) => entries,
            _ => &[],
        }
    }

    fn part(&self, part: Part<'_>) -> Option<&Self> {
        match (part, &self.content) {
            (Part::Key(key), _) => self.entry(key).map(|entry| &entry.value),
            (Part::Nth(nth), Content::List(nodes)) => nodes.get(nth),
            (Part::Nth(_), _) => None,
        }
    }
}

struct Reader<'a>(Parser<'a, serde_saphyr::granit_parser::StrInput<'a>>);

impl<'a> Reader<'a> {
    /// The next event of the parser, and where it is.
    fn next(&mut self) -> Result<(Event<'a>, Node), ScanError> {
        loop {
            let Some(next) = self.0.next_event() else {
                return Ok((Event::StreamEnd, Node::at(0..0, (1, 1))));
            };
            let (event, span) = next?;
            // Comments are events too, where somebody asked for them.
            if matches!(event, Event::StreamStart | Event::StreamEnd | Event::DocumentStart(..) | Event::DocumentEnd)
                || event.is_node()
                || matches!(event, Event::SequenceEnd | Event::MappingEnd)
            {
                let place = (span.start.line(), span.start.col() + 1);
                return Ok((event, Node::at(span.byte_range().unwrap_or_default(), place)));
            }
        }
    }

    fn rest_of(&mut self, event: Event<'a>, node: Node) -> Result<Node, ScanError> {
        match event {
            Event::SequenceStart(style, ..) => self.list(style, node),
            Event::MappingStart(style, ..) => self.mapping(style, node),
            _ => Ok(node),
        }
    }

    fn list(&mut self, style: StructureStyle, start: Node) -> Result<Node, ScanError> {
        let mut nodes: Vec<Node> = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd | Event::StreamEnd, end) => {
                    let inner = nodes.last().map(|last| last.range.end);
                    return Ok(start.until(style, &end, inner, Content::List(nodes)));
                }
                (event, node) => nodes.push(self.rest_of(event, node)?),
            }
        }
    }

    fn mapping(&mut self, style: StructureStyle, start: Node) -> Result<Node, ScanError> {
        let mut entries: Vec<MappingEntry> = Vec::new();
        loop {
            let (key, key_node) = match self.next()? {
                (Event::MappingEnd | Event::StreamEnd, end) => {
                    let inner = entries.last().map(|last| last.value.range.end.max(last.range.end));
                    return Ok(start.until(style, &end, inner, Content::Mapping(entries)));
                }
                (event, node) => {
                    let key = event.scalar().map(|(key, _)| key.to_owned()).unwrap_or_default();
                    (key, self.rest_of(event, node)?)
                }
            };
            let (event, value) = self.next()?;
            let value = self.rest_of(event, value)?;
            entries.push(MappingEntry { key, range: key_node.range, place: key_node.place, value });
        }
    }
}

impl Node {
    fn at(range: Range<usize>, place: (usize, usize)) -> Self {
        Self { range, place, is_flow: false, content: Content::Scalar }
    }

    /// The whole of a list or a mapping that starts here and whose end event is `end`. One in braces or brackets ends
    /// with the closing one. A block ends with the last value in it: the parser reports its end only before whatever
    /// comes next, behind comments and empty lines that do not belong to it.
    fn until(self, style: StructureStyle, end: &Self, inner: Option<usize>, content: Content) -> Self {
        let is_flow = style == StructureStyle::Flow;
        let last = if is_flow { end.range.end } else { inner.unwrap_or(self.range.end) };
        Self { range: self.range.start..last, is_flow, content, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# first\nsteps:\n  - allocate: { pod: a/b } # said\n    expect:\n      addresses:\n      - 10.0.0.7 # this\n      # last\n  - {\"release\": \"ä1\", \"x\": []}\n";

    fn text(way: &[Part<'_>]) -> Option<&'static str> {
        read(TEXT).unwrap().find(way).map(|node| &TEXT[node.range.clone()])
    }

    #[test]
    fn every_value_has_its_place() {
        let step = |nth, key| [Part::Key("steps"), Part::Nth(nth), Part::Key(key)];
        assert_eq!(text(&step(0, "allocate")), Some("{ pod: a/b }"));
        assert_eq!(text(&step(0, "expect")), Some("addresses:\n      - 10.0.0.7"));
        assert_eq!(text(&[Part::Key("steps"), Part::Nth(1)]), Some("{\"release\": \"ä1\", \"x\": []}"));
        assert_eq!(text(&step(1, "x")), Some("[]"));
        assert_eq!(text(&step(1, "y")), None);
        let root = read(TEXT).unwrap();
        assert_eq!(root.place_of(&step(0, "expect")), (4, 5));
        assert_eq!(root.place_of(&step(1, "absent")), (8, 5));
        assert!(read("a: [").is_err());
    }
}
