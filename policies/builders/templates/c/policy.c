// The lowest free address of every range set, at or above an offset that the pod may name.
//
// The world is wit/policy.wit; bindings/allocation_policy.h is made of it, bindings/helpers.h is for convenience. What is
// handed out in `ret` is freed by the bindings. Nothing else needs to be: the module's memory ends with the call. There
// is no clock, no randomness and no file; kube_ipam_policy_log_write writes to the host's log.

#include <stdlib.h>

#include "helpers.h"

// The least distance of the pod's address from the start of its range. Annotations beginning with kube-ipam. that
// x-annotations of the schema does not name are refused by the host.
#define OFFSET "kube-ipam.offset"

static const char SCHEMA[] =
    "{\"$schema\": \"https://json-schema.org/draft/2020-12/schema\", \"type\": \"object\", "
    "\"additionalProperties\": false, \"x-annotations\": [\"" OFFSET "\"], \"properties\": {\"proposals\": {\"description\": \"How many candidates one "
    "attempt brings; more help when many pods start at once\", \"type\": \"integer\", \"minimum\": 1, "
    "\"maximum\": 64, \"default\": 4}}}";

void exports_kube_ipam_policy_allocator_describe(exports_kube_ipam_policy_allocator_description_t *ret) {
  allocation_policy_string_dup(&ret->name, "new-policy");
  allocation_policy_string_dup(&ret->version, "0.1.0");
  allocation_policy_string_dup(&ret->summary, "The lowest free addresses, at or above an offset that the pod may name");
  allocation_policy_string_dup(&ret->settings_schema, SCHEMA);
}

static bool read_proposals(const text_t *settings, uint64_t *proposals, text_t *error) {
  *proposals = 4;
  const setting_t known[] = {{"proposals", 1, MOST_PROPOSALS, proposals}};
  return read_settings(settings, known, 1, error);
}

// The error names the setting, what it held and what was expected.
bool exports_kube_ipam_policy_allocator_validate_settings(text_t *settings, text_t *err) {
  uint64_t proposals;
  return read_proposals(settings, &proposals, err);
}

// A value that cannot be followed is refused, never ignored.
static bool read_offset(const request_t *request, uint64_t *offset, refusal_t *refusal) {
  const text_t *value = annotation_of(request, OFFSET);
  *offset = 0;
  if (value == NULL || read_number(value, offset)) return true;
  // A refusal has at most 4,096 bytes, and a character must not be cut in two.
  if (value->len > 40) return refuse(refusal, INVALID, "annotation " OFFSET ": expected a whole number");
  return refuse(refusal, INVALID, "annotation " OFFSET " \"%.*s\": expected a whole number", TEXT(*value));
}

// Free addresses of a range set, at the offset or above.
static bool draw(const request_t *request, size_t set, uint64_t offset, size_t most, candidates_t *candidates,
                 refusal_t *refusal) {
  bool reached = false;
  for (size_t n = 0; n < request->range_sets.ptr[set].len; n++) {
    const range_t *range = &request->range_sets.ptr[set].ptr[n];
    number_t first = number_of(&range->span.first) + offset, last = number_of(&range->span.last);
    reached |= first <= last;
    if (first <= last) search(request, range, first, last, most, candidates);
  }
  if (candidates->count > 0) return true;
  text_t network = request->network;
  if (!reached) {
    return refuse(refusal, INVALID, "annotation " OFFSET " \"%llu\": range set %zu of network \"%.*s\" ends below", offset,
                  set, TEXT(network));
  }
  kube_ipam_policy_types_usage_t usage;
  kube_ipam_policy_pool_usage(set, &usage);
  return refuse(refusal, EXHAUSTED, "network \"%.*s\" has no free address: %llu of %llu addresses of range set %zu are held",
                TEXT(network), usage.held, usage.size, set);
}

// True with proposals, best first, or false with a refusal.
bool exports_kube_ipam_policy_allocator_allocate(request_t *request, text_t *settings, proposals_t *ret, refusal_t *err) {
  uint64_t proposals, offset;
  err->tag = INVALID;
  if (!read_proposals(settings, &proposals, &err->val.invalid) || !read_offset(request, &offset, err)) return false;
  size_t sets = request->range_sets.len, most = proposals_at(proposals, request->attempt);
  candidates_t *drawn = calloc(sets, sizeof *drawn);
  for (size_t set = 0; set < sets; set++) {
    if (!draw(request, set, offset, most, &drawn[set], err)) return false;
  }
  combine(drawn, sets, ret);
  return true;
}
