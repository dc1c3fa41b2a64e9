// Elements, made without markup: a text is always text, whoever typed it.

/// An element. A property that starts with `on` is a listener, `text` its text, and any other an attribute (`true` is
/// an empty one; `null`, `undefined` and `false` are none).
export function el(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (value == null || value === false) continue;
    if (key === "text") made.textContent = value;
    else if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.flat().filter((child) => child != null && child !== false));
  return made;
}

/// The element with this id, which index.html has.
export const at = (id) => document.getElementById(id);

/// Sets the text only where it differs, so that nothing is announced or painted again for nothing.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const shown = new WeakMap();

/// Whether `root` shows something else than `facts` (JSON); notes that it will show them. What has not changed is left
/// alone: a button that is made anew under a pressed pointer is never clicked.
export function changes(root, facts) {
  const key = JSON.stringify(facts);
  if (shown.get(root) === key) return false;
  shown.set(root, key);
  return true;
}

/// Puts `children` in place of what `parent` had, and the focus back on what has the same `data-focus` as before.
export function replace(parent, ...children) {
  const focused = parent.contains(document.activeElement) ? document.activeElement.dataset.focus : undefined;
  parent.replaceChildren(...children.flat().filter((child) => child != null && child !== false));
  if (focused) (parent.querySelector(`[data-focus="${focused}"]`) ?? parent.querySelector("[data-focus]"))?.focus();
}
