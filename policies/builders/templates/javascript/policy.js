// The lowest free address of every range set, at or above an offset that the pod may name.
//
// The world is wit/policy.wit: records are objects with camelCase keys, variants { tag, val }, options null or the
// value, enums their names; a result's error is thrown. There is no clock, no randomness, no file and no console:
// `log.write` writes to the host's log.

import log from "kube-ipam:policy/log@0.1.0";
import pool from "kube-ipam:policy/pool@0.1.0";

// The least distance of the pod's address from the start of its range.
const OFFSET = "kube-ipam.offset";
const MOST_PROPOSALS = 16;

const SCHEMA = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  type: "object",
  additionalProperties: false,
  // A pod with another annotation beginning with kube-ipam. is refused by the host.
  "x-annotations": [OFFSET],
  properties: {
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
    name: "new-policy",
    version: "0.1.0",
    summary: "The lowest free addresses, at or above an offset that the pod may name",
    settingsSchema: JSON.stringify(SCHEMA),
  }),

  // Throws a text that names the setting, what it held and what was expected.
  validateSettings(text) {
    decode(text);
  },

  // Returns proposals, best first, or throws a refusal.
  allocate(request, text) {
    const offset = offsetOf(request);
    const most = Math.min(MOST_PROPOSALS, decode(text).proposals * 4 ** Math.min(request.attempt, 3));
    const drawn = request.rangeSets.map((_, nth) => candidates(request, nth, offset, most));
    log.write("debug", `${drawn.length} range sets, from offset ${offset} on`);
    // The n-th proposal has the n-th candidate of every range set; the host claims the first that is still free.
    const longest = Math.max(...drawn.map((list) => list.length));
    return Array.from({ length: longest }, (_, nth) => drawn.map((list) => list[nth % list.length]));
  },
};

function decode(text) {
  const { proposals = 4, ...unknown } = parse(text);
  for (const name of Object.keys(unknown)) {
    throw `policy.settings.${name}: unknown field, expected proposals`;
  }
  if (!Number.isInteger(proposals) || proposals < 1 || proposals > MOST_PROPOSALS) {
    throw `policy.settings.proposals: ${JSON.stringify(proposals)}: expected a whole number from 1 to ${MOST_PROPOSALS}`;
  }
  return { proposals };
}

function parse(text) {
  let settings = null;
  try {
    settings = JSON.parse(text);
  } catch (error) {
    throw `policy.settings: ${error.message}`;
  }
  if (typeof settings !== "object" || settings === null || Array.isArray(settings)) {
    throw "policy.settings: expected an object";
  }
  return settings;
}

// A value that cannot be followed is refused, never ignored.
function offsetOf(request) {
  const [, value] = request.pod?.annotations.find(([name]) => name === OFFSET) ?? [OFFSET, "0"];
  if (!/^[0-9]{1,18}$/.test(value)) {
    // The beginning is enough to find it; a refusal has at most 4,096 bytes.
    throw refusal("invalid", `annotation ${OFFSET} ${JSON.stringify(value.slice(0, 40))}: expected a whole number`);
  }
  return BigInt(value);
}

// Free addresses of a range set: outside the part kept for fixed addresses, at the offset or above.
function candidates(request, nth, offset, most) {
  const ranges = request.rangeSets[nth];
  const parts = ranges.flatMap((range) => dynamicParts(range, offset).map((part) => ({ range, ...part })));
  if (parts.length === 0) {
    const network = JSON.stringify(request.network);
    throw refusal("invalid", `annotation ${OFFSET} "${offset}": range set ${nth} of network ${network} ends below`);
  }
  const found = [];
  for (const { range, first, last } of parts) {
    found.push(...previousIn(request, range, first, last));
    let from = first;
    while (found.length < most && from <= last) {
      const address = pool.nextFreeWithin({ first: toAddress(range, from), last: toAddress(range, last) });
      if (address === null) break;
      found.push(assignment(range, address));
      from = toNumber(address) + 1n;
    }
  }
  if (found.length === 0) {
    const { size, held } = pool.usage(nth);
    const network = JSON.stringify(request.network);
    throw refusal("exhausted", `network ${network} has no free address: ${held} of ${size} addresses of range set ${nth} are held`);
  }
  return found;
}

// What an older sandbox of this very pod still holds: proposing it is not a race, the new one takes it over.
function previousIn(request, range, first, last) {
  const isHere = (address) => address.tag === range.subnet.address.tag && isUsable(range, first, last, toNumber(address));
  return request.previous.filter(isHere).map((address) => assignment(range, address));
}

function isUsable({ gateway, excluded }, first, last, number) {
  const contains = ({ address, length }) => {
    const hosts = BigInt((address.tag === "ipv4" ? 32 : 128) - length);
    return toNumber(address) >> hosts === number >> hosts;
  };
  const isGateway = gateway !== null && toNumber(gateway) === number;
  return first <= number && number <= last && !isGateway && !excluded.some(contains);
}

function dynamicParts({ span, fixed }, offset) {
  const [first, last] = [toNumber(span.first) + offset, toNumber(span.last)];
  let parts = [{ first, last }];
  if (fixed !== null) {
    const [low, high] = [toNumber(fixed.first), toNumber(fixed.last)];
    if (low <= last && first <= high) parts = [{ first, last: low - 1n }, { first: high + 1n, last }];
  }
  return parts.filter((part) => part.first <= part.last);
}

function assignment(range, address) {
  return { address, prefixLength: range.subnet.length, gateway: range.gateway, kind: "dynamic", hold: null, slot: null };
}

function refusal(tag, val) {
  return { tag, val };
}

// An address as a number and back. Parts come most significant first: four of 8 bits or eight of 16.
function toNumber({ tag, val }) {
  const width = tag === "ipv4" ? 8n : 16n;
  return val.reduce((number, part) => (number << width) | BigInt(part), 0n);
}

function toAddress(range, number) {
  const tag = range.subnet.address.tag;
  const [count, width] = tag === "ipv4" ? [4, 8n] : [8, 16n];
  const part = (nth) => Number((number >> (width * BigInt(count - 1 - nth))) & ((1n << width) - 1n));
  return { tag, val: Array.from({ length: count }, (_, nth) => part(nth)) };
}
