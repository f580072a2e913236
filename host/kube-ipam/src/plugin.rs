//! The CNI plugin: from the environment and stdin to one response. Prints nothing itself and never exits.

use std::any::Any;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use crate::config::counts::counts_dir;
use crate::config::{Base, HistoryConfig, Log, Network};
use crate::journal::history;
use crate::runtime::{block_on, open};
use crate::telemetry;
use crate::verbs::{self, Deadline, Error, OUTCOME, Waited};
use cni::failure::for_network;
use cni::{self, Args, Call, Fail, Failure, NetConf, Response, Verb, respond};
use store::Store;

/// Serves the one call that this process was started for. Returns the exit code.
pub fn run() -> u8 {
    let began = Instant::now();
    std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
    let configuration = match NetConf::bytes(std::io::stdin().lock()) {
        Ok(configuration) => configuration,
        Err(error) => return end(&[], Err(error.into()), began),
    };
    let served = catch_unwind(AssertUnwindSafe(|| answer(&configuration, began)));
    let served = served.unwrap_or_else(|panic| Err(defect(&*panic)));
    end(&configuration, served, began)
}

/// Answers, and then ends the log: whatever becomes of the line, the answer is on its way. A runtime reads it once this
/// process has ended, so that the line is one write and waits for nobody.
fn end(configuration: &[u8], served: Result<Response, Error>, began: Instant) -> u8 {
    let error = match served {
        Ok(Response::Versions(version)) => return respond(&Response::Versions(version)),
        Ok(response) => {
            let exit = respond(&response);
            write_history();
            // Runtimes poll STATUS of every network every few seconds: its successes would drive all else out of the log.
            if is_polled() {
                tracing::debug!(target: telemetry::END, code = 0);
            } else {
                tracing::info!(target: telemetry::END, code = 0);
            }
            return exit;
        }
        Err(error) => error,
    };
    let netconf = NetConf::parse(configuration).ok();
    // Whatever failed before the log was begun is logged where the configuration says, as far as it can be read. The second
    // beginning of a log is nothing.
    let log = netconf.as_ref().map(Log::of).unwrap_or_default();
    telemetry::begin(&log, netconf.as_ref().and_then(counts_dir), began);
    // The version is searched for in the whole configuration, which may not even be JSON: only a failure pays for that.
    let version = NetConf::version_to_answer_in(configuration);
    let hint = hint_of(&error, netconf.as_ref());
    let exit = respond(&Response::Failure(version, Failure::hinting(&error, &hint)));
    // A GC that failed in the end has released what it says, and a late ADD may have claimed.
    write_history();
    tracing::error!(target: telemetry::END, code = error.code(), error = error.message(), hint, "failed");
    exit
}

/// Writes what the call did to addresses, once it is answered. A node that cannot keep its history goes on without.
fn write_history() {
    // The answer is out: not even a defect may change the status that goes with it.
    if let Ok(Err((config, error))) = catch_unwind(history::write) {
        tracing::warn!(file = %config.file.display(), %error, "the history is not written");
    }
}

/// The hint of an error, with the name of the network where the configuration has one.
fn hint_of(error: &Error, netconf: Option<&NetConf>) -> String {
    let hint = error.hint().unwrap_or_default();
    match netconf.map(NetConf::network) {
        Some(Ok(network)) => for_network(&hint, network),
        Some(Err(_)) | None => hint,
    }
}

fn is_polled() -> bool {
    std::env::var_os("CNI_COMMAND").is_some_and(|verb| verb == Verb::Status.as_str())
}

fn answer(configuration: &[u8], began: Instant) -> Result<Response, Error> {
    let Some(call) = Call::read(|name| std::env::var_os(name))? else {
        return Err(cni::Error::NoCommand.into());
    };
    if call == Call::Version {
        return Ok(Response::Versions(NetConf::version_to_answer_in(configuration)));
    }
    // The process ends with the response. Dropping these values would make the pod wait for nothing, so they are not dropped.
    let call = ManuallyDrop::new(call);
    let netconf = ManuallyDrop::new(NetConf::parse(configuration)?);
    telemetry::begin(&Log::of(&netconf), counts_dir(&netconf), began);
    history::begin(HistoryConfig::of(&netconf));
    log_call(&call, netconf.network().unwrap_or_default());
    netconf.version()?.admit(call.verb())?;
    let base = ManuallyDrop::new(Base::read(&netconf)?);
    tracing::info!(target: OUTCOME, node = base.node);
    let timeout = if *call == Call::Status { base.timeout.min(limits::STATUS) } else { base.timeout };
    let deadline = Deadline::after(timeout);
    let store = ManuallyDrop::new(open(&base, &netconf, Some(deadline)));
    match block_on(deadline.bound(Waited::Store, serve(&call, &netconf, &base, &store, &deadline))) {
        // To STATUS, being late is an answer: an ADD would be late, too.
        Err(late @ Error::Late { .. }) if *call == Call::Status => Err(verbs::not_ready(&base, late)),
        served => served,
    }
}

async fn serve(
    call: &Call,
    netconf: &NetConf,
    base: &Base,
    store: &Store,
    deadline: &Deadline,
) -> Result<Response, Error> {
    match call {
        Call::Add(container, args) => {
            base.check_node()?;
            let network = ManuallyDrop::new(Network::read(netconf, args)?);
            let success = Box::pin(verbs::add(container, base, &network, store, deadline)).await?;
            return Ok(Response::Success(base.version, success));
        }
        Call::Del(container) => {
            Box::pin(verbs::del(&container.attachment(&base.network), base, store, deadline)).await?
        }
        Call::Check(container) => {
            let attachment = container.attachment(&base.network);
            let (previous, range_sets) = (netconf.previous()?.addresses()?, Network::range_sets(netconf)?);
            let checked = verbs::check(&attachment, &previous, &range_sets, store).await;
            Box::pin(verbs::elsewhere::excuse(checked, &attachment, base, store, deadline)).await?;
        }
        Call::Gc => {
            base.check_node()?;
            Box::pin(verbs::gc(base, &netconf.valid_attachments()?, store, deadline)).await?;
        }
        Call::Status => {
            base.check_node()?;
            Box::pin(verbs::status(base, &Network::read(netconf, &Args::default())?, store, deadline)).await?;
        }
        Call::Version => {}
    }
    Ok(Response::Nothing)
}

/// Tells the log who calls, and for whom.
fn log_call(call: &Call, network: &str) {
    let (container, interface) = match call {
        Call::Add(container, _) | Call::Del(container) | Call::Check(container) => {
            (container.id.as_str(), container.interface.as_str())
        }
        Call::Gc | Call::Status | Call::Version => ("", ""),
    };
    tracing::info!(target: OUTCOME, verb = %call.verb(), network, container, interface);
    if let Call::Add(_, args) = call
        && let Some(pod) = args.pod()
    {
        tracing::info!(target: OUTCOME, %pod);
    }
}

fn defect(panic: &(dyn Any + Send)) -> Error {
    let message = if let Some(text) = panic.downcast_ref::<&str>() {
        (*text).to_owned()
    } else if let Some(text) = panic.downcast_ref::<String>() {
        text.clone()
    } else {
        "a panic without a message".to_owned()
    };
    Error::Defect { message }
}
