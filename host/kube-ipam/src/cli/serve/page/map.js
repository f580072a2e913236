// The picture of a range: rows of cells, each so many addresses. A mouse or a finger points at a cell, arrow keys walk from one
// to the next, and what it stands for is told below; to choose it lists its addresses.

import { amount, element } from "./element.js";

/** How many cells a row has on this screen. */
export function columns() {
  return window.matchMedia("(max-width: 760px)").matches ? 32 : 64;
}

const CLASSES = { ".": "cell none", k: "cell kept" };

function classOf(level) {
  return CLASSES[level] ?? `cell l${level}`;
}

/** The address so many places behind another one, as text. */
export function addressAt(first, offset) {
  return first.includes(":") ? textOfSix(numberOfSix(first) + offset) : textOfFour(numberOfFour(first) + offset);
}

function numberOfFour(text) {
  return text.split(".").reduce((number, part) => number * 256n + BigInt(part), 0n);
}

function textOfFour(number) {
  return [24n, 16n, 8n, 0n].map((bits) => String((number >> bits) & 255n)).join(".");
}

function numberOfSix(text) {
  const [head, tail] = text.split("::").map((part) => (part ? part.split(":") : []));
  const groups = tail === undefined ? head : [...head, ...Array(8 - head.length - tail.length).fill("0"), ...tail];
  return groups.reduce((number, group) => (number << 16n) + BigInt(`0x${group}`), 0n);
}

/** With its longest run of zeros left out, as RFC 5952 has it. */
function textOfSix(number) {
  const groups = Array.from({ length: 8 }, (_, nth) => Number((number >> BigInt(112 - 16 * nth)) & 0xffffn));
  let best = { at: -1, length: 1 };
  for (let at = 0; at < 8; at++) {
    let length = 0;
    while (at + length < 8 && groups[at + length] === 0) length++;
    if (length > best.length) best = { at, length };
  }
  const hex = groups.map((group) => group.toString(16));
  if (best.at < 0) return hex.join(":");
  return `${hex.slice(0, best.at).join(":")}::${hex.slice(best.at + best.length).join(":")}`;
}

/** The first and last address of a cell. */
function spanOf(area, row, column) {
  const size = BigInt(area.cell);
  const first = addressAt(area.rows[row].first, size * BigInt(column));
  return size === 1n ? first : `${first}-${addressAt(first, size - 1n)}`;
}

function tell(area, row, column) {
  const { offered, held, kept } = area.rows[row].cells[column];
  const name = spanOf(area, row, column);
  if (area.cell === 1) {
    const what = held ? "held" : kept ? "kept back" : offered ? "free" : "not offered";
    return `${name}: ${what}`;
  }
  if (Number(offered) === 0 && !held && !kept) return `${name}: not offered`;
  return `${name}: ${amount(held)} held, ${amount(kept)} kept back of ${amount(offered)}`;
}

/** A picture that can be brought up to date without being made again. */
export class Picture {
  #area;
  #cells;
  #at = { row: 0, column: 0 };
  #choose;
  #scale;

  /** `scale` is what is told as long as nobody points at a cell. */
  constructor(area, scale, choose) {
    this.#area = area;
    this.#scale = scale;
    this.#choose = choose;
    this.readout = element("p", { class: "readout", "aria-live": "polite" }, scale);
    this.#cells = area.levels.map((levels) => [...levels].map((level) => element("span", { class: classOf(level) })));
    const rows = area.rows.map((row, nth) => [
      element("span", { class: "row-name" }, row.first),
      element("span", { class: "cells" }, this.#cells[nth]),
    ]);
    const isSix = area.rows[0]?.first.includes(":");
    this.grid = element("div", {
      class: isSix ? "rows v6" : "rows",
      role: "application",
      tabindex: 0,
      "aria-roledescription": "address map",
      "aria-label": this.#label(),
    }, rows);
    this.grid.addEventListener("keydown", (event) => this.#key(event));
    this.grid.addEventListener("pointermove", (event) => this.#point(event));
    this.grid.addEventListener("click", (event) => this.#point(event) && this.#chosen());
    this.grid.addEventListener("focus", () => this.grid.matches(":focus-visible") && this.#go(this.#at.row, this.#at.column));
    this.grid.addEventListener("blur", () => this.#leave());
    this.grid.addEventListener("pointerleave", () => this.#leave());
    this.element = element("figure", { class: "map" }, area.rows.length > 0 ? this.grid : null, this.readout);
  }

  /** Whether another area has the same rows and cells, so that only their colours change. */
  fits(area) {
    const shape = ({ network, range_set, range, cell, rows }) => JSON.stringify([network, range_set, range, cell, rows.map((row) => row.first)]);
    return shape(area) === shape(this.#area);
  }

  update(area) {
    this.#area = area;
    area.levels.forEach((levels, row) => [...levels].forEach((level, column) => {
      const cell = this.#cells[row][column];
      const at = cell.classList.contains("at");
      cell.className = classOf(level) + (at ? " at" : "");
    }));
    this.grid.setAttribute("aria-label", this.#label());
  }

  #label() {
    const { network, range, held, kept, size, cell } = this.#area;
    return `${network}, ${range}: ${amount(held)} held, ${amount(kept)} kept back of ${amount(size)}; a cell is ${amount(cell)} addresses. Arrow keys walk, Enter lists.`;
  }

  #leave() {
    this.#mark(false);
    this.readout.textContent = this.#scale;
  }

  #mark(is) {
    this.#cells[this.#at.row]?.[this.#at.column]?.classList.toggle("at", is);
  }

  #go(row, column) {
    if (this.#cells.length === 0) return;
    this.#mark(false);
    const last = this.#cells.length - 1;
    this.#at.row = Math.min(Math.max(row, 0), last);
    this.#at.column = Math.min(Math.max(column, 0), this.#cells[this.#at.row].length - 1);
    this.#mark(true);
    this.readout.textContent = tell(this.#area, this.#at.row, this.#at.column);
  }

  #key(event) {
    const { row, column } = this.#at;
    const steps = {
      ArrowLeft: [row, column - 1], ArrowRight: [row, column + 1], ArrowUp: [row - 1, column], ArrowDown: [row + 1, column],
      Home: [row, 0], End: [row, Infinity],
    };
    if (event.key === "Enter") return this.#chosen();
    const step = steps[event.key];
    if (!step) return;
    event.preventDefault();
    this.#go(...step);
  }

  #point(event) {
    const cell = event.target.closest(".cell");
    const row = this.#cells.findIndex((cells) => cells.includes(cell));
    if (row < 0) return false;
    this.#go(row, this.#cells[row].indexOf(cell));
    return true;
  }

  #chosen() {
    if (this.#cells.length > 0) this.#choose(this.#area.network, spanOf(this.#area, this.#at.row, this.#at.column));
  }
}
