//! What stands where in the text of a case: for errors that name a place, and for changes that leave everything else as
//! it is. JSON is YAML.

use std::ops::Range;

use serde_saphyr::granit_parser::{Event, Parser, ScanError, StructureStyle};

/// A way into a document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part<'a> {
    /// Of a mapping.
    Key(&'a str),
    /// Of a list, counted from 0.
    Nth(usize),
}

/// A value in the text.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// Without the white space and comments behind it, in bytes.
    pub(super) range: Range<usize>,
    /// Where it begins; both counted from 1.
    pub(super) place: (usize, usize),
    /// In braces or brackets.
    pub(super) is_flow: bool,
    /// What it is.
    pub(super) content: Content,
}

/// What a value consists of.
#[derive(Clone, Debug)]
pub(super) enum Content {
    /// Text, a number, an alias.
    Scalar,
    /// In the order of the text.
    List(Vec<Node>),
    /// In the order of the text.
    Mapping(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The key's text.
    pub(super) key: String,
    /// Where the key stands, in bytes.
    pub(super) range: Range<usize>,
    /// Where the key begins; both counted from 1.
    pub(super) place: (usize, usize),
    /// Its value.
    pub(super) value: Node,
}

/// The places of a document's values.
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

    /// Where something is, or the nearest thing around it: of a mapping's value, where its key is.
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

    /// The entry of a mapping.
    pub(super) fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries().iter().find(|entry| entry.key == key)
    }

    /// All entries of a mapping.
    pub(super) fn entries(&self) -> &[Entry] {
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
    /// An event, and a scalar in its place.
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
        let mut entries: Vec<Entry> = Vec::new();
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
            entries.push(Entry { key, range: key_node.range, place: key_node.place, value });
        }
    }
}

impl Node {
    fn at(range: Range<usize>, place: (usize, usize)) -> Self {
        Self { range, place, is_flow: false, content: Content::Scalar }
    }

    /// A block ends with what is in it; its end event stands before whatever comes next.
    fn until(self, style: StructureStyle, end: &Self, inner: Option<usize>, content: Content) -> Self {
        let is_flow = style == StructureStyle::Flow;
        let last = match is_flow {
            true => end.range.end,
            false => inner.unwrap_or(self.range.end),
        };
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
