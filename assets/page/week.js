// A week at a glance: each day is a strip of its 24 hours, and a link to that day. It dispatches `turn` at Page Up and Page
// Down, and `point` with an instant when a pointer follows the link at that instant of the strip.

import { changes, el, setText } from "./dom.js";
import { DAY_MS } from "./instants.js";
import { initials } from "./names.js";
import { placeHash } from "./selection.js";
import { dayLabel, dayName, dayTotals, hourRows, strips } from "./strips.js";

/// A stretch of this part of a day has room for initials on a wide screen, and on a telephone.
const ROOM = { wide: 1 / 28, narrow: 1 / 11 };

export class Week extends EventTarget {
  #root;
  #hours = el("div", { class: "hours", "aria-hidden": "true" });
  #list = el("ol", {});
  /// The days that are shown, each with its elements.
  #rows = [];
  #nameOf;

  /// `nameOf` gives a scientist's name.
  constructor(root, nameOf) {
    super();
    this.#root = root;
    this.#nameOf = nameOf;
    root.append(this.#hours, this.#list);
    root.addEventListener("keydown", (event) => this.#key(event));
    root.addEventListener("click", (event) => this.#point(event));
  }

  /// Shows the days of an agenda. Only elements that differ from before are changed.
  show(agenda, { scientist, now, local }) {
    this.#showHours(hourRows(agenda, local));
    const days = strips(agenda, scientist);
    while (this.#rows.length > days.length) this.#rows.pop().item.remove();
    while (this.#rows.length < days.length) this.#rows.push(this.#build());
    this.#rows.forEach((row, index) => this.#showDay(row, days[index], agenda.telescope, now));
    this.mark(now);
  }

  /// While the chosen agenda is being read, the shown one is dimmed.
  wait(waiting) {
    this.#root.setAttribute("aria-busy", waiting);
  }

  /// Moves the mark of the true time.
  mark(now) {
    for (const { link, strip, start } of this.#rows) {
      const part = Math.min(Math.max((now - start) / DAY_MS, 0), 1);
      const today = part > 0 && part < 1;
      // Before the true time is known nothing is past.
      strip.style.setProperty("--past", Number.isNaN(part) ? 0 : part.toFixed(5));
      strip.classList.toggle("today", today);
      if (today) link.setAttribute("aria-current", "date");
      else link.removeAttribute("aria-current");
    }
  }

  /// Puts the focus on the link to the day that begins at `start`, or on the first one.
  focus(start) {
    (this.#rows.find((row) => row.start === start) ?? this.#rows[0])?.link.focus({ preventScroll: true });
  }

  #build() {
    const [name, strip, totals] = ["name", "strip", "totals"].map((kind) => el("span", { class: kind, "aria-hidden": "true" }));
    const runs = el("span", { class: "runs" });
    strip.append(runs, el("span", { class: "now" }));
    const link = el("a", {}, name, " ", strip, " ", totals);
    const item = el("li", {}, link);
    this.#list.append(item);
    return { item, link, name, strip, runs, totals };
  }

  #showHours(rows) {
    if (!changes(this.#hours, rows)) return;
    const row = ({ zone, hours }) =>
      el("p", {}, el("span", { class: "zone", text: zone }), el("span", { class: "scale" }, hours.map((text) => el("span", { text }))));
    this.#hours.replaceChildren(...rows.map(row));
  }

  #showDay(row, day, telescope, now) {
    const { link, name, runs, totals } = row;
    row.start = day.start;
    link.setAttribute("href", placeHash(telescope, day.iso));
    link.setAttribute("aria-label", dayLabel(day));
    setText(name, dayName(day.start));
    // Lines break only between two counts.
    setText(totals, dayTotals(day, "\u00a0"));
    const shown = day.runs.map((run) => ({ ...run, past: run.end <= now, text: this.#textOf(run) }));
    if (changes(runs, shown)) runs.replaceChildren(...shown.map(stretch));
  }

  #textOf({ kind, scientist, sold }) {
    return kind === "sold" ? `×${sold}` : kind === "mine" ? "★" : kind === "other" ? initials(this.#nameOf(scientist)) : "";
  }

  #point(event) {
    const row = this.#rows.find(({ link }) => link.contains(event.target));
    // A link that opens elsewhere leads to the day. The keyboard's click has no place.
    if (!row || event.detail === 0 || event.ctrlKey || event.metaKey || event.shiftKey) return;
    const { left, width } = row.strip.getBoundingClientRect();
    const part = (event.clientX - left) / width;
    const at = part >= 0 && part < 1 ? row.start + part * DAY_MS : undefined;
    this.dispatchEvent(new CustomEvent("point", { detail: at }));
  }

  #key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey || (event.key !== "PageUp" && event.key !== "PageDown")) return;
    const rel = event.key === "PageUp" ? "anterior" : "seguinte";
    this.dispatchEvent(new CustomEvent("turn", { detail: { rel, held: event.repeat } }));
    event.preventDefault();
  }
}

function stretch({ kind, from, to, past, text }) {
  const room = to - from >= ROOM.narrow ? "" : to - from >= ROOM.wide ? "tight" : "none";
  const made = el("i", { class: [kind, past && "past", room].filter(Boolean).join(" ") });
  // The text is no part of the link's: the style sheet shows it.
  if (text && room !== "none") made.dataset.text = text;
  made.style.setProperty("--from", from);
  made.style.setProperty("--part", to - from);
  return made;
}
