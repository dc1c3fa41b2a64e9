// Booking: the form, the request, and each way in which it can end: won, lost, refused, unknown.
//
// The instant of a click is taken before anything else. A request books once; only a person sends another.

import { FINAL } from "./agenda.js";
import { follow } from "./api.js";
import { charge } from "./charge.js";
import { showContest } from "./contest.js";
import { announce, buttons, calm, close, field, isShown, open, show } from "./dialog.js";
import { el, typed } from "./dom.js";
import { freeBeyond, lengths } from "./durations.js";
import { Finder } from "./finder.js";
import { elsewhere, instantTime, localSpan, minutes, span } from "./format.js";
import { phrase, t } from "./i18n.js";
import { MINUTE_MS } from "./instants.js";
import { find } from "./lost.js";
import { spoken } from "./names.js";
import { Notice } from "./notice.js";
import { Offers } from "./offers.js";
import { busy, explain, markErrors, retryButton } from "./problems.js";
import { once } from "./once.js";
import { Rivals } from "./rivals.js";
import { enter, enterButton } from "./wait.js";

/// A request may be refused while a rival's is being decided. Whose the slot is will be known soon: it is asked this often.
const DECISION_TRIES = 8;
const DECISION_WAIT_MS = 250;
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/// A field for the duration of what is `wanted`: {agenda, start, step, duration, free}. When it is known how many slots can
/// be booked, `wanted.most` has their number.
function durationField(wanted, onchange) {
  const { agenda, start, step, free } = wanted;
  const field = el("select", { onchange });
  const offer = (most) => {
    for (const length of lengths(field.length + 1, most, step)) {
      field.append(el("option", { value: length, text: minutes(length), selected: length === wanted.duration }));
    }
  };
  offer(wanted.most ?? free);
  if (!wanted.most) {
    freeBeyond(agenda, start, free).then((most) => {
      wanted.most = most;
      offer(most);
    });
  }
  return field;
}

/// Dispatches `booked` with the booking, `scientist` with the scientist who was chosen in the form, and `see` with the
/// {telescope, start} of a slot that the page is to go to; and `refused` when the server cannot book now.
export class Booking extends EventTarget {
  #clock;
  #people;
  #where;
  #catalogue;
  /// What stands where a person is about to book.
  #rivals;
  /// Looks again whether that concerns what the dialog shows.
  #look = () => undefined;
  /// What shows other slots in the dialog.
  #offers;

  /// `people` are the scientists: `mine`, `isOne`, `nameOf(id)`, `me`. `where` names a telescope and the days of a booking, in pieces.
  /// `catalogue` gives {link, telescopes}: the link to the proposals, and the list of telescopes.
  constructor(clock, people, where, catalogue) {
    super();
    this.#clock = clock;
    this.#people = people;
    this.#where = where;
    this.#catalogue = catalogue;
  }

  /// Opens the form for `count` slots of an agenda from `slot` on, of which `free` are free.
  begin(agenda, slot, count, free) {
    const step = agenda.length / MINUTE_MS;
    const wanted = {
      agenda,
      start: slot.start,
      link: slot.book,
      step,
      duration: count * step,
      free,
      target: "",
      notes: "",
    };
    this.#rivals = new Rivals(agenda);
    this.#form(open(), wanted);
  }

