// What is read from the server: the entry point, the catalogue and the agenda that is chosen, and what was heard of since
// by events. No DOM.

import { Agenda, FREE, Heard, identity } from "./agenda.js";
import { enter, follow, timed, waitFor } from "./api.js";
import { DAY_MS, parseInstant } from "./instants.js";
import { Listing } from "./listing.js";

const RETRY_MS = 5000;
/// What all pages hear at once makes each read the agenda at a random moment within this time.
export const SPREAD_MS = 1500;
/// After an event the agenda is read again within this time: what an event said is shown until then, and not longer.
const CONFIRM_MS = 30000;

const tell = (name, detail) => new CustomEvent(name, { detail });
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/// Dispatches `asked` before an agenda is read, and `agenda` when it is there, with the one before; `booking` for each booking
/// that says something new, and `change` if the agenda shows it; `people`, `refreshed` and `mode` when names, a booking's
/// links and the entry point were read; `stranger` when a person has to sign in first; and `problem` when a reading failed.
export class Reading extends EventTarget {
  #selection;
  #people;
  #entry;
  /// The first reading of the entry point, which the clock and the catalogue share.
  #entering;
  /// The newest time token.
  #token;
  #telescopes = new Listing("telescopios");
  #agenda;
  #isWeek = false;
  /// The selection's key for which the agenda was read.
  #answered;
  #heard = new Heard();
  /// The number of the last reading begun. Answers to earlier ones are dropped.
  #last = 0;
  #timer;
  #confirming;
  #refreshing = new WeakSet();
  /// The telescopes that were changed and are to be read again.
  #renew = new Set();
  #renewing;
  /// Ends the wait for a sign-in.
  #admit;

  constructor(selection, people) {
    super();
    this.#selection = selection;
    this.#people = people;
  }

  get agenda() {
    return this.#agenda;
  }

  get telescopes() {
    return this.#telescopes;
  }

  /// The name of a telescope; its id if no such telescope was read.
  nameOf(telescope) {
    return this.#telescopes.of(telescope)?.nome ?? telescope;
  }

  get entry() {
    return this.#entry;
  }

