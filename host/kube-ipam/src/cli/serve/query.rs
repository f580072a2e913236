//! What stands behind the question mark of a request.

use std::net::IpAddr;
use std::str::FromStr;

use clap::ValueEnum;

use super::reply::Failure;
use crate::cli::list::{RowKind, WantedArgs};
use ipam::Span;
use limits::serve::{LISTED, LISTED_BY_DEFAULT};

/// The parameters of a request, each once; lists have commas between their values.
#[derive(Debug, Default)]
pub(super) struct Query {
    values: Vec<(String, String)>,
}

/// Where a list goes on: behind an address of one of the places where addresses are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Continuation {
    pub(super) book: usize,
    pub(super) after: IpAddr,
}

impl Query {
    pub(super) fn parse(text: &str) -> Result<Self, Failure> {
        let mut query = Self::default();
        for (name, value) in form_urlencoded::parse(text.as_bytes()) {
            if query.text(&name).is_some() {
                return Err(Failure::bad_request(format!("{name:?} is there twice")));
            }
            query.values.push((name.into_owned(), value.into_owned()));
        }
        Ok(query)
    }

    /// A parameter that is there and not empty.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        let value = self.values.iter().find(|(known, _)| known == name);
        value.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// A misspelt filter would show too much, and look right.
    pub(super) fn refuse_others(&self, known: &[&str]) -> Result<(), Failure> {
        match self.values.iter().find(|(name, _)| !known.contains(&name.as_str())) {
            Some((name, _)) => {
                Err(Failure::bad_request(format!("{name:?} means nothing here, but {}", known.join(", "))))
            }
            None => Ok(()),
        }
    }

    fn list<T>(&self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, Failure> {
        let mut values = Vec::new();
        for value in self.text(name).into_iter().flat_map(|text| text.split(',')) {
            let parsed = parse(value).map_err(|error| Failure::bad_request(format!("{name} {value:?}: {error}")))?;
            values.push(parsed);
        }
        Ok(values)
    }

    pub(super) fn names(&self, name: &str) -> Result<Vec<String>, Failure> {
        self.list(name, |value| Ok(value.to_owned()))
    }

    /// The filters of `kube-ipam list`.
    pub(super) fn wanted(&self) -> Result<WantedArgs, Failure> {
        Ok(WantedArgs {
            namespace: self.names("namespace")?,
            node: self.names("node")?,
            range: self.list("range", |value| Span::from_str(value).map_err(|error| error.to_string()))?,
            kind: self.list("kind", |value| RowKind::from_str(value, false))?,
            ..WantedArgs::default()
        })
    }

    /// How many rows a page has.
    pub(super) fn limit(&self) -> Result<usize, Failure> {
        let Some(text) = self.text("limit") else { return Ok(LISTED_BY_DEFAULT) };
        match text.parse() {
            Ok(limit @ 1..=LISTED) => Ok(limit),
            _ => Err(Failure::bad_request(format!("limit {text:?}: expected a number from 1 to {LISTED}"))),
        }
    }

    pub(super) fn continuation(&self) -> Result<Option<Continuation>, Failure> {
        let Some(text) = self.text("after") else { return Ok(None) };
        let parsed = text
            .split_once('@')
            .and_then(|(book, after)| Some(Continuation { book: book.parse().ok()?, after: after.parse().ok()? }));
        let failed = || Failure::bad_request(format!("after {text:?}: expected what `next` of an answer was"));
        parsed.map(Some).ok_or_else(failed)
    }
}

impl std::fmt::Display for Continuation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}@{}", self.book, self.after)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_is_read_whole_or_refused() {
        let query = Query::parse("kind=hold%2Ccool-down&q=%3Cb%3E&limit=5&after=1@10.0.0.9").unwrap();
        assert_eq!(query.wanted().unwrap().kind, [RowKind::Hold, RowKind::CoolDown]);
        assert_eq!((query.text("q"), query.limit().unwrap()), (Some("<b>"), 5));
        let continuation = query.continuation().unwrap().unwrap();
        assert_eq!(continuation.to_string(), "1@10.0.0.9");
        for wrong in [
            "kind=held",
            "limit=0",
            "limit=501",
            "limit=x",
            "after=10.0.0.9",
            "after=x@10.0.0.9",
            "range=10.0.0.9/8",
            "q=1&q=2",
        ] {
            let read = Query::parse(wrong).and_then(|query| {
                query.wanted()?;
                query.limit()?;
                query.continuation()
            });
            assert!(read.is_err(), "{wrong}");
        }
        assert!(query.refuse_others(&["kind", "q", "limit"]).is_err());
    }
}
