// What went wrong, shown where it can be mended: at the field, or above the buttons.

import { el } from "./dom.js";
import { announce } from "./dialog.js";
import { SERVER_LANGUAGE, t, translated } from "./i18n.js";

/// Shows a problem in `root`: each wrong field at its field, and the rest in the server's words, or else in `words`.
export function explain(root, problem, otherwise = t("agenda.unreachable")) {
  const ours = translated(problem.code);
  const words = ours ?? problem.detail ?? otherwise;
  const loose = markErrors(root, problem.errors ?? []);
  const place = root.querySelector(".problem") ?? root;
  const all = [words, ...loose.map(({ campo, mensagem }) => `${campo}: ${mensagem}`)];
  place.replaceChildren(
    ...all.map((text) => el("p", { text, lang: text !== ours && problem.detail && SERVER_LANGUAGE })),
  );
  announce(words);
}

/// Puts each error at its field, the first of which gets the focus, and gives back those without a field here.
export function markErrors(root, errors) {
  for (const input of root.querySelectorAll("[aria-invalid]")) {
    input.removeAttribute("aria-invalid");
    input.removeAttribute("aria-describedby");
  }
  for (const shown of root.querySelectorAll("p.error")) shown.textContent = "";
  const marked = errors.filter(({ campo, mensagem, ours }) => {
    const place = root.querySelector(`#error-${CSS.escape(campo)}`);
    if (!place) return false;
    place.textContent = mensagem;
    if (!ours) place.lang = SERVER_LANGUAGE;
    const input = root.querySelector(`#field-${CSS.escape(campo)}`);
    input?.setAttribute("aria-invalid", "true");
    input?.setAttribute("aria-describedby", place.id);
    return true;
  });
  root.querySelector("[aria-invalid]")?.focus();
  return errors.filter((error) => !marked.includes(error));
}

/// Whether `root` has been made busy; with `how` (a button's new words, or the button that was pressed), makes it so.
/// What is busy keeps the focus and does nothing.
export function busy(root, how) {
  if (how === undefined)
    return root.getAttribute("aria-busy") === "true" || root.getAttribute("aria-disabled") === "true";
  root.setAttribute("aria-busy", "true");
  if (typeof how === "string") root.textContent = how;
  else how.classList.add("pressed");
  return true;
}

/// A button that tries again, once the server's Retry-After is over.
export function retryButton(retryAfter, again) {
  const button = el("button", { type: "button", class: "primary", autofocus: true, onclick: again });
  let left = retryAfter ?? 0;
  const count = () => {
    button.textContent = left > 0 ? t("book.againIn", { seconds: left }) : t("book.again");
    if (left > 0) button.setAttribute("aria-disabled", "true");
    else button.removeAttribute("aria-disabled");
    if (left > 0 && (button.isConnected || left === retryAfter)) setTimeout(count, 1000);
    left -= 1;
  };
  count();
  return button;
}