  /// Whether the agenda shown is the one that is chosen. Only then can a slot of it be booked.
  get isSettled() {
    return Boolean(this.#agenda) && this.#answered === this.#selection.key;
  }

  /// Whether the agenda shown is that of a week.
  get isWeek() {
    return this.#isWeek;
  }

  /// Whether the agenda shown is that of a night, from noon to noon.
  get isNight() {
    return !this.#isWeek && this.#agenda?.start % DAY_MS > 0;
  }

  /// Whether the scheduler runs without locks.
  get isRace() {
    return this.#entry?.modo === "sem_trava";
  }

  /// Makes one exchange for the clock: {t1, t2, t3, t4}, in milliseconds, and the server's time token of it. Each continues the series of the
  /// one before, so that the server sees the round trip too.
  async askTime() {
    await this.#enter();
    const { hora, hora_assinada: signed } = this.#entry._links;
    const nonce = [...crypto.getRandomValues(new Uint32Array(2))].join("-");
    const { begun, ended, json } = await timed(signed ?? hora, { nonce, anterior: this.#token });
    this.#token = json.token_hora ?? undefined;
    return { t1: begun, t2: parseInstant(json.recebido_utc), t3: parseInstant(json.enviado_utc), t4: ended, token: this.#token };
  }

  /// Reads the entry point, unless it is there.
  async #enter() {
    if (this.#entry) return;
    this.#entering ??= enter().finally(() => (this.#entering = undefined));
    this.#entry = await this.#entering;
  }

  /// Reads the entry point and the first pages of the catalogue, again until they are there.
  async open() {
    for (;;) {
      try {
        await this.#enter();
        if (!this.#entry._links.telescopios) {
          await this.#admission();
          continue;
        }
        await this.#openCatalogue();
        this.dispatchEvent(tell("mode"));
        this.settle();
        return;
      } catch (problem) {
        this.dispatchEvent(tell("problem", problem));
        await pause(waitFor(problem, RETRY_MS * (0.5 + Math.random())));
      }
    }
  }

  /// Reads the first pages of the catalogue.
  #openCatalogue() {
    const { telescopios, cientistas } = this.#entry._links;
    return Promise.all([this.#telescopes.open(telescopios), this.#people.open(cientistas)]);
  }

  /// Reads who uses the page, unless that is known; the agenda does not wait for it.
  async settle() {
    try {
      await this.#people.settle();
      this.dispatchEvent(tell("people"));
    } catch (problem) {
      if (problem.passes !== false) setTimeout(() => this.settle(), waitFor(problem, RETRY_MS));
    }
  }

  /// Reads the telescopes of these ids, unless they are known, until that is done. Those that do not exist are left out.
  async meetTelescopes(ids) {
    for (;;) {
      try {
        return await this.#telescopes.meet(ids);
      } catch (problem) {
        if (problem.passes === false) return false;
        this.dispatchEvent(tell("problem", problem));
        await pause(waitFor(problem, RETRY_MS * (0.5 + Math.random())));
      }
    }
  }

  /// Waits until a person has signed in. Without that there is nothing to read.
  async #admission() {
    this.dispatchEvent(tell("stranger"));
    await new Promise((resolve) => (this.#admit = resolve));
    this.#admit = undefined;
    this.#entry = undefined;
  }

  /// A person has signed in: goes on, or reads everything again, with the links that this person has.
  async admit() {
    if (this.#admit) return this.#admit();
    // Another person may have other links.
    this.#entry = await enter().catch(() => this.#entry);
    if (this.#entry._links.telescopios) await this.#openCatalogue().catch(() => undefined);
    this.dispatchEvent(tell("mode"));
    if (this.#selection.telescope) this.read();
  }

  /// Reads the entry point again: after an outage another server may answer, in another mode.
  async reenter() {
    this.#entry = await enter().catch(() => this.#entry);
    this.dispatchEvent(tell("mode"));
  }

  /// Reads the agenda of the chosen day, night or week, by `link` if another link leads there.
  async read(link = this.#selection.telescope._links.agenda) {
    this.#last += 1;
    const number = this.#last;
    for (const timer of [this.#timer, this.#confirming]) clearTimeout(timer);
    this.#timer = this.#confirming = undefined;
    const since = performance.now();
    const { key, variables, isWeek } = this.#selection;
    this.dispatchEvent(tell("asked"));
    try {
      const answer = await follow(link, { variables });
      if (number !== this.#last) return;
      const before = this.#agenda;
      this.#agenda = new Agenda(answer, this.isRace, this.#telescopes.of(answer.telescopio)?._links.agendar);
      this.#isWeek = isWeek;
      this.#answered = key;
      this.#heard.correct(answer.agendamentos, since);
      for (const one of this.#heard.after(since)) this.#agenda.apply(one);
      this.dispatchEvent(tell("agenda", before));
      await this.#meet(answer.agendamentos);
    } catch (problem) {
      if (number !== this.#last) return;
      this.dispatchEvent(tell("problem", problem));
      // A request that was refused once would be refused again.
      if (problem.passes !== false) this.reread(RETRY_MS, waitFor(problem, 0));
    }
  }

  /// Reads the agenda again within `spread` after `wait`. Several calls before that make one reading.
  reread(spread = SPREAD_MS, wait = 0) {
    this.#timer ??= setTimeout(() => this.read(), wait + spread * (0.3 + 0.7 * Math.random()));
  }

  /// Applies what an event said. An event is only a reason to look: the agenda is read again later, in case that it was wrong.
  hear(made) {
    if (!this.apply(made)) return false;
    // In an agenda without any free slot, no answer has given the link to book one.
    if (this.#entry?._links.agendar && this.#agenda.slots.some(({ state, book }) => state === FREE && !book)) this.reread();
    this.#confirming ??= setTimeout(() => this.read(), CONFIRM_MS * (0.5 + 0.5 * Math.random()));
    return true;
  }

  /// Reads the agenda again if it shows where a changed booking was or is. An agenda that is being read may be older than the change.
  hearChange(places) {
    if (!this.isSettled || places.some((place) => this.#agenda.shows(place))) this.reread();
  }

  /// Applies that a booking was moved from a place. The agenda is read again too, by `hearChange`.
  move([before, booking]) {
    if (this.isSettled && this.#agenda.move(before, booking)) this.dispatchEvent(tell("change"));
  }

  /// Reads the agenda again if it is that of a telescope which was changed: its slots may be closed now, or open. Its name may be
  /// another, and whether it is offered.
  hearTelescope(code) {
    if (!this.isSettled || this.#agenda.telescope === code) this.reread();
    this.#renew.add(code);
    this.#renewing ??= setTimeout(async () => {
      this.#renewing = undefined;
      const codes = [...this.#renew];
      this.#renew.clear();
      // If they cannot be read now, they are shown as they were.
      await this.#telescopes.renew(codes).catch(() => undefined);
      this.dispatchEvent(tell("people"));
    }, SPREAD_MS * Math.random());
  }

  /// Applies a booking that was made or cancelled, by anyone. True if the agenda shows it differently now.
  apply(made) {
    if (!this.#heard.note(made)) return false;
    this.dispatchEvent(tell("booking", made));
    if (!this.#agenda?.apply(made)) return false;
    // If the name cannot be read now, it is read with the next agenda.
    this.#meet([made]).catch(() => undefined);
    this.dispatchEvent(tell("change"));
    return true;
  }

  /// Reads a booking's links, until they are there. An event carries none: which are allowed depends on the moment.
  async refresh(known) {
    if (this.#refreshing.has(known)) return;
    this.#refreshing.add(known);
    try {
      const fresh = await follow(this.#entry._links.agendamento, { variables: { id: known.id } });
      if (identity(fresh) !== identity(known)) this.reread();
      else if (fresh.status === known.status) Object.assign(known, fresh);
      else if (!this.apply(fresh)) this.reread();
      this.dispatchEvent(tell("refreshed"));
    } catch (problem) {
      // The booking does not exist, or not any more.
      if (problem.passes === false) return this.reread();
      setTimeout(() => {
        this.#refreshing.delete(known);
        this.dispatchEvent(tell("refreshed"));
      }, waitFor(problem, RETRY_MS));
    }
  }

  /// Reads the scientists of these bookings whose names are not known.
  async #meet(bookings) {
    if (await this.#people.meet(bookings.map(({ cientista_id: id }) => id))) this.dispatchEvent(tell("people"));
  }
}
