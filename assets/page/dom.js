// Elements, made without markup: a text that a person typed is always shown as text.

/// Makes an element. A property whose name starts with `on` is a listener, `text` is its text, and any other is an
/// attribute: `true` makes an empty one; `null`, `undefined` and `false` make none.
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

/// A text that a person typed, as an element: it may be in any script, and has a direction of its own, which the text
/// around it does not follow.
export const typed = (text, properties = {}) => el("bdi", { dir: "auto", text, ...properties });

/// The element of index.html with this id.
export const at = (id) => document.getElementById(id);

/// Sets the text if it differs. A text that stays the same is neither announced nor painted again.
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

const shown = new WeakMap();

/// Whether `root` shows other facts than `facts` (JSON); notes that it will show these. Elements whose facts stay the same
/// are left alone: if a button is replaced while the pointer is pressed on it, the browser sends no click.
export function changes(root, facts) {
  const key = JSON.stringify(facts);
  if (shown.get(root) === key) return false;
  shown.set(root, key);
  return true;
}

/// Replaces the children of `parent`. The focus goes back to the element with the same `data-focus` as before.
export function replace(parent, ...children) {
  const focused = parent.contains(document.activeElement) ? document.activeElement.dataset.focus : undefined;
  parent.replaceChildren(...children.flat().filter((child) => child != null && child !== false));
  if (focused) (parent.querySelector(`[data-focus="${focused}"]`) ?? parent.querySelector("[data-focus]"))?.focus();
}
