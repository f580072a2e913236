//! Refusals, as the API server words them: `Status` objects.

use serde_json::{Value, json};

/// A refusal with everything clients look at.
#[derive(Debug, Default)]
pub(super) struct Status {
    pub(super) code: u16,
    reason: &'static str,
    message: String,
    details: Option<Value>,
    /// Where an expired list can be continued all the same.
    continuation: Option<String>,
    pub(super) retry_after: Option<u32>,
}

impl Status {
    pub(super) fn bad_request(message: String) -> Self {
        Self { code: 400, reason: "BadRequest", message, ..Self::default() }
    }

    pub(super) fn unauthorized() -> Self {
        Self { code: 401, reason: "Unauthorized", message: "Unauthorized".into(), ..Self::default() }
    }

    pub(super) fn forbidden_path(user: &str, verb: &str, path: &str) -> Self {
        let message = format!("forbidden: User \"{user}\" cannot {verb} path \"{path}\"");
        Self { code: 403, reason: "Forbidden", message, details: Some(json!({})), ..Self::default() }
    }

    /// `resource` may carry a subresource behind a slash.
    pub(super) fn forbidden(user: &str, verb: &str, group: &str, resource: &str, namespace: &str, name: &str) -> Self {
        let scope = match namespace {
            "" => "at the cluster scope".to_owned(),
            namespace => format!("in the namespace \"{namespace}\""),
        };
        let plain = resource.split('/').next().unwrap_or(resource);
        let qualified = qualified(group, plain);
        let what = match name {
            "" => qualified,
            name => format!("{qualified} \"{name}\""),
        };
        let message = format!(
            "{what} is forbidden: User \"{user}\" cannot {verb} resource \"{resource}\" in API group \"{group}\" {scope}"
        );
        Self { code: 403, reason: "Forbidden", message, details: Some(details(group, plain, name)), ..Self::default() }
    }

    pub(super) fn no_such_path() -> Self {
        let message = "the server could not find the requested resource".to_owned();
        Self { code: 404, reason: "NotFound", message, details: Some(json!({})), ..Self::default() }
    }

    pub(super) fn no_such_object(group: &str, resource: &str, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", qualified(group, resource));
        let details = Some(details(group, resource, name));
        Self { code: 404, reason: "NotFound", message, details, ..Self::default() }
    }

    pub(super) fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource".to_owned();
        Self { code: 405, reason: "MethodNotAllowed", message, details: Some(json!({})), ..Self::default() }
    }

    pub(super) fn not_acceptable() -> Self {
        let message = "only the following media types are accepted: application/json".to_owned();
        Self { code: 406, reason: "NotAcceptable", message, ..Self::default() }
    }

    pub(super) fn expired(continuation: String) -> Self {
        let message = "The provided continue parameter is too old to display a consistent list result. You can start \
                       a new list without the continue parameter, or use the continue token in this response to \
                       retrieve the remainder of the results. Continuing with the provided token results in an \
                       inconsistent list - objects that were created, modified, or deleted between the time the first \
                       chunk was returned and now may show up in the list."
            .to_owned();
        Self { code: 410, reason: "Expired", message, continuation: Some(continuation), ..Self::default() }
    }

    pub(super) fn too_many_requests(retry_after: u32) -> Self {
        let message = "storage is (re)initializing".to_owned();
        let details = Some(json!({"retryAfterSeconds": retry_after}));
        let retry_after = Some(retry_after);
        Self { code: 429, reason: "TooManyRequests", message, details, retry_after, ..Self::default() }
    }

    pub(super) fn internal_error() -> Self {
        let cause = "etcdserver: request timed out";
        let message = format!("Internal error occurred: {cause}");
        let details = Some(json!({"causes": [{"message": cause}]}));
        Self { code: 500, reason: "InternalError", message, details, ..Self::default() }
    }

    /// No real server answers this: it tells a test that it needs the real one.
    pub(super) fn not_served(what: &str) -> Self {
        let message = format!("the double of the API server serves no {what}");
        Self { code: 501, reason: "NotImplemented", message, ..Self::default() }
    }

    pub(super) fn unavailable() -> Self {
        let message = "the server is currently unable to handle the request".to_owned();
        Self { code: 503, reason: "ServiceUnavailable", message, ..Self::default() }
    }

    pub(super) fn to_json(&self) -> Value {
        let mut metadata = json!({});
        if let Some(continuation) = &self.continuation {
            metadata["continue"] = json!(continuation);
        }
        let mut status = json!({"kind": "Status", "apiVersion": "v1", "metadata": metadata, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code});
        if let Some(details) = &self.details {
            status["details"] = details.clone();
        }
        status
    }
}

/// `pods`, or `replicasets.apps`.
fn qualified(group: &str, resource: &str) -> String {
    if group.is_empty() { resource.to_owned() } else { format!("{resource}.{group}") }
}

/// What is empty is left out.
fn details(group: &str, resource: &str, name: &str) -> Value {
    let fields = [("name", name), ("group", group), ("kind", resource)];
    fields
        .into_iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(key, value)| (key.to_owned(), json!(value)))
        .collect()
}
