// The days of an agenda as strips: what is booked in each, with its counts and its label, and the hours above them. No DOM.

import { identity, kindOf } from "./agenda.js";
import { clockTime, dayAndMonth, zone } from "./format.js";
import { locale, t } from "./i18n.js";
import { DAY_MS, HOUR_MS, MINUTE_MS, isoDay, isoWeek } from "./instants.js";

/// The hours that are written above the strips.
const HOURS = [0, 3, 6, 9, 12, 15, 18, 21];

/// The days of an agenda, in order: {start, iso, runs, bookings, mine, sold, free, gone}. `bookings` and `mine` count what
/// touches the day, `sold` its slots that were sold several times, and `free` those that can be booked. `gone` is whether nothing
/// of the day is left to be booked, since it is past.
export function strips({ slots, length, start, end }, scientist) {
  const days = [];
  for (let from = start; from < end; from += DAY_MS) {
    const day = slots.filter((slot) => slot.start >= from && slot.start < from + DAY_MS);
    const kinds = day.map((slot) => kindOf(slot, scientist));
    const held = new Map();
    for (const { booking, bookings } of day)
      for (const one of booking ? [booking, ...bookings] : []) held.set(identity(one), one);
    days.push({
      start: from,
      iso: isoDay(from),
      runs: runs(day, kinds, (ms) => (ms - from) / DAY_MS, length),
      bookings: held.size,
      mine: [...held.values()].filter(({ cientista_id: id }) => id === scientist).length,
      sold: kinds.filter((kind) => kind === "sold").length,
      free: kinds.filter((kind) => kind === "free").length,
      gone: kinds.at(-1) === "gone",
    });
  }
  return days;
}

/// The stretches of a day that are not simply free or past: {kind, from, to, end, scientist}, and `sold` if that is more than
/// once. A booking is one stretch, and closed slots in a row are one. `from` and `to` are parts of the day, `end` is the instant
/// when a booking ends.
function runs(slots, kinds, part, length) {
  const all = [];
  let before;
  for (const [index, { start, booking, sold }] of slots.entries()) {
    const kind = kinds[index];
    const key = booking ? `${identity(booking)} ${sold}` : kind;
    if (key !== before && kind !== "free" && kind !== "gone") {
      const end = booking && Date.parse(booking.horario_fim_utc);
      all.push({ kind, from: part(start), end, scientist: booking?.cientista_id, ...(sold > 1 && { sold }) });
    }
    if (kind !== "free" && kind !== "gone") all.at(-1).to = part(start + length);
    before = key;
  }
  return all;
}

/// quarta-feira 26/11
export function dayName(ms) {
  const weekday = new Date(ms).toLocaleDateString(locale(), { timeZone: "UTC", weekday: "long" });
  return `${weekday} ${dayAndMonth(ms)}`;
}

/// 12 agendamentos, 3 meus, 276 horários livres. On a day that is past nothing can be free. `space` stands within each piece.
export function dayTotals({ bookings, mine, sold, free, gone }, space = " ") {
  const pieces = [counted("week.bookings", bookings), mine > 0 && counted("week.mine", mine)];
  pieces.push(sold > 0 && counted("week.sold", sold));
  pieces.push(gone && !free ? t("slot.past") : counted("week.free", free));
  return pieces
    .filter(Boolean)
    .map((piece) => piece.replaceAll(" ", space))
    .join(", ");
}

/// quarta-feira 26/11: 12 agendamentos, 276 horários livres
export const dayLabel = (day) => `${dayName(day.start)}: ${dayTotals(day)}`;

/// The words for a count: none, one, or several.
const counted = (key, count) => t(`${key}.${count === 0 ? "none" : count === 1 ? "one" : "many"}`, { count });

/// 24 – 30 de novembro de 2025 · semana 48
export function weekTitle({ start, end }) {
  const format = new Intl.DateTimeFormat(locale(), { timeZone: "UTC", day: "numeric", month: "long", year: "numeric" });
  const days = format.formatRange(start, end - DAY_MS);
  return t("week.title", { days, number: Number(isoWeek(start).slice(-2)) });
}

/// The rows of hours above the strips: {zone, hours}. The first is in UTC. With `local` there is one more for each offset that
/// the local zone has in these days.
export function hourRows({ start, end }, local) {
  const rows = [{ zone: "UTC", hours: HOURS.map((hour) => clockTime(hour * HOUR_MS)) }];
  if (!local) return rows;
  const offsets = new Map();
  for (let at = start; at < end; at += HOUR_MS) offsets.set(new Date(at).getTimezoneOffset(), at);
  for (const [offset, at] of offsets) {
    rows.push({ zone: zone(at), hours: HOURS.map((hour) => clockTime(DAY_MS + hour * HOUR_MS - offset * MINUTE_MS)) });
  }
  return rows;
}
