// The panel: the selected free slots or booking, with a button for each action that has a link; and the contest for them.

import { kindOf } from "./agenda.js";
import { ENTRIES_MAX } from "./dispute.js";
import { changes, el, replace, typed } from "./dom.js";
import { closedBy, instant, instantTime, localSpan, longDays, minutes, span } from "./format.js";
import { current, known, phrase, t } from "./i18n.js";
import { MINUTE_MS } from "./instants.js";

/// Shows `view` in `root`: {agenda, first, last, scientist, nameOf, local}. `acts` has the functions of its buttons. Gives
/// the first slot; undefined if nothing is selected.
export function showPanel(root, view, acts) {
  const { agenda, first, last } = view;
  const slot = agenda?.slots[first];
  const { scientist, nameOf, local } = view;
  const facts = [
    slot,
    slot && [first, last],
    slot?.booking && [slot.booking, ...slot.bookings].map((one) => nameOf(one.cientista_id)),
    scientist,
    Boolean(slot?.book),
    local,
    current(),
  ];
  if (changes(root, facts)) {
    const show = !slot ? nothing : slot.sold > 1 ? sold : slot.booking ? booked : open;
    const opened = [...root.querySelectorAll("details[open]")].map(({ dataset }) => dataset.id);
    replace(root, ...show({ ...view, opened }, slot, acts));
  }
  return slot;
}

const nothing = () => [el("p", { class: "quiet", text: t("panel.none") })];

function open({ agenda, first, last, local }, slot, acts) {
  const count = last - first + 1;
  const end = agenda.slots[last].start + agenda.length;
  const isFree = kindOf(slot) === "free";
  const state = isFree
    ? t("slot.free")
    : slot.state === "passado"
      ? t("slot.past")
      : t("slot.closedAs", { state: closedBy(slot) });
  return [
    ...heading(slot.start, end, local),
    el("p", {
      class: `state ${isFree ? "free" : ""}`,
      text:
        count > 1
          ? `${state} · ${t("panel.slots", { count, duration: minutes((count * agenda.length) / MINUTE_MS) })}`
          : state,
    }),
    slot.reason && el("p", {}, phrase("panel.reason", { reason: typed(slot.reason) })),
    slot.book && el("div", { class: "buttons" }, button("book", "primary", t("panel.book"), () => acts.book())),
  ];
}

function booked(view, { booking }, acts) {
  const mine = booking.cientista_id === view.scientist;
  return [
    ...heading(Date.parse(booking.horario_inicio_utc), Date.parse(booking.horario_fim_utc), view.local),
    el("p", { class: `state ${mine ? "mine" : "other"}`, text: t("panel.number", { id: booking.id }) }),
    ...details(view, booking, acts),
  ];
}

/// A slot that was sold several times, as happens without locks: each of its bookings, to be opened.
function sold(view, slot, acts) {
  const { agenda, local, nameOf, opened } = view;
  const items = slot.bookings.map((booking) => {
    const { id, cientista_id, criado_em_utc } = booking;
    const summary = el(
      "summary",
      { "data-focus": `booking-${id}` },
      el("b", { dir: "auto", text: nameOf(cientista_id) }),
      el(
        "span",
        { class: "quiet" },
        `${t("panel.number", { id })} · `,
        el("time", { datetime: criado_em_utc, text: instantTime(criado_em_utc) }),
      ),
    );
    const one = el(
      "details",
      { "data-id": id, open: opened.includes(String(id)) },
      summary,
      details(view, booking, acts, `-${id}`),
    );
    return el("li", {}, one);
  });
  const more = slot.sold - slot.bookings.length;
  return [
    ...heading(slot.start, slot.start + agenda.length, local),
    el("p", { class: "state sold", text: `×${slot.sold} · ${t("sold.times", { count: slot.sold })}` }),
    el("p", { class: "quiet", text: t("sold.why") }),
    el("ol", { class: "sales" }, items),
    more > 0 && el("p", { class: "quiet", text: t("sold.more", { count: more }) }),
  ];
}

