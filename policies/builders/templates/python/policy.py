"""The lowest free address of every range set, at or above an offset that the pod may name.

The world is wit/policy.wit: records are data classes, variants classes such as IpAddress_Ipv4 with a `value`, options
None or the value; a result's error is raised as Err(...). There is no clock, no randomness, no file and no print:
`log.write` writes to the host's log. What happens when this module is imported happens once, in the build.
"""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.allocator import Description
from wit_world.imports import log, pool
from wit_world.imports.types import (
    Assignment,
    AssignmentKind,
    IpAddress_Ipv4,
    IpAddress_Ipv6,
    IpSpan,
    Refusal_Exhausted,
    Refusal_Invalid,
)

# The least distance of the pod's address from the start of its range.
OFFSET = "kube-ipam.offset"
MOST_PROPOSALS = 64

SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": False,
    # A pod with another annotation beginning with kube-ipam. is refused by the host.
    "x-annotations": [OFFSET],
    "properties": {
        "proposals": {
            "description": "How many candidates one attempt brings; more help when many pods start at once",
            "type": "integer",
            "minimum": 1,
            "maximum": MOST_PROPOSALS,
            "default": 4,
        }
    },
}


class Allocator(exports.Allocator):
    def describe(self):
        summary = "The lowest free addresses, at or above an offset that the pod may name"
        return Description("new-policy", "0.1.0", summary, json.dumps(SCHEMA))

    def validate_settings(self, settings):
        """Raises a text that names the setting, what it held and what was expected."""
        proposals_of(settings)

    def allocate(self, request, settings):
        """Returns proposals, best first, or raises a refusal."""
        offset = offset_of(request)
        most = min(MOST_PROPOSALS, proposals_of(settings) * 4 ** min(request.attempt, 3))
        drawn = [candidates(request, nth, offset, most) for nth in range(len(request.range_sets))]
        log.write(log.Level.DEBUG, f"{len(drawn)} range sets, from offset {offset} on")
        # The n-th proposal has the n-th candidate of every range set; the host claims the first that is still free.
        longest = max(map(len, drawn))
        return [[found[nth % len(found)] for found in drawn] for nth in range(longest)]


def parse(text):
    # Told from the first character, before a parser follows it into any depth.
    if not text.lstrip().startswith("{"):
        raise Err("policy.settings: expected an object")
    try:
        return json.loads(text)
    except ValueError as error:
        raise Err(f"policy.settings: {error}")


def proposals_of(settings):
    settings = parse(settings)
    for name in settings.keys() - {"proposals"}:
        raise Err(f"policy.settings.{name}: unknown field, expected proposals")
    proposals = settings.get("proposals", 4)
    if type(proposals) is not int or not 1 <= proposals <= MOST_PROPOSALS:
        found = json.dumps(proposals)
        raise Err(f"policy.settings.proposals: {found}: expected a whole number from 1 to {MOST_PROPOSALS}")
    return proposals


def offset_of(request):
    """A value that cannot be followed is refused, never ignored."""
    value = dict(request.pod.annotations).get(OFFSET, "0") if request.pod else "0"
    if not (value.isascii() and value.isdigit() and len(value) <= 18):
        # The beginning is enough to find it; a refusal has at most 4,096 bytes.
        raise Err(Refusal_Invalid(f"annotation {OFFSET} {json.dumps(value[:40])}: expected a whole number"))
    return int(value)


def candidates(request, nth, offset, most):
    """Free addresses of a range set: outside the part kept for fixed addresses, at the offset or above."""
    network = json.dumps(request.network)
    parts = [(rng, *part) for rng in request.range_sets[nth] for part in dynamic_parts(rng, offset)]
    if not parts:
        raise Err(Refusal_Invalid(f'annotation {OFFSET} "{offset}": range set {nth} of network {network} ends below'))
    found = []
    for rng, first, last in parts:
        found += previous_in(request, rng, first, last)
        while len(found) < most and first <= last:
            address = pool.next_free_within(IpSpan(to_address(rng, first), to_address(rng, last)))
            if address is None:
                break
            found.append(assignment(rng, address))
            first = to_number(address) + 1
    if not found:
        usage = pool.usage(nth)
        held = f"{usage.held} of {usage.size} addresses of range set {nth} are held"
        raise Err(Refusal_Exhausted(f"network {network} has no free address: {held}"))
    return found


def previous_in(request, rng, first, last):
    """What an older sandbox of this very pod still holds: proposing it is not a race, the new one takes it over."""
    family = type(rng.subnet.address)
    return [assignment(rng, one) for one in request.previous if isinstance(one, family) and is_usable(rng, first, last, to_number(one))]


def is_usable(rng, first, last, number):
    def contains(part):
        hosts = (32 if isinstance(part.address, IpAddress_Ipv4) else 128) - part.length
        return to_number(part.address) >> hosts == number >> hosts

    is_gateway = rng.gateway is not None and to_number(rng.gateway) == number
    return first <= number <= last and not is_gateway and not any(map(contains, rng.excluded))


def assignment(rng, address):
    return Assignment(address, rng.subnet.length, rng.gateway, AssignmentKind.DYNAMIC, None, None)


def dynamic_parts(rng, offset):
    first, last = to_number(rng.span.first) + offset, to_number(rng.span.last)
    parts = [(first, last)]
    if rng.fixed is not None:
        low, high = to_number(rng.fixed.first), to_number(rng.fixed.last)
        if low <= last and first <= high:
            parts = [(first, low - 1), (high + 1, last)]
    return [(first, last) for first, last in parts if first <= last]


def to_number(address):
    """Parts come most significant first: four of 8 bits or eight of 16."""
    width = 8 if isinstance(address, IpAddress_Ipv4) else 16
    number = 0
    for part in address.value:
        number = number << width | part
    return number


def to_address(rng, number):
    """The address of a number, in the family of a range."""
    if isinstance(rng.subnet.address, IpAddress_Ipv4):
        return IpAddress_Ipv4(tuple(number.to_bytes(4, "big")))
    return IpAddress_Ipv6(tuple(number >> 16 * (7 - nth) & 0xFFFF for nth in range(8)))
