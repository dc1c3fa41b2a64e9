// The page: makes its parts and connects them. Every action comes from a link, and the first link from the entry point.

import { place, showPlace } from "./address.js";
import { Actions } from "./actions.js";
import { FINAL } from "./agenda.js";
import { Booking } from "./booking.js";
import * as cancelling from "./cancel.js";
import { TrueClock } from "./clock.js";
import { Controls } from "./controls.js";
import { announce } from "./dialog.js";
import { Disputes } from "./dispute.js";
import { at, typed } from "./dom.js";
import { Live } from "./events.js";
import { longDays, span } from "./format.js";
import { Grid } from "./grid.js";
import { History } from "./history.js";
import { phrase, t } from "./i18n.js";
import { hurry } from "./lost.js";
import { isolate } from "./names.js";
import { Mine } from "./mine.js";
import { Office } from "./office.js";
import { Opening } from "./opening.js";
import { People } from "./people.js";
import { recall } from "./prefs.js";
import { complain, resume } from "./problems.js";
import { Readiness } from "./ready.js";
import { Reading } from "./reading.js";
import { Screen } from "./screen.js";
import { MINE, Navigation, Selection } from "./selection.js";
import { Session } from "./session.js";
import { Take } from "./take.js";
import { Ticker } from "./ticker.js";
import * as waits from "./waits.js";
import { Week } from "./week.js";

const local = recall("local") === true;
const people = new People(recall("scientist"));
const selection = new Selection(() => clock.now() || Date.now());
const reading = new Reading(selection, people);
/// Names a telescope and the days of a booking, in pieces.
const where = (id, start, end) => phrase("book.at", { telescope: typed(reading.nameOf(id)), day: longDays(start, end) });
const clock = new TrueClock(() => reading.askTime());
const navigation = new Navigation(selection, reading, clock);
const disputes = new Disputes();
const live = new Live();
const ready = new Readiness();
const session = new Session();
const booking = new Booking(clock, people, where, () => ({ link: reading.entry._links.propostas, telescopes: reading.telescopes }));
const grid = new Grid(at("grid"), (id) => people.nameOf(id));
const week = new Week(at("week"), (id) => people.nameOf(id));
const history = new History(at("history"));
const mine = new Mine({ reading, people, clock, where });
const take = new Take(reading);
const office = new Office({ reading, people, where });
const actions = new Actions({ reading, selection, people, navigation, booking, grid, history, where });
const screen = new Screen({ reading, selection, people, clock, live, ready, disputes, grid, week, mine, take, history, session, actions }, local);
const controls = new Controls({ reading, selection, people, navigation, screen, week, mine });
const ticker = new Ticker({ clock, live, grid, week, reading, selection, screen });

const show = () => screen.show();
const showSelected = () => screen.showSelected();
const opening = new Opening(clock, reading, (slots) => {
  show();
  const selected = reading.agenda.slots[selection.slots?.first];
  if (!slots.includes(selected) || at("dialog").open) return;
  announce(t("said.freed", { span: span(selected.start, selected.start + reading.agenda.length) }));
});
let wasPaused = false;
/// Learns for what the person waits, so that the page can say when it is theirs.
const knowWaits = () => waits.readWaits(reading.entry?._links.esperas, people.me).catch(() => undefined);
const askReady = () => ready.ask(reading.entry._links.pronto);

// What was read

reading.addEventListener("asked", () => screen.wait(!reading.isSettled));
reading.addEventListener("agenda", ({ detail: before }) => {
  if (!mine.isOpen) showPlace(selection.key, selection.takeStep());
  screen.showRead(before);
  opening.look();
  booking.read(reading.agenda);
  cancelling.read(reading.agenda);
});
reading.addEventListener("booking", ({ detail: made }) => {
  disputes.booked(made);
  history.hear(made);
  booking.hear(made);
  cancelling.hear(made);
  mine.hear(made);
});
reading.addEventListener("change", () => {
  screen.soon(show);
  opening.look();
});
reading.addEventListener("people", () => {
  screen.showChoices();
  show();
});
reading.addEventListener("refreshed", showSelected);
reading.addEventListener("mode", () => {
  screen.showMode();
  session.read(reading.entry);
});
reading.addEventListener("stranger", async () => {
  await session.read(reading.entry);
  if (reading.entry._links.entrar) return session.ask();
  // The person is known, and may not read.
  complain(at("agenda-problem"), { detail: t("sign.cannotRead") });
});
reading.addEventListener("problem", ({ detail: problem }) => {
  // That the server does not answer is said below the agenda already, if it is the chosen one.
  if (ready.paused !== "away" || !reading.isSettled) complain(at("agenda-problem"), problem);
});

