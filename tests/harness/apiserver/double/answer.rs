//! One request, answered in the order the real server looks at it.

use serde_json::{Value, json};

use super::discovery::document;
use super::kind::Kind;
use super::list::list;
use super::objects::{Objects, key};
use super::query::Query;
use super::route::{Route, Target};
use super::status::Status;
use super::{State, access::Access};

/// What matters of a request.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) query: String,
    pub(super) host: String,
    pub(super) authorization: Option<String>,
    pub(super) accept: String,
}

/// In which form an object is wanted.
enum Form {
    Whole,
    /// `PartialObjectMetadata`.
    Metadata,
}

/// May they, does it exist, and what is it.
pub(super) fn answer(state: &State, user: &str, asked: &Asked) -> Result<Value, Status> {
    let query = Query::parse(&asked.query);
    let route = Route::of(&asked.method, &asked.path, &query);
    check(&state.access, user, &route)?;
    match &route.target {
        Target::Path(path) => document(path, &asked.host).ok_or_else(Status::no_such_path),
        Target::Resource { group, resource, namespace, name, subresource } => {
            let kind = Kind::find(group, resource).ok_or_else(Status::no_such_path)?;
            // A namespace counts as in itself.
            let namespace = if kind.resource == "namespaces" { "" } else { namespace };
            let one = !matches!(route.verb.as_str(), "list" | "watch" | "create" | "deletecollection");
            if !subresource.is_empty() || !kind.namespaced && !namespace.is_empty() {
                return Err(Status::no_such_path());
            }
            if one && kind.namespaced && namespace.is_empty() {
                return Err(Status::no_such_path());
            }
            match (asked.method.as_str(), route.verb.as_str()) {
                (_, "watch") => Err(Status::not_served("watches")),
                ("GET", "list") => several(&state.objects, kind, namespace, &query, &asked.accept),
                ("GET", _) => single(&state.objects, kind, namespace, name, &asked.accept),
                _ => Err(Status::method_not_allowed()),
            }
        }
    }
}

fn check(access: &Access, user: &str, Route { verb, target }: &Route) -> Result<(), Status> {
    match target {
        _ if access.permits(user, verb, target) => Ok(()),
        Target::Path(path) => Err(Status::forbidden_path(user, verb, path)),
        Target::Resource { group, resource, namespace, name, subresource } => {
            let separator = if subresource.is_empty() { "" } else { "/" };
            let resource = format!("{resource}{separator}{subresource}");
            Err(Status::forbidden(user, verb, group, &resource, namespace, name))
        }
    }
}

fn single(objects: &Objects, kind: &Kind, namespace: &str, name: &str, accept: &str) -> Result<Value, Status> {
    let form = negotiate(accept, "PartialObjectMetadata")?;
    let found = objects
        .get(&key(kind, namespace, name))
        .ok_or_else(|| Status::no_such_object(kind.group, kind.resource, name))?;
    Ok(match form {
        Form::Whole => found.clone(),
        Form::Metadata => metadata_of(found),
    })
}

fn several(objects: &Objects, kind: &Kind, namespace: &str, query: &Query, accept: &str) -> Result<Value, Status> {
    let form = negotiate(accept, "PartialObjectMetadataList")?;
    let prefix = if namespace.is_empty() { format!("{}/", kind.resource) } else { key(kind, namespace, "") };
    let mut list = list(objects, kind, &prefix, query)?;
    if let Form::Metadata = form {
        list["kind"] = json!("PartialObjectMetadataList");
        list["apiVersion"] = json!("meta.k8s.io/v1");
        list["items"].as_array_mut().unwrap().iter_mut().for_each(|item| *item = metadata_of(item));
    }
    Ok(list)
}

fn metadata_of(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
}

/// The first form among those a client accepts that is served here. Tables are not: clients that would like one accept
/// the whole object in its place.
fn negotiate(accept: &str, metadata: &str) -> Result<Form, Status> {
    let accept = if accept.is_empty() { "*/*" } else { accept };
    let form = |choice: &str| {
        let mut parts = choice.split(';').map(str::trim);
        let json = matches!(parts.next(), Some("*/*" | "application/*" | "application/json"));
        let parameter = |name: &str| parts.clone().find_map(|part| part.strip_prefix(name));
        match parameter("as=") {
            None if json => Some(Form::Whole),
            Some(kind) if json && kind == metadata && parameter("g=") == Some("meta.k8s.io") => Some(Form::Metadata),
            _ => None,
        }
    };
    accept.split(',').find_map(form).ok_or_else(Status::not_acceptable)
}
