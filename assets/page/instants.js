// Instants as numbers: milliseconds since 1970, in UTC. No DOM.

export const MINUTE_MS = 60000;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;

/// The days that have an agenda, as in the server.
export const DAYS = { min: "1970-01-01", max: "9998-12-30" };

/// Reads an RFC 3339 instant in UTC, with the microseconds that Date.parse drops.
export function parseInstant(text) {
  const fraction = /\.(\d+)/.exec(text)?.[1] ?? "";
  return Date.parse(text.replace(/\.\d+/, "")) + Number(`0.${fraction || 0}`) * 1000;
}

/// The UTC day of an instant, 2025-12-01: the form of a date field.
export const isoDay = (ms) => new Date(ms).toISOString().slice(0, 10);

/// Whether a text is a day that has an agenda. 2025-02-30 has the form of a day but is none.
export function isDay(text) {
  if (!/^\d{4}-\d\d-\d\d$/.test(text ?? "") || text < DAYS.min || text > DAYS.max) return false;
  const day = new Date(text);
  return !Number.isNaN(day.getTime()) && day.toISOString().startsWith(text);
}