// What is heard live

live.addEventListener("state", () => {
  screen.showLive();
  if (live.tried && !live.isCut) hurry();
  if (live.isCut) session.check();
  if (live.state === "connecting") ready.rest();
  else askReady();
});
ready.addEventListener("change", () => {
  screen.showReady();
  if (wasPaused && !ready.paused) resume();
  wasPaused = Boolean(ready.paused);
});
live.addEventListener("back", () => reading.reenter());
live.addEventListener("stale", () => reading.reread());
live.addEventListener("altered", ({ detail }) => {
  reading.hearChange(detail);
  mine.hear(detail[1]);
  opening.hold(detail[1], () => reading.move(detail));
});
live.addEventListener("telescope", ({ detail }) => reading.hearTelescope(detail));
live.addEventListener("dispute", ({ detail }) => {
  disputes.refused(detail);
  screen.soon(showSelected);
});
live.addEventListener("booking", ({ detail: made }) => opening.hold(made, () => hear(made)));

function hear(made) {
  if (made.status !== FINAL) waits.hear(made, where);
  const before = actions.selectedSale();
  // Without locks a slot may have been given several times: only the server knows all of its bookings.
  if (reading.isRace) reading.reread();
  if (!reading.hear(made)) return;
  const { key, sold } = actions.selectedSale();
  // Of other people's bookings, only one at the selected slot is announced; and not while a dialog is open, which says
  // itself what concerns it.
  if (!selection.slots || key === before.key || at("dialog").open) return;
  if (sold > 1) return announce(t("sold.times", { count: sold }));
  if (made.cientista_id === people.me) return;
  const name = isolate(people.nameOf(made.cientista_id));
  const when = span(Date.parse(made.horario_inicio_utc), Date.parse(made.horario_fim_utc));
  announce(t(made.status === FINAL ? "said.freed" : "said.made", { name, span: when }));
}

// What a person does

navigation.addEventListener("went", () => {
  mine.close();
  screen.showChoices();
  screen.showAstray();
});
mine.addEventListener("open", ({ detail: step }) => {
  showPlace(MINE, step);
  screen.show();
});
mine.addEventListener("see", ({ detail }) => screen.aim(detail));
at("office").addEventListener("click", () => office.open());
office.addEventListener("changed", () => {
  screen.showChoices();
  reading.read();
});
grid.addEventListener("select", ({ detail }) => {
  actions.select(detail);
  showSelected();
});
grid.addEventListener("choose", ({ detail }) => {
  selection.select(detail);
  showSelected();
  actions.choose(detail);
});
grid.addEventListener("day", ({ detail }) => navigation.turn(detail.rel, detail.held));
week.addEventListener("point", ({ detail }) => screen.aim(detail));
week.addEventListener("turn", ({ detail }) => navigation.turn(detail.rel, detail.held));
at("panel").addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const { first, last } = grid.range;
  grid.select(first, last, { focus: true });
});
session.addEventListener("who", () => {
  people.bind(session.scientist);
  knowWaits();
  if (people.isOpen) reading.settle();
  screen.showChoices();
  screen.show();
});
session.addEventListener("in", async () => {
  await reading.admit();
  // A time token belongs to the person who asked for it: a new session needs a new one.
  clock.synchronise();
  if (reading.telescopes.isOpen) live.again();
});
booking.addEventListener("scientist", ({ detail }) => controls.chooseScientist(detail));
booking.addEventListener("booked", ({ detail }) => actions.booked(detail));
booking.addEventListener("refused", askReady);
booking.addEventListener("see", ({ detail }) => actions.see(detail));
at("dialog").addEventListener("close", () => {
  if (at("dialog").open) return;
  if (mine.isOpen) mine.focus();
  else actions.closed();
});

async function start() {
  await reading.open();
  const { telescopes } = reading;
  const there = place();
  const before = recall("telescope");
  await reading.meetTelescopes([there.telescope, before].filter(Boolean));
  const remembered = telescopes.of(before);
  const arrived = navigation.arrive(there, remembered?.ativo ? remembered : telescopes.usual);
  if (there.mine) mine.open();
  await arrived;
  knowWaits();
  live.open(reading.entry._links.eventos);
}

at("local").checked = local;
screen.showAll();
start();
ticker.start();
