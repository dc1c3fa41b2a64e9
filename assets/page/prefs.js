// What is remembered between visits, and the place in the agenda that the address shows: #telescope@2025-12-01.

const NAME = "sctec";
/// The days that have an agenda, as the server has it.
export const DAYS = { min: "1970-01-01", max: "9998-12-30" };

/// Whether there is such a day: 2025-02-30 looks like one.
export function isDay(text) {
  if (!/^\d{4}-\d\d-\d\d$/.test(text ?? "") || text < DAYS.min || text > DAYS.max) return false;
  const day = new Date(text);
  return !Number.isNaN(day.getTime()) && day.toISOString().startsWith(text);
}

function read() {
  try {
    return JSON.parse(localStorage.getItem(NAME)) ?? {};
  } catch {
    return {}; // Storage may be forbidden, or hold what someone else wrote.
  }
}

/// What was chosen under `key`, or undefined.
export const recall = (key) => read()[key];

/// Remembers a choice, where remembering is possible.
export function remember(key, value) {
  try {
    localStorage.setItem(NAME, JSON.stringify({ ...read(), [key]: value }));
  } catch {
    // Without storage the choice lasts as long as the page.
  }
}

/// The telescope and the day in the address; either may be missing.
export function place() {
  const [telescope, day] = location.hash.slice(1).split("@").map(decode);
  return { telescope, day: isDay(day) ? day : undefined };
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined; // Someone else's.
  }
}

/// Shows the place in the address without adding to the history.
export function showPlace(telescope, day) {
  const hash = `#${encodeURIComponent(telescope)}${day ? `@${day}` : ""}`;
  if (location.hash !== hash) history.replaceState(null, "", hash);
}
