// Cancelling a booking, if it has the link for it.

import { FINAL, identity } from "./agenda.js";
import { follow } from "./api.js";
import { announce, buttons, close, field, isShown, open, show } from "./dialog.js";
import { el, typed } from "./dom.js";
import { span } from "./format.js";
import { phrase, t } from "./i18n.js";
import { isolate, spoken } from "./names.js";
import { busy, explain, retryButton } from "./problems.js";

/// What the dialog asks about: {flow, booking, done, send, root}.
let asked;

/// Asks whether to cancel, cancels, and calls `done` with the answered booking; without one if the request failed. `name` is
/// its scientist's, and `where` names its telescope and its days. A booking that is not `mine` is cancelled only by a second
/// step: the focus is on the button that keeps it.
export function cancel(booking, { name, mine, where }, done) {
  ask(open(), { booking, name, mine, where, done, reason: "" });
}

/// A booking was made or cancelled, by anyone.
export function hear(booking) {
  if (booking.status === FINAL && asked && identity(booking) === identity(asked.booking)) gone(booking);
}

/// An agenda was read. If the booking should be in it and is not, it was cancelled.
export function read(agenda) {
  const booking = asked?.booking;
  if (booking?.telescopio !== agenda.telescope || agenda.at(Date.parse(booking.horario_inicio_utc)) < 0) return;
  if (agenda.range(booking)[0] < 0) gone();
}

/// Says in the open dialog that the booking has been cancelled by another person.
function gone(cancelled) {
  const { flow, done, send, root } = asked;
  if (!isShown(flow) || !root.isConnected || send.getAttribute("aria-busy")) return;
  asked = undefined;
  const reason = cancelled?.motivo_cancelamento;
  const words = [t("cancel.gone"), reason ? [" ", ...phrase("cancel.goneWhy", { reason: typed(reason) })] : []].flat();
  const seen = el("div", { class: "outcome lost" }, el("p", {}, words));
  show(flow, t("cancel.goneTitle"), seen, buttons({ text: t("book.close"), onclick: close, autofocus: true }));
  announce(spoken(words));
  done(cancelled);
}

function ask(flow, wanted, problem) {
  const { booking, name, mine, where, done } = wanted;
  const [start, end] = [Date.parse(booking.horario_inicio_utc), Date.parse(booking.horario_fim_utc)];
  const when = span(start, end);
  const reason = el("input", { type: "text", dir: "auto", maxlength: "500", autocomplete: "off", autofocus: mine });
  reason.value = wanted.reason;
  const words = mine ? t("cancel.send") : phrase("cancel.sendOther", { name: typed(name) });
  const send = el("button", { type: mine ? "submit" : "button", class: "danger" }, words);
  const keep = el("button", {
    type: "button",
    text: t(mine ? "book.back" : "cancel.keep"),
    onclick: close,
    autofocus: !mine,
  });
  const whose = phrase(mine ? "cancel.whose" : "cancel.notYours", { id: booking.id, name: typed(name), span: when });
  const form = el(
    "form",
    { novalidate: true },
    el("p", { class: "where" }, where(booking.telescopio, start, end)),
    mine ? el("p", {}, whose) : el("div", { class: "outcome lost" }, el("p", {}, whose)),
    field("motivo", t("cancel.reason"), reason),
    el("div", { class: "problem" }),
    el("div", { class: "buttons" }, mine ? [send, keep] : [keep, send]),
  );
  const go = () => {
    if (busy(send)) return;
    busy(send, t("cancel.sending"));
    wanted.reason = reason.value;
    ended(flow, wanted, when);
  };
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    // Enter in the field of the reason does not cancel another person's booking: it leads to the button that does.
    if (mine) go();
    else send.focus();
  });
  if (!mine) send.addEventListener("click", go);
  asked = { flow, booking, done, send, root: form };
  show(flow, t(mine ? "cancel.title" : "cancel.titleOther", { span: when, name: isolate(name) }), form);
  if (!mine && !problem) announce(spoken(whose));
  if (problem) explain(form, problem);
}

async function ended(flow, wanted, when) {
  const { booking, done } = wanted;
  const motivo = wanted.reason.trim();
  try {
    const cancelled = await follow(booking._links.cancelar, { body: motivo ? { motivo } : {}, method: "DELETE" });
    close();
    done(cancelled);
    announce(t("cancel.done", { span: when }));
  } catch (problem) {
    // The person can correct the reason.
    if (problem.errors?.length) return ask(flow, wanted, problem);
    const title = problem.unknown ? t("book.unknownTitle") : t("cancel.refusedTitle");
    const root = el("div", { class: "outcome refused" });
    // The server says when to try again.
    const again =
      (problem.status === 503 || problem.status === 429) &&
      !problem.unknown &&
      retryButton(problem.retryAfter, () => {
        if (busy(again)) return;
        busy(again, t("cancel.sending"));
        ended(flow, wanted, when);
      });
    const leave = el("button", { type: "button", text: t("book.close"), onclick: close, autofocus: !again });
    show(flow, title, root, el("div", { class: "buttons" }, again, leave));
    explain(root, problem, t("cancel.unknown"));
    done();
  }
}
