// See helpers.h.

#include "helpers.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST = 512 };

number_t number_of(const address_t *address) {
  if (address->tag == KUBE_IPAM_POLICY_TYPES_IP_ADDRESS_IPV4) {
    const allocation_policy_tuple4_u8_u8_u8_u8_t *v4 = &address->val.ipv4;
    return (number_t)v4->f0 << 24 | (number_t)v4->f1 << 16 | (number_t)v4->f2 << 8 | v4->f3;
  }
  const uint16_t *parts = &address->val.ipv6.f0;
  number_t number = 0;
  for (int n = 0; n < 8; n++) number = number << 16 | parts[n];
  return number;
}

address_t address_of(uint8_t family, number_t number) {
  address_t address = {.tag = family};
  if (family == KUBE_IPAM_POLICY_TYPES_IP_ADDRESS_IPV4) {
    address.val.ipv4 = (allocation_policy_tuple4_u8_u8_u8_u8_t){number >> 24, number >> 16, number >> 8, number};
    return address;
  }
  uint16_t *parts = &address.val.ipv6.f0;
  for (int n = 0; n < 8; n++) parts[n] = (uint16_t)(number >> (16 * (7 - n)));
  return address;
}

bool text_is(const text_t *text, const char *other) {
  return text->len == strlen(other) && memcmp(text->ptr, other, text->len) == 0;
}

const text_t *annotation_of(const request_t *request, const char *name) {
  if (!request->pod.is_some) return NULL;
  const allocation_policy_list_tuple2_string_string_t *all = &request->pod.val.annotations;
  for (size_t n = 0; n < all->len; n++) {
    if (text_is(&all->ptr[n].f0, name)) return &all->ptr[n].f1;
  }
  return NULL;
}

static void vsay(text_t *text, const char *format, va_list arguments) {
  char buffer[LONGEST];
  vsnprintf(buffer, sizeof buffer, format, arguments);
  allocation_policy_string_dup(text, buffer);
}

void say(text_t *text, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsay(text, format, arguments);
  va_end(arguments);
}

bool refuse(refusal_t *refusal, uint8_t kind, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  refusal->tag = kind;
  vsay(&refusal->val.invalid, format, arguments);
  va_end(arguments);
  return false;
}

bool read_number(const text_t *text, uint64_t *number) {
  uint64_t value = 0;
  if (text->len == 0 || text->len > 18) return false;
  for (size_t n = 0; n < text->len; n++) {
    if (text->ptr[n] < '0' || text->ptr[n] > '9') return false;
    value = value * 10 + (text->ptr[n] - '0');
  }
  *number = value;
  return true;
}

// A JSON parser would be larger than most policies; settings of other types are worth one.

// What is left of the JSON text.
typedef struct {
  uint8_t *at, *end;
} rest_t;

static bool is_one_of(uint8_t byte, const char *these) { return memchr(these, byte, strlen(these)) != NULL; }

static void skip_blanks(rest_t *rest) {
  while (rest->at < rest->end && is_one_of(*rest->at, " \t\r\n")) rest->at++;
}

static bool take(rest_t *rest, uint8_t wanted) {
  skip_blanks(rest);
  if (rest->at == rest->end || *rest->at != wanted) return false;
  rest->at++;
  return true;
}

// Up to one of these, which is not taken.
static text_t until(rest_t *rest, const char *ends) {
  text_t text = {rest->at, 0};
  while (rest->at < rest->end && !is_one_of(*rest->at, ends)) rest->at++;
  text.len = rest->at - text.ptr;
  return text;
}

static bool wrong(text_t *error, const char *why) { return say(error, "policy.settings: %s", why), false; }

static bool read_setting(rest_t *rest, const setting_t *known, size_t count, text_t *error) {
  if (!take(rest, '"')) return wrong(error, "expected the name of a setting");
  text_t name = until(rest, "\"");
  if (!take(rest, '"') || !take(rest, ':')) return wrong(error, "expected a colon");
  skip_blanks(rest);
  text_t value = until(rest, ", \t\r\n}");
  for (size_t n = 0; n < count; n++) {
    const setting_t *setting = &known[n];
    if (!text_is(&name, setting->name)) continue;
    if (read_number(&value, setting->value) && *setting->value >= setting->least && *setting->value <= setting->most) {
      return true;
    }
    say(error, "policy.settings.%s: %.*s: expected a whole number from %llu to %llu", setting->name, TEXT(value),
        setting->least, setting->most);
    return false;
  }
  return say(error, "policy.settings.%.*s: unknown field", TEXT(name)), false;
}

