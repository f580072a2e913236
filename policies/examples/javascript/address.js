// Addresses as texts and as numbers. Those of the world are { tag: "ipv4" | "ipv6", val: parts }, most significant first.

const PARTS = { ipv4: { count: 4, width: 8n, bits: 32 }, ipv6: { count: 8, width: 16n, bits: 128 } };

export const familyOf = (address) => address.tag;

export function numberOf({ tag, val }) {
  return val.reduce((number, part) => (number << PARTS[tag].width) | BigInt(part), 0n);
}

export function addressOf(tag, number) {
  const { count, width } = PARTS[tag];
  const part = (nth) => Number((number >> (width * BigInt(count - 1 - nth))) & ((1n << width) - 1n));
  return { tag, val: Array.from({ length: count }, (_, nth) => part(nth)) };
}

// { family, first, last } of `10.0.0.7`, `10.0.0.7-10.0.0.9` or `10.0.0.0/24`; null when it is none of these.
export function parseSpan(text) {
  const [, one, between, other] = /^([0-9a-f.:]+)(?:([-/])([0-9a-f.:]+))?$/i.exec(text) ?? [];
  const first = parseAddress(one ?? "");
  if (first === null) return null;
  if (between === "/") return subnet(first, other);
  const last = between === "-" ? parseAddress(other) : first;
  if (last === null || last.tag !== first.tag || numberOf(last) < numberOf(first)) return null;
  return { family: first.tag, first: numberOf(first), last: numberOf(last) };
}

function subnet(address, length) {
  const { bits } = PARTS[address.tag];
  if (!/^[0-9]{1,3}$/.test(length) || Number(length) > bits) return null;
  const hosts = (1n << BigInt(bits - Number(length))) - 1n;
  const first = numberOf(address);
  return (first & hosts) === 0n ? { family: address.tag, first, last: first | hosts } : null;
}

function parseAddress(text) {
  if (!text.includes(":")) {
    const parts = text.split(".");
    const fits = (part) => /^(0|[1-9][0-9]{0,2})$/.test(part) && Number(part) < 256;
    return parts.length === 4 && parts.every(fits) ? { tag: "ipv4", val: parts.map(Number) } : null;
  }
  const halves = text.split("::");
  const [head, tail] = halves.map((half) => (half === "" ? [] : half.split(":")));
  const missing = 8 - head.length - (tail?.length ?? 0);
  if (halves.length > 2 || (tail === undefined ? missing !== 0 : missing < 1)) return null;
  const parts = tail === undefined ? head : [...head, ...Array(missing).fill("0"), ...tail];
  const fits = (part) => /^[0-9a-f]{1,4}$/i.test(part);
  return parts.every(fits) ? { tag: "ipv6", val: parts.map((part) => parseInt(part, 16)) } : null;
}
