// The agenda as a grid: a row is an hour, a column five minutes. It has one tab stop, and the arrow keys move in it. It
// dispatches `select` when a range of slots is selected, and `choose` at Enter, a click or the end of a drag; both with
// {first, last} and the way, `by`. At Page Up and Page Down it dispatches `day`.

import { kindOf } from "./agenda.js";
import { el, setText } from "./dom.js";
import { clockTime, closedBy, dayAndMonth, elsewhere, localDay, localTime, span, zone } from "./format.js";
import { t } from "./i18n.js";
import { DAY_MS, HOUR_MS, isoDay } from "./instants.js";
import { initials, isolate } from "./names.js";

const COLUMNS = 12;
/// The focus was moved by a pointer.
const POINTER = "pointer";
const STEPS = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -COLUMNS, ArrowDown: COLUMNS };

export class Grid extends EventTarget {
  #root;
  #cells = [];
  #rows = [];
  #corner = el("span", { class: "local" });
  /// The day, for a narrow page, on which the title is out of view.
  #date = el("span", { class: "short", "aria-hidden": "true" });
  #now = el("span", { class: "now", "aria-hidden": "true" });
  #agenda;
  #anchor = 0;
  #focus = 0;
  #dragging = false;
  /// Whether anything is selected. At first there is only the tab stop.
  #selected = false;
  #nameOf;

