//! Called by a runtime: from the environment and stdin to one answer. Prints nothing itself and exits nowhere.

use std::any::Any;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::config::{self, Base, Network};
use crate::telemetry;
use crate::verbs::{self, Deadline, Error, Waited};
use cni::{self, Args, Call, Fail, Failure, NetConf, Response, Version, respond};
use store::Store;

/// Serve the one call this process was started for. Gives the exit code.
pub fn run() -> u8 {
    std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));
    let configuration = match NetConf::bytes(std::io::stdin().lock()) {
        Ok(configuration) => configuration,
        Err(error) => return respond(&failed(Version::NEWEST, &error.into())),
    };
    let served = catch_unwind(AssertUnwindSafe(|| answer(&configuration)));
    let served = served.unwrap_or_else(|panic| Err(defect(&*panic)));
    // Only a failure asks for the version in this way, which looks through the whole configuration.
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
    // Nothing of this is taken apart at the end, which comes with the answer: that would only cost the pod time.
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
        // Too late for an answer is an answer.
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

/// One span an invocation, always with the same fields.
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

/// The store of a network.
pub(crate) fn open(base: &Base, netconf: &NetConf, deadline: Option<Deadline>) -> Store {
    // Whatever else is wrong with it, a cool-down must not keep a DEL from releasing.
    let cooldown = config::network::cooldown(netconf).unwrap_or_default();
    let store = Store::configured(&base.store, &base.domain, deadline.map(|deadline| deadline.at()));
    store.with_cooldown(cooldown).with_registry(base.domain_given)
}

/// Run the one task of this process on its one thread. The process ends soon after: taking the event loop apart is left
/// to the kernel.
pub(crate) fn block_on<T>(work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| Error::Defect { message: format!("no event loop: {error}") })?;
    ManuallyDrop::new(runtime).block_on(work)
}

fn defect(panic: &(dyn Any + Send)) -> Error {
    let text =
        panic.downcast_ref::<&str>().map(ToString::to_string).or_else(|| panic.downcast_ref::<String>().cloned());
    Error::Defect { message: text.unwrap_or_else(|| "a panic without a message".to_owned()) }
}
