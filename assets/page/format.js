// Instants and durations for people. Everything is UTC unless its name says local.

import { locale, t } from "./i18n.js";

const MINUTE_MS = 60000;

/// 03:05
export const clockTime = (ms) => new Date(ms).toISOString().slice(11, 16);

/// 2025-12-01, as a date field has it.
export const isoDay = (ms) => new Date(ms).toISOString().slice(0, 10);

/// 6 de mai., or 6 de mai. de 2031 `withYear`, in a zone: by default the reader's own.
const shortDay = (ms, withYear, timeZone) =>
  new Date(ms).toLocaleDateString(locale(), {
    timeZone,
    day: "numeric",
    month: "short",
    year: withYear ? "numeric" : undefined,
  });

const yearOf = (day) => day.slice(0, 4);
const differ = (values) => new Set(values).size > 1;

/// 03:00–03:05, and over midnight 6 de mai., 23:55 – 7 de mai., 00:05. A span on another day than `near`, which who reads
/// it has in mind, names its day too; the year, where not all are of the same.
export function span(start, end, near = start) {
  const days = [start, end, near].map(isoDay);
  const withYear = differ(days.map(yearOf));
  const told = (ms) => `${shortDay(ms, withYear, "UTC")}, ${clockTime(ms)}`;
  if (days[0] !== days[1]) return `${told(start)} – ${told(end)}`;
  return `${days[0] === days[2] ? clockTime(start) : told(start)}–${clockTime(end)}`;
}

/// segunda-feira, 1 de dezembro de 2025
export const longDay = (ms) =>
  new Date(ms).toLocaleDateString(locale(), {
    timeZone: "UTC",
    weekday: "long",
    day: "numeric",
    month: "long",
    year: "numeric",
  });

/// 00:05 in the local zone, whatever it observes on that day.
export const localTime = (ms) =>
  new Date(ms).toLocaleTimeString(locale(), { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

/// quarta-feira, 6 de maio de 2031 – quinta-feira, 7 de maio de 2031: the days that a span has anything of.
export function longDays(start, end) {
  const [first, last] = [longDay(start), longDay(end - 1)];
  return first === last ? first : `${first} – ${last}`;
}

/// 00:05 in the local zone, with the day where it is another one than in UTC.
export const localMoment = (ms) =>
  localDay(ms) === isoDay(ms) ? localTime(ms) : `${shortDay(ms)}, ${localTime(ms)}`;

/// 00:05–00:10 GMT-3: in the local zone, with the days unless all is on one day there and in UTC, and with the zone at
/// the start too where the clocks change in between.
export function localSpan(start, end) {
  const days = [localDay(start), localDay(end)];
  const [from, to] = [zone(start), zone(end)];
  const all = [...days, isoDay(start), isoDay(end)];
  const [withDay, withYear] = [differ(all), differ(all.map(yearOf))];
  const told = (ms) => `${shortDay(ms, withYear)}, ${localTime(ms)}`;
  const first = `${withDay ? told(start) : localTime(start)}${from === to ? "" : ` ${from}`}`;
  const dash = days[0] === days[1] && from === to ? "–" : " – ";
  return `${first}${dash}${days[0] === days[1] ? localTime(end) : told(end)} ${to}`;
}

/// Whether the local time is another one than UTC at any of these instants.
export const elsewhere = (...instants) => instants.some((ms) => new Date(ms).getTimezoneOffset() !== 0);

/// The local day of an instant, as 2025-12-01.
export function localDay(ms) {
  const day = new Date(ms);
  return isoDay(ms - day.getTimezoneOffset() * MINUTE_MS);
}

/// The local zone at an instant, by its offset: it changes with daylight-saving time, and a name may not tell.
export function zone(ms) {
  const parts = new Intl.DateTimeFormat(locale(), { timeZoneName: "shortOffset" }).formatToParts(new Date(ms));
  return parts.find(({ type }) => type === "timeZoneName").value;
}

/// An instant as the wire has it, to the millisecond: 2025-10-26 18:00:05.123
export const instant = (utc) =>
  utc
    .replace("T", " ")
    .replace(/(\.\d{3})\d*/, "$1")
    .replace("Z", "");

/// Its time of day only, 18:00:05.123, unless that was on another day than `near`, an instant as well.
export const instantTime = (utc, near = utc) =>
  utc.slice(0, 10) === near.slice(0, 10) ? instant(utc).slice(11) : instant(utc);

/// Seconds with as many digits as make sense, from milliseconds.
export function seconds(ms) {
  const digits = Math.abs(ms) >= 1000 ? 1 : 3;
  return (ms / 1000).toLocaleString(locale(), { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/// 3,2
export const milliseconds = (ms) => ms.toLocaleString(locale(), { minimumFractionDigits: 1, maximumFractionDigits: 1 });

/// A bound in seconds, never less than it is.
export const bound = (ms) => (Math.ceil(ms) / 1000).toLocaleString(locale(), { minimumFractionDigits: 3 });

/// 1 h 15 min
export function minutes(count) {
  const [hours, rest] = [Math.floor(count / 60), count % 60];
  return [hours && `${hours} h`, rest && `${rest} min`].filter(Boolean).join(" ");
}

/// What the local clock is, against the true time.
export function clockError(ahead, error) {
  const key = Math.abs(ahead) <= error ? "clock.right" : ahead > 0 ? "clock.ahead" : "clock.behind";
  return t(key, { error: seconds(Math.abs(ahead)), bound: bound(error) });
}
