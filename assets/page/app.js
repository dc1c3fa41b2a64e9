// The page: puts the parts together. What can be done comes from links, starting at the entry point.

import { DAYS, isDay, place, showPlace, showStrange } from "./address.js";
import { Agenda, Heard, identity } from "./agenda.js";
import { enter, follow, timed } from "./api.js";
import { Booking } from "./booking.js";
import { cancel } from "./cancel.js";
import { TrueClock, parseInstant } from "./clock.js";
import { showSynchronisation, showTime } from "./clockview.js";
import { announce, close } from "./dialog.js";
import { Disputes, showDispute } from "./dispute.js";
import { at, el, setText } from "./dom.js";
import { Live } from "./events.js";
import { isoDay, longDay, span } from "./format.js";
import { Grid } from "./grid.js";
import { showHistory } from "./history.js";
import { current, speak, t, translate } from "./i18n.js";
import { isolate } from "./names.js";
import { showPanel } from "./panel.js";
import { recall, remember } from "./prefs.js";
import { complain } from "./problems.js";
import { showTheme } from "./theme.js";

const RETRY_MS = 5000;
const DAY_MS = 86400000;
/// After what every page hears at once, each reads the agenda at a moment of its own within this time.
const SPREAD_MS = 1500;
/// The layout in which the panel is below the agenda, as media.css has it.
const BELOW = "(max-width: 64rem)";

let entry, telescopes, telescope, agenda;
/// The day shown, 2025-12-01; undefined is today, also when that becomes another.
let day = place().day;
let local = recall("local") === true;
let reading = 0;
/// The choice that the agenda shown answers.
let answered;
/// Whether the choice is one more place for the browser's Back, once its agenda is there.
let step = false;
/// What of the address leads nowhere, {telescope, strange}.
let astray = {};
/// Whether a day is being typed, and whether a part of it was chosen already: all of it is one choice.
let [typing, typed] = [false, false];
let rereading;
/// The slots that are selected, {first, last}.
let selected;
/// The agenda whose tab stop is where it should be: now, as soon as that is known.
let arrived;
/// The slots that get the focus when the dialog closes.
let goal;
/// The booking whose history is shown.
let told;
/// Who was named, is not known, and has been asked for.
const strangers = new Set();
/// The bookings that are being asked for.
const refreshing = new WeakSet();
/// What the next frame draws.
const drawn = new Set();

const people = {
  all: [],
  me: recall("scientist"),
  nameOf: (id) => people.all.find((one) => one.id === id)?.nome ?? t("scientist.unknown", { id }),
};
const clock = new TrueClock(askTime);
const heard = new Heard();
const disputes = new Disputes();
const live = new Live();
const booking = new Booking(clock, people);
const grid = new Grid(at("grid"), people.nameOf);

async function askTime() {
  entry ??= await enter();
  const { begun, ended, json } = await timed(entry._links.hora);
  return { t1: begun, t2: parseInstant(json.recebido_utc), t3: parseInstant(json.enviado_utc), t4: ended };
}

// The agenda

/// The telescope and the day that are chosen.
const choice = () => `${telescope?.id}@${day ?? ""}`;

/// Whether the agenda shown is the one that is chosen: only in that one can anything be booked.
const isSettled = () => Boolean(agenda) && answered === choice();

/// Reads the agenda of the day that is chosen, or what a link leads to.
async function read(link = telescope._links.agenda) {
  reading += 1;
  const mine = reading;
  clearTimeout(rereading);
  rereading = undefined;
  const since = performance.now();
  const chosen = choice();
  grid.wait(!isSettled());
  try {
    const variables = day ? { de: `${day}T00:00:00Z`, ate: new Date(Date.parse(day) + DAY_MS).toISOString() } : {};
    const answer = await follow(link, { variables });
    if (mine !== reading) return;
    const before = agenda;
    agenda = new Agenda(answer);
    answered = chosen;
    grid.wait(false);
    for (const one of heard.after(since)) agenda.apply(one);
    at("agenda-problem").textContent = "";
    showPlace(agenda.telescope, day, step);
    step = false;
    if (before?.start !== agenda.start || before?.telescope !== agenda.telescope) arrive(before);
    show();
    await meet(answer.agendamentos);
  } catch (problem) {
    if (mine !== reading) return;
    complain(at("agenda-problem"), problem);
    // What was refused once is refused again.
    if (!(problem.status < 500)) reread(RETRY_MS);
  }
}

/// Reads the agenda again within `spread`, once for whatever asks meanwhile.
function reread(spread = SPREAD_MS) {
  rereading ??= setTimeout(() => read(), spread * (0.3 + 0.7 * Math.random()));
}

