// What the page shows, one function for each view: it fills a place and returns how to bring that up to date, if it can.

import { ask } from "./ask.js";
import { amount, element, moment, prose, share, show, table } from "./element.js";
import { columns, Picture } from "./map.js";
import * as rows from "./rows.js";

/** What a store or a configuration said instead of an answer. */
function trouble({ network, error, hint }) {
  return element("div", { class: "trouble" },
    element("strong", {}, network ? `${network}: ` : ""), error,
    hint ? element("p", { class: "hint" }, prose(hint)) : null);
}

function empty(text) {
  return element("p", { class: "empty" }, text);
}

function go(view, parameters) {
  location.hash = `/${view}?${new URLSearchParams(parameters)}`;
}

// ---- the map

const LEVELS = ["0", "1", "2", "3", "4", "5", "6", "7", "8"];

function legend() {
  const ramp = LEVELS.map((level) => element("span", { class: `cell l${level}` }));
  return element("p", { class: "legend" },
    element("span", {}, "free", element("span", { class: "ramp", "aria-hidden": "true" }, ramp), "all held"),
    element("span", {}, element("span", { class: "ramp", "aria-hidden": "true" }, element("span", { class: "cell kept" })), "mostly kept back: on hold, cooling down or reserved"));
}

function number(name, value, swatch) {
  return element("div", {}, element("span", { class: `swatch ${swatch}`, "aria-hidden": "true" }), element("dt", {}, name), element("dd", {}, amount(value)));
}

/** The head of a range set: how full it is. */
function fullness(set) {
  const parts = [["held", set.held], ["kept", set.kept], ["reserved", set.reserved]];
  const meter = element("div", { class: "meter", "aria-hidden": "true" });
  for (const [name, value] of parts) {
    const part = element("span", { class: name });
    // Little is to be seen, too.
    part.style.setProperty("flex", `0 0 ${value > 0 ? Math.max(0.4, 100 * share(value, set.size)) : 0}%`);
    meter.append(part);
  }
  return [
    element("header", {},
      element("h2", {}, set.network, set.several ? element("span", { class: "quiet" }, ` range set ${set.range_set}`) : null),
      element("span", { class: "spans address" }, summary(set.spans)),
      element("span", { class: "percent" }, `${set.percent}%`, element("small", {}, " in use"))),
    meter,
    element("dl", { class: "numbers" }, number("held", set.held, "held"), number("kept", set.kept, "kept"),
      number("reserved", set.reserved, "reserved"), number("free", set.free, "free")),
  ];
}

function summary(spans) {
  const shown = spans.slice(0, 3).join(", ");
  return spans.length > 3 ? `${shown} and ${spans.length - 3} more` : shown;
}

function scale(area) {
  const each = area.cell === 1 ? "a square is an address" : `a square is ${amount(area.cell)} addresses`;
  if (area.rows.length === 0) return "Nothing is held or kept back.";
  return area.only_occupied ? `Only prefixes in use; ${each}.` : `${each[0].toUpperCase()}${each.slice(1)}.`;
}

class Card {
  constructor(set, areas) {
    this.head = element("div");
    this.pictures = areas.map((area) => new Picture(area, scale(area), (network, range) => go("addresses", { network, range })));
    this.element = element("section", { class: "card" }, this.head, this.pictures.map((picture) => picture.element));
    this.update(set, areas);
  }

  fits(areas) {
    return areas.length === this.pictures.length && areas.every((area, nth) => this.pictures[nth].fits(area));
  }

  update(set, areas) {
    show(this.head, fullness(set));
    areas.forEach((area, nth) => this.pictures[nth].update(area));
  }
}

