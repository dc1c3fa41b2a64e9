// Names that people typed, among the page's own words: they may be in any script and run in either direction. No DOM.

import { locale } from "./i18n.js";

/// Characters that run from right to left, or that set a direction.
const TURNS = /[\u0590-\u08ff\u200e\u200f\u202a-\u202e\u2066-\u2069\ufb1d-\ufdff\ufe70-\ufefc\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;
const ISOLATES = /[\u2066-\u2069]/g;

/// A typed text with a direction of its own, for a label or an announcement, where no element can stand. A text without
/// such characters stays as it is.
export const isolate = (text) => (TURNS.test(text) ? `\u2068${text.replace(ISOLATES, "")}\u2069` : text);

/// The announcement of `pieces`, which are texts, numbers and elements.
export const spoken = (pieces) =>
  pieces.map((piece) => (typeof piece === "object" ? isolate(piece.textContent) : piece)).join("");

const BRACKETED = /[([{（［｛【].*?([)\]}）］｝】]|$)/g;
/// An initial is a letter, a number or a picture, but no mark, sign or modifier.
const INITIAL = /^[\p{Lu}\p{Ll}\p{Lt}\p{Lo}\p{N}\p{So}\p{Extended_Pictographic}]/u;

const graphemes = (text) => [...new Intl.Segmenter(locale()).segment(text)].map(({ segment }) => segment);

/// The initials of a name, MC for Marie Curie: the first letters of the first and the last word. A letter is a grapheme,
/// with its marks. Words in brackets do not count, unless the name has no others.
export function initials(name) {
  const letters = firstLetters(name.replace(BRACKETED, " "));
  return (letters.length ? letters : firstLetters(name)).join("") || "?";
}

function firstLetters(text) {
  const all = text.split(/\s+/).map((word) => graphemes(word).find((one) => INITIAL.test(one)));
  const letters = all.filter(Boolean).map(upper);
  return letters.length > 1 ? [letters[0], letters[letters.length - 1]] : letters;
}

/// The letter in upper case, if that is one letter too: the upper case of ß is two.
function upper(letter) {
  const large = letter.toLocaleUpperCase(locale());
  return graphemes(large).length === 1 ? large : letter;
}