/// Another day, or telescope, than before.
function arrive(before) {
  const shown = isoDay(agenda.start);
  at("day").value = shown;
  selected = undefined;
  closeHistory();
  arrived = Number.isNaN(clock.now()) ? undefined : agenda;
  // Who turns the days with the keyboard stays where the focus is.
  if (at("grid").contains(document.activeElement)) grid.select(grid.range.first);
  else grid.rest(Math.max(agenda.at(clock.now()), 0));
  if (before) announce(longDay(agenda.start));
}

/// Whoever is named in a booking and was not there when the page was opened.
async function meet(bookings) {
  const known = (id) => strangers.has(id) || people.all.some((one) => one.id === id);
  const unknown = bookings.map(({ cientista_id: id }) => id).filter((id) => !known(id));
  if (!unknown.length) return;
  people.all = (await follow(entry._links.cientistas)).cientistas;
  // Who is not there now will not be the next time either.
  for (const id of unknown) strangers.add(id);
  show();
}

const showAstray = () => showStrange(at("address-problem"), astray, telescope?.nome ?? "");

/// Draws once in the next frame, however much happens before it.
function soon(draw) {
  if (!drawn.size)
    requestAnimationFrame(() => {
      const all = [...drawn];
      drawn.clear();
      for (const one of all) one();
    });
  drawn.add(draw);
}

function show() {
  if (!agenda) return;
  grid.show(agenda, { scientist: people.me, now: clock.now(), local });
  setText(at("agenda-title"), longDay(agenda.start));
  setText(at("agenda-telescope"), telescopes.find(({ id }) => id === agenda.telescope)?.nome ?? agenda.telescope);
  const mine = agenda.slots.filter((slot) => slot.booking && slot.booking.cientista_id === people.me).length;
  const others = agenda.slots.filter((slot) => slot.booking).length - mine;
  const free = agenda.slots.filter((slot) => slot.book).length;
  setText(at("agenda-counts"), t("agenda.counts", { free, mine, others }));
  at("before").disabled = !agenda.links.anterior;
  at("after").disabled = !agenda.links.seguinte;
  showSelected();
}

/// A booking that was made or cancelled, by anyone: heard of, or answered to this page.
function apply(made) {
  if (!heard.note(made)) return false;
  disputes.booked(made);
  if (told && identity(made) === identity(told)) showHistory(at("history"), told, { quiet: true });
  if (!agenda?.apply(made)) return false;
  // A name that cannot be had now is had with the next agenda.
  meet([made]).catch(() => undefined);
  soon(show);
  return true;
}

// What is selected

function showSelected() {
  const { first, last } = selected ?? {};
  const slot = showPanel(
    at("selected"),
    { agenda: selected && agenda, first, last, scientist: people.me, nameOf: people.nameOf, local },
    acts,
  );
  at("dispute-box").hidden = !slot;
  if (!slot) return;
  const starts = agenda.slots.slice(first, last + 1).map(({ utc }) => utc);
  if (slot.booking) starts.push(slot.booking.horario_inicio_utc);
  showDispute(at("dispute"), disputes.of(agenda.telescope, [...new Set(starts)]), people.nameOf);
  // What came by an event does not know what can be done with it now.
  if (slot.booking?.req !== undefined) refresh(slot.booking);
}

/// Asks for a booking as it is now, with the links that it has now.
async function refresh(known) {
  if (refreshing.has(known)) return;
  refreshing.add(known);
  try {
    const fresh = await follow(known._links.self);
    delete known.req;
    if (fresh.status === known.status) Object.assign(known, fresh);
    else if (!apply(fresh)) reread();
    showSelected();
  } catch (problem) {
    if (problem.status < 500) {
      // There is no such booking any more.
      delete known.req;
      return reread();
    }
    setTimeout(() => {
      refreshing.delete(known);
      showSelected();
    }, RETRY_MS);
  }
}

const acts = {
  book() {
    const { first, last } = grid.range;
    const free = agenda.free(first);
    if (free && isSettled()) booking.begin(agenda, agenda.slots[first], Math.min(last - first + 1, free), free);
  },
  cancel(one) {
    const { first, last } = grid.range;
    cancel(one, people.nameOf(one.cientista_id), (done) => {
      if (done) apply(done);
      else read();
      goal = [first, last];
    });
  },
  history(one) {
    told = one;
    showHistory(at("history"), told);
  },
};

function closeHistory() {
  told = undefined;
  at("history").hidden = true;
  at("history").replaceChildren();
}

