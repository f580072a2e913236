//! Limits of a policy run, of its answers and of compiling it.

use std::fmt;

/// One limit. Configurable where `least` and `most` differ.
#[derive(Debug, PartialEq, Eq)]
pub struct Limit {
    /// Its key in `policy.limits` of the configuration, or what it is called in the documentation.
    pub key: &'static str,
    /// What is counted, in the plural.
    pub unit: &'static str,
    /// Without a word in the configuration.
    pub default: u64,
    /// The smallest value a configuration may ask for.
    pub least: u64,
    /// The largest value a configuration may ask for.
    pub most: u64,
    /// Why it exists and why the default is what it is.
    pub reason: &'static str,
    /// What the one who hits it did; the error reads `{seen}: the limit is {value} {unit}`.
    pub seen: &'static str,
}

/// A policy run: how much it may compute. The only limit that is the same on every machine.
pub const FUEL: Limit = Limit {
    key: "fuel",
    unit: "units of fuel",
    default: 50_000_000,
    least: 10_000,
    most: 100_000_000_000,
    reason: "A simple allocation takes 3,000 to 7,000; the default is about 14 ms and leaves room for JavaScript and Python.",
    seen: "ran out of fuel",
};

/// A policy run: how long it may take, whatever it waits for.
pub const TIME: Limit = Limit {
    key: "milliseconds",
    unit: "ms",
    default: 1_000,
    least: 10,
    most: 60_000,
    reason: "Fuel bounds the guest's own steps but not the host's work for it; generous, because a loaded node is \
             not the policy's fault.",
    seen: "took too long",
};

/// A policy run: the size of its linear memories together.
pub const MEMORY: Limit = Limit {
    key: "memoryMiB",
    unit: "MiB",
    default: 64,
    least: 1,
    most: 1_024,
    reason: "A Rust policy uses 1 to 2 MiB, Python 40; many ADDs run on a node at once.",
    seen: "wanted more memory",
};

/// A policy run: its native stack.
pub const STACK: Limit = Limit {
    key: "stackKiB",
    unit: "KiB",
    default: 256,
    least: 256,
    most: 256,
    reason: "Deep enough for an interpreter inside the guest, small enough for any thread of ours.",
    seen: "recursed too deeply",
};

/// A policy run: elements of its function tables.
pub const TABLE: Limit = Limit {
    key: "tableElements",
    unit: "table elements",
    default: 100_000,
    least: 100_000,
    most: 100_000,
    reason: "One element is 8 bytes of ours; Python has about 10,000.",
    seen: "wanted a larger table",
};

/// A policy run: core instances, memories and tables it is made of.
pub const PARTS: Limit = Limit {
    key: "parts",
    unit: "instances, memories or tables",
    default: 64,
    least: 64,
    most: 64,
    reason: "A component of one language has fewer than ten of each.",
    seen: "is made of too many parts",
};

/// A policy run: questions to the pool and log lines together.
pub const HOST_CALLS: Limit = Limit {
    key: "hostCalls",
    unit: "calls",
    default: 10_000,
    least: 10,
    most: 1_000_000,
    reason: "Fuel does not bound what the host does for the guest; 10,000 questions take about 2 ms.",
    seen: "called the host too often",
};

/// A policy run: log lines. A longer line is cut, one line too many is a fault.
pub const LOG_LINES: Limit = Limit {
    key: "logLines",
    unit: "lines",
    default: 256,
    least: 256,
    most: 256,
    reason: "Nobody reads more of one allocation, and a log must not be a way to fill a disk.",
    seen: "logged too much",
};

/// A policy run: bytes it hands over in one call, in either direction of control.
pub const TRANSFER: Limit = Limit {
    key: "transferKiB",
    unit: "KiB in one call",
    default: 1_024,
    least: 1_024,
    most: 1_024,
    reason: "Checked before we allocate anything on the guest's behalf; 64 proposals of 16 addresses are 72 KiB.",
    seen: "handed over too much data",
};

