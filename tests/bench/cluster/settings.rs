//! What is measured and how much of it: variables of the environment, which `make` passes on. The defaults take two cores
//! some minutes.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The stores that can be filled, by the names they are asked for with.
pub(crate) const STORES: [&str; 3] = ["ipv4", "ipv6", "embedded"];

/// The size of a run. Printed with the figures, because they mean nothing without it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct BenchSettings {
    /// How many addresses are held: one measurement each, in ascending order.
    pub(crate) held: Vec<usize>,
    /// Which of [`STORES`] are filled.
    pub(crate) stores: Vec<String>,
    /// Calls of each verb at each size.
    pub(crate) rounds: usize,
    /// Nodes that the held addresses are spread over.
    pub(crate) nodes: usize,
    /// Pods a second that start, and as many that end.
    pub(crate) rates: Vec<f64>,
    /// For how long pods come and go at each rate.
    pub(crate) seconds: f64,
    /// Nodes whose kubelet asks for STATUS beside the churn.
    pub(crate) status_nodes: usize,
    /// The 99th percentile of an ADD in milliseconds, above which a rate is not kept up with.
    pub(crate) knee_ms: f64,
    /// Pods of the zone that restarts.
    pub(crate) zone: usize,
    /// Members of etcd, all of them on this machine.
    pub(crate) members: usize,
    /// The beginning of etcd's version; empty for the installed one.
    pub(crate) etcd: String,
}

impl Default for BenchSettings {
    fn default() -> Self {
        Self {
            held: vec![0, 1_500, 15_000],
            stores: STORES.map(str::to_owned).to_vec(),
            rounds: 100,
            nodes: 5_000,
            rates: vec![20.0, 50.0, 100.0, 200.0],
            seconds: 10.0,
            status_nodes: 1_364,
            knee_ms: 100.0,
            zone: 1_500,
            members: 1,
            etcd: String::new(),
        }
    }
}

impl BenchSettings {
    /// Read from variables, which `get` finds. An error names the variable.
    pub(crate) fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let mut settings = Self::default();
        read_list(&get, "HELD", &mut settings.held)?;
        read_list(&get, "STORES", &mut settings.stores)?;
        read_one(&get, "ROUNDS", &mut settings.rounds)?;
        read_one(&get, "NODES", &mut settings.nodes)?;
        read_list(&get, "RATES", &mut settings.rates)?;
        read_one(&get, "SECONDS", &mut settings.seconds)?;
        read_one(&get, "STATUS_NODES", &mut settings.status_nodes)?;
        read_one(&get, "KNEE_MS", &mut settings.knee_ms)?;
        read_one(&get, "ZONE", &mut settings.zone)?;
        read_one(&get, "MEMBERS", &mut settings.members)?;
        read_one(&get, "ETCD", &mut settings.etcd)?;
        settings.held.sort_unstable();
        settings.rates.sort_by(f64::total_cmp);
        settings.check()?;
        Ok(settings)
    }

    fn check(&self) -> Result<(), String> {
        for store in &self.stores {
            if !STORES.contains(&store.as_str()) {
                return Err(format!("STORES: \"{store}\" is not one of {}", STORES.join(", ")));
            }
        }
        let zero = [("ROUNDS", self.rounds), ("NODES", self.nodes), ("MEMBERS", self.members)];
        for (name, value) in zero {
            if value == 0 {
                return Err(format!("{name}: 0 leaves nothing to measure"));
            }
        }
        if self.rates.iter().any(|rate| *rate <= 0.0) || self.seconds <= 0.0 {
            return Err("RATES and SECONDS are above 0".to_owned());
        }
        Ok(())
    }

    /// The most addresses that are held.
    pub(crate) fn most_held(&self) -> usize {
        self.held.last().copied().unwrap_or(0)
    }

    /// The command that measures the same again.
    pub(crate) fn command(&self) -> String {
        let mut command = format!(
            "make bench SECTIONS=cluster HELD=\"{}\" STORES=\"{}\" ROUNDS={} NODES={} RATES=\"{}\" SECONDS={} \
             STATUS_NODES={} KNEE_MS={} ZONE={}",
            joined(&self.held),
            joined(&self.stores),
            self.rounds,
            self.nodes,
            joined(&self.rates),
            self.seconds,
            self.status_nodes,
            self.knee_ms,
            self.zone
        );
        if self.members != 1 {
            command += &format!(" MEMBERS={}", self.members);
        }
        if !self.etcd.is_empty() {
            command += &format!(" ETCD={}", self.etcd);
        }
        command
    }
}

fn joined<T: ToString>(values: &[T]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

/// A variable that is empty or absent leaves the default, as with `make`.
fn read_one<T: FromStr>(get: &impl Fn(&str) -> Option<String>, name: &str, value: &mut T) -> Result<(), String> {
    let Some(text) = get(name).filter(|text| !text.trim().is_empty()) else { return Ok(()) };
    *value = parse(name, text.trim())?;
    Ok(())
}

fn read_list<T: FromStr>(get: &impl Fn(&str) -> Option<String>, name: &str, values: &mut Vec<T>) -> Result<(), String> {
    let Some(text) = get(name).filter(|text| !text.trim().is_empty()) else { return Ok(()) };
    values.clear();
    for word in text.split_whitespace() {
        values.push(parse(name, word)?);
    }
    Ok(())
}

fn parse<T: FromStr>(name: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{name}: \"{text}\" is not a number"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<BenchSettings, String> {
        BenchSettings::read(|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, text)| (*text).to_owned())
        })
    }

    #[test]
    fn the_command_measures_the_same_again() {
        let variables = [("HELD", "150000 0"), ("RATES", "50 20"), ("SECONDS", "2.5"), ("ETCD", "3.5"), ("ZONE", "")];
        let settings = read(&variables).unwrap();
        assert_eq!((settings.held.as_slice(), settings.seconds), (&[0, 150_000][..], 2.5));
        let command = settings.command();
        let mut variables = Vec::new();
        // `A="1 2" B=3`: what a shell makes of it.
        let mut rest = command.strip_prefix("make bench SECTIONS=cluster ").unwrap();
        while let Some((name, after)) = rest.split_once('=') {
            let (value, more) = match after.strip_prefix('"') {
                Some(quoted) => quoted.split_once('"').unwrap(),
                None => after.split_once(' ').unwrap_or((after, "")),
            };
            variables.push((name.trim(), value));
            rest = more;
        }
        assert_eq!(read(&variables).unwrap(), settings);
    }

    #[test]
    fn what_cannot_be_measured_is_named() {
        assert_eq!(read(&[("HELD", "many")]).unwrap_err(), "HELD: \"many\" is not a number");
        assert_eq!(read(&[("STORES", "ipv5")]).unwrap_err(), "STORES: \"ipv5\" is not one of ipv4, ipv6, embedded");
        assert_eq!(read(&[("NODES", "0")]).unwrap_err(), "NODES: 0 leaves nothing to measure");
        assert!(read(&[("RATES", "0")]).is_err() && read(&[("SECONDS", "-1")]).is_err());
    }
}
