// Draws what was read and what is chosen into the elements of index.html. It changes no state but its own.

import { showStrange } from "./address.js";
import { kindOf } from "./agenda.js";
import { before as past, showSynchronisation, showTime } from "./clockview.js";
import { announce, pause } from "./dialog.js";
import { at, changes, el, setText } from "./dom.js";
import { longDay, longDays } from "./format.js";
import { current, locale, t } from "./i18n.js";
import { isoDay, weekAway } from "./instants.js";
import { showDispute, showPanel } from "./panel.js";
import { weekTitle } from "./strips.js";
import { showTheme } from "./theme.js";

/// The choice of a telescope has room for so many letters.
const WIDE = 40;

export class Screen {
  #parts;
  #local;
  #drawn = new Set();
  /// The fields that search where there is too much to list.
  finders = [];
  /// The instant at which the next agenda is looked at, if it has it.
  #aim;

  /// `parts` has reading, selection, people, clock, live, ready, disputes, grid, week, mine, take, history, session, and actions for the panel's buttons.
  /// `local` is whether the local time is shown too.
  constructor(parts, local) {
    this.#parts = parts;
    this.#local = local;
  }

  /// Draws everything, as it is in another language.
  showAll() {
    const { clock, history, session } = this.#parts;
    this.#translate();
    for (const button of document.querySelectorAll("[data-language]")) {
      button.setAttribute("aria-pressed", button.dataset.language === current());
    }
    showTheme();
    this.showTime();
    showSynchronisation(clock);
    this.showReady();
    this.showChoices();
    this.showAstray();
    this.showMode();
    this.show();
    session.show();
    history.reread();
  }