/// Each text a policy hands over: an identity, a refusal, a name. A log line is cut instead.
pub const TEXT: Limit = Limit {
    key: "textBytes",
    unit: "bytes in one text",
    default: 4_096,
    least: 4_096,
    most: 4_096,
    reason: "It ends up in an etcd record, a CNI error or a log line.",
    seen: "returned too long a text",
};

/// Whom a hold is for, and the name of a list of slots: texts of the guest that become part of a key.
pub const IDENTITY: Limit = Limit {
    key: "identityBytes",
    unit: "bytes in one identity",
    default: 512,
    least: 512,
    most: 512,
    reason: "It becomes part of a key in the store, which are bounded; a namespace, a pod and an interface are at most 331.",
    seen: "named too long an identity",
};

/// The JSON Schema in a module's description.
pub const SCHEMA: Limit = Limit {
    key: "schemaBytes",
    unit: "bytes of settings schema",
    default: 65_536,
    least: 65_536,
    most: 65_536,
    reason: "Only printed by `kube-ipam policy inspect`.",
    seen: "returned too long a settings schema",
};

/// One annotation, as a policy is told it.
pub const ANNOTATION: Limit = Limit {
    key: "annotationKiB",
    unit: "KiB",
    default: 16,
    least: 16,
    most: 16,
    reason: "A pool of a thousand single addresses; what is longer is another tool's manifest and is left out, or one of ours and is refused.",
    seen: "was given too long an annotation",
};

/// All annotations of one object together, keys included.
pub const ANNOTATIONS: Limit = Limit {
    key: "annotationsKiB",
    unit: "KiB",
    default: 512,
    least: 512,
    most: 512,
    reason: "Twice what Kubernetes lets an object have, so that only another runtime's pods meet it.",
    seen: "was given too many annotations",
};

/// How many proposals one verdict may hold.
pub const PROPOSALS: Limit = Limit {
    key: "proposals",
    unit: "proposals",
    default: 64,
    least: 64,
    most: 64,
    reason: "All of them go into one nested etcd transaction, whose depth and operations are bounded by the server.",
    seen: "returned too many proposals",
};

/// How many addresses one proposal may hold.
pub const ASSIGNMENTS: Limit = Limit {
    key: "assignments",
    unit: "addresses in one proposal",
    default: 16,
    least: 16,
    most: 16,
    reason: "All of them are claimed by one etcd transaction of at most 128 operations.",
    seen: "returned too large a proposal",
};

/// Size of the file of a module.
pub const MODULE: Limit = Limit {
    key: "moduleMiB",
    unit: "MiB",
    default: 64,
    least: 64,
    most: 64,
    reason: "Python in a component is 18 MiB; the file is read whole and hashed once after every change.",
    seen: "is too large",
};

/// Reasons to refuse one module that are told. One is enough to refuse it, a handful to repair it.
pub const FLAWS: usize = 32;

/// Compiling a module, once per module and version of ours: CPU time of the child process, and its wall time.
pub const COMPILE_TIME: Limit = Limit {
    key: "compileSeconds",
    unit: "s",
    default: 120,
    least: 1,
    most: 600,
    reason: "Rust takes 0.1 s; Python 20 s, and three times that on a busy node. A module may be built to be slow to compile.",
    seen: "took too long to compile",
};

/// Compiling a module: the address space of the child process.
pub const COMPILE_MEMORY: Limit = Limit {
    key: "compileMiB",
    unit: "MiB",
    default: 1_536,
    least: 128,
    most: 8_192,
    reason: "Python takes 350 MiB. A module may be built to be expensive to compile.",
    seen: "needed too much memory to compile",
};

/// Compiled modules kept in the cache; the oldest goes first.
pub const CACHED_MODULES: Limit = Limit {
    key: "cachedModules",
    unit: "modules",
    default: 32,
    least: 32,
    most: 32,
    reason: "A node uses a handful; each version of a module or of ours adds one of up to 40 MiB.",
    seen: "filled the cache",
};

