//! What a request means: the verb and the target that rules of access name.

use super::query::{Query, decode};
use super::select;

#[derive(Debug)]
pub(super) struct Route {
    pub(super) verb: String,
    pub(super) target: Target,
}

/// What it is about.
#[derive(Debug)]
pub(super) enum Target {
    /// A document of the server itself.
    Path(String),
    /// Objects; the namespace is empty for those of the whole cluster, the name for several.
    Resource { group: String, resource: String, namespace: String, name: String, subresource: String },
}

impl Route {
    pub(super) fn of(method: &str, path: &str, query: &Query) -> Self {
        let path = decode(path);
        let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
        let (group, parts) = match parts.as_slice() {
            ["api", "v1", parts @ ..] => ("", parts),
            ["apis", group, "v1", parts @ ..] => (*group, parts),
            _ => return Self::to_path(method, path),
        };
        let (namespace, parts) = match parts {
            [] => return Self::to_path(method, path),
            // A namespace is in itself.
            ["namespaces", namespace] => (*namespace, parts),
            ["namespaces", namespace, rest @ ..] => (*namespace, rest),
            _ => ("", parts),
        };
        let part = |nth: usize| parts.get(nth).map_or(String::new(), |part| (*part).to_owned());
        let (mut name, several) = (part(1), parts.len() == 1);
        let verb = match method {
            "POST" => "create",
            "PUT" => "update",
            "PATCH" => "patch",
            "DELETE" if several => "deletecollection",
            "DELETE" => "delete",
            _ if several && matches!(query.get("watch"), "true" | "1") => "watch",
            _ if several => "list",
            _ => "get",
        };
        if matches!(verb, "list" | "watch") {
            name = select::only_name(query.get("fieldSelector")).unwrap_or_default();
        }
        let (group, namespace) = (group.to_owned(), namespace.to_owned());
        let target = Target::Resource { group, resource: part(0), namespace, name, subresource: part(2) };
        Self { verb: verb.to_owned(), target }
    }

    fn to_path(method: &str, path: String) -> Self {
        Self { verb: method.to_lowercase(), target: Target::Path(path) }
    }
}
