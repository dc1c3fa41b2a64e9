// The place in the agenda that the address shows, #telescope@2025-12-01, and the way back through the places before.

import { el } from "./dom.js";
import { phrase } from "./i18n.js";
import { typed } from "./names.js";

/// The days that have an agenda, as the server has it.
export const DAYS = { min: "1970-01-01", max: "9998-12-30" };

/// Whether there is such a day: 2025-02-30 looks like one.
export function isDay(text) {
  if (!/^\d{4}-\d\d-\d\d$/.test(text ?? "") || text < DAYS.min || text > DAYS.max) return false;
  const day = new Date(text);
  return !Number.isNaN(day.getTime()) && day.toISOString().startsWith(text);
}

/// What the address names: a telescope, which may be none that there is, and a day; `strange` is what stands there instead
/// of a day. Each may be missing.
export function place() {
  const text = location.hash.slice(1);
  const cut = text.lastIndexOf("@");
  const telescope = decode(cut < 0 ? text : text.slice(0, cut));
  const day = cut < 0 ? "" : decode(text.slice(cut + 1));
  return isDay(day) ? { telescope, day } : { telescope, strange: day };
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // Someone else's.
  }
}

/// Says in `root` what of an address leads nowhere, and that the telescope named `shown` is shown instead.
export function showStrange(root, { telescope, strange }, shown) {
  const wrong = [
    telescope && phrase("address.telescope", { name: typed(short(telescope)), shown: typed(shown) }),
    strange && phrase("address.day", { day: typed(short(strange)), first: DAYS.min, last: DAYS.max }),
  ];
  root.replaceChildren(...wrong.filter(Boolean).map((words) => el("p", {}, words)));
}

/// No more of a text than says which one it is.
const short = (text) => (text.length > 60 ? `${text.slice(0, 60)}…` : text);

/// Shows the place in the address; as one more `step` that the browser's Back undoes, or in place of the last.
export function showPlace(telescope, day, step) {
  const hash = `#${encodeURIComponent(telescope)}${day ? `@${day}` : ""}`;
  if (location.hash === hash) return;
  try {
    if (step) history.pushState(null, "", hash);
    else history.replaceState(null, "", hash);
  } catch {
    // Browsers allow so many in a time.
  }
}
