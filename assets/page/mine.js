// The bookings of the person who uses the page, over all days and telescopes: those to come, and on request all others.

import { FINAL, identity } from "./agenda.js";
import { follow } from "./api.js";
import { cancel } from "./cancel.js";
import { change } from "./change.js";
import { announce } from "./dialog.js";
import { at, changes, el, replace, setText, typed } from "./dom.js";
import { longDay, minutes, span } from "./format.js";
import { History } from "./history.js";
import { current, phrase, t } from "./i18n.js";
import { isoDay } from "./instants.js";
import { because, busy } from "./problems.js";
import { placeHash } from "./selection.js";
import { forget, readWaits } from "./waits.js";

/// As many bookings are read, or shown, at once.
const PAGE = 50;
const PAGE_MAX = 500;
/// Of many changes in this time the list is read once.
const SPREAD_MS = 300;

/// Dispatches `open` when it is to be shown, with whether that is a step for the browser's Back; and `see` with the instant of a
/// booking to which a link leads.
export class Mine extends EventTarget {
  #parts;
  #root = at("mine");
  #history = new History(el("section", { class: "history", hidden: true }));
  /// The booking whose history is shown.
  #told;
  /// The scientist whose bookings are shown.
  #whose;
  /// The bookings to come, and the link to more of them; undefined until they are read.
  #coming;
  #more;
  /// For what the person waits.
  #waits = [];
  /// All others, the last one first, and how many of them are shown; undefined until they are asked for.
  #others;
  #shown = PAGE;
  #problem;
  #last = 0;
  #timer;
  isOpen = false;

  /// `parts` has reading, people, clock, and `where`, which names the place and days of a booking.
  constructor(parts) {
    super();
    this.#parts = parts;
  }

  open(step = false) {
    if (this.isOpen) return;
    this.#turn(true);
    this.#whose = undefined;
    this.dispatchEvent(new CustomEvent("open", { detail: step }));
    announce(t("mine.title"));
  }

  close() {
    if (this.isOpen) this.#turn(false);
  }

