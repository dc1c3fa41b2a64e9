// A booking's records in the audit trail, as a timeline.

import { identity } from "./agenda.js";
import { follow } from "./api.js";
import { el, replace, typed } from "./dom.js";
import { instant, instantTime } from "./format.js";
import { known, phrase, t } from "./i18n.js";
import { because, busy } from "./problems.js";

/// The place of the page that shows the history of one booking at a time.
export class History {
  #booking;

  constructor(root) {
    this.root = root;
  }

  /// Shows a booking's history, and puts the focus there.
  open(booking) {
    this.#booking = booking;
    showHistory(this.root, booking);
  }

  /// Reads again the history that is shown, if any.
  reread() {
    if (this.#booking) showHistory(this.root, this.#booking, { quiet: true });
  }

  /// Reads the history again if it is that of a booking that has changed.
  hear(made) {
    if (this.#booking && identity(made) === identity(this.#booking)) this.reread();
  }

  close() {
    this.#booking = undefined;
    this.root.hidden = true;
    this.root.replaceChildren();
  }
}

/// Reads the records that a booking's link `historico` leads to, page by page, and shows them in `root`. Unless `quiet`, the
/// focus goes there.
export async function showHistory(root, { id, _links: { historico: link } }, { quiet = false } = {}) {
  const heading = el("h3", { text: t("history.title", { id }), tabindex: "-1", "data-focus": "history" });
  const list = el("ol", { class: "timeline" });
  const state = el("p", { class: "quiet", role: "status", text: t("history.reading") });
  replace(root, heading, list, state);
  root.hidden = false;
  if (!quiet) heading.focus();
  await read(list, state, link);
}

async function read(list, state, link) {
  try {
    const page = await follow(link);
    list.append(...page.registros.map(item));
    const next = page._links?.proxima;
    const more = next && el("button", { type: "button", text: t("history.more") });
    more?.addEventListener("click", () => {
      if (busy(more)) return;
      busy(more, t("history.reading"));
      read(list, state, next);
    });
    state.replaceChildren(...(more ? [more] : []));
    if (!list.children.length && !more) state.textContent = t("history.empty");
  } catch (error) {
    state.replaceChildren(...phrase("history.failed", { why: because(error) }));
  }
}

function item(record) {
  const { timestamp_utc: utc, event_type: type, details, seq, req, hash } = record;
  const { instante_clique_utc: clicked, alvo: target, motivo: reason, cientista_nome: name } = details;
  const facts = [
    clicked && phrase("history.clicked", { time: instantTime(clicked, utc) }),
    target && phrase("history.target", { target: typed(target) }),
    reason && phrase("history.reason", { reason: typed(reason) }),
  ];
  const words = known(`history.${type}`) ? phrase(`history.${type}`, { name: typed(name) }) : [type];
  return el(
    "li",
    { class: type === "AGENDAMENTO_CRIADO" ? "won" : "lost" },
    el("time", { datetime: utc, text: instant(utc) }),
    el("b", {}, words),
    facts.filter(Boolean).map((fact) => el("span", { class: "fact" }, fact)),
    el("span", { class: "proof" }, phrase("history.proof", { seq, token: details.token ?? "–", req: typed(req) })),
    el("span", { class: "proof hash", title: hash, text: t("history.hash", { hash: `${hash.slice(0, 16)}…` }) }),
  );
}