  /// A booking was made or cancelled, by anyone.
  hear(booking) {
    if (!this.#rivals?.note(booking)) return;
    this.#offers?.hear(booking);
    this.#look(booking);
  }

  /// An agenda was read.
  read(agenda) {
    this.#rivals?.read(agenda);
    this.#look();
  }

  #form(flow, wanted, problem) {
    const { agenda, start } = wanted;
    const title = el("h2", { id: "dialog-title", tabindex: "-1" });
    const place = el("p", { class: "where" });
    const local = el("p", { class: "quiet" });
    const times = () => {
      const end = start + Number(duration.value) * MINUTE_MS;
      title.textContent = t("book.title", { span: span(start, end) });
      place.replaceChildren(...this.#where(agenda.telescope, start, end));
      local.textContent = elsewhere(start, end) ? t("panel.local", { span: localSpan(start, end) }) : "";
    };
    const duration = durationField(wanted, () => {
      times();
      notice.look();
      notice.again();
    });
    const scientist = el("select", { required: true, autofocus: !this.#people.me });
    if (!this.#people.isOne) scientist.append(el("option", { value: "", text: t("scientist.choose") }));
    for (const { id, nome } of this.#people.mine) {
      scientist.append(el("option", { value: id, dir: "auto", text: nome, selected: id === this.#people.me }));
    }
    const who = field("cientista_id", t("book.scientist"), scientist);
    if (!this.#people.isOne) new Finder(scientist, this.#people, who.querySelector("label"));
    const { link, telescopes } = this.#catalogue();
    const charged = charge({ link, telescope: telescopes.of(agenda.telescope), start, chosen: wanted.proposal }, scientist);
    const target = el("input", {
      type: "text",
      dir: "auto",
      maxlength: "200",
      autocomplete: "off",
      autofocus: Boolean(this.#people.me),
    });
    target.value = wanted.target;
    const notes = el("textarea", { rows: "2", dir: "auto", maxlength: "2000" });
    notes.value = wanted.notes;
    const send = el("button", { type: "submit", class: "primary", text: t("book.send") });
    const root = el("div", { class: "notice" });
    const form = el(
      "form",
      { novalidate: true },
      place,
      local,
      el("p", { class: "error", id: "error-horario_inicio_utc" }),
      who,
      charged.root,
      field("duracao_min", t("book.duration"), duration),
      field("alvo", t("book.target"), target),
      field("observacoes", t("book.notes"), notes),
      root,
      el("div", { class: "problem" }),
      el("div", { class: "buttons" }, send, el("button", { type: "button", text: t("book.back"), onclick: close })),
    );
    const filled = () => ({
      duration: Number(duration.value),
      proposal: charged.read(),
      target: target.value,
      notes: notes.value,
    });
    const post = (now, waiting, clicked) => {
      if (!scientist.value) return markErrors(form, [{ campo: "cientista_id", codigo: "escolha" }]);
      Object.assign(wanted, filled());
      this.#choose(Number(scientist.value));
      this.#send(flow, { ...wanted, ...now }, clicked, waiting);
    };
    form.addEventListener("submit", (event) => {
      const clicked = this.#clock.moment();
      event.preventDefault();
      if (!busy(send)) post({}, () => busy(send, t("book.sending")), clicked);
    });
    const notice = new Notice({
      root,
      send,
      rivals: this.#rivals,
      people: this.#people,
      wanted: () => ({ ...wanted, ...filled() }),
      take: ({ start, link, button, list }) => {
        const clicked = this.#clock.moment();
        // Of this slot only so much is known to be free.
        const most = Number(duration.value) / wanted.step;
        if (!busy(list)) post({ start, link, most }, () => busy(list, button), clicked);
      },
    });
    if (!show(flow, "", form)) return;
    form.parentElement.querySelector("h2").replaceWith(title);
    times();
    if (problem) explain(form, problem);
    this.#offers = notice;
    this.#look = () => isShown(flow) && notice.look();
    this.#look();
  }

  #choose(scientist) {
    if (scientist !== this.#people.me) this.dispatchEvent(new CustomEvent("scientist", { detail: scientist }));
  }

  async #send(flow, wanted, clicked, waiting) {
    waiting();
    announce(t("book.sending"));
    const body = this.#body(wanted, clicked);
    try {
      this.#won(flow, await once(flow, wanted.link, { body }));
    } catch (problem) {
      if (problem.unknown) this.#unknown(flow, wanted, body);
      else if (problem.status === 409) this.#lost(flow, wanted, problem.body);
      else if (problem.status === 503 || problem.status === 429) this.#refused(flow, wanted, problem);
      else this.#form(flow, wanted, problem);
    }
  }

  /// What a request says.
  #body(wanted, clicked = NaN) {
    const body = {
      cientista_id: this.#people.me,
      telescopio: wanted.agenda.telescope,
      horario_inicio_utc: new Date(wanted.start).toISOString(),
      duracao_min: wanted.duration,
    };
    if (!Number.isNaN(clicked)) {
      body.instante_clique_utc = new Date(clicked).toISOString();
      if (this.#clock.token) body.token_hora = this.#clock.token;
    }
    if (wanted.proposal) body.proposta_id = wanted.proposal;
    if (wanted.target.trim()) body.alvo = wanted.target.trim();
    if (wanted.notes.trim()) body.observacoes = wanted.notes.trim();
    return body;
  }

  #won(flow, booking) {
    const { id, horario_inicio_utc, horario_fim_utc, instante_clique_utc, criado_em_utc } = booking;
    const [start, end] = [Date.parse(horario_inicio_utc), Date.parse(horario_fim_utc)];
    const words = t("book.won", { id, span: span(start, end) });
    const clicked = instante_clique_utc && t("book.clicked", { time: instantTime(instante_clique_utc, criado_em_utc) });
    const day = el("p", { class: "where" }, this.#where(booking.telescopio, start, end));
    this.dispatchEvent(new CustomEvent("booked", { detail: booking }));
    const seen = el(
      "div",
      { class: "outcome won" },
      el("p", { text: words }),
      clicked && el("p", { class: "quiet", text: clicked }),
    );
    const contest = el("div", {});
    show(
      flow,
      t("book.wonTitle"),
      day,
      seen,
      contest,
      buttons({ text: t("book.close"), onclick: close, kind: "primary", autofocus: true }),
    );
    announce(words);
    showContest(flow, contest, booking, (id) => this.#people.nameOf(id));
  }

  /// Someone else has the slot. Says who, as soon as that is known, and offers the nearest free slots.
  async #lost(flow, wanted, { _links: links = {}, ...answer }) {
    const who = el("p", { class: "who" });
    const offers = el("div", { class: "offers" });
    const seen = el("div", { class: "outcome lost" }, who);
    const choices = buttons({ text: t("book.back"), onclick: close });
    const contest = el("div", {});
    show(flow, t("book.lostTitle"), seen, contest, offers, choices);
    showContest(flow, contest, { ...answer, _links: links }, (id) => this.#people.nameOf(id));
    const say = (words) => {
      who.replaceChildren(...words);
      announce(spoken(words));
    };
    const tell = (taken) => {
      say(this.#whose(taken, wanted));
      this.#lead(Math.max(Date.parse(taken.horario_inicio_utc), wanted.start), wanted, choices);
      this.#await(flow, wanted, taken, { seen, say });
    };
    if (answer.cientista) tell(answer);
    else say([t("book.losing")]);
    if (links.esperar) {
      const enterIt = () => enter(flow, { link: links.esperar, body: this.#body(wanted) }, choices.parentElement);
      choices.append(enterButton(enterIt));
      choices.before(el("div", { class: "problem" }));
    }
    this.#offer(flow, wanted, links.livres, offers);
    if (answer.cientista || !links.agendamentos) return;
    const taken = await this.#decided(links.agendamentos);
    if (taken) tell(taken);
    else say([t("book.lostToNobody")]);
  }

  /// Waits for the cancellation of the booking that took the slot. If nobody else has the slot then, it is offered too.
  #await(flow, wanted, { agendamento_id: id }, { seen, say }) {
    const end = wanted.start + wanted.duration * MINUTE_MS;
    let gone = false;
    this.#look = (booking) => {
      gone ||= booking?.id === id && booking.status === FINAL;
      if (!gone || !isShown(flow) || !seen.isConnected || this.#rivals.over(wanted.start, end)) return;
      this.#look = () => undefined;
      seen.classList.replace("lost", "won");
      say([t("book.freed", { span: span(wanted.start, end) })]);
      this.#offers.again();
      calm();
    };
  }

  /// Says who has the slot that was not free, and names its day if it is not the day that was asked for.
  #whose({ cientista, cientista_id, agendamento_id, horario_inicio_utc }, { agenda, start: asked }) {
    if (cientista_id === this.#people.me) return phrase("book.lostToSelf", { id: agendamento_id });
    const start = Math.max(Date.parse(horario_inicio_utc), asked);
    return phrase("book.lost", { name: typed(cientista), span: span(start, start + agenda.length, asked) });
  }

  /// Offers to go to the slot that was not free, if it is another one than the first that was asked for.
  #lead(start, { agenda, start: asked }, choices) {
    if (start === asked) return;
    const see = () => this.dispatchEvent(new CustomEvent("see", { detail: { telescope: agenda.telescope, start } }));
    const when = span(start, start + agenda.length, asked);
    choices.append(el("button", { type: "button", text: t("book.see", { span: when }), onclick: see }));
  }

  /// The booking of a rival whose request was being decided when this one was refused; undefined if none was made.
  async #decided(link) {
    for (let tried = 0; tried < DECISION_TRIES; tried += 1) {
      const page = await follow(link).catch(() => undefined);
      const booking = page?.agendamentos.find(({ status }) => status === "AGENDADO");
      if (booking) {
        const { id, cientista_id, horario_inicio_utc } = booking;
        return { cientista: this.#people.nameOf(cientista_id), cientista_id, agendamento_id: id, horario_inicio_utc };
      }
      await pause(DECISION_WAIT_MS);
    }
    return undefined;
  }

  #offer(flow, wanted, link, root) {
    this.#offers = new Offers(
      root,
      link,
      () => wanted,
      ({ start, link: book, button }) => {
        const clicked = this.#clock.moment();
        if (busy(root)) return;
        // Of this slot only so much is known to be free.
        const most = wanted.duration / wanted.step;
        this.#send(flow, { ...wanted, start, link: book, most }, clicked, () => busy(root, button));
      },
    );
  }

  /// Nothing was booked, and the server says when to try again.
  #refused(flow, wanted, problem) {
    const root = el("div", { class: "outcome refused" });
    const again = retryButton(problem.retryAfter, () => {
      const clicked = this.#clock.moment();
      if (!busy(again)) this.#send(flow, wanted, clicked, () => busy(again, t("book.sending")));
    });
    const back = el("button", { type: "button", text: t("book.toForm"), onclick: () => this.#form(flow, wanted) });
    show(flow, t("book.refusedTitle"), root, el("div", { class: "buttons" }, again, back));
    explain(root, problem);
    this.dispatchEvent(new Event("refused"));
  }

  /// The answer was lost: the agenda shows whether the booking was made.
  async #unknown(flow, wanted, body) {
    const words = el("p", { role: "status", text: t("book.unknown") });
    const checks = el("div", { class: "checks" });
    const choices = el(
      "div",
      { class: "buttons" },
      el("button", { type: "button", text: t("book.close"), onclick: close }),
    );
    show(flow, t("book.unknownTitle"), el("div", { class: "outcome refused" }, words, checks), choices);
    announce(t("book.unknown"));
    const found = await find(flow, wanted, body, checks);
    if (!found) return;
    const { mine, other, links } = found;
    if (mine) return this.#won(flow, mine);
    if (other) {
      const cientista = this.#people.nameOf(other.cientista_id);
      return this.#lost(flow, wanted, { ...other, cientista, agendamento_id: other.id, _links: links });
    }
    checks.replaceChildren();
    choices.parentElement.querySelector("h2").textContent = t("book.refusedTitle");
    words.textContent = t("book.notThere");
    const again = el("button", {
      type: "button",
      class: "primary",
      text: t("book.toForm"),
      onclick: () => this.#form(flow, wanted),
    });
    choices.prepend(again);
  }
}
