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

const WEEK_MS = 7 * DAY_MS;
const [FIRST, END] = [Date.parse(DAYS.min), Date.parse(DAYS.max) + DAY_MS];

/// The Monday on which the week of an instant begins, as in ISO 8601.
export function monday(ms) {
  const days = Math.floor(ms / DAY_MS);
  return (days - ((((days + 3) % 7) + 7) % 7)) * DAY_MS; // 1970-01-01 is a Thursday.
}

/// The part of the week of an instant that has an agenda. Without such a part its end is not after its start.
export const weekSpan = (ms) => ({ start: Math.max(monday(ms), FIRST), end: Math.min(monday(ms) + WEEK_MS, END) });

/// The Monday of the first week of a year: the week of January 4.
const firstMonday = (year) => monday(Date.parse(`${year}-01-04`));

/// The week of an instant, 2025-W49, as in ISO 8601. The year is that of its Thursday.
export function isoWeek(ms) {
  const year = isoDay(monday(ms) + 3 * DAY_MS).slice(0, 4);
  const number = 1 + (monday(ms) - firstMonday(year)) / WEEK_MS;
  return `${year}-W${String(number).padStart(2, "0")}`;
}

/// The first day with an agenda of a week, 2025-W49; undefined if the text is no such week.
export function firstDay(text) {
  const [, year, number] = /^(\d{4})-W(\d\d)$/.exec(text ?? "") ?? [];
  if (!year) return undefined;
  const start = firstMonday(year) + (number - 1) * WEEK_MS;
  const span = weekSpan(start);
  if (!(span.start < span.end) || isoWeek(start) !== text) return undefined;
  return isoDay(span.start);
}

/// The same day of the week, `weeks` later: 2025-12-08 for 2025-12-01 and 1. The weeks at both ends have fewer days.
/// Undefined if no day of that week has an agenda.
export function weekAway(day, weeks) {
  const to = Date.parse(day) + weeks * WEEK_MS;
  const { start, end } = weekSpan(to);
  return start < end ? isoDay(Math.min(Math.max(to, start), end - DAY_MS)) : undefined;
}
