//! Whether a component's types are those of the policy world, told before any of it runs. wasmtime itself checks the
//! imports when it links and the exports' names, but looks at the exports' types only after the start functions ran.

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, HasSelf, InstancePre, Linker};

use super::bindings::exports::kube_ipam::policy::allocator::{Description, Proposal, Refusal, Request};
use super::bindings::{AllocationPolicy, AllocationPolicyPre};
use super::error::Flaw;
use super::examine::ALLOCATOR;
use super::sandbox::Sandbox;
use super::text::tame;
use limits::TEXT;

/// Give the component the world's imports, no more.
pub(super) fn link(component: &Component) -> Result<AllocationPolicyPre<Sandbox>, Flaw> {
    offer(component).and_then(AllocationPolicyPre::new).map_err(|error| mistyped(&error))
}

fn offer(component: &Component) -> wasmtime::Result<InstancePre<Sandbox>> {
    let mut linker = Linker::new(component.engine());
    AllocationPolicy::add_to_linker::<_, HasSelf<_>>(&mut linker, |sandbox| sandbox)?;
    linker.instantiate_pre(component)
}

/// Check the imports, and each exported function, against the world.
pub(super) fn check_types(component: &Component) -> Vec<Flaw> {
    let checked = [
        offer(component).map(drop).map_err(|error| mistyped(&error)),
        check::<(), (Description,)>(component, "describe"),
        check::<(String,), (Result<(), String>,)>(component, "validate-settings"),
        check::<(Request, String), (Result<Vec<Proposal>, Refusal>,)>(component, "allocate"),
    ];
    let mut flaws: Vec<Flaw> = checked.into_iter().filter_map(Result::err).collect();
    flaws.dedup(); // where there is no interface, there is none for each function
    flaws
}

fn check<Params, Return>(component: &Component, name: &str) -> Result<(), Flaw>
where
    Params: wasmtime::component::ComponentNamedList + wasmtime::component::Lower,
    Return: wasmtime::component::ComponentNamedList + wasmtime::component::Lift,
{
    let engine = component.engine();
    let world = component.component_type();
    let exported = world.get_export(engine, &ALLOCATOR).map(|export| export.ty);
    let Some(ComponentItem::ComponentInstance(allocator)) = exported else {
        return Err(Flaw::Type(format!("{} is not an interface", *ALLOCATOR)));
    };
    match allocator.get_export(engine, name).map(|export| export.ty) {
        Some(ComponentItem::ComponentFunc(function)) => function
            .typecheck::<Params, Return>(&world.instance_type())
            .map_err(|error| mistyped(&error.context(name.to_owned()))),
        Some(_) => Err(Flaw::Type(format!("{name} is not a function"))),
        None => Err(Flaw::Type(format!("{} has no function {name}", *ALLOCATOR))),
    }
}

fn mistyped(error: &wasmtime::Error) -> Flaw {
    Flaw::Type(tame(&format!("{error:#}"), TEXT.default))
}
