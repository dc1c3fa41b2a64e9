// Shows problems: an error of a field at the field, and others above the buttons.

import { el } from "./dom.js";
import { announce, calm } from "./dialog.js";
import { SERVER_LANGUAGE, known, phrase, t, translated } from "./i18n.js";

/// The words for a problem: in the chosen language if it has words for the problem's code, and else the server's. They
/// have no number of seconds: the button that tries again counts them down.
export function because({ code, detail, body }, otherwise = t("agenda.unreachable")) {
  const ours = translated(body?.carencia_resta_ms ? "em_carencia" : code);
  return ours || !detail ? (ours ?? otherwise) : servers(detail);
}

/// Says in `root` that the agenda could not be read. Later attempts with the same result are not announced again.
export function complain(root, problem) {
  const words = el("span", {}, phrase("agenda.failed", { why: because(problem) }));
  if (root.textContent !== words.textContent) root.replaceChildren(words);
}

/// A text of the server.
const servers = (text) => el("span", { lang: SERVER_LANGUAGE, dir: "auto", text });

/// The words for an error of a field, in pieces; `input` is the field's element.
function wrong({ codigo, mensagem }, input) {
  const key = known(`field.${codigo}`);
  const max = input?.maxLength > 0 ? input.maxLength : "…";
  return key ? phrase(key, { message: servers(mensagem), max }) : [servers(mensagem)];
}

/// Shows a problem in `root`: the errors of fields at their fields, and the rest above the buttons. A problem without words
/// gets those of `otherwise`.
export function explain(root, problem, otherwise) {
  const loose = markErrors(root, problem.errors ?? []);
  const place = root.querySelector(".problem") ?? root;
  const words = el("p", {}, because(problem, otherwise));
  place.replaceChildren(words, ...loose.map((error) => el("p", {}, `${error.campo}: `, wrong(error))));
  announce(words.textContent);
}

/// Puts each error {campo, codigo, mensagem} at its field, and the focus on the first of these fields. Gives the errors that
/// have no field here.
export function markErrors(root, errors) {
  const inputs = [];
  for (const input of root.querySelectorAll("[aria-invalid]")) {
    input.removeAttribute("aria-invalid");
    input.removeAttribute("aria-describedby");
  }
  for (const shown of root.querySelectorAll("p.error[id]")) shown.textContent = "";
  const marked = errors.filter((error) => {
    const [place, input] = placeOf(root, error.campo);
    if (!place) return false;
    place.append(...(place.hasChildNodes() ? [" "] : []), ...wrong(error, input));
    if (input?.matches("input, select, textarea")) {
      input.setAttribute("aria-invalid", "true");
      input.setAttribute("aria-describedby", place.id);
    }
    if (input) inputs.push(input);
    return true;
  });
  // The first on the page, and not the first of the answer.
  const isBefore = (one, other) => one.compareDocumentPosition(other) & Node.DOCUMENT_POSITION_FOLLOWING;
  inputs.sort((one, other) => (isBefore(one, other) ? -1 : 1))[0]?.focus();
  return errors.filter((error) => !marked.includes(error));
}

/// The place for the errors of a field, and the field: of the path `a.b[3].c` what has it, or the nearest that is around it.
function placeOf(root, path) {
  for (let name = path; name; name = name.replace(/(^|[.[])[^.[]*$/, "")) {
    const place = root.querySelector(`#error-${CSS.escape(name)}`);
    const input = root.querySelector(`#field-${CSS.escape(name)}`);
    // A select that is too long stands behind a field that searches.
    if (place) return [place, input?.hidden ? root.querySelector(`#${input.dataset.instead}`) : input];
  }
  return [];
}

/// Whether `root` is busy. With `how`, a button's new words or the button that was pressed, it becomes busy. A busy element
/// keeps the focus and does nothing.
export function busy(root, how) {
  if (how === undefined)
    return root.getAttribute("aria-busy") === "true" || root.getAttribute("aria-disabled") === "true";
  root.setAttribute("aria-busy", "true");
  if (typeof how === "string") root.textContent = how;
  else how.classList.add("pressed");
  return true;
}

/// The refusal that is shown with a button to try again: {button, release}.
let refused;

/// A pause of bookings is over. A refusal that is shown says so, and its button waits no longer.
export function resume() {
  const root = refused?.button.closest("#dialog-body")?.querySelector(".outcome");
  if (!root || refused.button.getAttribute("aria-busy")) return;
  root.classList.remove("refused");
  root.replaceChildren(el("p", { text: t("book.resumed") }));
  refused.release();
  calm();
  announce(t("book.resumed"));
}

/// A button that tries again. It is disabled until the server's Retry-After is over.
export function retryButton(retryAfter, again) {
  const button = el("button", { type: "button", class: "primary", autofocus: true, onclick: again });
  let left = retryAfter ?? 0;
  let timer;
  const count = () => {
    button.textContent = left > 0 ? t("book.againIn", { seconds: left }) : t("book.again");
    if (left > 0) button.setAttribute("aria-disabled", "true");
    else button.removeAttribute("aria-disabled");
    if (left > 0 && (button.isConnected || left === retryAfter)) timer = setTimeout(count, 1000);
    left -= 1;
  };
  const release = () => {
    clearTimeout(timer);
    left = 0;
    count();
  };
  refused = { button, release };
  count();
  return button;
}
