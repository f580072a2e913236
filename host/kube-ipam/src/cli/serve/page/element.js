// Elements, and the texts in them. Names come from pods' authors: they become text nodes, and never markup.

/** An element with attributes and children; what is absent is left out. */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.flat(Infinity).filter((child) => child !== undefined && child !== null && child !== ""));
  return made;
}

/** Show these, and nothing else, in a place. */
export function show(place, ...children) {
  place.replaceChildren(...children.flat(Infinity).filter((child) => child !== undefined && child !== null));
}

/** A button that does something. */
export function button(text, act) {
  const made = element("button", { type: "button" }, text);
  made.addEventListener("click", act);
  return made;
}

/** A sentence in which commands stand between backticks. */
export function prose(text) {
  return text.split("`").map((part, nth) => (nth % 2 === 1 ? element("code", {}, part) : part));
}

const WHOLE = new Intl.NumberFormat("en");

/** A number of addresses; one that JSON has as text is too large to be read digit by digit. */
export function amount(number) {
  if (typeof number === "number") return WHOLE.format(number);
  const power = BigInt(number).toString(2).length - 1;
  const isPower = BigInt(number) === 1n << BigInt(power);
  const isNearly = !isPower && (BigInt(number) >> BigInt(Math.max(power - 7, 0))) === 255n;
  return (isPower ? "2" : isNearly ? "about 2" : "more than 2") + superscript(isNearly ? power + 1 : power);
}

function superscript(number) {
  return [...String(number)].map((digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹"[digit]).join("");
}

/** What share of the whole a number is, from 0 to 1, whether or not they fit into a number. */
export function share(part, whole) {
  return Number(whole) === 0 ? 0 : Number(part) / Number(whole);
}

const UNITS = [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]];

/** A span of time in the largest unit of which there are at least two, as kubectl shows it. */
export function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [unit, size] = UNITS.find(([, size]) => whole >= 2 * size) ?? ["s", 1];
  return `${Math.floor(whole / size)}${unit}`;
}

/** A moment as its age, or how far off it is, with the moment itself for those who look closer. */
export function moment(text, now) {
  if (!text) return "";
  const at = new Date(text);
  const seconds = (now - at) / 1000;
  const words = Math.abs(seconds) < 1 ? "now" : seconds > 0 ? `${duration(seconds)} ago` : `in ${duration(-seconds)}`;
  return element("time", { datetime: text, title: at.toLocaleString() }, words);
}

/** A table that stays one for screen readers where it is shown as blocks. */
export function table(caption, columns, rows) {
  const classes = (column) => column.class;
  const head = columns.map((column) => element("th", { scope: "col", role: "columnheader", class: classes(column) }, column.name));
  const body = rows.map((row) => element("tr", { role: "row" }, columns.map((column, nth) => {
    const [tag, role] = nth === 0 ? ["th", "rowheader"] : ["td", "cell"];
    const scope = nth === 0 ? "row" : undefined;
    return element(tag, { scope, role, class: classes(column), "data-name": column.name }, column.cell(row));
  })));
  return element("table", { role: "table" },
    element("caption", {}, caption),
    element("thead", { role: "rowgroup" }, element("tr", { role: "row" }, head)),
    element("tbody", { role: "rowgroup" }, body));
}
