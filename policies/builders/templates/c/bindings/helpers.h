// What most policies in C need beside the bindings: addresses as numbers, annotations, settings, free addresses, texts.
#pragma once

#include "allocation_policy.h"

typedef allocation_policy_string_t text_t;
typedef kube_ipam_policy_types_ip_address_t address_t;
typedef kube_ipam_policy_types_address_range_t range_t;
typedef kube_ipam_policy_types_assignment_t assignment_t;
typedef kube_ipam_policy_types_request_t request_t;
typedef kube_ipam_policy_types_refusal_t refusal_t;
typedef exports_kube_ipam_policy_allocator_list_proposal_t proposals_t;

// The kinds of a refusal, shortly.
enum {
  EXHAUSTED = KUBE_IPAM_POLICY_TYPES_REFUSAL_EXHAUSTED,
  TAKEN = KUBE_IPAM_POLICY_TYPES_REFUSAL_TAKEN,
  INVALID = KUBE_IPAM_POLICY_TYPES_REFUSAL_INVALID,
  DENIED = KUBE_IPAM_POLICY_TYPES_REFUSAL_DENIED,
};

// The largest number of proposals that the host takes.
enum { MOST_PROPOSALS = 64 };

// An address as a number, to count with; and back, in a family: the tag of another address.
typedef unsigned __int128 number_t;
number_t number_of(const address_t *address);
address_t address_of(uint8_t family, number_t number);

// The value of an annotation of the pod, or NULL.
const text_t *annotation_of(const request_t *request, const char *name);

// Whether a text is this one.
bool text_is(const text_t *text, const char *other);

// A text as printf makes it. Print text_t by "%.*s" with TEXT().
__attribute__((format(printf, 2, 3))) void say(text_t *text, const char *format, ...);
#define TEXT(text) (int)(text).len, (const char *)(text).ptr

// A refusal of a kind; always false, to be returned.
__attribute__((format(printf, 3, 4))) bool refuse(refusal_t *refusal, uint8_t kind, const char *format, ...);

// The whole text as a number of at most 18 digits.
bool read_number(const text_t *text, uint64_t *number);

// A setting that is a whole number, its bounds, and where its value goes; what is there before is the default.
typedef struct {
  const char *name;
  uint64_t least, most;
  uint64_t *value;
} setting_t;

// Read a flat JSON object such as {"proposals": 3}. False with a text that names the setting when it is not understood.
bool read_settings(const text_t *json, const setting_t *known, size_t count, text_t *error);

// How many proposals to bring: four times as many at each retry.
size_t proposals_at(uint64_t proposals, uint32_t attempt);

// Free addresses of one range set, as assignments.
typedef struct {
  assignment_t found[MOST_PROPOSALS];
  size_t count;
} candidates_t;

// Add the addresses of first..last in a range, without the part kept for fixed addresses, until there are `most`: what an
// older sandbox of this very pod still holds, which the new one takes over, and then the free ones.
void search(const request_t *request, const range_t *range, number_t first, number_t last, size_t most, candidates_t *candidates);

// One proposal for each candidate: the n-th has the n-th candidate of every range set, each of which has one at least.
void combine(const candidates_t *drawn, size_t sets, proposals_t *proposals);
