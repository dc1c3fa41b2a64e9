// Instants and durations as people read them. All are in UTC, except functions with `local` in their name. No DOM.

import { locale, t } from "./i18n.js";
import { MINUTE_MS, isoDay } from "./instants.js";
import { isolate } from "./names.js";

/// 03:05
export const clockTime = (ms) => new Date(ms).toISOString().slice(11, 16);

/// 6 de mai., or 6 de mai. de 2031 `withYear`, in a zone; by default in the local one.
const shortDay = (ms, withYear, timeZone) =>
  new Date(ms).toLocaleDateString(locale(), {
    timeZone,
    day: "numeric",
    month: "short",
    year: withYear ? "numeric" : undefined,
  });

/// 26/11
export const dayAndMonth = (ms) =>
  new Date(ms).toLocaleDateString(locale(), { timeZone: "UTC", day: "2-digit", month: "2-digit" });

const yearOf = (day) => day.slice(0, 4);
const differ = (values) => new Set(values).size > 1;

/// 03:00–03:05, and over midnight 6 de mai., 23:55 – 7 de mai., 00:05. `near` is an instant of the day that the reader has
/// in mind: a span on another day names its day, and one in another year its year.
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

/// 00:05 in the local zone, by the rule that holds there on that day.
export const localTime = (ms) =>
  new Date(ms).toLocaleTimeString(locale(), { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });

/// quarta-feira, 6 de maio de 2031 – quinta-feira, 7 de maio de 2031: the days that a span touches.
export function longDays(start, end) {
  const [first, last] = [longDay(start), longDay(end - 1)];
  return first === last ? first : `${first} – ${last}`;
}

/// 00:05 in the local zone, with the day if it is another day than in UTC.
export const localMoment = (ms) =>
  localDay(ms) === isoDay(ms) ? localTime(ms) : `${shortDay(ms)}, ${localTime(ms)}`;

/// 00:05–00:10 GMT-3: in the local zone. The days are named, unless start and end are on the same day there and in UTC.
/// The zone is named at the start too if the clocks change in between.
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

/// Whether the local time differs from UTC at any of these instants.
export const elsewhere = (...instants) => instants.some((ms) => new Date(ms).getTimezoneOffset() !== 0);

/// The local day of an instant, as 2025-12-01.
export function localDay(ms) {
  const day = new Date(ms);
  return isoDay(ms - day.getTimezoneOffset() * MINUTE_MS);
}

/// The local zone at an instant, by its offset. A name would not always tell summer time from winter time.
export function zone(ms) {
  const parts = new Intl.DateTimeFormat(locale(), { timeZoneName: "shortOffset" }).formatToParts(new Date(ms));
  return parts.find(({ type }) => type === "timeZoneName").value;
}

/// An instant of the wire, to the millisecond: 2025-10-26 18:00:05.123
export const instant = (utc) =>
  utc
    .replace("T", " ")
    .replace(/(\.\d{3})\d*/, "$1")
    .replace("Z", "");

/// Only its time of day, 18:00:05.123, if it is on the same day as the instant `near`; else with its day.
export const instantTime = (utc, near = utc) =>
  utc.slice(0, 10) === near.slice(0, 10) ? instant(utc).slice(11) : instant(utc);

/// Milliseconds in seconds: with one digit from 1 s on, and with three below.
export function seconds(ms) {
  const digits = Math.abs(ms) >= 1000 ? 1 : 3;
  return (ms / 1000).toLocaleString(locale(), { minimumFractionDigits: digits, maximumFractionDigits: digits });
}

/// 3,2
export const milliseconds = (ms) => ms.toLocaleString(locale(), { minimumFractionDigits: 1, maximumFractionDigits: 1 });

/// An error bound in seconds, rounded up.
export const bound = (ms) => (Math.ceil(ms) / 1000).toLocaleString(locale(), { minimumFractionDigits: 3 });

/// 1 h 15 min
export function minutes(count) {
  const [hours, rest] = [Math.floor(count / 60), count % 60];
  return [hours && `${hours} h`, rest && `${rest} min`].filter(Boolean).join(" ");
}

/// Says whether the local clock is right, ahead or behind. It is right if its error is within the bound `error`.
export function clockError(ahead, error) {
  const key = Math.abs(ahead) <= error ? "clock.right" : ahead > 0 ? "clock.ahead" : "clock.behind";
  return t(key, { error: seconds(Math.abs(ahead)), bound: bound(error) });
}

/// Why nobody can book a slot that is in `state`, with the `reason` that a person gave, if it is to be named.
export function closedBy({ state, reason, opens }, isNamed = false) {
  if (opens) return t("slot.opens", { day: shortDay(opens, false, "UTC"), time: clockTime(opens) });
  if (state === "fechado") return t("slot.byRules");
  if (state !== "manutencao") return state;
  return isNamed && reason ? t("slot.maintenanceWhy", { reason: isolate(reason) }) : t("slot.maintenance");
}
