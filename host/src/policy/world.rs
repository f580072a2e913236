//! Whether a component's types are those of the policy world, told before any of it runs. wasmtime itself checks the
//! imports when it links and the exports' names, but looks at the exports' types only after the start functions ran.

use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, HasSelf, Linker};

use super::bindings::exports::kube_ipam::policy::allocator::{Description, Proposal, Refusal, Request};
use super::bindings::{AllocationPolicy, AllocationPolicyPre};
use super::error::Flaw;
use super::examine::ALLOCATOR;
use super::sandbox::Sandbox;

/// Offer the world's imports, no more.
pub(super) fn link(component: &Component) -> Result<AllocationPolicyPre<Sandbox>, Flaw> {
    let mut linker = Linker::new(component.engine());
    AllocationPolicy::add_to_linker::<_, HasSelf<_>>(&mut linker, |sandbox| sandbox)
        .and_then(|()| linker.instantiate_pre(component))
        .and_then(AllocationPolicyPre::new)
        .map_err(|error| Flaw::Type(format!("{error:#}")))
}

/// Check each exported function against the world.
pub(super) fn check_exports(component: &Component) -> Result<(), Flaw> {
    check::<(), (Description,)>(component, "describe")?;
    check::<(String,), (Result<(), String>,)>(component, "validate-settings")?;
    check::<(Request, String), (Result<Vec<Proposal>, Refusal>,)>(component, "allocate")
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
            .map_err(|error| Flaw::Type(format!("{name}: {error:#}"))),
        Some(_) => Err(Flaw::Type(format!("{name} is not a function"))),
        None => Err(Flaw::Type(format!("{} has no function {name}", *ALLOCATOR))),
    }
}
