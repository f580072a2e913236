// Infrastructure pods get addresses from the head of each range; everybody else gets the lowest free one above it.
// Whatever identifies nodes' own services by address, such as a firewall's rules, can name the head.

#include <stdlib.h>

#include "helpers.h"

// "infrastructure" for pods that get addresses from the head.
#define CLASS "kube-ipam.class"

static const char SCHEMA[] =
    "{\"$schema\": \"https://json-schema.org/draft/2020-12/schema\", \"type\": \"object\", "
    "\"additionalProperties\": false, \"x-annotations\": [\"" CLASS "\"], \"properties\": {"
    "\"head\": {\"description\": \"How many addresses at the start of each range are for infrastructure pods\", "
    "\"type\": \"integer\", \"minimum\": 0, \"maximum\": 65536, \"default\": 16}, "
    "\"proposals\": {\"description\": \"How many candidates one attempt brings; more help when many pods start at "
    "once\", \"type\": \"integer\", \"minimum\": 1, \"maximum\": 64, \"default\": 4}}}";

typedef struct {
  uint64_t head, proposals;
} rule_t;

void exports_kube_ipam_policy_allocator_describe(exports_kube_ipam_policy_allocator_description_t *ret) {
  allocation_policy_string_dup(&ret->name, "reserved-head");
  allocation_policy_string_dup(&ret->version, "0.1.0");
  allocation_policy_string_dup(&ret->summary, "The lowest free address; the head of each range is for infrastructure pods");
  allocation_policy_string_dup(&ret->settings_schema, SCHEMA);
}

static bool read_rule(const text_t *settings, rule_t *rule, text_t *error) {
  *rule = (rule_t){.head = 16, .proposals = 4};
  const setting_t known[] = {{"head", 0, 65536, &rule->head}, {"proposals", 1, MOST_PROPOSALS, &rule->proposals}};
  return read_settings(settings, known, sizeof known / sizeof *known, error);
}

bool exports_kube_ipam_policy_allocator_validate_settings(text_t *settings, text_t *err) {
  rule_t rule;
  return read_rule(settings, &rule, err);
}

static bool read_class(const request_t *request, bool *infrastructure, refusal_t *refusal) {
  const text_t *class = annotation_of(request, CLASS);
  *infrastructure = class != NULL && text_is(class, "infrastructure");
  if (class == NULL || *infrastructure) return true;
  return refuse(refusal, INVALID, "annotation " CLASS " \"%.*s\": expected infrastructure, or no annotation", TEXT(*class));
}

static void search_range(const request_t *request, const range_t *range, uint64_t head, bool infrastructure, size_t most,
                         candidates_t *candidates) {
  number_t first = number_of(&range->span.first), last = number_of(&range->span.last), above = first + head;
  if (infrastructure && head > 0) search(request, range, first, above - 1 < last ? above - 1 : last, most, candidates);
  if (!infrastructure && above <= last) search(request, range, above, last, most, candidates);
}

static bool draw(const request_t *request, size_t set, uint64_t head, bool infrastructure, size_t most,
                 candidates_t *candidates, refusal_t *refusal) {
  for (size_t n = 0; n < request->range_sets.ptr[set].len; n++) {
    search_range(request, &request->range_sets.ptr[set].ptr[n], head, infrastructure, most, candidates);
  }
  if (candidates->count > 0) return true;
  return refuse(refusal, EXHAUSTED,
                "network \"%.*s\" has no free address %s the first %llu of range set %zu (policy.settings.head)",
                TEXT(request->network), infrastructure ? "among" : "above", head, set);
}

bool exports_kube_ipam_policy_allocator_allocate(request_t *request, text_t *settings, proposals_t *ret, refusal_t *err) {
  rule_t rule;
  bool infrastructure;
  err->tag = INVALID;
  if (!read_rule(settings, &rule, &err->val.invalid) || !read_class(request, &infrastructure, err)) return false;
  size_t sets = request->range_sets.len, most = proposals_at(rule.proposals, request->attempt);
  candidates_t *drawn = calloc(sets, sizeof *drawn);
  for (size_t set = 0; set < sets; set++) {
    if (!draw(request, set, rule.head, infrastructure, most, &drawn[set], err)) return false;
  }
  combine(drawn, sets, ret);
  return true;
}
