// The kinds of fields in a form. Each is made of a name and a value, and gives its element and what was entered: {root, read}.

import { field as labelled } from "./dialog.js";
import { el, typed } from "./dom.js";
import { lengths } from "./durations.js";
import { Finder } from "./finder.js";
import { minutes } from "./format.js";
import { t } from "./i18n.js";
import { DAY_MS, MINUTE_MS } from "./instants.js";
import { fieldOf, instantOf, numberOf } from "./shapes.js";

const SLOT_MS = 5 * MINUTE_MS;
const DAYS = ["seg", "ter", "qua", "qui", "sex", "sab", "dom"];

const label = (name) => t(`label.${name}`);

const input = (type, value, more = {}) => {
  const made = el("input", { type, autocomplete: "off", ...more });
  made.value = value ?? "";
  return made;
};

const single = (name, control, read) => ({ root: labelled(name, label(name), control), read });

/// A list of rows below a legend, with `adder`, a control that adds a row. `rows` are the elements of the list.
function group(name, list, ...adders) {
  const error = el("p", { class: "error", id: `error-${name}` });
  return el(
    "fieldset",
    { class: "field rows", id: `field-${name}`, tabindex: "-1" },
    el("legend", { text: label(name) }),
    list,
    adders,
    error,
  );
}

/// A row with a button that takes it away. The focus then goes to the row after it, or to what stands after the list.
function row(what, ...children) {
  const remove = el("button", { type: "button", class: "step", text: "×", "aria-label": t("form.remove", { what }) });
  const made = el("li", {}, children, remove, el("p", { class: "error" }));
  remove.addEventListener("click", () => {
    const list = made.parentElement;
    const next = (made.nextElementSibling ?? made.previousElementSibling)?.querySelector("input, select, button");
    made.remove();
    (next ?? list.parentElement.querySelector(":scope > button, .adder :is(select, input):not([hidden])"))?.focus();
  });
  return made;
}

/// Gives the error of a row its name, so that the server's words are shown there.
function name(item, path) {
  item.querySelector(".error").id = `error-${path}`;
  item.querySelector("input, select, button").id = `field-${path}`;
}

/// A choice from a list of the catalogue, by search if it is long.
function choice(text, listing, chosen) {
  const named = el("label", { text });
  const select = el("select", {}, el("option", { value: "", text: t("scientist.choose") }));
  const known = listing.of(chosen);
  for (const { id, nome } of listing.choices(known)) {
    select.append(el("option", { value: id, dir: "auto", text: nome, selected: id === known?.id }));
  }
  return { named, select };
}

/// A control that calls `add` with each item that is chosen.
function adder(text, listing, add) {
  const { named, select } = choice(text, listing);
  const root = el("div", { class: "adder" }, named, select);
  const finder = found(select, listing, named);
  select.addEventListener("change", () => {
    const item = listing.of(select.value);
    select.value = "";
    finder.sync();
    if (item) add(item);
  });
  return root;
}

let made = 0;
function found(select, listing, named) {
  made += 1;
  select.id ||= `choice-${made}`;
  return new Finder(select, listing, named);
}