  /// `nameOf` gives a scientist's name.
  constructor(root, nameOf) {
    super();
    this.#root = root;
    this.#nameOf = nameOf;
    root.addEventListener("keydown", (event) => this.#key(event));
    root.addEventListener("focusin", (event) => this.#focused(event));
    root.addEventListener("click", (event) => this.#click(event));
    root.addEventListener("pointerdown", (event) => this.#press(event));
    root.addEventListener("pointermove", (event) => this.#drag(event));
    addEventListener("pointerup", () => this.#release());
    addEventListener("pointercancel", () => (this.#dragging = false));
  }

  /// The selected slots, by index.
  get range() {
    return { first: Math.min(this.#anchor, this.#focus), last: Math.max(this.#anchor, this.#focus) };
  }

  /// Shows an agenda. Only elements that differ from before are changed.
  show(agenda, { scientist, now, local }) {
    if (this.#cells.length !== agenda.slots.length) this.#build(agenda.slots.length);
    this.#agenda = agenda;
    agenda.slots.forEach((slot, index) => this.#showCell(index, slot, scientist, now));
    this.#rows.forEach((header, row) => this.#showHour(header, agenda.slots[row * COLUMNS].start, row, local));
    // The zone in which the day begins. The row in which it changes names the new one.
    setText(this.#date, dayAndMonth(agenda.start));
    setText(this.#corner, local ? zone(agenda.start) : "");
    this.#root.classList.toggle("with-local", local);
    this.mark(now);
    if (this.#shorten()) this.#moveTo(this.#focus, this.#root.contains(document.activeElement));
    else this.#showRange();
  }

  /// While the chosen agenda is being read, nothing in the shown one can be chosen.
  wait(waiting) {
    this.#root.setAttribute("aria-busy", waiting);
  }

  /// Moves the mark of the true time.
  mark(now) {
    const index = this.#agenda?.at(now) ?? -1;
    const cell = this.#cells[index];
    if (this.#now.parentNode !== (cell ?? null)) {
      this.#now.remove();
      cell?.append(this.#now);
      this.#rows.forEach((header, row) => header.classList.toggle("current", row === Math.floor(index / COLUMNS)));
    }
    if (cell) this.#now.style.setProperty("--at", (now - this.#agenda.slots[index].start) / this.#agenda.length);
  }

  /// Selects nothing, and puts the tab stop at a slot.
  rest(index) {
    this.#selected = false;
    this.#anchor = this.#focus = index;
    this.#showRange();
  }

  /// Selects slots. The focus goes there only with `focus`.
  select(first, last = first, { focus = false } = {}) {
    this.#anchor = first;
    this.#moveTo(last, focus);
  }

  /// Scrolls to a slot that is not in view; by default to the tab stop.
  reveal(index = this.#focus, behavior = "instant") {
    const cell = this.#cells[index];
    const { top, bottom, left, right } = cell.getBoundingClientRect();
    const isSeen = top >= 0 && bottom <= innerHeight && left >= 0 && right <= innerWidth;
    if (!isSeen) cell.scrollIntoView({ block: "center", inline: "center", behavior });
  }

  #build(count) {
    const head = [...Array(COLUMNS).keys()].map((column) =>
      el("span", { role: "columnheader", text: `:${String(column * 5).padStart(2, "0")}` }),
    );
    const rows = [
      el(
        "div",
        { role: "row", class: "head" },
        el("span", { role: "columnheader", class: "corner" }, this.#date, el("span", { text: "UTC" }), this.#corner),
        head,
      ),
    ];
    this.#cells = [];
    this.#rows = [];
    for (let index = 0; index < count; index += 1) {
      if (index % COLUMNS === 0) {
        const header = el("span", { role: "rowheader" }, el("span", { class: "utc" }), el("span", { class: "next" }), el("span", { class: "local" }));
        rows.push(el("div", { role: "row" }, header));
        this.#rows.push(header);
      }
      const label = el("span", { class: "label", dir: "auto", "aria-hidden": "true" });
      const cell = el("div", { role: "gridcell", tabindex: index === 0 ? "0" : "-1", "data-slot": index }, label);
      rows[rows.length - 1].append(cell);
      this.#cells.push(cell);
    }
    this.#root.replaceChildren(...rows);
  }

  #showCell(index, slot, scientist, now) {
    const cell = this.#cells[index];
    const { booking } = slot;
    // A booking is past when its end is, in all of its slots.
    const past = (booking ? Date.parse(booking.horario_fim_utc) : slot.start + this.#agenda.length) <= now;
    const joins = (other) => Boolean(booking) && this.#joined(slot, this.#agenda.slots[other]);
    const [before, after] = [joins(index - 1), joins(index + 1)];
    const kind = kindOf(slot, scientist);
    // The name stands at the booking's first slot, and at the first slot of each further row.
    const length = booking && (!before || index % COLUMNS === 0) ? this.#run(index) : 0;
    const text = !length
      ? ""
      : kind === "sold"
        ? `×${slot.sold}`
        : length > 1
          ? this.#caption(booking, kind)
          : kind === "mine"
            ? "★"
            : initials(this.#nameOf(booking.cientista_id));
    const label = this.#label(slot, kind, past, text);
    const classes = [kind, past && "past", before && "from", after && "on"].filter(Boolean).join(" ");
    if (cell.dataset.kind !== classes) {
      cell.dataset.kind = classes;
      cell.className = classes;
    }
    if (cell.getAttribute("aria-label") !== label) cell.setAttribute("aria-label", label);
    setText(cell.firstChild, text);
    if (length) cell.style.setProperty("--length", length);
  }

  /// Whether two slots are shown as one: they have the same booking, and were sold equally often.
  #joined(one, other) {
    return other?.booking?.id === one.booking.id && other.sold === one.sold;
  }

  /// How many slots the booking at `index` has from there to the end of the row.
  #run(index) {
    const { slots } = this.#agenda;
    let end = index + 1;
    while (end % COLUMNS !== 0 && this.#joined(slots[index], slots[end])) end += 1;
    return end - index;
  }

  #caption(booking, kind) {
    return kind === "mine" ? `★ ${booking.alvo ?? ""}` : this.#nameOf(booking.cientista_id);
  }

  /// A cell's label. It contains the visible `text`, since people who control the page by voice say that.
  #label(slot, kind, past, text) {
    const { booking } = slot;
    const words = { free: t("slot.free"), gone: t("slot.past"), closed: t("slot.closedAs", { state: closedBy(slot, true) }) };
    let state = words[kind];
    if (kind === "sold") {
      state = t("slot.sold", { count: slot.sold });
    } else if (booking) {
      const whole = span(Date.parse(booking.horario_inicio_utc), Date.parse(booking.horario_fim_utc));
      const name = this.#nameOf(booking.cientista_id);
      const short = kind === "other" && text && text !== name ? `, ${isolate(text)}` : "";
      const values = { name: isolate(name) + short, span: whole, target: booking.alvo && isolate(booking.alvo) };
      state = t(booking.alvo ? "slot.byTarget" : "slot.by", values);
      if (kind === "mine") state = `${t("slot.mine")}, ${state}`;
    }
    if (past && kind !== "gone") state += `, ${t("slot.past")}`;
    return t("slot.label", { time: clockTime(slot.start), state });
  }

  #showHour(header, start, row, local) {
    setText(header.firstChild, clockTime(start));
    // In a night, the row in which the next day begins names it.
    setText(header.children[1], row && start % DAY_MS === 0 ? dayAndMonth(start) : "");
    const pieces = [];
    if (local) {
      // The row in which the local day or the zone's offset changes names the new one.
      const before = row ? localDay(start - HOUR_MS) : isoDay(start);
      pieces.push(localTime(start));
      if (elsewhere(start) && localDay(start) !== before) pieces.push(`(${localDay(start).slice(8)})`);
      if (row && zone(start) !== zone(start - HOUR_MS)) pieces.push(zone(start));
    }
    if (header.lastChild.textContent === pieces.join(" ")) return;
    // Each piece stays on one line: if GMT+13:45 is cut off, it reads as another zone.
    const spans = pieces.flatMap((text, index) => [index ? " " : "", el("span", { text })]);
    header.lastChild.replaceChildren(...spans);
  }

  #showRange() {
    const { first, last } = this.range;
    const slots = this.#agenda?.slots ?? [];
    // A booking is selected as a whole.
    const held = slots[this.#focus]?.booking?.id;
    this.#cells.forEach((cell, index) => {
      const inside = (index >= first && index <= last) || (held !== undefined && slots[index].booking?.id === held);
      const selected = this.#selected && inside;
      if ((cell.getAttribute("aria-selected") === "true") !== selected) cell.setAttribute("aria-selected", selected);
      const stop = index === this.#focus ? 0 : -1;
      if (cell.tabIndex !== stop) cell.tabIndex = stop;
    });
  }

  #moveTo(index, focus = true) {
    this.#focus = Math.max(0, Math.min(index, this.#cells.length - 1));
    this.#selected = true;
    this.#showRange();
    // The page must not scroll under a pointer.
    if (focus) this.#cells[this.#focus].focus({ preventScroll: focus === POINTER });
    this.#say("select");
  }

  /// Extends the selection from its anchor towards `index`, as far as all of it can be booked.
  #extendTo(index, focus) {
    const { slots } = this.#agenda;
    const step = Math.sign(index - this.#anchor);
    let end = this.#anchor;
    if (!slots[end]?.book) return this.select(index, index, { focus });
    while (slots[end]?.book && end !== index && slots[end + step]?.book) end += step;
    this.#moveTo(end, focus);
  }

  /// Ends the selection before a slot that someone else has booked meanwhile. True if the selection has changed.
  #shorten() {
    const { slots } = this.#agenda;
    if (!this.#selected || this.#anchor === this.#focus) return false;
    const { first, last } = this.range;
    const { booking } = slots[first];
    if (booking && slots.slice(first, last + 1).every((slot) => slot.booking?.id === booking.id)) return false;
    const before = this.#focus;
    const step = Math.sign(before - this.#anchor);
    this.#focus = this.#anchor;
    if (!slots[this.#anchor].book) return true;
    while (this.#focus !== before && slots[this.#focus + step].book) this.#focus += step;
    return this.#focus !== before;
  }

  #say(name, by = "key") {
    if (name === "choose" && this.#root.getAttribute("aria-busy") === "true") return;
    this.dispatchEvent(new CustomEvent(name, { detail: { ...this.range, by } }));
  }

  #key(event) {
    if (event.ctrlKey && (event.key === "Home" || event.key === "End")) {
      this.select(event.key === "Home" ? 0 : this.#cells.length - 1, undefined, { focus: true });
    } else if (event.altKey || event.ctrlKey || event.metaKey) {
      return;
    } else if (event.key in STEPS || event.key === "Home" || event.key === "End") {
      const row = this.#focus - (this.#focus % COLUMNS);
      const to = event.key === "Home" ? row : event.key === "End" ? row + COLUMNS - 1 : this.#focus + STEPS[event.key];
      if (to < 0 || to >= this.#cells.length) return event.preventDefault();
      if (event.shiftKey) this.#extendTo(to, true);
      else this.select(to, to, { focus: true });
    } else if (event.key === "PageUp" || event.key === "PageDown") {
      const rel = event.key === "PageUp" ? "anterior" : "seguinte";
      this.dispatchEvent(new CustomEvent("day", { detail: { rel, held: event.repeat } }));
    } else if (event.key === "Enter" || event.key === " ") {
      // A key that is held chooses once.
      if (!event.repeat) this.#say("choose");
    } else if (event.key === "Escape") {
      this.select(this.#focus);
    } else {
      return;
    }
    event.preventDefault();
  }

  #slotOf(target) {
    const cell = target?.closest?.("[data-slot]");
    return cell && this.#root.contains(cell) ? Number(cell.dataset.slot) : -1;
  }

  /// The focus came by Tab or by a screen reader: it selects as the arrows do.
  #focused(event) {
    const index = this.#slotOf(event.target);
    // "Skip to the agenda" puts the focus on the grid itself.
    if (event.target === this.#root) this.#cells[this.#focus]?.focus();
    if (index >= 0 && (index !== this.#focus || !this.#selected) && !this.#dragging) this.select(index);
  }

  #press(event) {
    const index = this.#slotOf(event.target);
    // A finger scrolls. A tap chooses one slot; the dialog has longer durations.
    if (index < 0 || event.button !== 0 || event.pointerType === "touch") return;
    this.#dragging = true;
    if (event.shiftKey) this.#extendTo(index, POINTER);
    else this.select(index, index, { focus: POINTER });
    event.preventDefault();
  }

  #drag(event) {
    if (!this.#dragging) return;
    // The button was released outside the page.
    if (!(event.buttons & 1)) return void (this.#dragging = false);
    const index = this.#slotOf(document.elementFromPoint(event.clientX, event.clientY));
    if (index >= 0 && index !== this.#focus) this.#extendTo(index, POINTER);
  }

  #release() {
    const { first, last } = this.range;
    const dragged = this.#dragging && first !== last;
    this.#dragging = false;
    if (dragged) this.#say("choose", POINTER);
  }

  #click(event) {
    const index = this.#slotOf(event.target);
    const { first, last } = this.range;
    // The end of a drag has been dispatched already.
    if (index < 0 || (first !== last && index >= first && index <= last)) return;
    if (index !== this.#focus) this.select(index, index, { focus: POINTER });
    this.#say("choose", POINTER);
  }
}
