// A choice among very many: a field that searches the catalogue while one types. It stands beside a select, which holds what
// was chosen; while the select has all there is, the select is used alone.
//
// The field is an ARIA combobox: the arrows move in what was found, Enter chooses, and Escape leaves everything as it was.

import { announce } from "./dialog.js";
import { el, typed } from "./dom.js";
import { t } from "./i18n.js";

/// What is typed within this time is searched for at once.
const WAIT_MS = 120;
let made = 0;

export class Finder {
  #select;
  #listing;
  #label;
  #input;
  #list;
  #note = el("p", { class: "quiet" });
  #box;
  /// What the list shows, and which of it is marked.
  #items = [];
  #marked = -1;
  /// The number of the last search. Answers to earlier ones are dropped.
  #last = 0;
  #timer;
  /// Set after a click until its selection is made: what is typed then replaces what the field shows.
  #replaced = false;
  root = el("div", { class: "finder" });

  /// `label` is the element that names the `select`. The select dispatches `change` when an item was chosen.
  constructor(select, listing, label) {
    made += 1;
    const id = `found-${made}`;
    this.#select = select;
    this.#listing = listing;
    this.#label = label;
    this.#list = el("ul", { role: "listbox", id, "aria-labelledby": (label.id ||= `${id}-of`) });
    this.#box = el("div", { class: "found", hidden: true }, this.#list, this.#note);
    this.#input = el("input", {
      type: "text",
      id: `${id}-in`,
      role: "combobox",
      dir: "auto",
      autocomplete: "off",
      spellcheck: "false",
      "aria-autocomplete": "list",
      "aria-controls": id,
      "aria-expanded": "false",
      oninput: () => this.#later(),
      onfocus: () => this.#input.select(),
      onclick: () => this.#press(),
      onkeydown: (event) => this.#key(event),
      onblur: () => this.#leave(),
    });
    // The focus stays in the field.
    this.#box.addEventListener("pointerdown", (event) => event.preventDefault());
    this.#list.addEventListener("click", ({ target }) => {
      const index = [...this.#list.children].indexOf(target.closest("li"));
      if (index >= 0) this.#choose(this.#items[index]);
    });
    this.root.append(this.#input, this.#box);
    select.after(this.root);
    select.dataset.instead = this.#input.id;
    this.sync();
  }

  /// The element that takes the focus.
  get control() {
    return this.root.hidden ? this.#select : this.#input;
  }

  get #isOpen() {
    return !this.#box.hidden;
  }

  get #chosen() {
    return this.#select.value ? this.#select.selectedOptions[0].text : "";
  }

  /// Whether the field shows what was typed, and not what was chosen.
  get #isTyped() {
    return this.#input.value !== this.#chosen;
  }

  /// Shows what the select has now.
  sync() {
    const alone = this.#listing.isWhole || this.#select.disabled;
    this.#select.hidden = !alone;
    this.root.hidden = alone;
    this.#label.htmlFor = this.control.id;
    this.#input.placeholder = t("find.type");
    if (document.activeElement !== this.#input) this.#input.value = this.#chosen;
  }

  /// What is typed after a click is another search.
  #press() {
    if (this.#isOpen || this.#isTyped) return;
    // The browser ends a selection only after the click, so that another is made by a timer. A key may come before the timer.
    this.#replaced = true;
    setTimeout(() => this.#replace());
    this.#search("");
  }

  /// Makes the selection that a click has asked for, once.
  #replace() {
    if (this.#replaced) this.#input.select();
    this.#replaced = false;
  }

  #later() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#search(this.#input.value), WAIT_MS);
  }

  async #search(text) {
    clearTimeout(this.#timer);
    this.#last += 1;
    const number = this.#last;
    const found = await this.#listing.find(text).catch((problem) => ({ problem, items: [] }));
    if (number !== this.#last || document.activeElement !== this.#input) return;
    const { items, more, problem } = found;
    this.#items = items;
    const options = items.map(({ id, nome, instituicao }, index) =>
      el("li", { role: "option", id: `${this.#list.id}-${index}` }, typed(nome), typed(instituicao ?? id, { class: "quiet" })),
    );
    this.#list.replaceChildren(...options);
    this.#list.hidden = !items.length;
    this.#note.textContent = problem ? t("find.failed") : items.length ? (more ? t("find.more") : "") : t("find.none");
    this.#box.hidden = false;
    this.#input.setAttribute("aria-expanded", "true");
    this.#mark(text.trim() && items.length ? 0 : -1);
    announce(this.#note.textContent || t("find.count", { count: items.length }));
  }

  #mark(index) {
    this.#marked = index;
    [...this.#list.children].forEach((option, at) => option.setAttribute("aria-selected", at === index));
    const option = this.#list.children[index];
    if (option) this.#input.setAttribute("aria-activedescendant", option.id);
    else this.#input.removeAttribute("aria-activedescendant");
    option?.scrollIntoView({ block: "nearest" });
  }

  #key(event) {
    this.#replace();
    const { key } = event;
    const count = this.#items.length;
    if (key === "ArrowDown" || key === "ArrowUp") {
      if (!this.#isOpen) this.#search("");
      else if (count) this.#mark((this.#marked + (key === "ArrowDown" ? 1 : count - (this.#marked < 0 ? 0 : 1))) % count);
    } else if (key === "Enter" && (this.#isOpen || this.#isTyped)) {
      // A form is not sent with another choice than the field shows.
      if (this.#isOpen && this.#marked >= 0) this.#choose(this.#items[this.#marked]);
      else if (this.#isTyped) this.#search(this.#input.value);
    } else if (key === "Escape" && this.#isOpen) {
      this.#input.value = this.#chosen;
      this.#input.select();
      this.#close();
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
  }

  #choose(item) {
    const has = [...this.#select.options].some(({ value }) => value === String(item.id));
    if (!has) this.#select.append(el("option", { value: item.id, dir: "auto", text: item.nome }));
    this.#close();
    this.#take(String(item.id));
    // What is typed next is another search.
    this.#input.select();
  }

  #take(value) {
    const before = this.#select.value;
    this.#select.value = value;
    this.#input.value = this.#chosen;
    if (this.#select.value !== before) this.#select.dispatchEvent(new Event("change"));
  }

  /// A field that was emptied chooses nobody, if that is possible. What was typed and not chosen is dropped; a choice that a form
  /// needs is dropped with it, so that nobody else is taken for the one who was typed.
  #leave() {
    this.#replaced = false;
    this.#close();
    const isOptional = this.#select.querySelector("option[value='']");
    if (isOptional && this.#isTyped && (this.#select.required || !this.#input.value.trim())) this.#take("");
    this.#input.value = this.#chosen;
  }

  #close() {
    clearTimeout(this.#timer);
    this.#last += 1;
    this.#box.hidden = true;
    this.#input.setAttribute("aria-expanded", "false");
    this.#mark(-1);
  }
}
