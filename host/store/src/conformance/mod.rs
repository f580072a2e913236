//! The contract as tests, run over every store alike. Every case ends with a proof that all indexes agree.
//!
//! ```text
//!   conformance!((Memory::default(), ()))        one line in each implementation's tests …
//!        │
//!        ├── mod claims     an_address_has_one_holder_per_domain, …         … makes a test of each case below,
//!        ├── mod releases   a_release_of_nothing_is_success, …              on a map of its own
//!        └── …
//!
//!   Bench ── Store ── Counting ── the map under test
//!                        └── how often views were read: what a verb costs is part of the contract
//! ```
//!
//! A case knows nothing of the map it runs on, and a map has no case of its own in here: what only one of them does is tested
//! beside it. So the map in memory, on which policies are tried, cannot be laxer than the ones that pods depend on.
//!
//! Time is the bench's to tell. It moves with every look and every release, so that no two records are alike, and jumps where a
//! case says so; no case waits for a clock.

mod bench;
pub(crate) mod ceding;
pub(crate) mod claims;
pub(crate) mod crowds;
pub(crate) mod expiry;
pub(crate) mod exports;
pub(crate) mod holds;
pub(crate) mod imports;
pub(crate) mod lists;
pub(crate) mod machines;
pub(crate) mod moves;
pub(crate) mod ranges;
pub(crate) mod records;
pub(crate) mod registry;
pub(crate) mod releases;
pub(crate) mod repairs;
pub(crate) mod reservations;
pub(crate) mod restorations;
pub(crate) mod slots;
pub(crate) mod status;

pub(crate) use bench::{Bench, MACHINE, assignment, block_on, dynamic, held_for, pod, range_sets, requester, span};

