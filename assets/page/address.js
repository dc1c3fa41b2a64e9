// The browser's address and its Back button: both lead to places in the agenda. So does the way back from an identity provider.

import { el, typed } from "./dom.js";
import { phrase } from "./i18n.js";
import { DAYS } from "./instants.js";
import { parsePlace } from "./selection.js";

/// Where the tab remembers its place while it is elsewhere.
const NAME = "sctec-place";

try {
  const before = sessionStorage.getItem(NAME);
  sessionStorage.removeItem(NAME);
  if (before && !location.hash) history.replaceState(null, "", before);
} catch {
  // The browser may forbid storage: then the page begins with today.
}

/// Leaves the page for an address that leads back to it, and to the place that it shows now.
export function leaveFor(address) {
  try {
    sessionStorage.setItem(NAME, location.hash);
  } catch {
    // As above.
  }
  location.assign(address);
}

/// The address as the page has written it or looked at it last.
let known = location.hash;

/// The place that the address names now.
export function place() {
  known = location.hash;
  return parsePlace(known);
}

/// Says in `root` which parts of an address lead nowhere, and that the telescope named `shown` is shown instead.
export function showStrange(root, { telescope, strange }, shown) {
  const wrong = [
    telescope && phrase("address.telescope", { name: typed(short(telescope)), shown: typed(shown) }),
    strange && phrase("address.day", { day: typed(short(strange)), first: DAYS.min, last: DAYS.max }),
  ];
  root.replaceChildren(...wrong.filter(Boolean).map((words) => el("p", {}, words)));
}

/// The beginning of a text, long enough to recognise it.
const short = (text) => (text.length > 60 ? `${text.slice(0, 60)}…` : text);

/// Writes a place's fragment into the address: as a new `step` of the browser's history, or in place of the current one.
export function showPlace(hash, step) {
  // Back or Forward was used, and the event that tells so is still to come: it leads to that place.
  if (location.hash !== known || known === hash) return;
  try {
    if (step) history.pushState(null, "", hash);
    else history.replaceState(null, "", hash);
    known = location.hash;
  } catch {
    // Browsers limit how often a page may do this.
  }
}
