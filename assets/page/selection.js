// What is chosen: the telescope and the day, its night (from its noon to the next one) or its week, which the address has too, as
// #telescope@2025-12-01, #telescope@2025-12-01N or #telescope@2025-W49; and slots of the agenda that is shown. No DOM.

import { DAY_MS, firstDay, isDay, isoDay, isoWeek, monday, weekAway, weekSpan } from "./instants.js";

/// Leads to the present week. The address then gets that week's number: a link that is passed on shows the same week later.
const THIS_WEEK = "semana";
/// Leads to the present night, which begins at noon, in the same way.
const TONIGHT = "noite";
const NIGHT = /N$/;
const NOON_MS = DAY_MS / 2;
/// The address of the bookings of the person who uses the page. No telescope has it.
export const MINE = "#@meus";

export class Selection {
  #telescope;
  #day;
  #week = false;
  #night = false;
  #now;
  #slots;
  #step = false;
  #astray = {};
  #back;

  /// `now` gives the present instant, as far as it is known.
  constructor(now = () => Date.now()) {
    this.#now = now;
  }

  get telescope() {
    return this.#telescope;
  }

  /// The day, 2025-12-01. Undefined is today, also after midnight.
  get day() {
    return this.#day;
  }

  /// Whether the whole week of the day is chosen.
  get isWeek() {
    return this.#week;
  }

  /// Whether the night of the day is chosen.
  get isNight() {
    return this.#night;
  }

  /// The chosen day, which is today if none is named. Until noon the present night is that of yesterday.
  get near() {
    return this.#day ?? isoDay(this.#now() - (this.#night ? NOON_MS : 0));
  }

  /// The selected slots, {first, last}, by index; undefined when nothing is selected.
  get slots() {
    return this.#slots;
  }

  /// The parts of the address that lead nowhere, {telescope, strange}.
  get astray() {
    return this.#astray;
  }

