// The catalogue, for those who manage it: telescopes with their rules, scientists and proposals are searched, made and changed.
// Each action has a link in an answer; without it there is no button.

import { follow, tagOf } from "./api.js";
import { announce, buttons, close, isShown, open, show } from "./dialog.js";
import { el, typed } from "./dom.js";
import { Form } from "./form.js";
import { minutes } from "./format.js";
import { t } from "./i18n.js";
import { Listing } from "./listing.js";
import { isolate } from "./names.js";
import { once } from "./once.js";
import { because, busy, explain } from "./problems.js";
import { SHAPES } from "./shapes.js";
import { Upkeep } from "./upkeep.js";

/// What is typed within this time is searched for at once.
const WAIT_MS = 150;
const STALE = "versao_diferente";

const nameOf = (item) => item.nome ?? item.titulo;

/// Dispatches `changed` when the catalogue was changed here.
export class Office extends EventTarget {
  #parts;
  #proposals = new Listing("propostas");
  #upkeep;
  /// The list that is shown first: the last one that was.
  #kind = "telescopios";

  /// `parts` has reading, people, and `where`, which names the place and days of a booking.
  constructor(parts) {
    super();
    this.#parts = parts;
    this.#upkeep = new Upkeep({ ...parts, back: (flow, telescope) => this.#edit(flow, "telescopios", telescope) });
    this.#upkeep.addEventListener("changed", () => this.#changed());
  }

  open() {
    this.#list(open());
  }

  get #lists() {
    const { reading, people } = this.#parts;
    return { telescopios: reading.telescopes, cientistas: people, propostas: this.#proposals };
  }

