// Cancelling a booking, if it has the link for it.

import { follow } from "./api.js";
import { announce, buttons, close, field, open, show } from "./dialog.js";
import { el, typed } from "./dom.js";
import { longDays, span } from "./format.js";
import { phrase, t } from "./i18n.js";
import { busy, explain } from "./problems.js";

/// Asks whether to cancel, cancels, and calls `done` with the answered booking; without one if the request failed.
export function cancel(booking, name, done) {
  ask(open(), { booking, name, done, reason: "" });
}

function ask(flow, wanted, problem) {
  const { booking, name } = wanted;
  const [start, end] = [Date.parse(booking.horario_inicio_utc), Date.parse(booking.horario_fim_utc)];
  const when = span(start, end);
  const reason = el("input", { type: "text", dir: "auto", maxlength: "500", autocomplete: "off", autofocus: true });
  reason.value = wanted.reason;
  const send = el("button", { type: "submit", class: "danger", text: t("cancel.send") });
  const form = el(
    "form",
    { novalidate: true },
    el("p", { class: "where" }, phrase("book.at", { telescope: typed(booking.telescopio), day: longDays(start, end) })),
    el("p", {}, phrase("cancel.whose", { id: booking.id, name: typed(name) })),
    field("motivo", t("cancel.reason"), reason),
    el("div", { class: "problem" }),
    el("div", { class: "buttons" }, send, el("button", { type: "button", text: t("book.back"), onclick: close })),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (busy(send)) return;
    busy(send, t("cancel.sending"));
    wanted.reason = reason.value;
    ended(flow, wanted, when);
  });
  show(flow, t("cancel.title", { span: when }), form);
  if (problem) explain(form, problem);
}

async function ended(flow, wanted, when) {
  const { booking, done } = wanted;
  const motivo = wanted.reason.trim();
  try {
    const cancelled = await follow(booking._links.cancelar, { body: motivo ? { motivo } : {} });
    close();
    done(cancelled);
    announce(t("cancel.done", { span: when }));
  } catch (problem) {
    // The person can correct the reason.
    if (problem.errors?.length) return ask(flow, wanted, problem);
    const title = problem.unknown ? t("book.unknownTitle") : t("cancel.refusedTitle");
    const root = el("div", { class: "outcome refused" });
    show(flow, title, root, buttons({ text: t("book.close"), onclick: close, autofocus: true }));
    explain(root, problem, t("cancel.unknown"));
    done();
  }
}
