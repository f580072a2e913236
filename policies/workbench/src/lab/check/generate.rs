//! Worlds out of small numbers. Every number means less when it is smaller, so that a world that breaks a policy shrinks
//! to the simplest one that still does.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, any};
use proptest::strategy::{Strategy, Union};

use super::annotations::MALFORMED;

/// How many different words, nodes and annotations there are to choose from; what is beyond a list's end wraps around.
const WORDS: u8 = 24;

/// The number in place of a range's gateway where the range has none.
pub(super) const NO_GATEWAY: u8 = 8;

/// The number in place of a range's gateway where it lies outside the subnet.
pub(super) const GATEWAY_ELSEWHERE: u8 = 9;

/// A world, not yet laid out in addresses.
#[derive(Clone, Debug)]
pub(super) struct WorldPlan {
    pub(super) sets: Vec<SetPlan>,
    /// Parts that are excluded: of which range, from where on, and how many addresses as a power of two.
    pub(super) excluded: Vec<(u8, u8, u8)>,
    pub(super) fill: Fill,
    /// Which of the held addresses was claimed last.
    pub(super) cursor: Option<u16>,
    pub(super) cooldown: bool,
    /// Requesters that came before, and whether each is gone again.
    pub(super) visits: Vec<(WhoPlan, bool)>,
    /// Whether an older attachment of the requester's pod holds something.
    pub(super) older: bool,
    pub(super) requester: WhoPlan,
    pub(super) rivals: u8,
    /// A number for a property that has to choose something.
    pub(super) choice: u16,
}

#[derive(Clone, Debug)]
pub(super) struct SetPlan {
    pub(super) is_v6: bool,
    pub(super) ranges: Vec<RangePlan>,
}

#[derive(Clone, Debug)]
pub(super) struct RangePlan {
    /// The subnet's size as a power of two.
    pub(super) bits: u8,
    /// How many addresses are left out at the beginning, and at the end.
    pub(super) low: u8,
    pub(super) high: u8,
    /// The place of the gateway in the subnet, or one of [`NO_GATEWAY`] and [`GATEWAY_ELSEWHERE`]; absent where the
    /// configuration says nothing, and the gateway is the first address.
    pub(super) gateway: Option<u8>,
    /// Where the fixed part begins, and how long it is.
    pub(super) fixed: Option<(u8, u8)>,
}

/// Which of the first addresses of each set are held.
#[derive(Clone, Debug)]
pub(super) enum Fill {
    These(Vec<u16>),
    AllBut(Vec<u16>),
}

/// A requester.
#[derive(Clone, Debug)]
pub(super) struct WhoPlan {
    pub(super) pod: Option<PodPlan>,
    pub(super) node: u8,
    /// The word for the node's zone; absent where the policy is told nothing of nodes.
    pub(super) zone: Option<u8>,
    /// The word for a label of the namespace; absent where the policy is told nothing of namespaces.
    pub(super) namespace_label: Option<u8>,
    pub(super) requested: Vec<Text>,
}

#[derive(Clone, Debug)]
pub(super) struct PodPlan {
    pub(super) namespace: u8,
    pub(super) name: u8,
    pub(super) has_uid: bool,
    pub(super) owner: u8,
    pub(super) label: Option<u8>,
    /// Which annotation, and its value.
    pub(super) annotations: Vec<(u8, Text)>,
}

/// What an annotation may hold.
#[derive(Clone, Debug)]
pub(super) enum Text {
    /// The n-th usable address.
    Usable(u16),
    /// From one usable address to another.
    Span(u16, u16),
    /// One of [`MALFORMED`].
    Malformed(u8),
    /// A word of the settings.
    Word(u8),
    /// Any text.
    Wild(String),
    /// A list of so many kilobytes.
    Huge(u8),
}

