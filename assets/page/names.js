// What people typed, among the page's own words: it may be in any script and run in either direction.

import { el } from "./dom.js";
import { locale } from "./i18n.js";

/// What runs from right to left, or says which way text runs.
const TURNS = /[\u0590-\u08ff\u200e\u200f\u202a-\u202e\u2066-\u2069\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;
const ISOLATES = /[\u2066-\u2069]/g;

/// A typed text as an element, in its own direction, which no other text has to follow.
export const typed = (text, properties = {}) => el("bdi", { dir: "auto", text, ...properties });

/// The same where only text can stand: in a label, or in what is said aloud. What could not turn anything is as it was.
export const isolate = (text) => (TURNS.test(text) ? `\u2068${text.replace(ISOLATES, "")}\u2069` : text);

/// What `pieces` of text and elements say aloud.
export const spoken = (pieces) =>
  pieces.map((piece) => (typeof piece === "string" ? piece : isolate(piece.textContent))).join("");

const BRACKETED = /[([{（［｛【].*?([)\]}）］｝】]|$)/g;
/// What an initial may be: a letter, a number, or a picture; no mark, sign or modifier.
const INITIAL = /^[\p{Lu}\p{Ll}\p{Lt}\p{Lo}\p{N}\p{So}\p{Extended_Pictographic}]/u;

const graphemes = (text) => [...new Intl.Segmenter(locale()).segment(text)].map(({ segment }) => segment);

/// MC, of Marie Curie: of the first and the last word each the first letter as people count letters. What is in brackets
/// is not the name, unless there is nothing else.
export function initials(name) {
  const letters = firstLetters(name.replace(BRACKETED, " "));
  return (letters.length ? letters : firstLetters(name)).join("") || "?";
}

function firstLetters(text) {
  const all = text.split(/\s+/).map((word) => graphemes(word).find((one) => INITIAL.test(one)));
  const letters = all.filter(Boolean).map(upper);
  return letters.length > 1 ? [letters[0], letters[letters.length - 1]] : letters;
}

/// In upper case, where that is one letter too: that of ß is two.
function upper(letter) {
  const large = letter.toLocaleUpperCase(locale());
  return graphemes(large).length === 1 ? large : letter;
}