  #changed() {
    this.dispatchEvent(new Event("changed"));
  }

  /// Shows a list with its search. `said` is what was done before.
  async #list(flow, said = "") {
    const kind = this.#kind;
    const listing = this.#lists[kind];
    const { reading } = this.#parts;
    if (!listing.isOpen) await listing.open(reading.entry._links[kind]).catch(() => undefined);
    const tabs = Object.keys(this.#lists).map((one) =>
      el("button", {
        type: "button",
        "aria-pressed": String(one === kind),
        text: t(`office.${one}`),
        onclick: () => {
          this.#kind = one;
          this.#list(flow);
        },
      }),
    );
    const search = el("input", { type: "search", id: "office-search", autocomplete: "off", dir: "auto", autofocus: true });
    const found = el("ul", { class: "items" });
    const note = el("p", { class: "quiet", role: "status", text: said });
    let timer;
    search.addEventListener("input", () => {
      clearTimeout(timer);
      timer = setTimeout(() => this.#search(flow, kind, search, found, note), WAIT_MS);
    });
    const create = listing.links.criar && {
      text: t(`office.new.${kind}`),
      onclick: () => this.#form(flow, kind),
      kind: "primary",
    };
    show(
      flow,
      t("office.title"),
      el("div", { class: "buttons tabs", role: "group", "aria-label": t("office.which") }, tabs),
      el("div", { class: "field" }, el("label", { for: search.id, text: t(`office.search.${kind}`) }), search),
      note,
      found,
      buttons(create, { text: t("book.close"), onclick: close }),
    );
    if (said) announce(said);
    await this.#search(flow, kind, search, found, note, said);
  }

  async #search(flow, kind, search, root, note, said = "") {
    const text = search.value;
    const listing = this.#lists[kind];
    const found = await listing.find(text, true).catch((problem) => ({ problem, items: [] }));
    if (!isShown(flow) || !root.isConnected || search.value !== text) return;
    root.replaceChildren();
    note.replaceChildren(found.problem ? because(found.problem) : found.items.length ? said : t("find.none"));
    this.#append(flow, kind, root, found);
  }

  #append(flow, kind, root, { items, more }) {
    for (const item of items) {
      const { id, instituicao, ativo, ativa } = item;
      const about = kind === "telescopios" ? id : (instituicao ?? t("office.number", { id }));
      const off = ativo === false || ativa === false;
      const button = el(
        "button",
        { type: "button", onclick: () => this.#edit(flow, kind, item) },
        typed(nameOf(item)),
        " ",
        typed(about, { class: "quiet" }),
        off && ` · ${t("office.off")}`,
      );
      root.append(el("li", {}, button));
    }
    if (!more) return;
    const next = el("button", { type: "button", text: t("mine.more") });
    next.addEventListener("click", async () => {
      if (busy(next)) return;
      busy(next, t("mine.reading"));
      const page = await this.#lists[kind].more(more).catch(() => undefined);
      if (!page) return void next.removeAttribute("aria-busy");
      next.parentElement.remove();
      this.#append(flow, kind, root, page);
      root.children[root.children.length - page.items.length - (page.more ? 1 : 0)]?.querySelector("button").focus();
    });
    root.append(el("li", {}, next));
  }

  /// Reads an item as it is now, with the names that its form shows, and opens the form.
  async #edit(flow, kind, item, kept, said) {
    const { people, reading } = this.#parts;
    try {
      const fresh = await follow(item._links.self);
      if (kind === "propostas") {
        await people.meet([fresh.responsavel_id, ...fresh.membros]);
        await reading.telescopes.meet(Object.keys(fresh.alocado_min));
      }
      this.#form(flow, kind, fresh, kept, said);
    } catch (problem) {
      const root = el("div", { class: "outcome refused" });
      if (!show(flow, nameOf(item), root, this.#back(flow))) return;
      explain(root, problem);
    }
  }

  #back(flow) {
    return buttons({ text: t("office.back"), onclick: () => this.#list(flow), autofocus: true });
  }

  #form(flow, kind, item, kept, said) {
    const { people, reading } = this.#parts;
    const link = item ? item._links.alterar : this.#lists[kind].links.criar;
    const form = new Form(SHAPES[kind], item, { people, telescopes: reading.telescopes }, kept);
    const send = link && el("button", { type: "submit", class: "primary", text: t("office.save") });
    const back = el("button", { type: "button", text: t("office.back"), onclick: () => this.#list(flow) });
    const root = el(
      "form",
      { novalidate: true, class: "office" },
      kind === "telescopios" && item && this.#closing(flow, item),
      form.elements,
      kind === "propostas" && item && this.#use(item),
      el("div", { class: "problem" }, said && el("p", { text: said })),
      el("div", { class: "buttons" }, send, back),
    );
    root.addEventListener("submit", (event) => {
      event.preventDefault();
      if (send && !busy(send)) this.#save({ flow, kind, item, link, form, root, send });
    });
    if (!show(flow, item ? isolate(nameOf(item)) : t(`office.new.${kind}`), root)) return;
    root.querySelector("input")?.focus();
    if (said) announce(said);
  }

  /// The way to the maintenances of a telescope.
  #closing(flow, telescope) {
    const to = el("button", { type: "button", text: t("upkeep.open"), onclick: () => this.#upkeep.list(flow, telescope) });
    return el("p", { class: "field" }, to);
  }

  /// What a proposal has, has used and has left, by telescope.
  #use({ alocado_min: has, usado_min: used = {}, restante_min: left = {} }) {
    const { telescopes } = this.#parts.reading;
    const rows = Object.keys({ ...has, ...used }).map((id) => {
      const told = [has[id], used[id], left[id]].map((count = 0) => (count < 0 ? "−" : "") + (minutes(Math.abs(count)) || "0 min"));
      return el(
        "tr",
        {},
        el("th", { scope: "row" }, typed(telescopes.of(id)?.nome ?? id)),
        told.map((text) => el("td", { text })),
      );
    });
    if (!rows.length) return false;
    const heads = ["telescope", "has", "used", "left"].map((key) => el("th", { scope: "col", text: t(`use.${key}`) }));
    return el(
      "table",
      { class: "use" },
      el("caption", { text: t("use.title") }),
      el("thead", {}, el("tr", {}, heads)),
      el("tbody", {}, rows),
    );
  }

  async #save({ flow, kind, item, link, form, root, send }) {
    const { kept } = form;
    const body = item ? form.patch : form.body;
    if (item && !Object.keys(body).length) return void announce(this.#say(root, t("office.same")));
    busy(send, t("office.saving"));
    try {
      const change = () => follow(link, { method: "PATCH", body, match: tagOf(item) });
      const saved = await (item ? change() : once(flow, link, { body }));
      await this.#lists[kind].changed(saved);
      this.#changed();
      await this.#list(flow, t("office.saved", { name: isolate(nameOf(saved)) }));
    } catch (problem) {
      if (!isShown(flow)) return;
      // What the person has entered stays, beside what others have changed.
      if (problem.code === STALE) return void this.#edit(flow, kind, item, kept, t("office.stale"));
      send.removeAttribute("aria-busy");
      send.textContent = t("office.save");
      explain(root, problem, t("office.unknown"));
    }
  }

  #say(root, words) {
    root.querySelector(".problem").replaceChildren(el("p", { text: words }));
    return words;
  }
}