/// What a policy may spend, as configured for a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// See [`FUEL`]; likewise each of the others.
    pub fuel: u64,
    pub milliseconds: u64,
    pub memory_mib: u64,
    pub host_calls: u64,
    pub compile_seconds: u64,
    pub compile_mib: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            fuel: FUEL.default,
            milliseconds: TIME.default,
            memory_mib: MEMORY.default,
            host_calls: HOST_CALLS.default,
            compile_seconds: COMPILE_TIME.default,
            compile_mib: COMPILE_MEMORY.default,
        }
    }
}

impl Limits {
    /// What a configuration may set.
    pub const CONFIGURABLE: [&'static Limit; 6] = [&FUEL, &TIME, &MEMORY, &HOST_CALLS, &COMPILE_TIME, &COMPILE_MEMORY];

    /// Set one limit by its key, within its bounds.
    pub fn set(&mut self, key: &str, value: u64) -> Result<(), LimitError> {
        let Some(limit) = Self::CONFIGURABLE.into_iter().find(|limit| limit.key == key) else {
            return Err(LimitError::Unknown { key: key.to_owned() });
        };
        if value < limit.least || value > limit.most {
            return Err(LimitError::OutOfBounds { limit, value });
        }
        *self.field(limit) = value;
        Ok(())
    }

    fn field(&mut self, limit: &Limit) -> &mut u64 {
        match limit.key {
            key if key == FUEL.key => &mut self.fuel,
            key if key == TIME.key => &mut self.milliseconds,
            key if key == MEMORY.key => &mut self.memory_mib,
            key if key == HOST_CALLS.key => &mut self.host_calls,
            key if key == COMPILE_TIME.key => &mut self.compile_seconds,
            _ => &mut self.compile_mib,
        }
    }
}

/// A value in `policy.limits` that cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// No limit of that name.
    #[error("policy.limits.{key}: there is no such limit; known are {}", Keys)]
    Unknown { key: String },
    /// Below the least or above the most.
    #[error("policy.limits.{}: {} {} is outside {} to {}", .limit.key, Thousands(*.value), .limit.unit, Thousands(.limit.least), Thousands(.limit.most))]
    OutOfBounds { limit: &'static Limit, value: u64 },
}

impl LimitError {
    /// What would have been right.
    pub fn expected(&self) -> String {
        match self {
            Self::Unknown { .. } => format!("one of {Keys}"),
            Self::OutOfBounds { limit, .. } => {
                format!("{} to {} {}", Thousands(limit.least), Thousands(limit.most), limit.unit)
            }
        }
    }
}

struct Keys;

impl fmt::Display for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Limits::CONFIGURABLE.map(|limit| limit.key).join(", "))
    }
}

/// A number as people read it: `50,000,000`.
pub struct Thousands<T>(pub T);

impl<T: fmt::Display> fmt::Display for Thousands<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (nth, digit) in digits.char_indices() {
            if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_configurable_limit_has_a_field_of_its_own() {
        let mut limits = Limits::default();
        for limit in Limits::CONFIGURABLE {
            limits.set(limit.key, limit.most).unwrap();
            assert_eq!(*limits.field(limit), limit.most, "{}", limit.key);
            limits.set(limit.key, limit.default).unwrap();
        }
        assert_eq!(limits, Limits::default());
    }

    #[test]
    fn a_limit_out_of_bounds_or_unknown_is_refused_by_name() {
        let mut limits = Limits::default();
        assert_eq!(
            limits.set("fuel", 5).unwrap_err().to_string(),
            "policy.limits.fuel: 5 units of fuel is outside 10,000 to 100,000,000,000"
        );
        assert_eq!(
            limits.set("feul", 5).unwrap_err().to_string(),
            "policy.limits.feul: there is no such limit; known are \
             fuel, milliseconds, memoryMiB, hostCalls, compileSeconds, compileMiB"
        );
    }
}
