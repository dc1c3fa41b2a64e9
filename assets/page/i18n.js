// The page's words in the language that was chosen. Texts of the server are always in Portuguese, and are marked as such.
// No DOM.

import en from "./en.js";
import pt from "./pt.js";
import { recall, remember } from "./prefs.js";

const LANGUAGES = { pt: { locale: "pt-BR", words: pt }, en: { locale: "en-GB", words: en } };
/// The language of the server's texts.
export const SERVER_LANGUAGE = "pt-BR";

/// The language in which the server has written the page: the one that the browser prefers. Node has no page.
const served = globalThis.document?.documentElement.lang.slice(0, 2);
/// The key of the language in LANGUAGES: a person's choice comes first. Only `speak` changes it.
let language = [recall("language"), served].find((one) => one in LANGUAGES) ?? "pt";

/// For dates and numbers.
export const locale = () => LANGUAGES[language].locale;

export const current = () => language;

/// The words under a key, in which `{name}` is replaced by the value of that name.
export const t = (key, values) => phrase(key, values).join("");

/// The same in pieces, so that a value may be an element.
export function phrase(key, values = {}) {
  const words = LANGUAGES[language].words[key] ?? pt[key] ?? key;
  return words.split(/\{(\w+)\}/).map((piece, index) => (index % 2 ? (values[piece] ?? "") : piece));
}

/// The key, if there are words under it.
export const known = (key) => (key in pt ? key : undefined);

/// The words for an error code of the server in the chosen language; undefined if the page has none, as for most of
/// them in Portuguese: the server's words are used then.
export function translated(code) {
  const key = `problem.${code}`;
  return key in LANGUAGES[language].words ? t(key) : undefined;
}

/// Chooses the language, for this visit and the next.
export function speak(chosen) {
  language = chosen;
  remember("language", chosen);
}