export async function map(place, _, signal) {
  const cards = new Map();
  const refresh = async () => {
    const [ranges, pictures] = await Promise.all([ask("ranges", {}, signal), ask("map", { columns: columns() }, signal)]);
    const shown = [];
    for (const [nth, network] of ranges.told.networks.entries()) {
      if (network.error) {
        shown.push(trouble(network));
        continue;
      }
      const areas = pictures.told.networks[nth]?.areas ?? [];
      const sets = network.range_sets.filter((set) => "range_set" in set);
      for (const set of sets) {
        const key = `${nth} ${set.range_set}`;
        const own = areas.filter((area) => area.range_set === set.range_set);
        const told = { ...set, several: sets.length > 1 };
        const card = cards.get(key);
        if (card?.fits(own)) card.update(told, own);
        else cards.set(key, new Card(told, own));
        shown.push(cards.get(key).element);
      }
      const outside = network.range_sets.find((row) => "outside" in row);
      if (outside) {
        shown.push(element("p", { class: "trouble" }, `${outside.network}: ${amount(outside.outside)} addresses are held outside of its ranges, for example `, rows.found(outside.example), "."));
      }
    }
    const wanted = [legend(), ...shown];
    // What is there stays, so that whoever walks on the map goes on where they are.
    if (shown.some((one) => !place.contains(one)) || place.children.length !== wanted.length) show(place, wanted);
    return ranges;
  };
  return { refresh, first: await refresh() };
}

// ---- lists

const KINDS = ["dynamic", "fixed", "hold", "cool-down", "reservation"];

function filters(view, parameters, names, fields) {
  const form = element("form", { class: "filters" });
  const inputs = fields.map(({ name, label, values }) => {
    const input = values
      ? element("select", { name }, element("option", { value: "" }, "all"), values.map((value) => element("option", { value, selected: parameters.get(name) === value }, value)))
      : element("input", { name, value: parameters.get(name) ?? "", autocomplete: "off", spellcheck: "false" });
    if (values) input.addEventListener("change", () => form.requestSubmit());
    form.append(element("label", {}, label, input));
    return input;
  });
  form.append(element("button", { type: "submit" }, "Filter"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const wanted = inputs.filter((input) => input.value).map((input) => [input.name, input.value.trim()]);
    go(view, wanted);
  });
  return form;
}

async function networks(signal) {
  const { told } = await ask("networks", {}, signal);
  return told.networks.map((network) => network.name);
}

function chosen(parameters, names) {
  return Object.fromEntries(names.map((name) => [name, parameters.get(name)]));
}

function lists(view, fields, nothing) {
  return async (place, parameters, signal) => {
    const known = await networks(signal);
    const own = known.length > 1 ? [{ name: "network", label: "Network", values: known }, ...fields] : fields;
    const body = element("div");
    show(place, filters(view, parameters, known, own), body);
    await rows.list(body, view, chosen(parameters, own.map((field) => field.name)), nothing, signal);
    return {};
  };
}

const TEXT = { name: "q", label: "With this in a name" };
const RANGE = { name: "range", label: "Subnet or range" };

export const addresses = lists("addresses",
  [TEXT, { name: "namespace", label: "Namespace" }, { name: "node", label: "Node" }, RANGE, { name: "kind", label: "Kind", values: KINDS }],
  "No address matches.");
export const holds = lists("holds", [TEXT, RANGE], "No address is on hold or cools down.");
export const reservations = lists("reservations", [TEXT, RANGE], "No address is reserved.");

// ---- search

export async function search(place, parameters, signal) {
  const wanted = (parameters.get("q") ?? "").trim();
  if (!wanted) {
    show(place, empty("Search for a pod (namespace/name), an address, or the beginning of a container ID."));
    return {};
  }
  const exact = element("div");
  const like = element("div");
  show(place, exact);
  let told = { held: [], lent: [], kept: [], offered: [] };
  let now = new Date();
  try {
    ({ told, now } = await ask("search", { q: wanted }, signal));
  } catch (error) {
    // A part of a name need not be a subject.
    if (error.status !== 400) throw error;
  }
  const all = [...told.held, ...told.lent, ...told.kept];
  const heading = (text) => element("h2", {}, text);
  if (all.length > 0) show(exact, element("section", {}, heading(wanted), facts(all, told, now), table(count(all.length, "address", "addresses"), rows.columns(now), all)));
  else if (told.kind === "address") show(exact, element("p", { class: "empty" }, `${wanted} is free: `, offered(told)));
  if (told.kind === "address") return {};
  place.append(element("section", {}, heading(`Names with “${wanted}”`), like));
  await rows.list(like, "addresses", { q: wanted }, "No other name has it.", signal);
  return {};
}

