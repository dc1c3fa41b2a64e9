// Changing a booking, if it has the link for it: its words, its length, its time and its telescope, as far as the link says that
// they can be changed now.

import { follow, tagOf } from "./api.js";
import { announce, close, isShown, open, show } from "./dialog.js";
import { el, typed } from "./dom.js";
import { Form } from "./form.js";
import { span } from "./format.js";
import { phrase, t } from "./i18n.js";
import { MINUTE_MS } from "./instants.js";
import { Offers } from "./offers.js";
import { busy, explain } from "./problems.js";
import { BOOKING, fieldOf } from "./shapes.js";

const TAKEN = ["horario_ocupado", "recurso_ocupado"];
const STALE = "versao_diferente";

/// Opens the form for a booking, and calls `done` with the changed one. `name` is its scientist's, and `where` names its telescope
/// and its days; `lists` are the lists to choose from.
export function change(booking, about, done) {
  const flow = open();
  show(flow, t("change.title", { id: booking.id }), el("p", { class: "quiet", role: "status", text: t("mine.reading") }));
  edit(flow, booking, { ...about, done });
}

/// Reads the booking as it is now, and shows the form. `kept` are values that were entered before.
async function edit(flow, booking, about, kept, said) {
  try {
    ask(flow, await follow(booking._links.self), about, kept, said);
  } catch (problem) {
    refuse(flow, booking, problem);
  }
}

/// Says why nothing can be changed.
function refuse(flow, { id }, problem) {
  const root = el("div", { class: "outcome refused" });
  const leave = el("button", { type: "button", text: t("book.close"), onclick: close, autofocus: true });
  if (!show(flow, t("change.title", { id }), root, el("div", { class: "buttons" }, leave))) return;
  explain(root, problem);
}

function ask(flow, booking, about, kept, said) {
  const { id, telescopio, _links: links } = booking;
  if (!links.alterar) return refuse(flow, booking, { detail: t("change.never") });
  const { name, mine, where, lists } = about;
  const [start, end] = [Date.parse(booking.horario_inicio_utc), Date.parse(booking.horario_fim_utc)];
  const fields = links.alterar.campos ?? BOOKING.map((field) => field.name);
  const form = new Form(BOOKING.filter((field) => fields.includes(field.name)), booking, lists, kept);
  const send = el("button", { type: "submit", class: "primary", text: t("office.save") });
  const offers = el("div", { class: "offers" });
  const root = el(
    "form",
    { novalidate: true },
    el("p", { class: "where" }, where(telescopio, start, end)),
    !mine && el("div", { class: "outcome lost" }, el("p", {}, phrase("cancel.notYours", { id, name: typed(name), span: span(start, end) }))),
    form.elements,
    offers,
    el("div", { class: "problem" }, said && el("p", { text: said })),
    el("div", { class: "buttons" }, send, el("button", { type: "button", text: t("book.back"), onclick: close })),
  );
  root.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!busy(send)) save({ flow, booking, about, form, root, offers, send });
  });
  if (!show(flow, t("change.title", { id }), root)) return;
  root.querySelector("input, select").focus();
  if (said) announce(said);
}

async function save(wanted) {
  const { flow, booking, about, form, root, send } = wanted;
  const { patch: body, kept } = form;
  if (!Object.keys(body).length) {
    root.querySelector(".problem").replaceChildren(el("p", { text: t("office.same") }));
    return announce(t("office.same"));
  }
  busy(send, t("office.saving"));
  try {
    const changed = await follow(booking._links.alterar, { method: "PATCH", body, match: tagOf(booking) });
    const when = span(Date.parse(changed.horario_inicio_utc), Date.parse(changed.horario_fim_utc));
    if (isShown(flow)) close();
    about.done(changed);
    announce(t("change.done", { id: changed.id, span: when }));
  } catch (problem) {
    if (!isShown(flow)) return;
    // What was entered stays, beside what others have changed.
    if (problem.code === STALE) return void edit(flow, booking, about, kept, t("office.stale"));
    send.removeAttribute("aria-busy");
    send.textContent = t("office.save");
    explain(root, problem, t("change.unknown"));
    if (TAKEN.includes(problem.code)) offer(wanted, problem.body);
  }
}

/// Says who has the slot that is not free, and offers the nearest ones that are: what is chosen goes into the form.
function offer({ root, offers, booking, form }, { cientista, horario_inicio_utc: taken, _links: links = {} }) {
  if (cientista) {
    const start = Date.parse(taken);
    const words = phrase("book.lost", { name: typed(cientista), span: span(start, start + 5 * MINUTE_MS) });
    root.querySelector(".problem").replaceChildren(el("p", {}, words));
  }
  const { horario_inicio_utc: start = booking.horario_inicio_utc, duracao_min: duration = booking.duracao_min } = form.patch;
  const wanted = () => ({ start: Date.parse(start), duration });
  new Offers(offers, links.livres, wanted, ({ start: free }) => {
    const field = root.querySelector("#field-horario_inicio_utc");
    field.value = fieldOf(new Date(free).toISOString());
    field.focus();
    offers.replaceChildren();
    root.querySelector(".problem").replaceChildren();
  });
}