/// Worlds of any size, or small ones that can be filled one address at a time. The weights below are such that every
/// mistake of the policy in `tests/broken` is found within the default number of worlds.
pub(super) fn plans(small: bool) -> impl Strategy<Value = WorldPlan> {
    let network = (sets(small), vec((any::<u8>(), any::<u8>(), 0..3_u8), 0..3), any::<bool>());
    let before = (fill(), option::of(any::<u16>()), vec((who(), any::<bool>()), 0..4), any::<bool>());
    (network, before, who(), 0..24_u8, any::<u16>()).prop_map(|(network, before, requester, rivals, choice)| {
        let (sets, excluded, cooldown) = network;
        let (fill, cursor, visits, older) = before;
        WorldPlan { sets, excluded, fill, cursor, cooldown, visits, older, requester, rivals, choice }
    })
}

fn sets(small: bool) -> impl Strategy<Value = Vec<SetPlan>> {
    let more = if small { 3 } else { 4 };
    vec((any::<bool>(), vec(range(small), 1..3)), 1..more)
        .prop_map(|sets| sets.into_iter().map(|(is_v6, ranges)| SetPlan { is_v6, ranges }).collect())
}

fn range(small: bool) -> impl Strategy<Value = RangePlan> {
    // Most are small: what goes wrong with a range goes wrong at its ends, and a small one has little else.
    let bits = if small {
        Union::new_weighted(vec![(6, (2..5_u8).boxed()), (1, Just(1).boxed())])
    } else {
        Union::new_weighted(vec![
            (8, (2..6_u8).boxed()),
            (1, Just(1).boxed()),
            (3, (6..9_u8).boxed()),
            (2, (9..65_u8).boxed()),
        ])
    };
    let fixed = option::weighted(0.3, (0..8_u8, 0..8_u8));
    (bits, trim(), trim(), option::weighted(0.3, 0..=GATEWAY_ELSEWHERE), fixed)
        .prop_map(|(bits, low, high, gateway, fixed)| RangePlan { bits, low, high, gateway, fixed })
}

fn trim() -> Union<proptest::strategy::BoxedStrategy<u8>> {
    Union::new_weighted(vec![(3, Just(0).boxed()), (1, (0..4_u8).boxed())])
}

fn fill() -> impl Strategy<Value = Fill> {
    Union::new_weighted(vec![
        (3, vec(any::<u16>(), 0..12).prop_map(Fill::These).boxed()),
        (3, vec(any::<u16>(), 0..4).prop_map(Fill::AllBut).boxed()),
    ])
}

fn who() -> impl Strategy<Value = WhoPlan> {
    let namespace_label = option::weighted(0.5, 0..WORDS);
    let requested = vec(text(), 0..3).prop_map(|texts| texts).boxed();
    let requested = Union::new_weighted(vec![(5, Just(Vec::new()).boxed()), (1, requested)]);
    (option::weighted(0.85, pod()), 0..WORDS, option::weighted(0.8, 0..WORDS), namespace_label, requested).prop_map(
        |(pod, node, zone, namespace_label, requested)| WhoPlan { pod, node, zone, namespace_label, requested },
    )
}

fn pod() -> impl Strategy<Value = PodPlan> {
    let annotations =
        Union::new_weighted(vec![(1, Just(Vec::new()).boxed()), (2, vec((0..WORDS, text()), 1..4).boxed())]);
    let word = option::weighted(0.5, 0..WORDS);
    (0..WORDS, 0..WORDS, any::<bool>(), 0..4_u8, word, annotations).prop_map(
        |(namespace, name, has_uid, owner, label, annotations)| PodPlan {
            namespace,
            name,
            has_uid,
            owner,
            label,
            annotations,
        },
    )
}

fn text() -> impl Strategy<Value = Text> {
    let malformed = u8::try_from(MALFORMED.len()).unwrap_or(u8::MAX);
    Union::new_weighted(vec![
        (4, any::<u16>().prop_map(Text::Usable).boxed()),
        (2, (any::<u16>(), any::<u16>()).prop_map(|(first, last)| Text::Span(first, last)).boxed()),
        (3, (0..malformed).prop_map(Text::Malformed).boxed()),
        (1, (0..WORDS).prop_map(Text::Word).boxed()),
        (2, "[ -~]{0,12}".prop_map(Text::Wild).boxed()),
        (1, "\\PC{0,40}".prop_map(Text::Wild).boxed()),
        (3, (1..32_u8).prop_map(Text::Huge).boxed()),
    ])
}
