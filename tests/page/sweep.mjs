// Checks spans of time in a zone: around each change of its clocks and around midnights, in both languages. The expected
// values come only from the offset and the calendar of `Date`.
//
// Node runs this in a few zones (spans.test.mjs), and Chromium in every sort of zone (tests/it/browser/spans.rs), which
// takes the text of this file as a script: it has no imports.

const MINUTE = 60000;
const DAY = 86400000;

/// The minutes at which the local zone's offset changes, in spans of years [from, to).
export function changesOf(years) {
  const offset = (ms) => -new Date(ms).getTimezoneOffset();
  const changes = [];
  for (const [from, to] of years) {
    for (let at = Date.UTC(from, 0, 1); at < Date.UTC(to, 0, 1); at += DAY) {
      if (offset(at) === offset(at + DAY)) continue;
      let [low, high] = [at, at + DAY];
      while (high - low > MINUTE) {
        const middle = Math.floor((low + high) / 2 / MINUTE) * MINUTE;
        if (offset(middle) === offset(low)) low = middle;
        else high = middle;
      }
      changes.push(high);
    }
  }
  return changes;
}

/// The spans to check: around each change, around the local midnight, over a day, and over both new years.
function spansAround(changes) {
  const spans = changes.flatMap((at) => [
    [at - 30 * MINUTE, at + 30 * MINUTE],
    [at - 5 * MINUTE, at],
    [at, at + 5 * MINUTE],
    [at - 12 * 60 * MINUTE, at + 12 * 60 * MINUTE],
    [at - 5 * MINUTE, at + DAY - 5 * MINUTE],
  ]);
  const noon = Date.UTC(2026, 4, 6, 12);
  const midnight = new Date(2026, 4, 6).getTime();
  const newYear = new Date(2027, 0, 1).getTime();
  return [
    ...spans,
    [noon, noon + DAY],
    [midnight - 5 * MINUTE, midnight + 5 * MINUTE],
    [midnight, midnight + 5 * MINUTE],
    [Date.UTC(2026, 11, 31, 23, 55), Date.UTC(2027, 0, 1, 0, 5)],
    [newYear - 5 * MINUTE, newYear + 5 * MINUTE],
  ];
}

/// The name of a zone by its offset. Some write GMT+0 as GMT, and GMT+1 must not be found in GMT+13.
function named(ms) {
  const minutes = -new Date(ms).getTimezoneOffset();
  const size = Math.abs(minutes);
  const rest = size % 60 ? `:${String(size % 60).padStart(2, "0")}` : "";
  const text = `${minutes < 0 ? "-" : "\\+"}${Math.floor(size / 60)}${rest}`;
  return new RegExp(minutes ? `GMT${text}(?![\\d:])` : "GMT(\\+0)?(?![-+\\d:])");
}

/// The faults of a span's texts. `shown` formats a day.
function faultsOf({ span, localSpan, elsewhere }, shown, start, end) {
  const offset = (ms) => -new Date(ms).getTimezoneOffset();
  const two = (number) => String(number).padStart(2, "0");
  const day = (ms) => new Date(ms).toDateString();
  const text = localSpan(start, end);
  const utc = span(start, end);
  const iso = [start, end].map((at) => new Date(at).toISOString());
  const years = [start, end].map((at) => new Date(at).getFullYear());
  const zones = text.match(/GMT/g).length;
  const hasTime = (at) => text.includes(`${two(new Date(at).getHours())}:${two(new Date(at).getMinutes())}`);
  const changes = offset(start) !== offset(end);
  const differ = (from, to) => iso[0].slice(from, to) !== iso[1].slice(from, to);
  return [
    ![start, end].every(hasTime) && "a time is missing",
    !named(end).test(text) && "the zone at the end is missing",
    changes && !(named(start).test(text) && zones === 2) && "the zone at the start is missing",
    !changes && zones !== 1 && "one zone is named twice",
    day(start) !== day(end) && !(text.includes(shown(start)) && text.includes(shown(end))) && "a day is missing",
    years[0] !== years[1] && !years.every((year) => text.includes(year)) && "a year is missing",
    elsewhere(start, end) !== (offset(start) !== 0 || offset(end) !== 0) && "elsewhere or not",
    !iso.every((at) => utc.includes(at.slice(11, 16))) && "a time of UTC is missing",
    differ(0, 10) && ![start, end].every((at) => utc.includes(shown(at, "UTC"))) && "a day of UTC is missing",
    differ(0, 4) && !iso.every((at) => utc.includes(at.slice(0, 4))) && "a year of UTC is missing",
  ]
    .filter(Boolean)
    .map((fault) => `${iso[0]} ${iso[1]}: ${fault}: ${text}, ${utc}`);
}

/// Checks the spans of the local zone: [how often its clocks change, the first faults]. `format` and `words` are the page's
/// format.js and i18n.js.
export function sweep(format, words, years) {
  const changes = changesOf(years);
  const faults = [];
  for (const language of ["pt", "en"]) {
    words.speak(language);
    const shown = (ms, timeZone) =>
      new Date(ms).toLocaleDateString(words.locale(), { timeZone, day: "numeric", month: "short" });
    for (const [start, end] of spansAround(changes)) {
      faults.push(...faultsOf(format, shown, start, end).map((fault) => `${language} ${fault}`));
    }
  }
  words.speak("pt");
  return [changes.length, faults.slice(0, 5)];
}
