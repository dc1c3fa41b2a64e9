// A contest as lines of one scale: each reaches from the click that counts to the arrival. No DOM.

import { parseInstant } from "./instants.js";

/// No address: the last of the 64 digits of base64.
const SLASH = String.fromCodePoint(47);

/// The request of a receipt; undefined if the text is none.
export function requestOf(receipt) {
  try {
    const claims = receipt.split(".")[1].replace(/[-_]/g, (mark) => (mark === "-" ? "+" : SLASH));
    return JSON.parse(atob(claims)).req;
  } catch {
    return undefined;
  }
}

/// The first `most` entries of a contest, and always the one of the request `own`: {entry, won, from, length, stamp, arrival}. `from` and `length` are
/// parts of the whole line; `stamp` and `arrival` are milliseconds after the first click. `more` is how many are left out. Entries of another
/// version, of which only the stamp is known, arrive with it.
export function parts({ entradas }, own, most) {
  const all = entradas.map((entry, place) => {
    const stamp = parseInstant(entry.carimbo_utc);
    return { entry, won: place === 0, stamp, arrival: entry.chegada_utc ? parseInstant(entry.chegada_utc) : stamp };
  });
  const first = Math.min(...all.map(({ stamp }) => stamp));
  const whole = Math.max(...all.map(({ arrival }) => arrival)) - first || 1;
  const shown = all.filter(({ entry }, place) => place < most || entry.req === own);
  return {
    shown: shown.map(({ entry, won, stamp, arrival }) => ({
      entry,
      won,
      from: (stamp - first) / whole,
      length: (arrival - stamp) / whole,
      stamp: stamp - first,
      arrival: arrival - first,
    })),
    more: all.length - shown.length,
  };
}