  /// Puts the chosen language's words into the page. `data-t` is the key of an element's text, `data-t-label` that of its
  /// label. The server has done the same with the language that the browser prefers.
  #translate() {
    document.documentElement.lang = locale();
    for (const element of document.querySelectorAll("[data-t]")) setText(element, t(element.dataset.t));
    for (const element of document.querySelectorAll("[data-t-label]"))
      element.setAttribute("aria-label", t(element.dataset.tLabel));
  }

  /// Draws the agenda, its title and its counts, and the panel.
  show() {
    const { reading, people, grid, week, clock } = this.#parts;
    if (this.#parts.mine.isOpen) this.#parts.mine.show();
    this.#showTake();
    const { agenda } = reading;
    const { me } = people;
    if (!agenda) return;
    const view = { scientist: me, now: clock.now(), local: this.#local };
    if (reading.isWeek) week.show(agenda, view);
    else grid.show(agenda, view);
    this.#showView();
    setText(at("agenda-title"), this.#title());
    const name = reading.nameOf(agenda.telescope);
    setText(at("agenda-telescope"), name);
    at("agenda-telescope").classList.toggle("long", name.length > WIDE);
    const count = (is) => agenda.slots.filter(is).length;
    const sold = count((slot) => slot.sold > 1);
    const mine = count((slot) => slot.sold === 1 && slot.booking?.cientista_id === me);
    const others = count((slot) => slot.sold === 1) - mine;
    const free = count((slot) => kindOf(slot, me) === "free");
    setText(at("agenda-counts"), t("agenda.counts", { free, mine, others }) + (sold ? t("agenda.sold", { sold }) : ""));
    this.#explain(sold > 0);
    this.showSelected();
  }

  /// Shows how the bookings are read outside the page: the person's own, or those of the telescope that is shown.
  #showTake() {
    const { reading, people, mine, take } = this.#parts;
    const item = mine.isOpen ? people.of(people.me) : reading.telescopes.of(reading.agenda?.telescope);
    take.show(item, { [mine.isOpen ? "cientista_id" : "telescopio"]: item?.id });
  }

  /// Explains in the legend what is not always there: slots that were `sold` several times, what has passed, and the present.
  #explain(sold) {
    const { agenda } = this.#parts.reading;
    const { simulated } = agenda;
    at("simulated").hidden = !simulated;
    at("simulated").title = t("legend.simulated");
    // A day that is still to come has no slots that have passed.
    const isBegun = agenda.start <= this.#now();
    at("legend-simulated").hidden = !simulated || !isBegun;
    // What has passed cannot be booked, unless the telescope is simulated.
    at("legend-past").hidden = simulated || !isBegun;
    at("legend-sold").hidden = !sold;
    at("legend-now").hidden = agenda.at(this.#now()) < 0;
  }

  /// Notes the instant that a person has pointed at in a week.
  aim(instant) {
    this.#aim = instant;
  }

  #title() {
    const { agenda, isWeek, isNight } = this.#parts.reading;
    if (this.#parts.mine.isOpen) return t("mine.title");
    if (isNight) return t("night.title", { days: longDays(agenda.start, agenda.end) });
    return isWeek ? weekTitle(agenda) : longDay(agenda.start);
  }

  /// Shows the agenda's day, night or week, and what the buttons for the day mean then.
  #showView() {
    const { agenda, isWeek, isNight } = this.#parts.reading;
    const { isOpen } = this.#parts.mine;
    document.querySelector("main").classList.toggle("weekly", isWeek);
    const view = isWeek ? "week" : isNight ? "night" : "day";
    for (const one of ["day", "night", "week"]) at(`as-${one}`).setAttribute("aria-pressed", one === view && !isOpen);
    const first = isoDay(agenda.start);
    at("before").disabled = isWeek ? !weekAway(first, -1) : !agenda.links.anterior;
    at("after").disabled = isWeek ? !weekAway(first, 1) : !agenda.links.seguinte;
    for (const id of ["before", "after"]) this.#label(at(id), `${view === "day" ? "page" : view}.${id}`);
    this.#word(at("day-label"), `page.${view}`);
    this.#word(at("today"), view === "day" ? "day.today" : `${view}.now`);
  }

  #word(element, key) {
    element.dataset.t = key;
    setText(element, t(key));
  }

  #label(element, key) {
    element.dataset.tLabel = key;
    if (element.getAttribute("aria-label") !== t(key)) element.setAttribute("aria-label", t(key));
  }

  /// While the chosen agenda is being read, the shown one is dimmed.
  wait(waiting) {
    const { grid, week } = this.#parts;
    grid.wait(waiting);
    week.wait(waiting);
  }

  /// Draws the panel: the selected slots, and the contest for them.
  showSelected() {
    const { reading, selection, people, actions, disputes } = this.#parts;
    const { agenda } = reading;
    const { slots } = selection;
    const { first, last } = slots ?? {};
    const view = { agenda: slots && agenda, first, last, local: this.#local, scientist: people.me };
    const nameOf = (id) => people.nameOf(id);
    const slot = showPanel(at("selected"), { ...view, nameOf }, actions);
    at("dispute-box").hidden = !slot;
    if (!slot) return;
    const starts = agenda.slots.slice(first, last + 1).map(({ utc }) => utc);
    if (slot.booking) starts.push(slot.booking.horario_inicio_utc);
    showDispute(at("dispute"), disputes.of(agenda.telescope, [...new Set(starts)]), nameOf);
    // A booking that came by an event has no links.
    if (slot.booking && !slot.booking._links) reading.refresh(slot.booking);
  }

  /// Calls `draw` once in the next frame, however often it is asked for before that.
  soon(draw) {
    if (!this.#drawn.size)
      requestAnimationFrame(() => {
        const all = [...this.#drawn];
        this.#drawn.clear();
        for (const one of all) one();
      });
    this.#drawn.add(draw);
  }

  /// Draws an agenda that has just been read, in place of `before`.
  showRead(before) {
    const { agenda } = this.#parts.reading;
    this.wait(false);
    at("agenda-problem").textContent = "";
    // The elements of a view are hidden when another view is shown: the focus in them would be lost.
    const within = ["grid", "week", "panel"].find((id) => at(id).contains(document.activeElement));
    const other = ["start", "end", "telescope"].some((what) => before?.[what] !== agenda[what]);
    if (other) this.#arrive(before);
    this.show();
    if (other) this.#keepFocus(within, before);
    // The page opens at the present, unless its address names another place, or the browser has gone back to where it was.
    const { day, astray } = this.#parts.selection;
    if (!before && !day && !astray.strange && !astray.telescope && !scrollY) this.revealNow("instant");
  }

  #arrive(before) {
    const { reading, selection, history, grid } = this.#parts;
    const { agenda } = reading;
    at("day").value = reading.isWeek ? selection.near : isoDay(agenda.start);
    selection.select(undefined);
    history.close();
    if (before) announce(this.#title());
    const aimed = agenda.at(this.#aim ?? NaN);
    this.#aim = undefined;
    if (reading.isWeek) return;
    // If the days are turned with the keyboard, the focus stays at its slot.
    if (at("grid").contains(document.activeElement)) grid.select(grid.range.first);
    else grid.rest(Math.max(aimed, 0) || Math.max(agenda.at(this.#now()), 0));
  }

  /// Moves the focus out of a view that is hidden now: to the link of the day before, or to the day's title.
  #keepFocus(within, before) {
    const { reading, week, grid } = this.#parts;
    if (reading.isWeek && within && within !== "week") week.focus(before?.start);
    if (!reading.isWeek && within === "week") {
      at("agenda-title").focus({ preventScroll: true });
      grid.reveal();
    }
  }

  /// The true time; before it is known, that of the agenda's answer.
  #now() {
    return this.#parts.clock.now() || this.#parts.reading.agenda.now;
  }

  /// Scrolls to the present slot. `behavior` is as in `scrollIntoView`: people who want less motion get none.
  revealNow(behavior) {
    const { reading, grid } = this.#parts;
    const index = reading.isWeek ? -1 : (reading.agenda?.at(this.#now()) ?? -1);
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (index >= 0) grid.reveal(index, calm ? "instant" : behavior);
  }

  showLocal(local) {
    this.#local = local;
    this.showTime();
    this.show();
  }

  /// Shows the time now, and gives the milliseconds until it changes.
  showTime() {
    return showTime(this.#parts.clock, this.#local);
  }

  showClock() {
    showSynchronisation(this.#parts.clock);
    this.showTime();
    this.show();
  }

  showLive() {
    const { state } = this.#parts.live;
    at("live").dataset.state = state;
    const isAway = state === "off" && this.#parts.ready.paused === "away";
    setText(at("live"), t(isAway ? "live.away" : `live.${state}`));
  }

  /// Says whether bookings are paused, beside the agenda and in the dialog. The text is an alert: it is spoken when it comes.
  showReady() {
    const { paused } = this.#parts.ready;
    const words = paused ? t(`ready.${paused}`) + (paused === "away" ? this.#asOf() : "") : "";
    setText(at("paused"), words);
    pause(words);
    this.showLive();
  }

  /// Says which was the last instant at which the agenda shown was known to be up to date.
  #asOf() {
    const { clock, live, reading } = this.#parts;
    if (!reading.agenda) return "";
    const heard = clock.now() - (performance.now() - live.heard);
    return ` ${t("ready.asOf", { time: past(Math.max(reading.agenda.now, heard || 0), this.#now()) })}`;
  }

  showMode() {
    const { entry, isRace, telescopes } = this.#parts.reading;
    setText(at("mode"), isRace ? t("mode.race") : "");
    // To a person who books nothing, the choice of who books means nothing.
    at("as").hidden = at("as-mine").hidden = Boolean(entry && !entry._links.agendar);
    at("office").hidden = !telescopes.links.criar && !this.#parts.people.links.criar;
    this.#word(at("keys"), at("as").hidden ? "page.keysRead" : "page.keys");
  }

  showAstray() {
    const { astray, telescope } = this.#parts.selection;
    showStrange(at("address-problem"), astray, telescope?.nome ?? "");
  }

  showChoices() {
    const { reading, selection, people } = this.#parts;
    if (!reading.telescopes.isOpen) return;
    const option =
      (chosen) =>
      ({ id, nome }) =>
        el("option", { value: id, dir: "auto", text: nome, selected: id === chosen });
    // A list that is open is not replaced, unless it has changed.
    const fill = (select, items, chosen, none) => {
      const facts = [items.map(({ id, nome }) => [id, nome]), chosen, none];
      if (!changes(select, facts) && select.value === String(chosen ?? "")) return;
      select.replaceChildren(...(none ? [el("option", { value: "", text: none })] : []), ...items.map(option(chosen)));
    };
    const { id } = selection.telescope ?? {};
    fill(at("telescope"), reading.telescopes.choices(reading.telescopes.of(id)), id);
    fill(at("scientist"), people.mine, people.me, !people.isOne && t("scientist.choose"));
    at("scientist").disabled = people.isOne;
    for (const finder of this.finders) finder.sync();
  }
}