  /// Tells one choice of telescope and day, night or week, from another: the fragment of its address.
  get key() {
    const day = this.#week || this.#night ? this.near : this.#day;
    return placeHash(this.#telescope?.id ?? "", day, { week: this.#week, night: this.#night });
  }

  /// The variables of an agenda's link for the chosen day, night or week; none for today.
  get variables() {
    if (this.#week) {
      const { start, end } = weekSpan(Date.parse(this.near));
      return { de: new Date(start).toISOString(), ate: new Date(end).toISOString() };
    }
    if (this.#night) {
      const noon = Date.parse(this.near) + NOON_MS;
      return { de: new Date(noon).toISOString(), ate: new Date(noon + DAY_MS).toISOString() };
    }
    if (!this.#day) return {};
    const start = Date.parse(this.#day);
    return { de: `${this.#day}T00:00:00Z`, ate: new Date(start + DAY_MS).toISOString() };
  }

  /// Chooses another telescope, day (undefined is today), or `view`: whether the day's whole "week" is shown, its "night", or the "day". It is
  /// a new step for the browser's Back; with `again` it continues the choice before, and Back skips it.
  go({ telescope = this.#telescope, view, again = false, ...rest }) {
    this.#telescope = telescope;
    if (view) [this.#week, this.#night] = [view === "week", view === "night"];
    if ("day" in rest) this.#day = rest.day;
    this.#step ||= !again;
    this.#astray = {};
  }

  /// Chooses what an address names, which is no new step. `otherwise` is the telescope if the one that it names does not
  /// exist. In a week, the day that was chosen before stays chosen.
  arrive({ telescope: id, day, week = false, night = false, strange }, telescopes, otherwise) {
    const found = telescopes.find((one) => one.id === id);
    this.#telescope = found ?? otherwise;
    const before = this.#telescope && this.near;
    const stays = week && day && before && monday(Date.parse(day)) === monday(Date.parse(before));
    if (!stays) this.#day = day;
    [this.#week, this.#night] = [week, night];
    this.#step = false;
    this.#astray = { telescope: found ? undefined : id, strange };
  }

  /// Whether this choice is a new step. True once.
  takeStep() {
    const step = this.#step;
    this.#step = false;
    return step;
  }

  select(slots) {
    this.#slots = slots;
  }

  /// Notes the slots [first, last] that get the focus when the dialog closes.
  returnTo(range) {
    this.#back = range;
  }

  /// The slots that get the focus now; undefined if none were noted.
  takeReturn() {
    const range = this.#back;
    this.#back = undefined;
    return range;
  }
}

/// Dispatches `went` when another place was chosen, before its agenda is read.
export class Navigation extends EventTarget {
  #selection;
  #reading;
  #clock;
  #arrivals = 0;

  constructor(selection, reading, clock) {
    super();
    this.#selection = selection;
    this.#reading = reading;
    this.#clock = clock;
  }

  /// Goes to another telescope or day, as `Selection.go`, and reads its agenda: by `link`, if there is one to it.
  go({ link, ...place }) {
    this.#arrivals += 1;
    this.#selection.go(place);
    this.dispatchEvent(new Event("went"));
    return this.#reading.read(link);
  }

  /// Turns to the day, night or week before or after the chosen one. The links of the agenda shown lead on from its own day: while
  /// another day is being read, they are not used. A key that is `held` makes one step for the browser's Back.
  turn(rel, held) {
    const { agenda, isSettled } = this.#reading;
    if (!agenda) return;
    const { telescope, day, isWeek, isNight, near } = this.#selection;
    if (isWeek) {
      const other = weekAway(near, rel === "anterior" ? -1 : 1);
      if (other) this.go({ day: other, again: held });
      return;
    }
    const link = isSettled ? agenda.links[rel] : telescope._links.agenda;
    const from = isSettled ? agenda.start : Date.parse(day ?? (isNight ? near : isoDay(this.#clock.now() || agenda.start)));
    const to = isoDay(from + (rel === "anterior" ? -DAY_MS : DAY_MS));
    if (link && isDay(to)) this.go({ day: to, link, again: held });
  }

  /// Goes to the place that an address names, when the page is opened, and when the address changes. Its telescope may have to be
  /// read first; if another address is gone to meanwhile, this one is left.
  async arrive(place, otherwise = this.#selection.telescope) {
    const { telescopes } = this.#reading;
    this.#arrivals += 1;
    const number = this.#arrivals;
    const { telescope: id } = place;
    if (id && telescopes.unknown([id]).length) await this.#reading.meetTelescopes([id]);
    if (number !== this.#arrivals) return;
    this.#selection.arrive(place, [telescopes.of(id)].filter(Boolean), otherwise);
    this.dispatchEvent(new Event("went"));
    await this.#reading.read();
  }
}

/// What the fragment of an address names: a telescope, which may not exist, and a day, or the `week` or `night` of that day. `strange`
/// is the text that stands in place of the day and is neither. Each part may be missing. `mine` are one's own bookings.
export function parsePlace(hash) {
  if (hash === MINE) return { mine: true };
  const text = hash.replace(/^#/, "");
  const cut = text.lastIndexOf("@");
  const telescope = decode(cut < 0 ? text : text.slice(0, cut));
  const time = cut < 0 ? "" : decode(text.slice(cut + 1));
  if (isDay(time)) return { telescope, day: time };
  const evening = time.replace(NIGHT, "");
  if (time === TONIGHT) return { telescope, day: undefined, night: true };
  if (evening !== time && isDay(evening)) return { telescope, day: evening, night: true };
  const day = firstDay(time);
  if (day || time === THIS_WEEK) return { telescope, day, week: true };
  return { telescope, strange: time };
}

/// The fragment that names a telescope and a day, or the `week` or `night` of that day; without any it means today.
export function placeHash(telescope, day, { week = false, night = false } = {}) {
  const time = week ? isoWeek(Date.parse(day)) : night ? `${day}N` : day;
  return `#${encodeURIComponent(telescope)}${time ? `@${time}` : ""}`;
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // A person typed it, and it is not percent-encoding.
  }
}
