// The scientists: their names, and which of them uses this page. No DOM.

import { t } from "./i18n.js";

export class People {
  #all = [];
  #me;
  /// The scientist who alone may book here.
  #only;
  /// Scientists who were not in the catalogue when it was read because of them.
  #strangers = new Set();

  /// `me` is the scientist who was chosen at the last visit.
  constructor(me) {
    this.#me = me;
  }

  get all() {
    return this.#all;
  }

  get me() {
    return this.#only ?? this.#me;
  }

  /// The scientists as whom the page may book.
  get choices() {
    return this.#only ? this.#all.filter(({ id }) => id === this.#only) : this.#all;
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
    return this.#find(id)?.nome ?? t("scientist.unknown", { id });
  }

  /// Takes the first catalogue. A chosen scientist who is not in it is not chosen any more.
  open(all) {
    this.#all = all;
    if (!this.#find(this.#me)) this.#me = undefined;
  }

  /// The scientists of these bookings who are not known and for whom the catalogue has not been read yet.
  unknownIn(bookings) {
    return bookings.map(({ cientista_id: id }) => id).filter((id) => !this.#strangers.has(id) && !this.#find(id));
  }

  /// Takes the catalogue that was read because of `asked`. It will not be read for the same scientists again.
  learn(all, asked) {
    this.#all = all;
    for (const id of asked) this.#strangers.add(id);
  }

  #find(id) {
    return this.#all.find((one) => one.id === id);
  }
}
