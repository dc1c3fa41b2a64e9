// The nearest free slots, offered when a slot was lost. The list follows what others book and cancel.

import { follow } from "./api.js";
import { calm } from "./dialog.js";
import { el } from "./dom.js";
import { span } from "./format.js";
import { t } from "./i18n.js";
import { busy } from "./problems.js";

/// Of many changes in this time the list is read once.
const SPREAD_MS = 300;

export class Offers {
  #root;
  #link;
  #wanted;
  #take;
  #spans = [];
  #timer;
  /// The number of the last reading. Answers to earlier ones are dropped.
  #last = 0;

  /// `wanted` gives the {start, duration} near which slots are offered. `take` books what is chosen: {start, link}, by a
  /// `button` of this `list`.
  constructor(root, link, wanted, take) {
    this.#root = root;
    this.#link = link;
    this.#wanted = wanted;
    this.#take = take;
    this.#read();
  }

  /// Reads the list again if this booking, which was made or cancelled, may have changed it.
  hear({ horario_inicio_utc, horario_fim_utc }) {
    const [start, end] = [Date.parse(horario_inicio_utc), Date.parse(horario_fim_utc)];
    const near = [Math.min, Math.max].map((most, side) => most(...this.#spans.map((one) => one[side])));
    if (start < near[1] && end > near[0]) this.again();
  }

  /// Reads the list again, as what is wanted has changed.
  again() {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      if (this.#root.isConnected && !busy(this.#root)) this.#read();
    }, SPREAD_MS);
  }

  async #read() {
    if (!this.#link) return;
    this.#last += 1;
    const number = this.#last;
    const { start: near, duration } = this.#wanted();
    const variables = { perto_de: new Date(near).toISOString(), duracao_min: duration };
    const answer = await follow(this.#link, { variables }).catch(() => undefined);
    if (number !== this.#last || busy(this.#root)) return;
    const free = (answer?.livres ?? []).filter(({ _links }) => _links?.agendar);
    this.#spans = free.map((one) => [Date.parse(one.horario_inicio_utc), Date.parse(one.horario_fim_utc)]);
    const list = el("ul", {});
    free.forEach(({ _links }, index) => {
      const [start, end] = this.#spans[index];
      const when = span(start, end, near);
      const button = el("button", { type: "button", text: when, "aria-label": t("book.take", { span: when }) });
      button.addEventListener("click", () => this.#take({ start, link: _links.agendar, button, list: this.#root }));
      list.append(el("li", {}, button));
    });
    this.#show(el("h3", { text: t(free.length ? "book.nearest" : "book.noNearest") }), list);
  }

  #show(...children) {
    const same = this.#root.textContent === children.map((child) => child.textContent).join("");
    if (same) return;
    const focused = [...this.#root.querySelectorAll("button")].indexOf(document.activeElement);
    this.#root.replaceChildren(...children);
    if (focused >= 0) this.#root.querySelectorAll("button")[focused]?.focus();
    calm();
  }
}
