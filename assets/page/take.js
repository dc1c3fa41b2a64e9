// The bookings outside this page: a telescope's, or the person's own, as a calendar that other programs subscribe to and as a table
// (CSV). Where the server asks who people are, a calendar has secret addresses: they are made, listed and revoked here.

import { follow, table } from "./api.js";
import { announce, buttons, close, field, isShown, open, show } from "./dialog.js";
import { at, changes, el, replace, typed } from "./dom.js";
import { instant } from "./format.js";
import { current, phrase, t } from "./i18n.js";
import { isolate } from "./names.js";
import { because, busy, explain } from "./problems.js";

/// How long a table stays in memory for the browser to save it.
const SAVING_MS = 60000;

const VALID = "valido";

export class Take {
  #reading;
  #root = at("take");

  constructor(reading) {
    this.#reading = reading;
  }

  /// Draws the ways to the bookings of `item`, a telescope or a scientist; of nothing if its links are not known. `body` names it in a
  /// request.
  show(item, body) {
    const links = item?._links ?? {};
    if (!changes(this.#root, [links.calendario, links.assinar, links.agendamentos, item?.nome, current()])) return;
    if (!links.calendario) return replace(this.#root);
    const subscribe = () => {
      const flow = open();
      // What the dialog had before may be a secret address.
      show(flow, t("take.title", { name: isolate(item.nome) }), el("p", { class: "quiet", text: t("mine.reading") }));
      this.#list(flow, { item, body });
    };
    const calendar = links.assinar
      ? el("button", { type: "button", "data-focus": "subscribe", text: t("take.addresses"), onclick: subscribe })
      : el("a", { href: links.calendario.href, "data-focus": "calendar", text: t("take.calendar") });
    const wrong = el("span", { class: "error", role: "alert" });
    const save = el("button", { type: "button", "data-focus": "table", text: t("take.table") });
    save.addEventListener("click", () => this.#save(save, wrong, item));
    replace(this.#root, el("span", {}, phrase("take.of", { name: typed(item.nome) })), calendar, save, wrong);
  }

  /// Reads the whole table, and gives it to the browser to save.
  async #save(button, wrong, item) {
    if (busy(button)) return;
    busy(button, t("take.reading"));
    wrong.replaceChildren();
    try {
      const href = URL.createObjectURL(await table(item._links.agendamentos));
      el("a", { href, download: `agendamentos-${item.id}.csv` }).click();
      setTimeout(() => URL.revokeObjectURL(href), SAVING_MS);
      announce(t("take.saved"));
    } catch (problem) {
      wrong.replaceChildren(because(problem));
    }
    button.removeAttribute("aria-busy");
    button.textContent = t("take.table");
  }

  /// Lists the addresses of a calendar. `said` is what was done before; `made`, the address that was just made.
  async #list(flow, of, { said = "", made } = {}) {
    const title = t("take.title", { name: isolate(of.item.nome) });
    const end = { text: t("book.close"), onclick: close };
    try {
      const { calendarios: all } = await follow(this.#reading.entry._links.calendarios);
      const [[name, value]] = Object.entries(of.body);
      const mine = all.filter((one) => one.estado === VALID && one[name] === value);
      const make = { text: t("take.make"), kind: !made && "primary", onclick: () => this.#make(flow, of) };
      const shown = show(
        flow,
        title,
        el("p", { text: t("take.why") }),
        said && el("p", { class: "quiet", text: said }),
        made && this.#secret(made),
        el("ul", { class: "items" }, mine.map((one) => this.#item(flow, of, one))),
        el("div", { class: "problem" }),
        buttons(make, end),
      );
      if (shown && said) announce(said);
    } catch (problem) {
      this.#fail(flow, title, problem, end);
    }
  }

  #fail(flow, title, problem, end) {
    const root = el("div", { class: "outcome refused" });
    if (show(flow, title, root, buttons({ ...end, autofocus: true }))) explain(root, problem);
  }

  /// The whole address, which no other answer has.
  #secret({ _links: links }) {
    const address = new URL(links.calendario.href, document.baseURI).href;
    const input = el("input", { type: "text", readonly: true, value: address, autofocus: true, spellcheck: "false" });
    input.addEventListener("focus", () => input.select());
    return field("address", t("take.address"), input);
  }

  #item(flow, of, one) {
    const when = `${instant(one.criado_em_utc).slice(0, 16)} UTC`;
    const revoke = el("button", { type: "button", class: "danger", text: t("take.revoke"), "aria-label": `${t("take.revoke")} ${when}` });
    revoke.addEventListener("click", () => this.#act(flow, revoke, one._links.revogar, { method: "DELETE" }, () => this.#list(flow, of, { said: t("take.revoked") })));
    return el("li", { class: "field" }, el("p", {}, phrase("take.made", { when, owner: typed(one.dono) })), el("div", {}, revoke));
  }

  #make(flow, of) {
    const button = document.querySelector("#dialog-body > .buttons button");
    const { body } = of;
    this.#act(flow, button, of.item._links.assinar, { method: "POST", body }, (made) => this.#list(flow, of, { made, said: t("take.copy") }));
  }

  /// Follows a link, and shows what comes of it. Of a lost answer the list tells whether it was done.
  async #act(flow, button, link, how, then) {
    if (busy(button)) return;
    const { textContent: words } = button;
    busy(button, t("office.saving"));
    try {
      await then(await follow(link, how));
    } catch (problem) {
      if (!isShown(flow)) return;
      button.removeAttribute("aria-busy");
      button.textContent = words;
      explain(at("dialog-body"), problem);
    }
  }
}
