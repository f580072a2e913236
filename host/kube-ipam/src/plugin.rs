//! The CNI plugin: from the environment and stdin to one response. Prints nothing itself and never exits.

use std::any::Any;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::config::{Base, Network};
use crate::runtime::{block_on, open};
use crate::telemetry;
use crate::verbs::{self, Deadline, Error, Waited};
use cni::{self, Args, Call, Fail, Failure, NetConf, Response, Version, respond};
use store::Store;

/// Serves the one call that this process was started for. Returns the exit code.
pub fn run() -> u8 {
    std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
    let configuration = match NetConf::bytes(std::io::stdin().lock()) {
        Ok(configuration) => configuration,
        Err(error) => return respond(&failed(Version::NEWEST, &error.into())),
    };
    let served = catch_unwind(AssertUnwindSafe(|| answer(&configuration)));
    let served = served.unwrap_or_else(|panic| Err(defect(&*panic)));
    // The version is searched for in the whole configuration, which may not even be JSON: only a failure pays for that.
    respond(&served.unwrap_or_else(|error| failed(NetConf::version_to_answer_in(&configuration), &error)))
}

fn failed(version: Version, error: &Error) -> Response {
    tracing::error!(error = error.message(), "failed");
    Response::Failure(version, Failure::from(error))
}

fn answer(configuration: &[u8]) -> Result<Response, Error> {
    let Some(call) = Call::read(|name| std::env::var_os(name))? else {
        return Err(cni::Error::NoCommand.into());
    };
    if call == Call::Version {
        return Ok(Response::Versions(NetConf::version_to_answer_in(configuration)));
    }
    // The process ends with the response. Dropping these values would make the pod wait for nothing, so they are not dropped.
    let call = ManuallyDrop::new(call);
    let netconf = ManuallyDrop::new(NetConf::parse(configuration)?);
    netconf.version()?.admit(call.verb())?;
    let base = ManuallyDrop::new(Base::read(&netconf)?);
    if let Some(file) = &base.log.file {
        telemetry::to_file(file, base.log.level);
    }
    let _span = call_span(&call, &base).entered();
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

/// The span of an invocation, always with the same fields.
fn call_span(call: &Call, base: &Base) -> tracing::Span {
    let (container, interface) = match call {
        Call::Add(container, _) | Call::Del(container) | Call::Check(container) => {
            (container.id.as_str(), container.interface.as_str())
        }
        Call::Gc | Call::Status | Call::Version => ("", ""),
    };
    let pod = match call {
        Call::Add(_, args) => args.pod().map(|pod| pod.to_string()).unwrap_or_default(),
        _ => String::new(),
    };
    tracing::info_span!("call", verb = %call.verb(), network = base.network, container, interface, pod)
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
