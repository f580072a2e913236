// The page: which view is shown, how old it is, and that it stays up to date.

import { ask } from "./ask.js";
import { duration, element, prose, show } from "./element.js";
import * as views from "./views.js";

const TITLES = {
  map: "Address map", addresses: "Addresses", holds: "On hold and cooling down", reservations: "Reservations", search: "Search",
  refusals: "Refusals", nodes: "Nodes and namespaces", policies: "Policies in force",
};

/** How long a view stays as it is, in milliseconds. */
const REFRESH = 10_000;

/** How soon a view is asked again whose answer was still being made. */
const SOON = 1_000;

const by = (id) => document.getElementById(id);

const state = { shown: undefined, stop: undefined, timer: undefined, isLive: true, at: undefined, skew: 0 };

/** The view that the address names, and its parameters. They stay behind the hash: no server, and no log of one, sees them. */
function wanted() {
  const [name, query] = location.hash.slice(2).split("?", 2);
  return { name: name in TITLES ? name : "map", parameters: new URLSearchParams(query) };
}

async function open(isFirst) {
  state.stop?.abort();
  clearTimeout(state.timer);
  const stop = new AbortController();
  state.stop = stop;
  state.at = undefined;
  const { name, parameters } = wanted();
  by("main").dataset.view = location.hash;
  by("title").textContent = TITLES[name];
  document.title = `${TITLES[name]} – kube-ipam`;
  for (const link of by("views").querySelectorAll("a")) {
    link.toggleAttribute("aria-current", false);
    if (link.getAttribute("href") !== `#/${name}`) continue;
    link.setAttribute("aria-current", "page");
    link.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
  if (name === "search") by("q").value = parameters.get("q") ?? "";
  if (!isFirst) by("main").focus({ preventScroll: true });
  const place = element("div", { id: "view" });
  by("view").replaceWith(place);
  by("main").setAttribute("aria-busy", "true");
  const shown = await attempt(() => views[name](place, parameters, stop.signal), stop);
  by("main").removeAttribute("aria-busy");
  if (stop.signal.aborted) return;
  state.shown = shown;
  told(shown?.first);
  // A view that failed is tried again as a whole.
  next(stop, shown ? shown.refresh : () => open(true), shown?.first?.again);
}

/** Do something, and say what is wrong if it fails. */
async function attempt(act, stop) {
  try {
    const done = await act();
    if (!stop.signal.aborted) show(by("trouble"));
    return done;
  } catch (error) {
    if (error.name === "AbortError" || stop.signal.aborted) return undefined;
    show(by("trouble"), element("div", { class: "trouble" }, element("strong", {}, error.message),
      error.hint ? element("p", { class: "hint" }, prose(error.hint)) : null));
    return undefined;
  }
}

function next(stop, refresh, isSoon) {
  clearTimeout(state.timer);
  if (!refresh || !state.isLive) return;
  state.timer = setTimeout(async () => {
    if (document.hidden) return next(stop, refresh, false);
    const answer = await attempt(refresh, stop);
    if (stop.signal.aborted) return;
    if (answer) told(answer);
    next(stop, refresh, answer?.again);
  }, isSoon ? SOON : REFRESH);
}

function told(answer) {
  if (!answer?.told?.at) {
    by("age").textContent = "";
    return;
  }
  state.at = new Date(answer.told.at);
  state.skew = answer.now - Date.now();
  age();
}

function age() {
  if (!state.at) return;
  const seconds = (Date.now() + state.skew - state.at) / 1000;
  by("age").textContent = seconds < 15 ? "up to date" : `as of ${duration(seconds)} ago`;
}

async function introduce() {
  try {
    const { told } = await ask("networks");
    by("node").textContent = [...new Set(told.networks.map((network) => network.node))].join(", ");
    by("version").textContent = `kube-ipam ${told.version}`;
  } catch {
    // The view says what is wrong.
  }
}

by("search").addEventListener("submit", (event) => {
  event.preventDefault();
  const q = by("q").value.trim();
  if (q) location.hash = `/search?${new URLSearchParams({ q })}`;
});

by("live").addEventListener("click", () => {
  state.isLive = !state.isLive;
  by("live").setAttribute("aria-pressed", String(state.isLive));
  clearTimeout(state.timer);
  if (state.isLive) next(state.stop, state.shown?.refresh, true);
});

document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !event.target.closest("input, select, dialog")) {
    event.preventDefault();
    by("q").focus();
  }
});

// Another number of columns fits then.
window.matchMedia("(max-width: 760px)").addEventListener("change", () => wanted().name === "map" && open(true));
window.addEventListener("hashchange", () => open(false));
setInterval(age, 5_000);
open(true);
introduce();
