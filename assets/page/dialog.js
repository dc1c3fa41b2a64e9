// The one dialog, and what is said aloud: inside it while it is open, since all else is silent then.

import { at, el, replace, setText } from "./dom.js";

const dialog = at("dialog");
let flow = 0;

/// Who clicks sooner than this after something else was shown meant what was there before.
const CALM_MS = 500;
let shownAt = -Infinity;

dialog.addEventListener("close", () => (flow += 1));
dialog.addEventListener(
  "click",
  (event) => {
    // A key's click counts no clicks.
    if (event.detail === 0 || event.timeStamp - shownAt > CALM_MS) return;
    event.preventDefault();
    event.stopPropagation();
  },
  { capture: true },
);
dialog.addEventListener("keydown", (event) => {
  // A key that is still held from before the dialog was there asks for nothing in it.
  if (event.key === "Enter" && event.repeat && event.target.tagName !== "TEXTAREA") event.preventDefault();
});

/// Opens the dialog for a new flow, which `show` needs to know: the results of one that was left are not shown.
export function open() {
  flow += 1;
  if (!dialog.open) dialog.showModal();
  return flow;
}

export const close = () => dialog.close();

/// Shows a flow's next state. The focus goes to what has the attribute `autofocus`, or to the title. False when nobody
/// looks at that flow any more.
export function show(of, title, ...children) {
  if (of !== flow || !dialog.open) return false;
  const heading = el("h2", { id: "dialog-title", tabindex: "-1", text: title });
  replace(at("dialog-body"), heading, ...children);
  shownAt = performance.now();
  (dialog.querySelector("[autofocus]") ?? heading).focus();
  return true;
}

/// A row of buttons: {text, onclick, kind, …}.
export function buttons(...list) {
  const made = list.filter(Boolean).map(({ kind, ...rest }) => el("button", { type: "button", class: kind, ...rest }));
  return el("div", { class: "buttons" }, made);
}

/// A field with its label and the place for what is wrong with it, which `markErrors` fills.
export function field(name, label, input) {
  input.id = `field-${name}`;
  input.name = name;
  const error = el("p", { class: "error", id: `error-${name}` });
  return el("div", { class: "field" }, el("label", { for: input.id, text: label }), input, error);
}

/// Says to a screen reader what happened. The same words again are said again.
export function announce(text) {
  const region = at(dialog.open ? "dialog-status" : "status");
  setText(region, region.textContent === text ? `${text}\u00a0` : text);
}