grid.addEventListener("select", ({ detail }) => {
  const before = selected && agenda.slots[selected.first]?.booking?.id;
  selected = detail;
  if (agenda.slots[detail.first]?.booking?.id !== before) closeHistory();
  showSelected();
});
grid.addEventListener("choose", ({ detail }) => {
  selected = detail;
  showSelected();
  const slot = agenda.slots[detail.first];
  if (slot.book) acts.book();
  else if (detail.by === "key" || matchMedia(BELOW).matches) at("selected").querySelector("h3")?.focus();
});
grid.addEventListener("day", ({ detail }) => turn(detail.rel, detail.held));
at("panel").addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const { first, last } = grid.range;
  grid.select(first, last, { focus: true });
});
booking.addEventListener("scientist", ({ detail }) => choose(detail));
booking.addEventListener("booked", ({ detail: made }) => {
  apply(made);
  selectBooking(made);
  if (agenda.range(made)[0] >= 0) return;
  choosePlace({ day: isoDay(Date.parse(made.horario_inicio_utc)) }).then(() => selectBooking(made));
});
booking.addEventListener("see", async ({ detail: { telescope: id, start } }) => {
  close();
  const found = telescopes.find((one) => one.id === id) ?? telescope;
  if (found !== telescope || agenda.at(start) < 0) await choosePlace({ telescope: found, day: isoDay(start) });
  if (agenda.at(start) >= 0) grid.select(agenda.at(start), undefined, { focus: true });
});
at("dialog").addEventListener("close", () => {
  // The browser gives the focus back to where it was, which may be elsewhere than what became of it, or gone.
  if (goal) grid.select(...goal, { focus: true });
  goal = undefined;
});

function selectBooking(made) {
  const range = agenda.range(made);
  if (range[0] < 0) return;
  grid.select(...range);
  if (at("dialog").open) goal = range;
}

// Choices

/// Goes to another telescope, or day (undefined is today), and reads its agenda: that of `link`, if one leads there.
/// Unless `again`, in which this only goes on with the choice before, Back leads to where it was.
function choosePlace({ telescope: other = telescope, again = false, link = other._links.agenda, ...rest }) {
  telescope = other;
  at("telescope").value = telescope.id;
  if ("day" in rest) day = rest.day;
  step ||= !again;
  astray = {};
  showAstray();
  return read(link);
}

/// Turns from the day that is chosen. The links of an agenda lead on from that one: they are of no use while another is
/// on its way. A key that is held turns once, for Back.
function turn(rel, held) {
  if (!agenda) return;
  const link = isSettled() ? agenda.links[rel] : telescope._links.agenda;
  const from = isSettled() ? agenda.start : Date.parse(day ?? isoDay(clock.now() || agenda.start));
  const to = from + (rel === "anterior" ? -DAY_MS : DAY_MS);
  if (link && isDay(isoDay(to))) choosePlace({ day: isoDay(to), link, again: held });
}

/// Goes where the address says: the page was opened there, or Back or a person has changed it.
function arriveAt({ telescope: id, day: wanted, strange }, otherwise) {
  const found = telescopes.find((one) => one.id === id);
  [telescope, day, step] = [found ?? otherwise, wanted, false];
  astray = { telescope: found ? undefined : id, strange };
  showAstray();
  choices();
  return read();
}

function choose(scientist) {
  people.me = scientist;
  remember("scientist", scientist);
  at("scientist").value = scientist ?? "";
  show();
}

function choices() {
  at("telescope").replaceChildren(
    ...telescopes.map(({ id, nome }) => el("option", { value: id, dir: "auto", text: nome, selected: id === telescope.id })),
  );
  const options = people.all.map(({ id, nome }) =>
    el("option", { value: id, dir: "auto", text: nome, selected: id === people.me }),
  );
  at("scientist").replaceChildren(el("option", { value: "", text: t("scientist.choose") }), ...options);
}

function showLanguage() {
  translate();
  for (const button of document.querySelectorAll("[data-language]")) {
    button.setAttribute("aria-pressed", button.dataset.language === current());
  }
  showTheme();
  showTime(clock, local);
  showSynchronisation(clock);
  showLive();
  if (telescopes) choices();
  showAstray();
  showRace();
  show();
  if (told) showHistory(at("history"), told, { quiet: true });
}

function showRace() {
  setText(at("mode"), entry?.modo === "sem_trava" ? t("mode.race") : "");
}

