//! Modules and answers at random, but the same ones every time: the host neither panics nor hangs, and accepts no
//! proposal that breaks the network.

use std::net::Ipv4Addr;
use std::time::Instant;

use arbitrary::Unstructured;
use engine::{Class, Compiler, Outcome, Policy};
use hostile::survival::{self, are_harmless};
use hostile::{SLACK, Site, request, snapshot};
use ipam::Verdict;
use kube_ipam_tests::guest::{Guest, VERSION, WORLD, component};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng, TestRunner};

/// The policy that is built into the binary, as its authors ship it.
const RANGE_FIXED: &[u8] = engine::DEFAULT_POLICY;

/// A stream of decisions that is the same in every run.
struct Decisions(TestRng);

impl Decisions {
    fn of(seed: u8) -> Self {
        Self(TestRng::from_seed(RngAlgorithm::ChaCha, &[seed; 32]))
    }

    fn below(&mut self, end: usize) -> usize {
        (self.0.next_u64() % end as u64) as usize
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.0.fill_bytes(&mut bytes);
        bytes
    }
}

/// Compiles here: a panic would be seen. A guest gets little fuel and time.
fn site() -> Site {
    let mut site = Site::new();
    site.compiler = Compiler::InProcess;
    site.limits.set("fuel", 1_000_000).unwrap();
    site.limits.set("memoryMiB", 16).unwrap();
    site
}

/// Whether the module could be loaded; whatever it then does is survived.
fn survives(site: &Site, what: &str, module: &[u8]) -> bool {
    let began = Instant::now();
    let path = site.install("fuzz", module);
    let loaded = survival::survives(&site.source(&path), what);
    assert!(began.elapsed() < SLACK, "{what}: {:?}", began.elapsed());
    loaded
}

#[test]
fn components_at_random_are_refused() {
    let (site, mut decisions) = (site(), Decisions::of(1));
    let mut made = 0;
    for nth in 0..300 {
        let length = 512 + decisions.below(3_584);
        let bytes = decisions.bytes(length);
        let config = wasm_smith::Config::default();
        let Ok(random) = wasm_smith::Component::new(config, &mut Unstructured::new(&bytes)) else { continue };
        made += 1;
        survives(&site, &format!("component {nth}"), &random.to_bytes());
    }
    assert!(made > 100, "{made}");
}

/// Change some bytes, cut a piece out, or put one in.
fn mutate(module: &[u8], decisions: &mut Decisions) -> Vec<u8> {
    let mut module = module.to_vec();
    for _ in 0..=decisions.below(3) {
        if module.len() < 16 {
            break;
        }
        let at = 8 + decisions.below(module.len() - 8);
        match decisions.below(8) {
            0 => module.truncate(at.max(9)),
            1 => drop(module.drain(at..(at + 1 + decisions.below(16)).min(module.len()))),
            2 => drop(module.splice(at..at, decisions.bytes(4))),
            3 => module[at] = [0x00, 0x7f, 0x80, 0xff][decisions.below(4)],
            _ => module[at] ^= 1 << decisions.below(8),
        }
    }
    module
}

#[test]
fn guests_with_some_bytes_changed_are_survived() {
    let (site, mut decisions) = (site(), Decisions::of(3));
    let modules: Vec<(String, Vec<u8>)> =
        Guest::all().into_iter().map(|guest| (guest.name.clone(), guest.module())).collect();
    for nth in 0..2_000 {
        let (name, module) = &modules[nth % modules.len()];
        survives(&site, &format!("{name}, mutation {nth}"), &mutate(module, &mut decisions));
    }
}

#[test]
fn a_shipped_policy_with_some_bytes_changed_is_survived() {
    let (site, mut decisions) = (site(), Decisions::of(4));
    for nth in 0..150 {
        survives(&site, &format!("mutation {nth}"), &mutate(RANGE_FIXED, &mut decisions));
    }
}