/// What is known of a booking, and the buttons for it. `mark` tells its buttons from those of other bookings.
function details({ scientist, nameOf }, booking, acts, mark = "") {
  const { alvo, observacoes, duracao_min, proposta_id, instante_clique_utc, criado_em_utc, _links: links = {} } = booking;
  const mine = booking.cientista_id === scientist;
  const facts = [
    ["panel.scientist", [typed(nameOf(booking.cientista_id)), mine && ` (${t("panel.mine")})`]],
    ["panel.target", alvo && typed(alvo)],
    ["panel.notes", observacoes && typed(observacoes, { class: "notes" })],
    ["panel.proposal", proposta_id && t("office.number", { id: proposta_id })],
    ["panel.duration", minutes(duracao_min)],
    ["panel.clicked", instante_clique_utc && moment(instante_clique_utc)],
    ["panel.created", moment(criado_em_utc)],
  ];
  return [
    el(
      "dl",
      {},
      facts
        .filter(([, value]) => value)
        .map(([key, value]) => el("div", {}, el("dt", { text: t(key) }), el("dd", {}, value))),
    ),
    el(
      "div",
      { class: "buttons" },
      !mine && acts.mayWait(booking) && button(`wait${mark}`, "", t("wait.open"), () => acts.wait(booking)),
      links.alterar && button(`change${mark}`, "", t("panel.change"), () => acts.change(booking)),
      links.cancelar && button(`cancel${mark}`, "danger", t("panel.cancel"), () => acts.cancel(booking)),
      links.historico && button(`history${mark}`, "", t("panel.history"), () => acts.history(booking)),
    ),
  ];
}

const moment = (utc) => el("time", { datetime: utc, text: `${instant(utc)} UTC` });

function heading(start, end, local) {
  return [
    el("h3", { tabindex: "-1", "data-focus": "title", text: `${span(start, end)} UTC` }),
    el("p", { class: "where", text: longDays(start, end) }),
    local && el("p", { class: "quiet", text: t("panel.local", { span: localSpan(start, end) }) }),
  ];
}

const button = (focus, kind, text, onclick) =>
  el("button", { type: "button", "data-focus": focus, class: kind, text, onclick });

const isBooking = ({ outcome }) => outcome === "won" || outcome === "cancelled";

/// Shows a contest in `root`.
export function showDispute(root, { entries, refused }, nameOf) {
  if (!changes(root, [entries, refused, entries.map(({ scientist }) => nameOf(scientist)), current()])) return;
  if (!entries.length) return replace(root, el("p", { class: "quiet", text: t("dispute.none") }));
  const won = entries.filter(({ outcome }) => outcome === "won").length;
  // Bookings are listed in any case.
  const shown = [...entries.filter(isBooking), ...entries.filter((entry) => !isBooking(entry)).slice(0, ENTRIES_MAX)];
  shown.sort((a, b) => (a.utc < b.utc ? -1 : 1));
  const listed = shown.filter((entry) => !isBooking(entry)).length;
  // If the entries are of more than one day, each names its day.
  const near = shown.every(({ utc }) => utc.slice(0, 10) === shown[0].utc.slice(0, 10)) ? undefined : "";
  const items = shown.map(({ scientist, outcome, utc }) =>
    el(
      "li",
      { class: outcome === "won" ? "won" : "lost" },
      el("time", { datetime: utc, text: instantTime(utc, near) }),
      el(
        "span",
        {},
        el("b", { dir: "auto", text: nameOf(scientist) }),
        ` ${t(known(`dispute.${outcome}`) ?? "dispute.refused", { code: outcome })}`,
      ),
    ),
  );
  replace(
    root,
    el("p", { class: "sum", text: t("dispute.sum", { requests: won + refused, won, refused }) }),
    el("ol", { class: "entries" }, items),
    refused > listed && el("p", { class: "quiet", text: t("dispute.more", { count: refused - listed }) }),
  );
}
