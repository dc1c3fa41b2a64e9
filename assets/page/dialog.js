// The page's only dialog, and announcements to screen readers. While the dialog is open, they read nothing outside it, so
// announcements are made inside.

import { at, el, replace, setText } from "./dom.js";

const dialog = at("dialog");
/// The number of the present flow: one course of questions and answers. Closing the dialog ends it.
let flow = 0;
/// Says in the forms that bookings are paused: an open dialog covers what the page says.
const paused = el("p", { class: "error", role: "alert" });

/// A click sooner than this after the dialog's content changed was meant for the content before.
const CALM_MS = 500;
let shownAt = -Infinity;

dialog.addEventListener("close", () => {
  // The event comes later than the closing: another flow may be open by then.
  if (!dialog.open) flow += 1;
});
dialog.addEventListener(
  "click",
  (event) => {
    // A click by the keyboard has no count of clicks, and is never too soon.
    if (event.detail === 0 || event.timeStamp - shownAt > CALM_MS) return;
    event.preventDefault();
    event.stopPropagation();
  },
  { capture: true },
);
dialog.addEventListener("keydown", (event) => {
  // A key that was pressed before the dialog opened, and is still held, does nothing in it.
  if (event.key === "Enter" && event.repeat && event.target.tagName !== "TEXTAREA") event.preventDefault();
});

/// Opens the dialog for a new flow and gives its number. `show` shows nothing of a flow that was left.
export function open() {
  flow += 1;
  setText(at("dialog-status"), "");
  // What was said before does not concern this flow.
  setText(at("status"), "");
  if (!dialog.open) dialog.showModal();
  return flow;
}

export const close = () => dialog.close();

/// Shows a flow's next state. The focus goes to the element with the attribute `autofocus`, or to the title. False if that
/// flow was left.
export function show(of, title, ...children) {
  if (of !== flow || !dialog.open) return false;
  const heading = el("h2", { id: "dialog-title", tabindex: "-1", text: title });
  replace(at("dialog-body"), heading, ...children);
  dialog.querySelector("form:not(.office) > .buttons")?.before(paused);
  // An announcement of the state before is not read as a part of this one.
  setText(at("dialog-status"), "");
  shownAt = performance.now();
  (dialog.querySelector("[autofocus]") ?? heading).focus();
  return true;
}

/// Whether this flow is the one that is shown.
export const isShown = (of) => of === flow && dialog.open;

/// Notes that the content has changed under the pointer: a click in the next moment was meant for the content before.
export const calm = () => (shownAt = performance.now());

/// Says in each form that bookings are paused; with "", that they are not.
export function pause(words) {
  if (paused.textContent === words) return;
  paused.textContent = words;
  calm();
}

/// A row of buttons: {text, onclick, kind, …}.
export function buttons(...list) {
  const made = list.filter(Boolean).map(({ kind, ...rest }) => el("button", { type: "button", class: kind, ...rest }));
  return el("div", { class: "buttons" }, made);
}

/// A field with its label, and a place for its errors, which `markErrors` fills.
export function field(name, label, input) {
  input.id = `field-${name}`;
  input.name = name;
  const error = el("p", { class: "error", id: `error-${name}` });
  return el("div", { class: "field" }, el("label", { for: input.id, text: label }), input, error);
}

/// Announces a text to screen readers, also if it is the same as the last one.
export function announce(text) {
  const region = at(dialog.open ? "dialog-status" : "status");
  setText(region, region.textContent === text ? `${text}\u00a0` : text);
}