static bool ends(rest_t *rest, text_t *error) {
  bool closed = take(rest, '}');
  skip_blanks(rest);
  return (closed && rest->at == rest->end) || wrong(error, "expected the object, and the text, to end");
}

bool read_settings(const text_t *json, const setting_t *known, size_t count, text_t *error) {
  rest_t rest = {json->ptr, json->ptr + json->len};
  if (!take(&rest, '{')) return wrong(error, "expected an object");
  skip_blanks(&rest);
  if (rest.at < rest.end && *rest.at == '}') return ends(&rest, error);
  do {
    if (!read_setting(&rest, known, count, error)) return false;
  } while (take(&rest, ','));
  return ends(&rest, error);
}

size_t proposals_at(uint64_t proposals, uint32_t attempt) {
  uint64_t most = proposals << (2 * (attempt < 3 ? attempt : 3));
  return most < MOST_PROPOSALS ? most : MOST_PROPOSALS;
}

static void add(const range_t *range, address_t address, candidates_t *candidates) {
  candidates->found[candidates->count++] = (assignment_t){
      .address = address,
      .prefix_length = range->subnet.length,
      .gateway = range->gateway,
      .kind = KUBE_IPAM_POLICY_TYPES_ASSIGNMENT_KIND_DYNAMIC,
  };
}

static bool is_excluded(const range_t *range, number_t number) {
  int bits = range->subnet.address.tag == KUBE_IPAM_POLICY_TYPES_IP_ADDRESS_IPV4 ? 32 : 128;
  for (size_t n = 0; n < range->excluded.len; n++) {
    int hosts = bits - range->excluded.ptr[n].length;
    if (hosts == bits || number_of(&range->excluded.ptr[n].address) >> hosts == number >> hosts) return true;
  }
  return false;
}

// Proposing what the pod holds already is no race.
static void take_over(const request_t *request, const range_t *range, number_t first, number_t last, size_t most,
                      candidates_t *candidates) {
  for (size_t n = 0; n < request->previous.len && candidates->count < most; n++) {
    address_t address = request->previous.ptr[n];
    number_t number = number_of(&address);
    if (address.tag != range->subnet.address.tag || number < first || number > last) continue;
    if (range->gateway.is_some && number_of(&range->gateway.val) == number) continue;
    if (!is_excluded(range, number)) add(range, address, candidates);
  }
}

static void search_part(const request_t *request, const range_t *range, number_t first, number_t last, size_t most, candidates_t *candidates) {
  uint8_t family = range->subnet.address.tag;
  take_over(request, range, first, last, most, candidates);
  while (candidates->count < most && first <= last) {
    address_t free;
    kube_ipam_policy_types_ip_span_t span = {address_of(family, first), address_of(family, last)};
    if (!kube_ipam_policy_pool_next_free_within(&span, &free)) return;
    add(range, free, candidates);
    first = number_of(&free) + 1;
  }
}

void search(const request_t *request, const range_t *range, number_t first, number_t last, size_t most,
            candidates_t *candidates) {
  if (!range->fixed.is_some) return search_part(request, range, first, last, most, candidates);
  number_t low = number_of(&range->fixed.val.first), high = number_of(&range->fixed.val.last);
  if (first < low) search_part(request, range, first, last < low ? last : low - 1, most, candidates);
  if (last > high) search_part(request, range, first > high ? first : high + 1, last, most, candidates);
}

void combine(const candidates_t *drawn, size_t sets, proposals_t *proposals) {
  size_t longest = 0;
  for (size_t set = 0; set < sets; set++) {
    if (drawn[set].count > longest) longest = drawn[set].count;
  }
  proposals->len = longest;
  proposals->ptr = calloc(longest, sizeof *proposals->ptr);
  for (size_t nth = 0; nth < longest; nth++) {
    proposals->ptr[nth].len = sets;
    proposals->ptr[nth].ptr = calloc(sets, sizeof(assignment_t));
    for (size_t set = 0; set < sets; set++) proposals->ptr[nth].ptr[set] = drawn[set].found[nth % drawn[set].count];
  }
}
