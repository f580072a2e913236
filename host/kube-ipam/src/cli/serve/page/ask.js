// Questions to the server. A token goes into a header, is kept for this tab alone, and is in no address that a browser
// remembers.

const KEPT = "kube-ipam-token";

/** What the server answered instead of what was asked for. */
export class Refused extends Error {
  constructor(status, told) {
    super(told.error ?? `the server answered ${status}`);
    this.status = status;
    this.hint = told.hint;
  }
}

/** Ask for a part of the programming interface; parameters without a value are left out. */
export async function ask(part, parameters = {}, signal = undefined) {
  const query = new URLSearchParams(Object.entries(parameters).filter(([, value]) => value));
  for (;;) {
    const token = sessionStorage.getItem(KEPT);
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    let answer;
    try {
      answer = await fetch(`/api/v1/${part}?${query}`, { headers, signal, cache: "no-store" });
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Refused(0, { error: "the server does not answer", hint: "kube-ipam serve may have ended, or the way to it" });
    }
    const told = await answer.json().catch(() => ({}));
    if (answer.ok) return { told, now: new Date(answer.headers.get("Date") ?? Date.now()) };
    if (answer.status !== 401) throw new Refused(answer.status, told);
    await askForToken(token !== null);
  }
}

let asking;

/** Ask the person for the token; once, however many questions wait for it. */
function askForToken(wasWrong) {
  asking ??= new Promise((resolve) => {
    const dialog = document.getElementById("ask-token");
    const input = document.getElementById("token");
    document.getElementById("token-wrong").textContent = wasWrong ? "That was not the token." : "";
    input.value = "";
    dialog.addEventListener("cancel", (event) => event.preventDefault());
    dialog.addEventListener("close", () => {
      sessionStorage.setItem(KEPT, input.value.trim());
      input.value = "";
      asking = undefined;
      resolve();
    }, { once: true });
    dialog.showModal();
  });
  return asking;
}
