// The maintenances of a telescope, for those who manage it: they are listed, made and taken away. One that would cancel bookings
// lists them first, and asks.

import { follow } from "./api.js";
import { announce, buttons, isShown, show } from "./dialog.js";
import { el, typed } from "./dom.js";
import { Form } from "./form.js";
import { longDay, longDays, span } from "./format.js";
import { phrase, t } from "./i18n.js";
import { isolate } from "./names.js";
import { once } from "./once.js";
import { because, busy, explain } from "./problems.js";
import { MAINTENANCE } from "./shapes.js";

const OVER_BOOKINGS = "agendamentos_no_periodo";

/// As many bookings as a refusal lists.
const LISTED_MAX = 50;

const timesOf = (one, from, to) => [Date.parse(one[from]), Date.parse(one[to])];

/// Dispatches `changed` when a telescope was closed or opened here.
export class Upkeep extends EventTarget {
  #parts;

  /// `parts` has people, and `back`, which shows the telescope again.
  constructor(parts) {
    super();
    this.#parts = parts;
  }

  /// Shows the maintenances of a telescope. `said` is what was done before.
  async list(flow, telescope, said = "") {
    const title = t("upkeep.title", { name: isolate(telescope.nome) });
    const back = { text: t("office.back"), onclick: () => this.#parts.back(flow, telescope) };
    try {
      const page = await follow(telescope._links.manutencoes);
      const create = page._links.criar && {
        text: t("upkeep.new"),
        kind: "primary",
        autofocus: true,
        onclick: () => this.#form(flow, telescope, page._links.criar),
      };
      const items = page.manutencoes.map((one) => this.#item(flow, telescope, one));
      const none = !items.length && el("p", { class: "quiet", text: t("upkeep.none") });
      show(flow, title, said && el("p", { class: "quiet", text: said }), none, el("ul", { class: "items" }, items), buttons(create, back));
      if (said) announce(said);
    } catch (problem) {
      const root = el("div", { class: "outcome refused" });
      if (show(flow, title, root, buttons({ ...back, autofocus: true }))) explain(root, problem);
    }
  }

  #item(flow, telescope, one) {
    const take = el("button", {
      type: "button",
      class: "danger",
      text: t("upkeep.remove"),
      "aria-label": `${t("upkeep.remove")} ${this.#when(one).join(" ")}`,
      onclick: () => this.#ask(flow, telescope, one),
    });
    return el("li", { class: "field" }, this.#words(one), one._links.retirar && el("div", {}, take));
  }

  /// The days and times of a maintenance.
  #when(one) {
    const [start, end] = timesOf(one, "inicio_utc", "fim_utc");
    const again = one.semanal_ate_utc && t("upkeep.weekly", { day: longDay(Date.parse(one.semanal_ate_utc)) });
    return [`${longDays(start, end)},`, `${span(start, end)} UTC`, again && `· ${again}`].filter(Boolean);
  }

  #words(one) {
    return [el("p", { text: this.#when(one).join(" ") }), el("p", {}, typed(one.motivo))];
  }

  #form(flow, telescope, link, kept, problem) {
    const form = new Form(MAINTENANCE, undefined, {}, kept);
    const send = el("button", { type: "submit", class: "primary", text: t("upkeep.send") });
    const back = el("button", { type: "button", text: t("office.back"), onclick: () => this.list(flow, telescope) });
    const root = el(
      "form",
      { novalidate: true, class: "office" },
      el("p", { class: "where" }, typed(telescope.nome)),
      form.elements,
      el("p", { class: "quiet", text: t("upkeep.hint") }),
      el("div", { class: "problem" }),
      el("div", { class: "buttons" }, send, back),
    );
    root.addEventListener("submit", (event) => {
      event.preventDefault();
      if (busy(send)) return;
      busy(send, t("office.saving"));
      this.#send({ flow, telescope, link, body: form.body, kept: form.kept });
    });
    if (!show(flow, t("upkeep.new"), root)) return;
    root.querySelector("input").focus();
    if (problem) explain(root, problem, t("office.unknown"));
  }

  async #send(wanted) {
    const { flow, telescope, link, body, kept } = wanted;
    try {
      const made = await once(flow, link, { body });
      this.dispatchEvent(new Event("changed"));
      const count = made.agendamentos_cancelados?.length;
      await this.list(flow, telescope, t(count ? "upkeep.doneOver" : "upkeep.done", { count }));
    } catch (problem) {
      if (!isShown(flow)) return;
      if (problem.code === OVER_BOOKINGS) return void this.#confirm(wanted, problem.body.agendamentos);
      this.#form(flow, telescope, link, kept, problem);
    }
  }

  /// Lists the bookings that stand in the way, and asks whether to cancel them.
  async #confirm(wanted, bookings) {
    const { flow, telescope, link, body, kept } = wanted;
    const { people } = this.#parts;
    await people.meet(bookings.map(({ cientista_id: id }) => id)).catch(() => undefined);
    const items = bookings.map((one) => {
      const [start, end] = timesOf(one, "horario_inicio_utc", "horario_fim_utc");
      const words = phrase("upkeep.booking", {
        day: longDays(start, end),
        span: span(start, end),
        name: typed(people.nameOf(one.cientista_id)),
        id: one.id,
      });
      return el("li", {}, words);
    });
    const send = el("button", { type: "button", class: "danger", text: t("upkeep.sendOver") });
    const back = el("button", {
      type: "button",
      text: t("book.toForm"),
      autofocus: true,
      onclick: () => this.#form(flow, telescope, link, kept),
    });
    send.addEventListener("click", () => {
      if (busy(send)) return;
      busy(send, t("office.saving"));
      this.#send({ ...wanted, body: { ...body, cancelar_agendamentos: true } });
    });
    const count = bookings.length;
    const words = t(`upkeep.over.${count === 1 ? "one" : count < LISTED_MAX ? "many" : "most"}`, { count });
    const seen = el("div", { class: "outcome lost" }, el("p", { text: words }), el("ul", { class: "listed" }, items));
    show(flow, t("upkeep.overTitle"), seen, el("div", { class: "buttons" }, back, send));
    announce(words);
  }

  /// Asks whether to take a maintenance away, and does so.
  #ask(flow, telescope, one) {
    const send = el("button", { type: "button", class: "danger", text: t("upkeep.remove") });
    const back = { text: t("office.back"), onclick: () => this.list(flow, telescope), autofocus: true };
    const root = el("div", { class: "outcome lost" }, this.#words(one), el("p", { text: t("upkeep.removeHint") }));
    const row = buttons(back);
    row.append(send);
    send.addEventListener("click", async () => {
      if (busy(send)) return;
      busy(send, t("office.saving"));
      try {
        await follow(one._links.retirar, { method: "DELETE" });
        this.dispatchEvent(new Event("changed"));
        await this.list(flow, telescope, t("upkeep.removed"));
      } catch (problem) {
        if (!isShown(flow)) return;
        send.removeAttribute("aria-busy");
        send.textContent = t("upkeep.remove");
        root.append(el("p", { class: "error" }, because(problem, t("office.unknown"))));
      }
    });
    show(flow, t("upkeep.removeTitle"), root, row);
  }
}
