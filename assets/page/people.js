// The scientists: their names, and which of them uses this page. No DOM.

import { t } from "./i18n.js";
import { Listing } from "./listing.js";

export class People extends Listing {
  #me;
  /// The scientist who alone may book here.
  #only;

  /// `me` is the scientist who was chosen at the last visit.
  constructor(me) {
    super("cientistas");
    this.#me = me;
  }

  get me() {
    return this.#only ?? this.#me;
  }

  /// The scientists as whom the page may book, as far as they are read.
  get mine() {
    const one = this.of(this.me);
    return this.#only ? [one].filter(Boolean) : this.choices(one);
  }

  /// Whether the page may book as one scientist only.
  get isOne() {
    return Boolean(this.#only);
  }

  /// Lets the page book as `scientist` only; with undefined, as everybody.
  bind(scientist) {
    this.#only = scientist;
  }

  choose(scientist) {
    this.#me = scientist;
  }

  nameOf(id) {
    return this.of(id)?.nome ?? t("scientist.unknown", { id });
  }

  /// Reads who uses the page. A scientist who was chosen at the last visit, and may not book any more, is not chosen any more.
  async settle() {
    const chosen = this.#me;
    await this.meet([chosen, this.#only].filter(Boolean));
    const one = this.of(chosen);
    if (this.#me === chosen && (!one || one.ativo === false)) this.#me = undefined;
  }
}
