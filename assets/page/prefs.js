// What is remembered between visits.

const NAME = "sctec";

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
