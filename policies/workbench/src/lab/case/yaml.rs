//! Values as they are written into a case: on one line, YAML unless the file is JSON.

use serde_json::Value;
use serde_saphyr::{FlowMap, FlowSeq, ser_options, to_string_with_options};

/// Write a value on one line: as YAML where that is possible, or else as JSON, which is YAML too.
pub fn flow(value: &Value) -> String {
    let options = ser_options! { prefer_block_scalars: false, yaml_12: true, no_lang_directive: true };
    let written = match value {
        Value::Object(map) => to_string_with_options(&FlowMap(map), options),
        Value::Array(list) => to_string_with_options(&FlowSeq(list), options),
        scalar => to_string_with_options(scalar, options),
    };
    match written {
        Ok(written) if !written.trim_end().contains('\n') => spaced(written.trim_end()),
        // The serialiser breaks a string that has a line feed in it over several lines, whatever the options say.
        _ => value.to_string(),
    }
}

/// Put spaces inside the outer braces, as people write them: `{ a: b }`.
fn spaced(written: &str) -> String {
    match written.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
        Some(inner) if !inner.is_empty() => format!("{{ {inner} }}"),
        _ => written.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_written_is_read_again() {
        let long = "a word ".repeat(40);
        let values = [
            json!({"addresses": ["10.0.0.7/24", "fd00::7/64"], "gateways": ["10.0.0.1", "fd00::1"], "fuel": 50_000}),
            json!({"refused": "invalid", "says": "kube-ipam.ip: \"x, y\" {z} is no: [address] # here"}),
            json!(["", "true", "0x1f", "1e3", "~", "- a", "::1", "a: b", long, "two\nlines", "tab\t", "ä\u{1b}"]),
            json!("plain"),
        ];
        for value in values {
            let written = flow(&value);
            assert!(!written.contains('\n'), "{written}");
            assert_eq!(serde_saphyr::from_str::<Value>(&written).unwrap(), value, "{written}");
        }
        let value = json!({"addresses": ["10.0.0.7/24"], "gateways": ["10.0.0.1"]});
        assert_eq!(flow(&value), "{ addresses: [10.0.0.7/24], gateways: [10.0.0.1] }");
    }
}
