// Rows about addresses: who holds each, or why nobody gets it.

import { ask } from "./ask.js";
import { button, element, moment, show, table } from "./element.js";

function link(view, parameters, text, attributes = {}) {
  return element("a", { href: `#/${view}?${new URLSearchParams(parameters)}`, ...attributes }, text);
}

/** A link to all that is known of an address, a pod or a container. */
export function found(subject, text = subject, attributes = {}) {
  return link("search", { q: subject }, text, attributes);
}

export function kind(row) {
  return element("span", { class: `kind ${row.kind}` }, row.kind);
}

export function pod(row) {
  return row.pod ? `${row.pod.namespace}/${row.pod.name}` : "";
}

/** Who has it, or for whom and why it is kept. */
function holder(row, now) {
  const name = pod(row);
  if (row.kind === "reservation") {
    return [element("span", { class: "reason" }, row.reason), element("span", { class: "hint" }, `reserved by ${row.by}`)];
  }
  if (row.kind === "hold") return [element("span", { class: "reason" }, `for ${row.identity}`), ending(row, now)];
  if (row.kind === "cool-down") return [element("span", { class: "hint" }, "cools down, "), ending(row, now)];
  const ceded = row.former ? element("span", { class: "hint" }, ` ceded by ${pod(row.former) || row.former.container}`) : "";
  return [name ? found(name) : element("span", { class: "quiet" }, "no pod"), ceded];
}

function ending(row, now) {
  return element("span", { class: "hint" }, "free ", moment(row.until, now));
}

function container(row) {
  if (!row.container) return "";
  return element("span", {}, found(row.container, row.container.slice(0, 13), { class: "address", title: row.container }),
    row.interface === "eth0" ? "" : ` ${row.interface}`);
}

/** The columns of every table of addresses. */
export function columns(now) {
  return [
    { name: "Address", cell: (row) => found(row.address, row.address, { class: "address" }) },
    { name: "Kind", cell: kind },
    { name: "Holder", cell: (row) => holder(row, now) },
    { name: "Container", cell: container },
    { name: "Node", cell: (row) => (row.node ? link("addresses", { node: row.node }, row.node) : "") },
    { name: "Network", cell: (row) => row.network ?? row.domain },
    { name: "Since", class: "time", cell: (row) => moment(row.since, now) },
  ];
}

/** Rows in pages: the next ones come behind those that are there. `filters` are those of the programming interface. */
export async function list(place, part, filters, empty, signal) {
  const rows = [];
  let next;
  const tableOf = (now) => table(`${rows.length}${next ? " so far" : ""}, in the order of addresses`, columns(now), rows);
  const more = element("div", { class: "more" });
  const body = element("div");
  show(place, body, more);

  const read = async (wanted) => {
    let looked = 0;
    let now;
    const before = rows.length;
    // A request looks at so many records and no more: where few fit, several are made, and the person decides how long.
    do {
      const answer = await ask(part, { ...filters, after: next }, signal);
      now = answer.now;
      rows.push(...answer.told.rows);
      next = answer.told.next;
      looked += answer.told.looked_at;
      if (next && rows.length - before < wanted) show(more, element("p", { class: "quiet", role: "status" }, `looked at ${looked.toLocaleString("en")} records…`));
    } while (next && rows.length - before < wanted && looked < 100000);
    show(body, rows.length > 0 ? tableOf(now) : element("p", { class: "empty" }, next ? "Nothing yet." : empty));
    show(more, next ? button(rows.length > before ? "Show more" : "Look further", () => again(wanted)) : null);
  };
  const again = async (wanted) => {
    try {
      await read(wanted);
    } catch (error) {
      if (error.name !== "AbortError") show(more, element("p", { class: "wrong", role: "alert" }, error.message), button("Try again", () => again(wanted)));
    }
  };
  await read(filters.q ? 20 : 1);
}
