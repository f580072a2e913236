// A pod gets an address of the zone that its annotation names: a part of the network that firewalls know by its addresses.

import pool from "kube-ipam:policy/pool@0.1.0";
import { addressOf, familyOf, numberOf, parseSpan } from "./address.js";

const ZONE = "kube-ipam.zone";
const MOST_PROPOSALS = 16;

const SCHEMA = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object",
  additionalProperties: false,
  // A pod with another annotation beginning with kube-ipam. is refused by the host.
  "x-annotations": [ZONE],
  required: ["zones"],
  properties: {
    zones: {
      description: "The addresses of each zone: addresses, ranges first-last and subnets address/length",
      type: "object",
      additionalProperties: { type: "array", items: { type: "string" }, minItems: 1 },
    },
    default: { description: "The zone of pods without the annotation; absent: they are denied", type: "string" },
    proposals: {
      description: "How many candidates one attempt brings; more help when many pods start at once",
      type: "integer",
      minimum: 1,
      maximum: MOST_PROPOSALS,
      default: 4,
    },
  },
};

export const allocator = {
  describe: () => ({
    name: "zones",
    version: "0.1.0",
    summary: "A pod gets an address of the zone that its annotation names",
    settingsSchema: JSON.stringify(SCHEMA),
  }),

  validateSettings(text) {
    decode(text);
  },

  allocate(request, text) {
    const settings = decode(text);
    const zone = zoneOf(request, settings);
    const most = Math.min(MOST_PROPOSALS, settings.proposals * 4 ** Math.min(request.attempt, 3));
    const drawn = request.rangeSets.map((_, nth) => candidates(request, nth, zone, settings.zones[zone], most));
    const longest = Math.max(...drawn.map((list) => list.length));
    return Array.from({ length: longest }, (_, nth) => drawn.map((list) => list[nth % list.length]));
  },
};

function decode(text) {
  const { zones, default: otherwise, proposals = 4, ...unknown } = parse(text);
  for (const name of Object.keys(unknown)) throw `policy.settings.${name}: unknown field`;
  if (!isObject(zones)) throw "policy.settings.zones: expected an object, the spans of each zone by its name";
  if (otherwise !== undefined && !Object.hasOwn(zones, otherwise)) {
    throw `policy.settings.default: ${JSON.stringify(otherwise)}: expected one of ${Object.keys(zones).join(", ")}`;
  }
  if (!Number.isInteger(proposals) || proposals < 1 || proposals > MOST_PROPOSALS) {
    throw `policy.settings.proposals: ${JSON.stringify(proposals)}: expected a whole number from 1 to ${MOST_PROPOSALS}`;
  }
  const spans = ([name, list]) => [name, spansOf(`policy.settings.zones.${name}`, list)];
  return { zones: Object.fromEntries(Object.entries(zones).map(spans)), otherwise, proposals };
}

function parse(text) {
  let settings = null;
  try {
    settings = JSON.parse(text);
  } catch (error) {
    throw `policy.settings: ${error.message}`;
  }
  if (!isObject(settings)) throw "policy.settings: expected an object";
  return settings;
}

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

function spansOf(setting, list) {
  if (!Array.isArray(list) || list.length === 0) throw `${setting}: expected a list of spans, at least one`;
  return list.map((text, nth) => {
    const span = typeof text === "string" ? parseSpan(text) : null;
    if (span === null) {
      throw `${setting}[${nth}]: ${JSON.stringify(text)}: expected an address, a range first-last or a subnet address/length`;
    }
    return span;
  });
}

function zoneOf(request, { zones, otherwise }) {
  const named = request.pod?.annotations.find(([name]) => name === ZONE)?.[1];
  if (named === undefined && otherwise === undefined) {
    throw { tag: "denied", val: `the pod names no zone: annotation ${ZONE}, one of ${Object.keys(zones).join(", ")}` };
  }
  if (named !== undefined && !Object.hasOwn(zones, named)) {
    const known = Object.keys(zones).join(", ");
    throw { tag: "invalid", val: `annotation ${ZONE} ${JSON.stringify(named)}: expected one of ${known}` };
  }
  return named ?? otherwise;
}

// Free addresses of a range set in the zone, outside the part kept for fixed addresses.
function candidates(request, nth, zone, spans, most) {
  const found = [];
  for (const range of request.rangeSets[nth]) {
    for (const part of spans.flatMap((span) => partsIn(range, span))) {
      found.push(...previousIn(request, range, part));
      let first = part.first;
      while (found.length < most && first <= part.last) {
        const family = familyOf(range.span.first);
        const free = pool.nextFreeWithin({ first: addressOf(family, first), last: addressOf(family, part.last) });
        if (free === null) break;
        found.push(assignment(range, free));
        first = numberOf(free) + 1n;
      }
    }
  }
  if (found.length === 0) {
    const place = `range set ${nth} of network ${JSON.stringify(request.network)}`;
    throw { tag: "exhausted", val: `zone ${zone} has no free address in ${place} (policy.settings.zones.${zone})` };
  }
  return found;
}

function assignment(range, address) {
  return { address, prefixLength: range.subnet.length, gateway: range.gateway, kind: "dynamic", hold: null, slot: null };
}

// What an older sandbox of this very pod still holds: proposing it is not a race, the new one takes it over.
function previousIn(request, range, { first, last }) {
  const isHere = (address) => familyOf(address) === familyOf(range.span.first) && isUsable(range, first, last, numberOf(address));
  return request.previous.filter(isHere).map((address) => assignment(range, address));
}

function isUsable({ gateway, excluded }, first, last, number) {
  const contains = ({ address, length }) => {
    const hosts = BigInt((familyOf(address) === "ipv4" ? 32 : 128) - length);
    return numberOf(address) >> hosts === number >> hosts;
  };
  const isGateway = gateway !== null && numberOf(gateway) === number;
  return first <= number && number <= last && !isGateway && !excluded.some(contains);
}

// What a zone's span has in common with a range, without the part kept for fixed addresses.
function partsIn({ span: { first, last }, fixed }, zone) {
  if (familyOf(first) !== zone.family) return [];
  const [low, high] = [numberOf(first), numberOf(last)];
  const common = { first: zone.first > low ? zone.first : low, last: zone.last < high ? zone.last : high };
  let parts = [common];
  if (fixed !== null) {
    const [from, to] = [numberOf(fixed.first), numberOf(fixed.last)];
    if (from <= common.last && common.first <= to) {
      parts = [{ first: common.first, last: from - 1n }, { first: to + 1n, last: common.last }];
    }
  }
  return parts.filter((part) => part.first <= part.last);
}
