//! What an ADD needs on top of the base: ranges, policy, pod, requests.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::base::{Base, check_settings};
use super::error::Error;
use super::field::Held;
use super::kubernetes::{self, KubernetesConfig};
use super::pod::{self, KnownPod};
use super::policy::{self, PolicyConfig};
use super::{dns, gateway, ranges, requested, routes, runtime, store, unknown};
use cni::args::Requested;
use cni::netconf::RuntimeConfig;
use cni::{Args, Dns, NetConf, Route};
use ipam::RangeSets;

/// A network that addresses can be given in.
#[derive(Clone, Debug)]
pub struct Network {
    /// At least one; an attachment gets one address of each.
    pub range_sets: RangeSets,
    pub routes: Vec<Route>,
    /// As `dns` says, or else `resolvConf`.
    pub dns: Dns,
    /// What plugins before the main plugin were given, where it is not the first of its list.
    pub given_before: Vec<IpAddr>,
    /// Addresses the runtime asks for, each once.
    pub requested: Vec<Requested>,
    pub policy: PolicyConfig,
    /// How long a released dynamic address is withheld from reuse.
    pub cooldown: Option<Duration>,
    /// The pod, when the runtime names one.
    pub pod: Option<KnownPod>,
    /// What the runtime tells of annotations where it names no pod, as podman, nomad and cnitool do.
    pub annotations: BTreeMap<String, String>,
    /// How to reach the API server, if it is to be asked at all.
    pub kubernetes: Option<KubernetesConfig>,
    /// What the cluster is called here; otherwise it is known by what the API server says.
    pub cluster: Option<String>,
    /// How long to wait for a holder on its way out.
    pub hand_over_wait: Duration,
}

impl Network {
    /// Check everything an ADD relies on.
    pub fn read(netconf: &NetConf, args: &Args) -> Result<Self, Error> {
        let network = Self::read_parts(netconf, args);
        // Only now is it known which keys of the parts no field takes. They come first: a misspelt key often explains
        // why a part cannot be used.
        unknown::refuse(netconf)?;
        runtime::warn_of_near(netconf);
        network
    }

    fn read_parts(netconf: &NetConf, args: &Args) -> Result<Self, Error> {
        let ipam = netconf.ipam()?;
        // What decides about the store comes before what depends on it.
        if let Some(error) = store::check_stated(ipam).into_iter().chain(check_settings(ipam)).flatten().next() {
            return Err(error);
        }
        ranges::refuse_without_subnet(ipam)?;
        let runtime = netconf.runtime_config()?;
        let range_sets = ranges::read(netconf, &runtime)?;
        gateway::check(netconf, &range_sets)?;
        let requested = requested::read(netconf, &runtime, args)?;
        let (pod, annotations) = pod::known(runtime, args);
        Ok(Self {
            range_sets,
            routes: routes::read(netconf)?,
            dns: dns::read(netconf)?,
            given_before: netconf.given_before(),
            requested,
            policy: policy::read(netconf)?,
            cooldown: cooldown(netconf)?,
            pod,
            annotations,
            kubernetes: kubernetes::read(netconf)?,
            cluster: kubernetes::cluster(netconf)?,
            hand_over_wait: kubernetes::hand_over_wait(netconf)?,
        })
    }

    /// The ranges alone: CHECK needs nothing else.
    pub fn range_sets(netconf: &NetConf) -> Result<RangeSets, Error> {
        ranges::read(netconf, &netconf.runtime_config()?)
    }

    pub fn policy(netconf: &NetConf) -> Result<PolicyConfig, Error> {
        policy::read(netconf)
    }

    /// The API server alone.
    pub fn kubernetes(netconf: &NetConf) -> Result<Option<KubernetesConfig>, Error> {
        kubernetes::read(netconf)
    }

    /// The name of the cluster alone.
    pub fn cluster(netconf: &NetConf) -> Result<Option<String>, Error> {
        kubernetes::cluster(netconf)
    }

    /// Everything that is wrong, where [`Network::read`] and [`Base::read`] stop at the first: for whoever writes a
    /// configuration.
    pub fn errors(netconf: &NetConf) -> Vec<Error> {
        let args = Args::default();
        let mut errors = Vec::new();
        match Base::read_known(netconf) {
            // The host's own name says nothing here: the file may be for another machine.
            Ok(base) if base.node_given => errors.extend(base.check_node().err()),
            Ok(_) => {}
            Err(error) => errors.push(error),
        }
        let Ok(ipam) = netconf.ipam() else { return errors };
        let runtime = match netconf.runtime_config() {
            Ok(runtime) => runtime,
            Err(error) => {
                errors.push(error.into());
                RuntimeConfig::default()
            }
        };
        let parts = [
            ranges::refuse_without_subnet(ipam).err(),
            ranges::read(netconf, &runtime).and_then(|range_sets| gateway::check(netconf, &range_sets)).err(),
            routes::read(netconf).err(),
            dns::read(netconf).err(),
            requested::read(netconf, &runtime, &args).err(),
            policy::read(netconf).err(),
            cooldown(netconf).err(),
            kubernetes::read(netconf).err(),
            kubernetes::cluster(netconf).err(),
            kubernetes::hand_over_wait(netconf).err(),
        ];
        let whole = store::check_stated(ipam).into_iter().chain(check_settings(ipam));
        for error in whole.chain(parts).flatten() {
            // Parts share fields: what two of them stumble over is said once.
            if !errors.iter().any(|known| known.to_string() == error.to_string()) {
                errors.push(error);
            }
        }
        errors
    }
}

/// `cooldown`: also for a DEL, whatever has become of the ranges.
pub fn cooldown(netconf: &NetConf) -> Result<Option<Duration>, Error> {
    let Some(held) = Held::read("ipam.cooldown", netconf.ipam()?.cooldown.as_ref())? else { return Ok(None) };
    let cooldown = held.duration(limits::COOLDOWN)?;
    // `0s` is a way to write that there is none.
    if cooldown.is_zero() { Ok(None) } else { Ok(Some(cooldown)) }
}