  #turn(isOpen) {
    this.isOpen = isOpen;
    this.#last += 1;
    document.querySelector("main").classList.toggle("personal", isOpen);
    at("as-mine").setAttribute("aria-pressed", isOpen);
  }

  /// Takes the focus if it was in an element that is there no longer.
  focus() {
    if (document.activeElement === document.body) at("agenda-title").focus();
  }

  /// Draws the list, and reads it if it is that of another person.
  show() {
    const { me } = this.#parts.people;
    setText(at("agenda-title"), t("mine.title"));
    if (me !== this.#whose) {
      this.#whose = me;
      this.#waits = [];
      this.#coming = this.#more = this.#others = this.#told = this.#problem = undefined;
      this.#shown = PAGE;
      this.#history.close();
      if (me) this.#read();
    }
    this.#draw();
  }

  /// A booking was made or cancelled, by anyone.
  hear(made) {
    if (!this.isOpen || made.cientista_id !== this.#whose) return;
    this.#history.hear(made);
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      if (this.isOpen) this.#read();
    }, SPREAD_MS);
  }

  async #read() {
    this.#last += 1;
    const number = this.#last;
    const { reading, clock } = this.#parts;
    const since = new Date(clock.now() || Date.now()).toISOString();
    const limite = Math.min(Math.max(this.#coming?.length ?? 0, PAGE), PAGE_MAX);
    const variables = { cientista_id: this.#whose, status: "AGENDADO", de: since, limite };
    try {
      const page = await follow(reading.entry._links.agendamentos, { variables });
      const waits = await readWaits(reading.entry._links.esperas, this.#whose);
      const others = this.#others && (await this.#readOthers(page.agendamentos));
      await reading.telescopes.meet([...page.agendamentos, ...waits].map(({ telescopio }) => telescopio));
      if (number !== this.#last) return;
      this.#coming = page.agendamentos;
      this.#waits = waits;
      this.#more = page._links.proxima;
      this.#others = others;
      this.#problem = undefined;
    } catch (problem) {
      if (number !== this.#last) return;
      this.#problem = problem;
    }
    this.#draw();
    // Who has nothing to come has come for the others.
    if (this.#coming && !this.#coming.length && !this.#others) this.#open();
  }

  /// All bookings but those to come: the last one first.
  async #readOthers(coming) {
    const { reading } = this.#parts;
    const skip = new Set(coming.map(identity));
    const now = this.#parts.clock.now() || Date.now();
    const isOver = ({ status, horario_fim_utc: end }) => status === FINAL || Date.parse(end) <= now;
    const all = [];
    let page;
    do {
      const variables = { cientista_id: this.#whose, limite: PAGE_MAX };
      page = await follow(page?._links.proxima ?? reading.entry._links.agendamentos, { variables });
      all.push(...page.agendamentos.filter((one) => isOver(one) && !skip.has(identity(one))));
    } while (page._links.proxima);
    all.reverse();
    await reading.telescopes.meet(all.map(({ telescopio }) => telescopio));
    return all;
  }

  /// Reads and shows the others.
  async #open(button) {
    if (button && (busy(button) || !busy(button, t("mine.reading")))) return;
    const number = this.#last;
    try {
      const others = await this.#readOthers(this.#coming ?? []);
      if (number === this.#last) this.#others = others;
    } catch (problem) {
      if (number === this.#last) this.#problem = problem;
    }
    this.#draw();
  }

  async #readMore(button) {
    if (busy(button)) return;
    busy(button, t("mine.reading"));
    const number = this.#last;
    try {
      const page = await follow(this.#more);
      if (number !== this.#last) return;
      this.#coming = [...this.#coming, ...page.agendamentos];
      this.#more = page._links.proxima;
    } catch (problem) {
      this.#problem = problem;
    }
    this.#draw();
  }

  #draw() {
    const { people, reading } = this.#parts;
    const shown = this.#others?.slice(0, this.#shown);
    const names = [...(this.#coming ?? []), ...(shown ?? [])].map(({ telescopio }) => reading.nameOf(telescopio));
    const facts = [this.#whose, people.nameOf(this.#whose), this.#coming, this.#waits, this.#more, shown, this.#others?.length, names];
    if (!changes(this.#root, [...facts, this.#told && identity(this.#told), String(this.#problem), current()])) return;
    if (!this.#whose) return replace(this.#root, el("p", { class: "quiet", text: t("mine.nobody") }));
    const button = (focus, text, act) => {
      const made = el("button", { type: "button", "data-focus": focus, text: t(text) });
      made.addEventListener("click", () => act(made));
      return el("p", {}, made);
    };
    const none = this.#coming && !this.#coming.length && el("p", { class: "quiet", text: t("mine.none") });
    replace(
      this.#root,
      el("p", { class: "where" }, typed(people.nameOf(this.#whose))),
      this.#problem && el("p", { class: "error", role: "alert" }, because(this.#problem)),
      this.#problem && button("again", "book.again", () => this.#read()),
      !this.#coming && !this.#problem && el("p", { class: "quiet", text: t("mine.reading") }),
      none,
      this.#days(this.#coming ?? []),
      this.#more && button("more", "mine.more", (pressed) => this.#readMore(pressed)),
      this.#waits.length > 0 && el("h3", { class: "part", text: t("mine.waits") }),
      this.#waits.length > 0 && el("ul", {}, this.#waits.map((one) => this.#wait(one))),
      this.#coming && !this.#others && button("others", "mine.others", (pressed) => this.#open(pressed)),
      shown && el("h3", { class: "part", text: t("mine.othersTitle") }),
      shown && !shown.length && el("p", { class: "quiet", text: t("mine.noOthers") }),
      this.#days(shown ?? []),
      this.#others?.length > this.#shown &&
        button("older", "mine.more", () => {
          this.#shown += PAGE;
          this.#draw();
        }),
    );
  }

  /// The bookings below the days on which they begin.
  #days(bookings) {
    const items = [];
    let day;
    for (const booking of bookings) {
      const start = Date.parse(booking.horario_inicio_utc);
      if (isoDay(start) !== day) {
        day = isoDay(start);
        items.push(el("h3", { class: "on-day", text: longDay(start) }), el("ul", {}));
      }
      items.at(-1).append(this.#item(booking, start));
    }
    return items;
  }

  #item(booking, start) {
    const { id, telescopio, alvo, duracao_min, status, motivo_cancelamento: reason, _links: links } = booking;
    const over = status === FINAL;
    const { reading } = this.#parts;
    const when = span(start, Date.parse(booking.horario_fim_utc));
    const named = (kind, focus, text, act) =>
      el(
        "button",
        { type: "button", class: kind, "data-focus": `${focus}-${id}`, onclick: act },
        t(text),
        el("span", { class: "aloud", text: ` ${when}` }),
      );
    const see = el("a", {
      href: placeHash(telescopio, isoDay(start)),
      "data-focus": `see-${id}`,
      onclick: () => this.dispatchEvent(new CustomEvent("see", { detail: start })),
    });
    see.append(t("mine.see"), el("span", { class: "aloud", text: ` ${when}` }));
    const isTold = this.#told && identity(this.#told) === identity(booking);
    return el(
      "li",
      { class: over ? "over" : "" },
      el("p", {}, el("b", { text: `${when} UTC` }), ` · ${minutes(duracao_min)} · `, typed(reading.nameOf(telescopio))),
      alvo && el("p", {}, typed(alvo)),
      el("p", { class: "quiet" }, t("panel.number", { id }), over && ` · ${t("mine.cancelled")}`),
      over && reason && el("p", { class: "quiet" }, phrase("history.reason", { reason: typed(reason) })),
      el(
        "div",
        { class: "buttons" },
        see,
        links.historico && named("", "history", "panel.history", () => this.#tell(booking)),
        links.alterar && named("", "change", "panel.change", () => this.#change(booking)),
        links.cancelar && named("danger", "cancel", "panel.cancel", () => this.#cancel(booking)),
      ),
      isTold && this.#history.root,
    );
  }

  /// A place in a list of those who wait.
  #wait(one) {
    const { reading } = this.#parts;
    const start = Date.parse(one.horario_inicio_utc);
    const when = `${longDay(start)}, ${span(start, Date.parse(one.horario_fim_utc))} UTC`;
    const leave = el("button", { type: "button", "data-focus": `leave-${one.id}`, text: t("wait.leave") });
    leave.append(el("span", { class: "aloud", text: ` ${when}` }));
    const wrong = el("p", { class: "error", role: "alert" });
    leave.addEventListener("click", async () => {
      if (busy(leave)) return;
      busy(leave, t("wait.leaving"));
      try {
        await follow(one._links.sair, { method: "DELETE" });
        forget(one);
        announce(t("wait.left"));
        await this.#read();
        this.focus();
      } catch (problem) {
        leave.removeAttribute("aria-busy");
        leave.textContent = t("wait.leave");
        wrong.replaceChildren(because(problem));
      }
    });
    const passed = one.preterida && phrase("wait.passed", { why: typed(one.preterida.motivo) });
    return el(
      "li",
      { class: "over wait" },
      el("p", {}, el("b", { text: when }), ` · ${minutes(one.duracao_min)} · `, typed(reading.nameOf(one.telescopio))),
      el("p", { text: t("wait.place", { place: one.posicao }) }),
      passed && el("p", { class: "quiet" }, passed),
      wrong,
      one._links.sair && el("div", { class: "buttons" }, leave),
    );
  }

  #tell(booking) {
    this.#told = booking;
    this.#draw();
    this.#history.open(booking);
  }

  #cancel(booking) {
    const { people, reading, where } = this.#parts;
    cancel(booking, { name: people.nameOf(booking.cientista_id), mine: true, where }, (done) => {
      if (done) reading.apply(done);
      this.#read();
    });
  }

  #change(booking) {
    const { people, reading, where } = this.#parts;
    const lists = { people, telescopes: reading.telescopes };
    change(booking, { name: people.nameOf(booking.cientista_id), mine: true, where, lists }, () => {
      reading.read();
      this.#read();
    });
  }
}
