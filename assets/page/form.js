// A form made of the description of its fields.

import { el } from "./dom.js";
import { t } from "./i18n.js";
import { KINDS } from "./inputs.js";
import { bodyOf, patchOf, valueAt } from "./shapes.js";

export class Form {
  #inputs;

  /// Fields for an `item`, or for a new one, if there is none. `lists` are the lists to choose from. `kept` are values that a
  /// person had entered before, by the names of their fields.
  constructor(shape, item, lists, kept = {}) {
    const fields = shape.filter(({ once }) => !once || !item);
    this.#inputs = fields.map((field) => {
      const value = item ? valueAt(item, field.name) : field.usual;
      const make = KINDS[field.kind];
      const first = make(field, value, lists);
      const shown = field.name in kept ? make(field, kept[field.name], lists) : first;
      return { field, before: first.read(), ...shown };
    });
  }

  /// The elements of the fields. Those of a group stand together below its name.
  get elements() {
    const all = [];
    let group;
    for (const { field, root } of this.#inputs) {
      if (field.group && group?.dataset.group !== field.group) {
        group = el("fieldset", { class: "group", "data-group": field.group }, el("legend", { text: t(`form.${field.group}`) }));
        all.push(group);
      }
      if (field.group) group.append(root);
      else all.push(root);
    }
    return all;
  }

  get #values() {
    return this.#inputs.map(({ field, before, read }) => [field, read(), before]);
  }

  /// What a new item is made of.
  get body() {
    return bodyOf(this.#values);
  }

  /// What is to be otherwise in the item.
  get patch() {
    return patchOf(this.#values);
  }

  /// What was entered and not there before, by field.
  get kept() {
    const changed = this.#values.filter(([, value, before]) => JSON.stringify(value) !== JSON.stringify(before));
    return Object.fromEntries(changed.map(([{ name }, value]) => [name, value]));
  }
}
