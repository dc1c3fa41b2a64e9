// Cancelling a booking: only where it has the link for it.

import { follow } from "./api.js";
import { announce, buttons, close, field, open, show } from "./dialog.js";
import { el } from "./dom.js";
import { span } from "./format.js";
import { t } from "./i18n.js";
import { busy, explain } from "./problems.js";

/// Asks, cancels, and calls `done` with the booking as answered.
export function cancel(booking, name, done) {
  const flow = open();
  const when = span(Date.parse(booking.horario_inicio_utc), Date.parse(booking.horario_fim_utc));
  const reason = el("input", { type: "text", maxlength: "500", autocomplete: "off", autofocus: true });
  const send = el("button", { type: "submit", class: "danger", text: t("cancel.send") });
  const form = el(
    "form",
    { novalidate: true },
    el("p", { class: "where", text: t("cancel.whose", { id: booking.id, name }) }),
    field("motivo", t("cancel.reason"), reason),
    el("div", { class: "problem" }),
    el("div", { class: "buttons" }, send, el("button", { type: "button", text: t("book.back"), onclick: close })),
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (busy(send)) return;
    busy(send, t("cancel.sending"));
    const motivo = reason.value.trim();
    try {
      const cancelled = await follow(booking._links.cancelar, { body: motivo ? { motivo } : {} });
      close();
      done(cancelled);
      announce(t("cancel.done", { span: when }));
    } catch (problem) {
      const title = problem.unknown ? t("book.unknownTitle") : t("cancel.refusedTitle");
      const root = el("div", { class: "outcome refused" });
      show(flow, title, root, buttons({ text: t("book.close"), onclick: close, autofocus: true }));
      explain(root, problem, t("cancel.unknown"));
      done();
    }
  });
  show(flow, t("cancel.title", { span: when }), form);
}
