"""Every team has a fair share of the network: the range is divided by weights, and what is idle is lent.

A team is the pod's namespace. Its pods get addresses of the team's own part. When that is full, they may have one of
the others', but only while the range as a whole is not fuller than a limit.
"""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports.allocator import Description
from wit_world.imports import pool
from wit_world.imports.types import (
    Assignment,
    AssignmentKind,
    IpAddress_Ipv4,
    IpAddress_Ipv6,
    IpSpan,
    Refusal_Denied,
    Refusal_Exhausted,
)

# The share of every namespace that has none of its own, together.
OTHERS = "*"
MOST_PROPOSALS = 64

SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "additionalProperties": False,
    # A pod with another annotation beginning with kube-ipam. is refused by the host.
    "x-annotations": [],
    "required": ["shares"],
    "properties": {
        "shares": {
            "description": f'The weight of each namespace; "{OTHERS}" is for all others together, absent: they are denied',
            "type": "object",
            "additionalProperties": {"type": "integer", "minimum": 1, "maximum": 1000},
            "minProperties": 1,
        },
        "lend": {
            "description": "How full the range may be, in percent, for a team to get addresses beyond its share",
            "type": "integer",
            "minimum": 0,
            "maximum": 100,
            "default": 75,
        },
        "proposals": {
            "description": "How many candidates one attempt brings; more help when many pods start at once",
            "type": "integer",
            "minimum": 1,
            "maximum": MOST_PROPOSALS,
            "default": 4,
        },
    },
}


class Allocator(exports.Allocator):
    def describe(self):
        summary = "Every namespace has a share of the range by weight; what is idle is lent"
        return Description("fair-share", "0.1.0", summary, json.dumps(SCHEMA))

    def validate_settings(self, settings):
        Settings(settings)

    def allocate(self, request, settings):
        settings = Settings(settings)
        team = settings.team_of(request)
        most = min(MOST_PROPOSALS, settings.proposals * 4 ** min(request.attempt, 3))
        drawn = [candidates(request, nth, team, settings, most) for nth in range(len(request.range_sets))]
        longest = max(map(len, drawn))
        return [[found[nth % len(found)] for found in drawn] for nth in range(longest)]


class Settings:
    def __init__(self, text):
        given = parse(text)
        for name in given.keys() - {"shares", "lend", "proposals"}:
            raise Err(f"policy.settings.{name}: unknown field")
        shares = given.get("shares")
        if not isinstance(shares, dict) or not shares:
            raise Err("policy.settings.shares: expected an object, the weight of each namespace by its name")
        self.shares = {name: number(f"shares.{name}", weight, 1, 1000) for name, weight in shares.items()}
        self.lend = number("lend", given.get("lend", 75), 0, 100)
        self.proposals = number("proposals", given.get("proposals", 4), 1, MOST_PROPOSALS)

    def team_of(self, request):
        namespace = (request.pod.namespace or None) if request.pod else None
        if namespace in self.shares:
            return namespace
        if OTHERS in self.shares:
            return OTHERS
        who = "an attachment without a pod" if namespace is None else f"namespace {namespace}"
        raise Err(Refusal_Denied(f'{who} has no share of the network: add it, or "{OTHERS}", to policy.settings.shares'))

    def slice_of(self, team, size):
        """Where a team's part of so many addresses begins, and where it ends. Parts lie in the order of names."""
        names = sorted(self.shares)
        before = sum(self.shares[name] for name in names[: names.index(team)])
        total = sum(self.shares.values())
        return size * before // total, size * (before + self.shares[team]) // total


def parse(text):
    # Told from the first character, before a parser follows it into any depth.
    if not text.lstrip().startswith("{"):
        raise Err("policy.settings: expected an object")
    try:
        return json.loads(text)
    except ValueError as error:
        raise Err(f"policy.settings: {error}")


def number(name, value, least, most):
    if type(value) is not int or not least <= value <= most:
        found = json.dumps(value)
        raise Err(f"policy.settings.{name}: {found}: expected a whole number from {least} to {most}")
    return value


def candidates(request, nth, team, settings, most):
    """Free addresses of the team's part; beyond it only while the range has room to lend."""
    parts = dynamic_parts(request.range_sets[nth])
    size = sum(last - first + 1 for _, first, last in parts)
    begin, end = settings.slice_of(team, size)
    found = search(request, cut(parts, begin, end), most)
    if found:
        return found
    usage = pool.usage(nth)
    # What the pod was lent it keeps, however full the range is by now.
    if request.previous or usage.held * 100 <= usage.size * settings.lend:
        found = search(request, cut(parts, end, size) + cut(parts, 0, begin), most)
    if found:
        return found
    share = f"its share of {end - begin} addresses in range set {nth} of network {json.dumps(request.network)} is used up"
    fill = f"{usage.held} of {usage.size} are held, and beyond {settings.lend} % nothing is lent"
    raise Err(Refusal_Exhausted(f"team {team} has no free address: {share}; {fill} (policy.settings.lend)"))


def dynamic_parts(ranges):
    """Where dynamic addresses come from: (range, first, last), without what is kept for fixed addresses."""
    parts = []
    for rng in ranges:
        first, last = to_number(rng.span.first), to_number(rng.span.last)
        low, high = (to_number(rng.fixed.first), to_number(rng.fixed.last)) if rng.fixed else (last + 1, last)
        if low > last or first > high:
            parts.append((rng, first, last))
        else:
            parts += [(rng, first, low - 1), (rng, high + 1, last)]
    return [(rng, first, last) for rng, first, last in parts if first <= last]


def cut(parts, begin, end):
    """The addresses number `begin` up to, not including, `end`, counted through all parts."""
    pieces = []
    for rng, first, last in parts:
        low, high = max(first, first + begin), min(last, first + end - 1)
        if low <= high:
            pieces.append((rng, low, high))
        begin, end = begin - (last - first + 1), end - (last - first + 1)
    return pieces


def search(request, parts, most):
    """The lowest free addresses, as assignments."""
    found = []
    for rng, first, last in parts:
        found += previous_in(request, rng, first, last)
        while len(found) < most and first <= last:
            address = pool.next_free_within(IpSpan(to_address(rng, first), to_address(rng, last)))
            if address is None:
                break
            found.append(assignment(rng, address))
            first = to_number(address) + 1
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