export function count(number, one, many) {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}

function offered(told) {
  if (told.offered.length === 0) return "no network offers it.";
  return `offered by ${told.offered.map((set) => `network ${set.network}, range set ${set.range_set}`).join("; ")}.`;
}

/** All that is known of a single claim. */
function facts(all, told, now) {
  const row = all[0];
  const isOne = row.container && all.every((other) => other.container === row.container && other.interface === row.interface);
  if (!isOne) return null;
  const known = [
    ["Pod", rows.pod(row)], ["Uid", row.pod?.uid], ["Cluster", row.pod?.cluster], ["Container", element("span", { class: "address" }, row.container)],
    ["Interface", row.interface], ["Network", row.network], ["Node", row.node],
    ["Policy", row.policy ? `${row.policy.name}, sha256 ${row.policy.sha256}` : ""],
    ["Since", element("span", {}, new Date(row.since).toLocaleString(), " (", moment(row.since, now), ")")],
    ["After release", row.hold ? `on hold for ${row.hold.identity} for ${row.hold.seconds} s` : ""],
    ["Slot", row.slot ? `${row.slot.name} ${row.slot.number}` : ""],
    ["Offered by", told.kind === "address" ? offered(told) : ""],
  ];
  return element("dl", { class: "facts card" }, known.filter(([, value]) => value).map(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]));
}

// ---- refusals

const CODES = {
  1: "version", 2: "version", 4: "environment", 5: "file", 6: "not JSON", 7: "configuration", 11: "try again", 50: "not ready",
  100: "defect", 101: "range full", 102: "address taken", 103: "bad request", 104: "denied", 105: "policy at fault", 106: "not held",
};

function code(number) {
  return `${number} ${CODES[number] ?? ""}`.trim();
}

export async function refusals(place, _, signal) {
  const refresh = async () => {
    const answer = await ask("refusals", {}, signal);
    const { told, now } = answer;
    const failed = Object.entries(told.failed).sort((one, other) => other[1] - one[1]);
    const sum = failed.reduce((number, [, times]) => number + times, 0);
    const since = told.since ? [" since ", moment(told.since, now)] : "";
    const head = element("p", { class: "legend" },
      element("span", {}, count(sum, "call", "calls"), ` of ${told.calls.toLocaleString("en")} failed on this node`, since, "."),
      failed.map(([number, times]) => element("span", {}, element("strong", {}, code(number)), ` × ${times.toLocaleString("en")}`)));
    const shown = table(told.more > 0 ? `The newest ${told.rows.length}` : "Newest first", [
      { name: "When", class: "time", cell: (row) => moment(row.at, now) },
      { name: "Code", cell: (row) => element("span", { class: "kind" }, code(row.code)) },
      { name: "Pod", class: "name", cell: (row) => (row.pod ? rows.found(row.pod) : row.container ? rows.found(row.container, row.container.slice(0, 13), { class: "address" }) : "") },
      { name: "Call", class: "call", cell: (row) => [row.verb, row.network].filter(Boolean).join(" ") },
      { name: "Reason", cell: (row) => [element("span", { class: "reason" }, row.error), row.hint ? element("span", { class: "hint" }, prose(row.hint)) : ""] },
    ], told.rows);
    const nothing = told.files.length === 0 ? "No network of this node has a log." : "No call failed.";
    show(place, told.calls > 0 ? head : null, told.rows.length > 0 ? shown : empty(nothing));
    return answer;
  };
  return { refresh, first: await refresh() };
}

// ---- nodes and namespaces

