//! The part of a URL after the question mark.

/// Names and values, decoded.
#[derive(Debug, Default)]
pub(super) struct Query(Vec<(String, String)>);

impl Query {
    pub(super) fn parse(text: &str) -> Self {
        let pairs = text.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        Self(pairs.map(|(name, value)| (decode(name), decode(value))).collect())
    }

    /// The first value of this name; empty where there is none, which means the same to the server.
    pub(super) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }
}

/// Undo percent encoding.
pub(super) fn decode(text: &str) -> String {
    let plain = text.replace('+', " ");
    let mut pieces = plain.split('%');
    let mut bytes = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2).unwrap_or((piece, ""));
        bytes.extend(u8::from_str_radix(digits, 16));
        bytes.extend(rest.as_bytes());
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::Query;

    #[test]
    fn names_and_values() {
        let query = Query::parse("&limit=2&fieldSelector=spec.nodeName%3Dnode-1&empty&odd=%4");
        assert_eq!(query.get("limit"), "2");
        assert_eq!(query.get("fieldSelector"), "spec.nodeName=node-1");
        assert_eq!(query.get("empty"), "");
        assert_eq!(query.get("absent"), "");
    }
}
