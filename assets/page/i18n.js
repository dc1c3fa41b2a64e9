// The page's words in the language that was chosen. The Portuguese of what stands still is in index.html itself; what
// the server says to people is always Portuguese and is marked as such.

import en from "./en.js";
import pt from "./pt.js";
import { recall, remember } from "./prefs.js";

const LANGUAGES = { pt: { locale: "pt-BR", words: pt }, en: { locale: "en-GB", words: en } };
/// What the server writes in.
export const SERVER_LANGUAGE = "pt-BR";

let language = recall("language") in LANGUAGES ? recall("language") : "pt";
/// The text of each marked element as index.html has it.
const original = new Map();

/// For dates and numbers.
export const locale = () => LANGUAGES[language].locale;

export const current = () => language;

/// The words under a key, `{name}` replaced by what `values` has under that name.
export const t = (key, values) => phrase(key, values).join("");

/// The same in pieces, so that a value may be an element.
export function phrase(key, values = {}) {
  const words = LANGUAGES[language].words[key] ?? pt[key] ?? key;
  return words.split(/\{(\w+)\}/).map((piece, index) => (index % 2 ? (values[piece] ?? "") : piece));
}

/// The key, if there are words under it.
export const known = (key) => (key in pt ? key : undefined);

/// What the server says in Portuguese, in the language that was chosen: by its code, where it is known.
export const translated = (code) => LANGUAGES[language].words[`problem.${code}`];

/// Changes the language, for this visit and the next.
export function speak(chosen) {
  language = chosen;
  remember("language", chosen);
  translate();
}

/// Puts the words into index.html's elements: `data-t` is the key of the text, `data-t-label` that of the label.
export function translate() {
  document.documentElement.lang = locale();
  const { words } = LANGUAGES[language];
  for (const element of document.querySelectorAll("[data-t], [data-t-label]")) {
    const { t: text, tLabel: label } = element.dataset;
    if (!original.has(element)) original.set(element, [element.textContent, element.getAttribute("aria-label")]);
    const [first, firstLabel] = original.get(element);
    if (text) element.textContent = words[text] ?? first;
    if (label) element.setAttribute("aria-label", words[label] ?? firstLabel);
  }
}
