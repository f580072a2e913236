//! Whether a module is signed by those whom its network trusts: an ADD does not look, and whoever can write the file may
//! have replaced it since it was installed.

use super::check::Check;
use crate::cli::policy::trust::Trust;
use crate::config::Network;
use crate::verbs;
use cni::Fail;
use engine::install;
use ipam::PolicyName;

pub(super) fn signatures(network: &Network, loaded: Option<&PolicyName>) -> Option<Check> {
    let name = "signatures";
    let (trust, module) = (network.policy.trust.as_ref()?, network.policy.module.as_ref()?);
    let wasm = match install::read(module) {
        Ok(wasm) => wasm,
        Err(error) => return Some(Check::failed(name, &verbs::Error::from(error))),
    };
    let signers = match Trust::judge_installed(trust, module, &wasm) {
        Ok(signers) => Vec::from_iter(signers).join(", "),
        Err(error) => return Some(Check::bad(name, error.message(), error.hint())),
    };
    if network.policy.sha256.is_some() {
        return Some(Check::good(name, format!("{} is signed by {signers}", module.display())));
    }
    let digest = loaded.map_or("its digest", |name| &name.sha256);
    let hint = format!("an ADD looks at no signature: set policy.sha256 to {digest}");
    let detail =
        format!("{} is signed by {signers}, but is not pinned, so that any module may replace it", module.display());
    Some(Check::warning(name, detail, Some(hint)))
}
