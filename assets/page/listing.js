// A list of the catalogue, of telescopes or of scientists: its first page, what has been read of the rest, and the search in
// all of it. No DOM.

import { follow } from "./api.js";

/// The most items that one request may name.
const IDS_MAX = 100;
/// The most items that a search gives.
const FOUND_MAX = 20;

/// Whether an item can be chosen for something new.
const isActive = ({ ativo }) => ativo !== false;

export class Listing {
  #name;
  #links;
  #first = [];
  #items = new Map();
  /// The ids that were asked for and do not exist.
  #strangers = new Set();

  /// `name` is the list's in an answer.
  constructor(name) {
    this.#name = name;
  }

  /// Whether the first page is there.
  get isOpen() {
    return Boolean(this.#links);
  }

  /// Whether the first page is all of the list.
  get isWhole() {
    return !this.#links?.proxima;
  }

  /// The links of the first page.
  get links() {
    return this.#links ?? {};
  }

  /// The item with an id; undefined if it is not known.
  of(id) {
    return this.#items.get(String(id));
  }

  /// What may be chosen, in the order of the list: of the first page, and `chosen` in any case.
  choices(chosen) {
    const all = this.#first.map(({ id }) => this.of(id)).filter((one) => isActive(one) || one === chosen);
    return !chosen || all.includes(chosen) ? all : [chosen, ...all];
  }

  /// The first that may be chosen, or the first of all if none may.
  get usual() {
    return this.choices()[0] ?? this.of(this.#first[0]?.id);
  }

  /// Reads the first page.
  async open(link) {
    this.take(await follow(link));
  }

  /// Takes an answer as the first page.
  take(page) {
    this.#links = page._links ?? {};
    this.#first = page[this.#name];
    this.learn(this.#first);
  }

  /// Takes items as they are now.
  learn(items) {
    for (const item of items) this.#items.set(String(item.id), item);
  }

  /// Takes an item that was made or changed here. A new one may be in the first page, which is read again for that.
  async changed(item) {
    this.learn([item]);
    this.#strangers.delete(String(item.id));
    await this.open(this.#links.self).catch(() => undefined);
  }

  /// Reads items again that were changed elsewhere, and the first page, where a new one may be.
  async renew(ids) {
    const known = ids.filter((id) => this.#items.has(id));
    for (const id of ids) this.#strangers.delete(id);
    if (known.length) this.#page(await follow(this.#links.buscar, { variables: { ids: known.join(","), limite: IDS_MAX } }));
    await this.open(this.#links.self);
  }

  /// Searches all of the list for the words of a text: {items, more}, where `more` is the link to the next page. Unless `all`,
  /// only what may be chosen is found.
  async find(text, all = false) {
    const variables = { busca: text.trim() || undefined, ativo: all ? undefined : true, limite: FOUND_MAX };
    return this.#page(await follow(this.#links.buscar, { variables }));
  }

  /// What a link to a further page leads to, as `find` gives it.
  async more(link) {
    return this.#page(await follow(link));
  }

  #page(page) {
    const items = page[this.#name];
    this.learn(items);
    return { items, more: page._links.proxima };
  }

  /// The ids of these that are not known, and were not asked for in vain.
  unknown(ids) {
    const known = (id) => this.#items.has(id) || this.#strangers.has(id);
    return [...new Set(ids.map(String))].filter((id) => !known(id));
  }

  /// Reads the items of these ids that are not known. True if there were any.
  async meet(ids) {
    const unknown = this.unknown(ids);
    if (!this.#links?.buscar) return false;
    for (let from = 0; from < unknown.length; from += IDS_MAX) {
      const some = unknown.slice(from, from + IDS_MAX);
      const { items } = this.#page(await follow(this.#links.buscar, { variables: { ids: some.join(","), limite: IDS_MAX } }));
      const found = new Set(items.map(({ id }) => String(id)));
      for (const id of some) if (!found.has(id)) this.#strangers.add(id);
    }
    return unknown.length > 0;
  }
}
