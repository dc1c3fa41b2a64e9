// Instants, durations and names for people. Everything is UTC unless its name says local.

import { locale, t } from "./i18n.js";

const MINUTE_MS = 60000;

/// 03:05
export const clockTime = (ms) => new Date(ms).toISOString().slice(11, 16);

/// 2025-12-01, as a date field has it.
export const isoDay = (ms) => new Date(ms).toISOString().slice(0, 10);

/// 03:00–03:05
export const span = (start, end) => `${clockTime(start)}–${clockTime(end)}`;

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

/// 00:05–00:10 GMT-3, with the day where it is another one than in UTC.
export function localSpan(start, end) {
  const parts = { day: "2-digit", month: "2-digit", hour: "2-digit", minute: "2-digit", hourCycle: "h23" };
  const whole = { ...parts, timeZoneName: "short" };
  if (localDay(start) === isoDay(start)) (delete parts.day, delete parts.month);
  if (localDay(end) === localDay(start)) (delete whole.day, delete whole.month);
  return `${new Date(start).toLocaleString(locale(), parts)}–${new Date(end).toLocaleString(locale(), whole)}`;
}

/// Whether the local time is another one than UTC.
export const elsewhere = (ms) => new Date(ms).getTimezoneOffset() !== 0;

/// The local day of an instant, as 2025-12-01.
export function localDay(ms) {
  const day = new Date(ms);
  return isoDay(ms - day.getTimezoneOffset() * MINUTE_MS);
}

/// The local zone's name at an instant: it changes with daylight-saving time.
export function zone(ms) {
  const parts = new Intl.DateTimeFormat(locale(), { timeZoneName: "short" }).formatToParts(new Date(ms));
  return parts.find(({ type }) => type === "timeZoneName").value;
}

/// An instant as the wire has it, to the millisecond: 2025-10-26 18:00:05.123
export const instant = (utc) =>
  utc
    .replace("T", " ")
    .replace(/(\.\d{3})\d*/, "$1")
    .replace("Z", "");

/// Its time of day only: 18:00:05.123
export const instantTime = (utc) => instant(utc).slice(11);

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

/// MC, of Marie Curie.
export function initials(name) {
  const words = name.split(/\s+/).filter(Boolean);
  const letters = words.length > 1 ? [words[0], words[words.length - 1]] : words;
  return letters
    .map((word) => [...word][0])
    .join("")
    .toLocaleUpperCase(locale());
}

/// What the local clock is, against the true time.
export function clockError(ahead, error) {
  const key = Math.abs(ahead) <= error ? "clock.right" : ahead > 0 ? "clock.ahead" : "clock.behind";
  return t(key, { error: seconds(Math.abs(ahead)), bound: bound(error) });
}