export async function nodes(place, _, signal) {
  const refresh = async () => {
    const [byNode, byNamespace] = await Promise.all([ask("nodes", {}, signal), ask("namespaces", {}, signal)]);
    show(place, sums("Nodes", "node", byNode), sums("Namespaces", "namespace", byNamespace));
    const isFirst = byNode.told.at === null && byNode.told.counting;
    return { now: byNode.now, told: { at: byNode.told.at }, again: isFirst };
  };
  return { refresh, first: await refresh() };
}

function sums(title, filter, { told, now }) {
  const heading = element("h2", {}, title);
  if (told.failure) return element("section", {}, heading, trouble(told.failure));
  if (told.at === null) return element("section", {}, heading, empty("Counting…"));
  const most = told.rows[0]?.held ?? 1;
  const bar = (row) => {
    const drawn = element("span", { class: "bar" });
    drawn.style.setProperty("width", `${(100 * row.held) / most}%`);
    return drawn;
  };
  const age = element("span", {}, "counted ", moment(told.at, now));
  const left = told.more > 0 ? `; ${told.more} more with fewer addresses` : "";
  const name = (row) => (row.name ? element("a", { href: `#/addresses?${new URLSearchParams({ [filter]: row.name })}` }, row.name) : element("span", { class: "quiet" }, "(no pod)"));
  return element("section", {}, heading, told.rows.length === 0 ? empty("No addresses are held.") : table([count(told.rows.length, "row", "rows"), left, ", ", age], [
    { name: title.slice(0, -1), cell: name },
    { name: "Network", cell: (row) => row.network },
    { name: "Held", class: "number", cell: (row) => amount(row.held) },
    { name: "Share", cell: bar },
    { name: "Fixed", class: "number", cell: (row) => amount(row.fixed) },
    { name: "Newest", class: "time", cell: (row) => moment(row.newest, now) },
  ], told.rows));
}

// ---- policies

export async function policies(place, _, signal) {
  const answer = await ask("policies", {}, signal);
  const about = await ask("networks", {}, signal);
  const cards = answer.told.map((policy, nth) => element("section", { class: "card" },
    element("header", {}, element("h2", {}, policy.network), element("span", { class: "spans" }, about.told.networks[nth]?.file)),
    policy.error ? trouble(policy) : null,
    element("dl", { class: "facts" }, policyFacts(policy, about.told.networks[nth]).map(([name, value]) => [element("dt", {}, name), element("dd", {}, value)]))));
  const unusable = about.told.unusable.map((one) => trouble({ network: `${one.name || "a network"} (${one.file})`, error: one.error, hint: one.hint }));
  show(place, unusable, cards.length > 0 ? cards : empty("No network of this node uses kube-ipam."));
  return {};
}

function policyFacts(policy, network) {
  const digest = policy.sha256 ? element("span", { class: "address" }, policy.sha256) : "";
  const store = network?.store.kind === "etcd" ? `etcd at ${network.store.endpoints.join(", ")}, below ${network.store.prefix}` : `${network?.store.directory} on this node`;
  const shadows = policy.tallies.map((tally) => element("p", {}, `${tally.shadow.name}: ${count(tally.asked, "decision", "decisions")}, ${tally.differed} otherwise, ${tally.faulted} at fault`));
  return [
    ["Policy", policy.name ? `${policy.name} ${policy.version ?? ""}` : ""],
    ["What it does", policy.summary],
    ["SHA-256", digest],
    ["Module", policy.module ?? "built in"],
    ["Pinned", policy.module ? (policy.pinned ? "the configuration names the digest" : "no: another module in its place would decide") : ""],
    ["Settings", policy.has_settings ? "of its own, see the file" : "none"],
    ["When at fault", policy.on_fault === "default" ? "the built-in policy decides" : "the pod gets no address"],
    ["Shadow", policy.shadow],
    ["Shadows asked here", shadows.length > 0 ? shadows : ""],
    ["Addresses in", store],
    ["Domain", network?.domain],
    ["This node", network?.node],
  ].filter(([, value]) => value);
}
