// Waiting for slots that are not free: entering the list of those who wait, and one's place in it. Without its link there is
// nothing to enter.

import { charge } from "./charge.js";
import { announce, buttons, close, isShown, open, show } from "./dialog.js";
import { el, typed } from "./dom.js";
import { Form } from "./form.js";
import { span } from "./format.js";
import { phrase, t } from "./i18n.js";
import { once } from "./once.js";
import { busy, explain } from "./problems.js";
import { WAIT } from "./shapes.js";
import { note } from "./waits.js";

const spanOf = (one) => span(Date.parse(one.horario_inicio_utc), Date.parse(one.horario_fim_utc));

/// Enters a list by its `link` with a request's `body`, and says in the dialog which place one has.
export async function enter(flow, { link, variables, body }, root) {
  const button = root.querySelector(".enter");
  if (busy(button)) return;
  busy(button, t("wait.entering"));
  try {
    const made = await once(flow, link, { variables, body });
    note(made);
    const words = t("wait.in", { span: spanOf(made), place: made.posicao });
    const seen = el("div", { class: "outcome won" }, el("p", { text: words }), el("p", { class: "quiet", text: t("wait.hint") }));
    if (show(flow, t("wait.done"), seen, buttons({ text: t("book.close"), onclick: close, kind: "primary", autofocus: true })))
      announce(words);
  } catch (problem) {
    if (!isShown(flow)) return;
    button.removeAttribute("aria-busy");
    button.textContent = t("wait.enter");
    explain(root, problem, t("wait.unknown"));
  }
}

/// The button that enters a list.
export const enterButton = (onclick) => el("button", { type: "button", class: "enter", text: t("wait.enter"), onclick });

/// Asks whether to wait for the slots of a `booking`. `about` has the `link` of its telescope, its scientist's `name`, `where`,
/// the `telescope`, the scientist `me` who would wait, and `proposals`, the link to the proposals.
export function wait(booking, { link, name, where, telescope, me, proposals }) {
  const flow = open();
  const start = Date.parse(booking.horario_inicio_utc);
  const { duracao_min } = booking;
  const form = new Form(WAIT, undefined, {});
  const charged = charge({ link: proposals, telescope, start }, { value: me, addEventListener() {} });
  const send = el("button", { type: "submit", class: "primary enter", text: t("wait.enter") });
  const root = el(
    "form",
    { novalidate: true },
    el("p", { class: "where" }, where(booking.telescopio, start, Date.parse(booking.horario_fim_utc))),
    el("p", {}, phrase("wait.whose", { name: typed(name), span: spanOf(booking) })),
    charged.root,
    form.elements,
    el("div", { class: "problem" }),
    el("div", { class: "buttons" }, send, el("button", { type: "button", text: t("book.back"), onclick: close })),
  );
  root.addEventListener("submit", (event) => {
    event.preventDefault();
    const body = { ...form.body, cientista_id: me, duracao_min, proposta_id: charged.read() };
    enter(flow, { link, variables: { inicio: booking.horario_inicio_utc }, body }, root);
  });
  show(flow, t("wait.title", { span: spanOf(booking) }), root);
}
