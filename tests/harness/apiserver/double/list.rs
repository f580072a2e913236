//! Lists: selected, in pages, each page as of the revision the first one was read at.

use serde_json::{Value, json};

use super::kind::Kind;
use super::objects::Objects;
use super::query::Query;
use super::select::Selector;
use super::status::Status;

/// The list of a kind below a prefix of keys. Items carry neither kind nor version, as the real server's do not.
pub(super) fn list(objects: &Objects, kind: &Kind, prefix: &str, query: &Query) -> Result<Value, Status> {
    let selector = Selector::parse(kind, query.get("fieldSelector"), query.get("labelSelector"))?;
    let start = Start::parse(objects, query)?;
    let keys = objects.at(start.revision, prefix, &start.from);
    let mut metadata = json!({"resourceVersion": start.revision.to_string()});
    let mut items: Vec<Value> = Vec::new();
    for (nth, (key, object)) in keys.iter().enumerate() {
        if start.limit > 0 && items.len() == start.limit {
            metadata["continue"] = json!(token(start.revision, key));
            // How many of those left are selected, nobody has looked.
            if selector.is_empty() {
                metadata["remainingItemCount"] = json!(keys.len() - nth);
            }
            break;
        }
        if selector.matches(object) {
            let mut item = (*object).clone();
            item.as_object_mut().unwrap().retain(|name, _| name != "kind" && name != "apiVersion");
            items.push(item);
        }
    }
    Ok(
        json!({"kind": format!("{}List", kind.name), "apiVersion": kind.version(), "metadata": metadata, "items": items}),
    )
}

/// Where a page begins.
struct Start {
    revision: u64,
    from: String,
    /// 0 is none.
    limit: usize,
}

impl Start {
    fn parse(objects: &Objects, query: &Query) -> Result<Self, Status> {
        let mut limit = match query.get("limit") {
            "" => 0,
            text => text
                .parse()
                .map_err(|_| Status::bad_request(format!("strconv.ParseInt: parsing \"{text}\": invalid syntax")))?,
        };
        match (query.get("resourceVersion"), query.get("continue")) {
            ("" | "0", "") => {}
            ("", continuation) => return Self::resume(objects, continuation, limit),
            (_, "") => return Err(Status::not_served("lists at a resourceVersion")),
            _ => {
                let message = "specifying resource version is not allowed when using continue";
                return Err(Status::bad_request(message.to_owned()));
            }
        }
        if query.get("resourceVersion") == "0" {
            // Answered from the cache, which knows no pages.
            limit = 0;
        }
        Ok(Self { revision: objects.revision(), from: String::new(), limit })
    }

    fn resume(objects: &Objects, continuation: &str, limit: usize) -> Result<Self, Status> {
        let invalid = || Status::bad_request(format!("continue key is not valid: {continuation}"));
        let (revision, from) = read_token(continuation).ok_or_else(invalid)?;
        if revision == LATEST {
            return Ok(Self { revision: objects.revision(), from, limit });
        }
        if revision < objects.compacted() {
            return Err(Status::expired(token(LATEST, &from)));
        }
        Ok(Self { revision, from, limit })
    }
}

/// In a token: whatever is newest then.
const LATEST: u64 = 0;

/// Opaque to clients: revision and first key, in hexadecimal digits.
fn token(revision: u64, key: &str) -> String {
    format!("{revision}:{key}").bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn read_token(token: &str) -> Option<(u64, String)> {
    let digits = |nth| token.get(nth..nth + 2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
    let bytes: Option<Vec<u8>> = (0..token.len()).step_by(2).map(digits).collect();
    let text = String::from_utf8(bytes?).ok()?;
    let (revision, key) = text.split_once(':')?;
    Some((revision.parse().ok()?, key.to_owned()))
}
