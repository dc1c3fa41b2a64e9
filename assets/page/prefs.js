// Choices that are remembered between visits.

const NAME = "sctec";

function read() {
  try {
    return JSON.parse(localStorage.getItem(NAME)) ?? {};
  } catch {
    return {}; // The browser may forbid storage, or something else may be stored under this name.
  }
}

/// The choice under `key`, or undefined.
export const recall = (key) => read()[key];

/// Remembers a choice, if the browser allows it.
export function remember(key, value) {
  try {
    localStorage.setItem(NAME, JSON.stringify({ ...read(), [key]: value }));
  } catch {
    // Without storage the choice lasts as long as the page.
  }
}