export const KINDS = {
  text({ name, max, none = "" }, value) {
    const control = input("text", value, { dir: "auto", maxlength: max });
    return single(name, control, () => control.value.trim() || none);
  },

  lines({ name, max }, value) {
    const control = el("textarea", { rows: "2", dir: "auto", maxlength: max });
    control.value = value ?? "";
    return single(name, control, () => control.value.trim() || null);
  },

  duration({ name }, value) {
    const control = el("select", {});
    for (const length of lengths(1, DAY_MS / SLOT_MS, SLOT_MS / MINUTE_MS)) {
      control.append(el("option", { value: length, text: minutes(length), selected: length === value }));
    }
    return single(name, control, () => Number(control.value));
  },

  number({ name }, value) {
    const control = input("text", value, { inputmode: "numeric", placeholder: t("form.unlimited") });
    return single(name, control, () => numberOf(control.value));
  },

  time({ name }, value) {
    const control = input("time", value);
    return single(name, control, () => control.value || null);
  },

  instant({ name }, value) {
    const control = input("datetime-local", fieldOf(value), { step: 300 });
    return single(name, control, () => instantOf(control.value));
  },

  flag({ name }, value) {
    const control = el("input", { type: "checkbox", id: `field-${name}` });
    control.checked = Boolean(value);
    const error = el("p", { class: "error", id: `error-${name}` });
    const root = el("div", { class: "field" }, el("label", { class: "check" }, control, el("span", { text: label(name) })), error);
    return { root, read: () => control.checked };
  },

  choice({ name, choices }, value) {
    const control = el("select", {});
    for (const one of choices) control.append(el("option", { value: one, text: t(`choice.${one}`), selected: one === value }));
    return single(name, control, () => control.value);
  },

  scientist({ name }, value, { people }) {
    const { select } = choice("", people, value);
    select.required = true;
    const root = labelled(name, label(name), select);
    found(select, people, root.querySelector("label"));
    return { root, read: () => numberOf(select.value) };
  },

  telescope({ name }, value, { telescopes }) {
    const { select } = choice("", telescopes, value);
    if (value) select.options[0].remove();
    const root = labelled(name, label(name), select);
    found(select, telescopes, root.querySelector("label"));
    return { root, read: () => select.value || null };
  },

  scientists({ name: path }, value, { people }) {
    const list = el("ul", {});
    const add = (id) => {
      if (list.querySelector(`[data-id="${id}"]`)) return;
      const item = row(people.nameOf(id), typed(people.nameOf(id)));
      item.dataset.id = id;
      list.append(item);
    };
    (value ?? []).forEach(add);
    const more = adder(t("form.addScientist"), people, ({ id }) => add(id));
    const read = () => [...list.children].map(({ dataset }) => Number(dataset.id)).sort((one, other) => one - other);
    return { root: group(path, list, more), read };
  },

  minutes({ name: path }, value, { telescopes }) {
    const list = el("ul", {});
    const add = (id, count, focus) => {
      if (list.querySelector(`[data-id="${CSS.escape(id)}"]`)) return;
      const named = telescopes.of(id)?.nome ?? id;
      const control = input("text", count, { inputmode: "numeric", size: 6, "aria-label": `${named}, min` });
      const item = row(named, typed(named), control, "min");
      item.dataset.id = id;
      name(item, `${path}.${id}`);
      list.append(item);
      if (focus) control.focus();
    };
    for (const [id, count] of Object.entries(value ?? {})) add(id, count);
    const more = adder(t("form.addTelescope"), telescopes, ({ id }) => add(id, "", true));
    const read = () =>
      Object.fromEntries(
        [...list.children].map((item) => [item.dataset.id, numberOf(item.querySelector("input").value)]).sort(),
      );
    return { root: group(path, list, more), read };
  },

  hours({ name: path }, value) {
    const list = el("ul", {});
    const add = ({ dia, das, as } = {}, focus = false) => {
      const day = el("select", { "aria-label": t("hours.day") });
      for (const one of DAYS) day.append(el("option", { value: one, text: t(`hours.${one}`), selected: one === dia }));
      const times = [das, as].map((time, at) =>
        input("time", time, { step: 300, "aria-label": t(at ? "hours.until" : "hours.from") }),
      );
      const item = row(t("hours.period"), day, times[0], "–", times[1]);
      list.append(item);
      if (focus) day.focus();
    };
    (value ?? []).forEach((one) => add(one));
    const more = el("button", { type: "button", text: t("hours.add"), onclick: () => add({}, true) });
    const read = () => {
      const periods = [...list.children].map((item, index) => {
        name(item, `${path}[${index}]`);
        const [das, as] = [...item.querySelectorAll("input")].map((control) => control.value);
        return { dia: item.querySelector("select").value, das, as };
      });
      return periods.length ? periods : null;
    };
    return { root: group(path, list, more), read };
  },
};
