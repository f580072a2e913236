//! The labels that tell where a node is: one, or a list of which the first that fits counts.

use serde::Deserialize;

/// At least one name of a label.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Text")]
pub struct Labels(Vec<String>);

impl Labels {
    /// The most telling first.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl Default for Labels {
    fn default() -> Self {
        Self(vec!["topology.kubernetes.io/zone".to_owned()])
    }
}

/// As it is written.
#[derive(Deserialize)]
#[serde(untagged, expecting = "expected the name of a label, or a list of such")]
enum Text {
    One(String),
    Several(Vec<String>),
}

impl TryFrom<Text> for Labels {
    type Error = &'static str;

    fn try_from(text: Text) -> Result<Self, Self::Error> {
        let names = match text {
            Text::One(name) => vec![name],
            Text::Several(names) => names,
        };
        if names.is_empty() || names.iter().any(String::is_empty) {
            return Err("it names no label: expected for example \"topology.kubernetes.io/zone\"");
        }
        Ok(Self(names))
    }
}
