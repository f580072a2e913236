//! Cases as data: every file under `tests/cases` is a network and a story of calls with what they must answer.
//!
//! A step names its verb; `container`, `ifname`, `args`, `env`, `stdin` and `conf` (merged into the network's
//! configuration for this step) are optional; `$PROJECT` is the project's root. `expect` is the exact JSON on stdout (`null`: nothing), or, for a
//! failure, `{"code": …, "says": [texts that message and details must contain]}`.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)]

use std::path::{Path, PathBuf};

use kube_ipam_tests::Call;
use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::{Value, json};

fn main() {
    let arguments = Arguments::from_args();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let mut files = Vec::new();
    collect(&root, &mut files);
    let trials = files.into_iter().map(|file| {
        let name = file.strip_prefix(&root).unwrap().with_extension("").display().to_string();
        Trial::test(name, move || tell(&file))
    });
    libtest_mimic::run(&arguments, trials.collect()).exit();
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "json") {
            files.push(path);
        }
    }
}

fn tell(file: &Path) -> Result<(), Failed> {
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
    let text = std::fs::read_to_string(file)?.replace("$PROJECT", &project.display().to_string());
    let case: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let directory = tempfile::tempdir()?;
    let steps = case["steps"].as_array().ok_or("a case needs steps")?;
    let mut previous = Value::Null;
    for (nth, step) in steps.iter().enumerate() {
        let configuration = configuration(&case["conf"], step, directory.path(), &previous);
        let answer = call(step, &configuration).run();
        if step["run"] == "ADD" && answer.status == Some(0) {
            previous = answer.json();
        }
        compare(step, &answer.json(), answer.status)
            .and_then(|()| well_formed(&answer.json(), answer.status, step, &configuration))
            .map_err(|difference| format!("step {nth} ({}): {difference}\nstderr: {}", step["run"], answer.stderr))?;
    }
    Ok(())
}

fn configuration(base: &Value, step: &Value, directory: &Path, previous: &Value) -> Value {
    let mut configuration = base.clone();
    merge(&mut configuration, &step["conf"]);
    let ipam = &mut configuration["ipam"];
    if ipam.is_object() && ipam["dataDir"].is_null() {
        ipam["dataDir"] = json!(directory);
    }
    if step["prevResult"] == "last" {
        configuration["prevResult"] = previous.clone();
    }
    configuration
}

/// RFC 7396: objects are merged, `null` removes, everything else replaces.
fn merge(into: &mut Value, patch: &Value) {
    let Some(patch) = patch.as_object() else { return };
    let into = into.as_object_mut().unwrap();
    for (key, value) in patch {
        match value {
            Value::Null => drop(into.remove(key)),
            Value::Object(_) if into.get(key).is_some_and(Value::is_object) => merge(&mut into[key], value),
            value => drop(into.insert(key.clone(), value.clone())),
        }
    }
}

fn call(step: &Value, configuration: &Value) -> Call {
    let text = |key: &str| step[key].as_str();
    let mut call = Call::new(text("run").unwrap(), text("container").unwrap_or("c1"), configuration);
    if let Some(interface) = text("ifname") {
        call = call.with("CNI_IFNAME", interface);
    }
    if let Some(args) = text("args") {
        call = call.with("CNI_ARGS", args);
    }
    for (name, value) in step["env"].as_object().into_iter().flatten() {
        call = call.with(name, value.as_str().unwrap_or(""));
    }
    match text("stdin") {
        Some(stdin) => call.stdin(stdin),
        None => call,
    }
}

fn compare(step: &Value, answer: &Value, status: Option<i32>) -> Result<(), String> {
    let expected = step.get("expect").ok_or("a step needs `expect`")?;
    let failure_expected = expected.get("says").is_some();
    if failure_expected != (status != Some(0)) {
        return Err(format!("exit status {status:?} with {answer}"));
    }
    if !failure_expected {
        return if answer == expected { Ok(()) } else { Err(format!("expected {expected}\n     got {answer}")) };
    }
    if answer["code"] != expected["code"] {
        return Err(format!("expected code {}, got {answer}", expected["code"]));
    }
    let text = format!("{} {}", answer["msg"].as_str().unwrap_or(""), answer["details"].as_str().unwrap_or(""));
    for wanted in expected["says"].as_array().into_iter().flatten() {
        let wanted = wanted.as_str().unwrap();
        if !text.contains(wanted) {
            return Err(format!("expected the error to say {wanted:?}, got {answer}"));
        }
    }
    Ok(())
}

/// A failure has these fields and no others, in the version of the question.
fn well_formed(answer: &Value, status: Option<i32>, step: &Value, asked: &Value) -> Result<(), String> {
    const VERSIONS: [&str; 7] = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];
    if status == Some(0) {
        return Ok(());
    }
    let fields: Vec<&str> = answer.as_object().into_iter().flatten().map(|(field, _)| field.as_str()).collect();
    let version = match asked["cniVersion"].as_str() {
        None => "0.1.0",
        Some(known) if VERSIONS.contains(&known) && step["stdin"].is_null() => known,
        Some(_) => "1.1.0",
    };
    match fields.len() == 4 && ["cniVersion", "code", "msg", "details"].iter().all(|field| fields.contains(field)) {
        true if answer["cniVersion"] == version => Ok(()),
        _ => Err(format!("expected a failure in version {version}, got {answer}")),
    }
}