at("telescope").addEventListener("change", ({ target }) => {
  const chosen = telescopes.find(({ id }) => id === target.value);
  remember("telescope", chosen.id);
  choosePlace({ telescope: chosen });
});
Object.assign(at("day"), DAYS);
at("day").addEventListener("change", ({ target }) => {
  // While a year is typed it is another one: 0002, 0020, 0202.
  if (!isDay(target.value)) return;
  choosePlace({ day: target.value, again: typed });
  typed = typing;
});
for (const kind of ["keydown", "pointerdown", "blur"]) {
  at("day").addEventListener(kind, () => {
    typing = kind === "keydown";
    typed &&= typing;
  });
}
at("day").addEventListener("blur", ({ target }) => {
  if (!isDay(target.value) && agenda) target.value = day ?? isoDay(agenda.start);
});
at("today").addEventListener("click", () => choosePlace({ day: undefined }));
document.querySelector(".skip").addEventListener("click", (event) => {
  // The address is the place in the agenda.
  event.preventDefault();
  at("grid").focus();
});
at("before").addEventListener("click", () => turn("anterior"));
at("after").addEventListener("click", () => turn("seguinte"));
at("scientist").addEventListener("change", ({ target }) => choose(target.value ? Number(target.value) : undefined));
at("local").addEventListener("change", ({ target }) => {
  local = target.checked;
  remember("local", local);
  showTime(clock, local);
  show();
});
for (const button of document.querySelectorAll("[data-language]")) {
  button.addEventListener("click", () => {
    speak(button.dataset.language);
    showLanguage();
  });
}
addEventListener("hashchange", () => telescopes && arriveAt(place(), telescope));

// Live

let wasOff = false;

/// After an outage another server may answer, in another mode.
async function reenter() {
  entry = await enter().catch(() => entry);
  showRace();
}

function showLive() {
  const state = live.on ? "on" : live.tried ? "off" : "connecting";
  at("live").dataset.state = state;
  setText(at("live"), t(`live.${state}`));
  if (wasOff && state === "on") reenter();
  wasOff = state === "off" || (wasOff && state !== "on");
}

live.addEventListener("state", showLive);
live.addEventListener("stale", () => reread());
live.addEventListener("dispute", ({ detail }) => {
  disputes.refused(detail);
  soon(showSelected);
});
live.addEventListener("booking", ({ detail }) => {
  const before = selected && agenda?.slots[selected.first]?.booking?.id;
  // Without locks a slot may have been given twice: only the server says whose it is.
  if (entry.modo === "sem_trava") reread();
  if (!apply(detail)) return;
  // Only what was being looked at is said aloud.
  if (!selected || agenda.slots[selected.first]?.booking?.id === before || detail.cientista_id === people.me) return;
  const when = span(Date.parse(detail.horario_inicio_utc), Date.parse(detail.horario_fim_utc));
  announce(
    t(detail.status === "CANCELADO" ? "said.freed" : "said.made", {
      name: isolate(people.nameOf(detail.cientista_id)),
      span: when,
    }),
  );
});

// Time

let slotNow = -1;

function tick() {
  const wait = showTime(clock, local);
  if (clock.check()) {
    announce(t("clock.jumped"));
    showSynchronisation(clock);
    live.again();
  }
  const now = clock.now();
  grid.mark(now);
  if (agenda && !Number.isNaN(now)) {
    // What could be booked may have begun, and today may be another day: only the server says.
    const slot = Math.floor(now / agenda.length);
    const concerns = !day || agenda.at(now) >= 0 || agenda.at(now - agenda.length) >= 0;
    if (slotNow >= 0 && slot !== slotNow && concerns) reread(SPREAD_MS * 2);
    slotNow = slot;
  }
  setTimeout(tick, wait);
}

let failedBefore = false;

clock.addEventListener("change", () => {
  // Who does not tell the time may not tell anything else either.
  if (clock.failed && !failedBefore && live.tried) live.doubt();
  failedBefore = clock.failed;
  showSynchronisation(clock);
  showTime(clock, local);
  show();
  if (agenda && !arrived && !selected && !clock.failed) {
    arrived = agenda;
    grid.rest(Math.max(agenda.at(clock.now()), 0));
  }
});

async function start() {
  try {
    entry ??= await enter();
    const [scopes, scientists] = await Promise.all([follow(entry._links.telescopios), follow(entry._links.cientistas)]);
    telescopes = scopes.telescopios;
    people.all = scientists.cientistas;
  } catch (problem) {
    complain(at("agenda-problem"), problem);
    setTimeout(start, RETRY_MS * (0.5 + Math.random()));
    return;
  }
  if (!people.all.some(({ id }) => id === people.me)) people.me = undefined;
  showRace();
  await arriveAt(place(), telescopes.find(({ id }) => id === recall("telescope")) ?? telescopes[0]);
  live.open(entry._links.eventos);
}

at("local").checked = local;
showLanguage();
start();
clock.synchronise();
tick();