/// A policy that answers with the bytes its settings say, two characters a byte, from 2048 on.
fn answering() -> Vec<u8> {
    let mut resolve = wit_parser::Resolve::default();
    let package = resolve.push_str("policy.wit", include_str!("../../../wit/policy.wit")).unwrap();
    let types = resolve.packages[package].interfaces["types"];
    let request = wit_parser::Type::Id(resolve.interfaces[types].types["request"]);
    let mut sizes = wit_parser::SizeAlign::default();
    sizes.fill(&resolve).unwrap();
    // The settings' address and length follow the request.
    let settings = sizes.size(&request).size_wasm32();
    let text = format!(
        r#"(module
          (memory (export "memory") 17)
          (global $heap (mut i32) (i32.const 131072))
          (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
            (global.set $heap (i32.and (i32.add (global.get $heap) (i32.const 15)) (i32.const -16)))
            (global.get $heap)
            (global.set $heap (i32.add (global.get $heap) (local.get 3))))
          (func (export "kube-ipam:policy/allocator@0.1.0#describe") (result i32) unreachable)
          (func (export "kube-ipam:policy/allocator@0.1.0#validate-settings") (param i32 i32) (result i32) unreachable)
          (func $digit (param $at i32) (result i32)
            (i32.sub (i32.load8_u (local.get $at)) (i32.const 97)))
          (func (export "kube-ipam:policy/allocator@0.1.0#allocate") (param $arguments i32) (result i32)
            (local $at i32) (local $end i32) (local $to i32)
            (local.set $at (i32.load offset={settings} (local.get $arguments)))
            (local.set $end (i32.add (local.get $at) (i32.load offset={length} (local.get $arguments))))
            (local.set $to (i32.const 2048))
            (loop $bytes
              (if (i32.lt_u (local.get $at) (local.get $end)) (then
                (i32.store8 (local.get $to) (i32.add
                  (i32.mul (i32.const 16) (call $digit (local.get $at)))
                  (call $digit (i32.add (local.get $at) (i32.const 1)))))
                (local.set $at (i32.add (local.get $at) (i32.const 2)))
                (local.set $to (i32.add (local.get $to) (i32.const 1)))
                (br $bytes))))
            (i32.const 2048)))"#,
        length = settings + 4
    );
    component(wat::parse_str(text).unwrap(), VERSION, WORLD).unwrap()
}

fn as_settings(answer: &[u8]) -> String {
    answer.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(|digit| char::from(b'a' + digit)).collect()
}

/// A verdict as it lies in memory: two proposals of two assignments each, 88 bytes an assignment.
fn verdict() -> Vec<u8> {
    let mut memory = vec![0_u8; 512];
    // Address and length of the list of proposals, and of each.
    let words = [(4, 2048 + 32), (8, 2), (32, 2048 + 64), (36, 2), (40, 2048 + 64 + 176), (44, 2)];
    for (at, value) in words {
        memory[at..at + 4].copy_from_slice(&u32::to_le_bytes(value));
    }
    for nth in 0..4 {
        let assignment = 64 + 88 * nth;
        memory[assignment + 2..assignment + 6].copy_from_slice(&Ipv4Addr::new(10, 0, 0, 9 + nth as u8).octets());
        memory[assignment + 18] = 24;
        // A gateway, a kind, and a hold for "aaaa".
        memory[assignment + 20] = 1;
        memory[assignment + 24..assignment + 28].copy_from_slice(&[10, 0, 0, 1]);
        memory[assignment + 48] = 1;
        memory[assignment + 56..assignment + 60].copy_from_slice(&(2048_u32 + 480).to_le_bytes());
        memory[assignment + 60] = 4;
    }
    memory[480..484].copy_from_slice(b"aaaa");
    memory
}

#[test]
fn answers_at_random_are_lifted_or_refused() {
    let site = site();
    let path = site.install("fuzz", &answering());
    let policy = Policy::load(&site.source(&path)).unwrap();
    let allocate = |answer: &[u8]| policy.allocate(&request(), &as_settings(answer), &snapshot());
    let whole = allocate(&verdict());
    assert!(matches!(&whole, Ok(Outcome::Verdict(Verdict::Propose(two))) if two.len() == 2), "{whole:?}");

    let poke = (0..512_usize, prop_oneof![any::<u8>(), Just(0), Just(1), Just(2), Just(255), 9..14_u8, 64..80_u8]);
    let config = ProptestConfig { cases: 6_000, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let accepted = std::cell::Cell::new(0);
    let outcome = runner.run(&vec(poke, 0..6), |pokes| {
        let mut answer = verdict();
        pokes.iter().for_each(|(at, byte)| answer[*at] = *byte);
        match allocate(&answer) {
            Ok(Outcome::Verdict(Verdict::Propose(proposals))) => {
                accepted.set(accepted.get() + 1);
                are_harmless(&proposals);
            }
            Ok(_) => {}
            Err(error) => prop_assert_eq!(error.class(), Class::Fault, "{}", error),
        }
        Ok(())
    });
    outcome.unwrap();
    assert!((500..5_500).contains(&accepted.get()), "{accepted:?} of 6,000 accepted: too tame, or too wild");
}
