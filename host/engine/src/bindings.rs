//! The policy world in Rust, generated from `wit/policy.wit`. Typed: what a guest returns is checked against the
//! world's types before any code of ours sees it.
#![allow(missing_docs, unreachable_pub, reason = "generated; the documentation is in the WIT")]

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "allocation-policy",
    // Every import may end the run: a question the snapshot cannot answer does.
    imports: { default: trappable },
});