/// One test per case. `$open` makes a fresh, empty map and whatever must live as long. The list is here and nowhere else: a case
/// that it does not name is dead code, which the lints refuse.
macro_rules! conformance {
    ($open:expr) => {
        $crate::conformance::conformance! { $open;
            claims: [
                an_address_has_one_holder_per_domain,
                a_rehearsal_changes_nothing,
                a_claim_takes_a_kilobyte,
                two_networks_that_share_a_domain_share_its_addresses,
                two_domains_know_nothing_of_each_other,
                a_second_claim_returns_what_is_held,
                what_is_asked_aside_has_no_part_in_a_claim,
                a_claim_is_all_or_nothing,
                the_first_free_proposal_wins,
                whoever_loses_looks_again_and_finds_the_winner,
                a_newer_attachment_replaces_the_older_one,
                a_newer_attachment_may_take_another_address_and_the_older_one_is_released,
                another_pod_of_the_same_name_takes_nothing_over,
                a_pod_that_is_known_to_be_the_successor_takes_over,
                a_fixed_address_is_taken_from_an_older_container_of_the_same_pod,
                a_live_interface_of_the_same_container_keeps_its_address,
                a_forfeited_address_is_taken_and_the_rest_stays,
                a_forfeit_that_was_decided_on_an_older_record_is_void,
                a_take_over_loses_when_the_older_attachment_was_released_meanwhile,
                ]
            releases: [
                a_release_of_nothing_is_success,
                a_release_frees_everything_and_tells_what_it_was,
                a_late_release_of_a_replaced_attachment_frees_nothing,
                a_release_touches_nothing_that_another_holds,
                a_release_leaves_the_index_of_a_newer_pod,
                gc_sees_its_own_node_and_network_only,
                what_was_claimed_since_a_moment_outlives_the_release_of_what_is_older,
                what_was_judged_is_reclaimed,
                a_claim_that_changed_since_it_was_judged_stays,
            ]
            holds: [
                a_kept_address_goes_to_its_identity_alone,
                a_hold_that_is_over_is_free,
                a_policy_is_told_what_is_kept_for_an_identity,
                a_released_dynamic_address_cools_down_and_a_fixed_one_does_not,
                a_replaced_attachment_leaves_its_holds,
                a_clock_that_jumps_doubles_and_loses_nothing,
                a_hold_for_too_long_a_name_keeps_no_release,
                what_fills_a_range_is_counted_and_its_first_end_told,
            ]
            ceding: [
                a_ceded_address_returns_when_its_new_holder_is_released,
                the_release_of_a_former_holder_only_clears_its_mark,
                a_mark_follows_newer_containers_of_either_pod,
                whoever_follows_a_holder_that_is_gone_owes_the_address_to_the_former_one,
                reclaim_and_gc_give_back_as_a_release_does,
                ceding_and_releasing_at_once_forget_nobody,
                marks_that_disagree_are_found_and_mended,
            ]
            expiry: [
                cycles_of_claim_and_release_leave_nothing,
                only_what_is_still_over_is_removed,
                no_hold_lasts_longer_than_the_limit,
            ]
            slots: [
                a_slot_is_taken_once_and_goes_with_its_address,
                a_replacement_has_the_slots_of_the_older_attachment,
                a_slot_goes_with_an_address_that_is_taken_over,
                lists_stay_apart_and_come_in_order,
                free_slots_are_found_among_any_number,
                a_full_list_is_known_to_be_full,
            ]
            ranges: [
                the_cursor_follows_dynamic_claims_alone,
                all_answers_of_a_look_come_from_one_moment,
                a_small_range_is_known_after_one_read,
                sixty_five_thousand_held_addresses_cost_a_handful_of_reads,
                a_dense_beginning_of_a_slash_64_costs_a_handful_of_reads,
                a_full_range_is_known_to_be_full,
                usage_counts_what_is_held,
                a_wide_area_of_holds_is_crossed,
                a_list_of_single_addresses_costs_a_handful_of_reads,
                single_addresses_among_ten_thousand_held_ones_cost_a_handful_of_reads,
                the_holders_of_a_list_of_addresses_cost_a_handful_of_reads,
            ]
            crowds: [
                the_lowest_address_costs_the_same_behind_any_number,
                an_address_that_is_released_in_the_crowd_is_the_lowest_again,
                a_block_is_marked_when_it_is_full_and_no_longer,
                a_mark_that_is_wrong_keeps_no_address_from_anybody,
                a_crowded_end_is_crossed_and_the_search_begins_again_at_the_front,
                a_claim_that_is_large_is_not_made_too_large_by_marks,
                what_a_shadow_found_on_hold_is_marked_by_nobody,
            ]
            lists: [
                everything_is_listed_in_pages,
                what_keeps_an_address_is_listed_in_the_order_of_addresses,
                a_filter_finds_pods_containers_networks_and_addresses,
                a_pod_is_found_in_every_cluster_and_with_what_it_ceded,
                a_pod_is_found_without_reading_the_others,
                a_damaged_record_disturbs_nobody_else,
                names_with_odd_characters_stay_apart,
                inspection_finds_every_kind_of_disagreement,
            ]
            imports: [
                an_import_is_a_claim_that_a_release_ends,
                an_import_takes_nothing_from_anybody,
                the_predecessors_entries_move_aside_with_their_claims,
                occupancy_adds_up,
            ]
            registry: [
                a_claim_registers_its_network_once,
                a_look_reads_the_registration_along,
                the_first_claims_of_a_network_do_not_lose_to_each_other,
                of_the_first_claims_in_two_domains_one_loses,
                a_claim_loses_where_its_network_was_registered_elsewhere_meanwhile,
                what_lands_in_the_former_domain_during_a_change_is_not_forgotten,
                another_domain_is_refused_while_the_former_one_holds_addresses,
                a_new_name_is_refused_while_another_network_holds_addresses_of_its_subnets,
                domains_are_found_by_their_keys,
                a_store_of_another_format_is_left_alone,
            ]
            moves: [
                claims_and_holds_move_whole_within_one_map,
                claims_and_holds_move_whole_between_maps,
                a_move_that_was_cut_off_is_completed,
                a_renamed_network_takes_its_claims_along_in_one_domain_too,
                nothing_that_is_here_is_overwritten,
                what_changed_since_it_was_read_stays,
                what_was_ceded_moves_with_who_ceded_it,
            ]
            status: [
                what_status_reads_does_not_grow_with_what_is_held,
                what_status_reads_of_other_books_does_not_grow_with_what_is_held_there,
            ]
            machines: [
                what_is_of_one_of_node_and_machine_only_is_found,
                gc_finds_its_own_machine_only,
                claims_of_before_a_moment_are_counted,
            ]
            records: [
                whatever_lies_under_a_key_is_survived,
            ]
            repairs: [
                any_one_damaged_key_is_mended,
                an_address_that_two_claim_stays_with_its_record,
                several_damages_of_one_attachment_are_one_repair,
                what_nobody_can_explain_is_left_to_people,
                what_changed_since_it_was_judged_is_left_alone,
                no_repair_takes_anything_from_a_container_that_runs,
            ]
            restorations: [
                whatever_is_forgotten_of_a_container_is_claimed_again,
                an_empty_store_learns_everything_and_a_release_frees_it,
                what_another_holds_is_named_and_left_and_the_rest_is_claimed,
                of_two_that_share_a_forgotten_address_the_first_gets_it,
                a_holder_that_is_gone_cedes_what_a_living_container_has,
                a_hold_ends_where_somebody_has_its_address,
                what_changed_since_a_restoration_was_shown_stays,
                another_address_is_told_and_stays_held,
                a_hold_that_was_shown_ends_and_no_other,
            ]
            reservations: [
                a_reserved_address_goes_to_nobody,
                a_reservation_takes_no_address_from_anybody,
                what_changed_since_a_reservation_was_planned_stays,
                a_reservation_ends_as_it_was_shown_and_no_other,
                a_list_renews_its_own_reservations_alone,
                a_reservation_costs_a_claim_no_read,
                reserved_addresses_are_counted_apart,
                a_damaged_reservation_is_still_one,
                what_is_held_and_reserved_is_left_to_people,
                no_repair_of_a_claim_ends_a_reservation,
                a_reservation_that_says_it_ends_does_not,
                a_reservation_outlives_the_claim_that_was_forgotten,
                reservations_move_with_their_network,
            ]
            exports: [
                an_imported_domain_is_the_one_that_was_exported,
                an_import_of_a_domain_overwrites_nothing,
                a_domain_that_does_not_agree_is_not_exported,
            ]
        }
    };
    ($open:expr; $($room:ident: [$($case:ident),* $(,)?])*) => {
        $(mod $room {
            #[allow(unused_imports, reason = "whatever `$open` names")]
            use super::*;
            $(#[test]
            fn $case() {
                $crate::conformance::block_on(async {
                    let (map, _alive) = $open;
                    $crate::conformance::$room::$case(map.into()).await;
                });
            })*
        })*
    };
}
pub(crate) use conformance;
