// The controls around the agenda: telescope, day, scientist, local time, language, and the browser's address.

import { place } from "./address.js";
import { at } from "./dom.js";
import { Finder } from "./finder.js";
import { speak } from "./i18n.js";
import { DAYS, isDay, isoDay } from "./instants.js";
import { remember } from "./prefs.js";

export class Controls {
  #parts;
  /// Whether a day is being typed, and whether a part of it was chosen already: all of its changes are one choice.
  #typing = false;
  #typed = false;

  /// `parts` has reading, selection, people, navigation, screen, week and mine.
  constructor(parts) {
    this.#parts = parts;
    const { reading, people, screen } = parts;
    screen.finders = [
      new Finder(at("telescope"), reading.telescopes, at("telescope-label")),
      new Finder(at("scientist"), people, at("scientist-label")),
    ];
    this.#listenToPlace();
    this.#listenToDay();
    this.#listenToReader();
  }

  chooseScientist(scientist) {
    const { people, screen } = this.#parts;
    people.choose(scientist);
    remember("scientist", scientist);
    screen.showChoices();
    screen.show();
  }

  #listenToPlace() {
    const { reading, selection, navigation, screen, week, mine } = this.#parts;
    at("telescope").addEventListener("change", ({ target }) => {
      const telescope = reading.telescopes.of(target.value);
      remember("telescope", telescope.id);
      navigation.go({ telescope });
    });
    at("today").addEventListener("click", async () => {
      await navigation.go({ day: undefined });
      if (!selection.day && reading.isSettled) screen.revealNow("smooth");
    });
    for (const view of ["day", "night", "week"]) at(`as-${view}`).addEventListener("click", () => navigation.go({ view }));
    at("before").addEventListener("click", () => navigation.turn("anterior"));
    at("after").addEventListener("click", () => navigation.turn("seguinte"));
    at("as-mine").addEventListener("click", () => mine.open(true));
    addEventListener("hashchange", () => {
      const there = place();
      if (!reading.telescopes.isOpen) return;
      if (there.mine) mine.open();
      else navigation.arrive(there);
    });
    document.querySelector(".skip").addEventListener("click", (event) => {
      // The link's own address would replace the place in the agenda.
      event.preventDefault();
      if (mine.isOpen) at("agenda-title").focus();
      else if (reading.isWeek) week.focus();
      else at("grid").focus();
    });
  }

  #listenToDay() {
    const { navigation, reading, selection } = this.#parts;
    const field = at("day");
    Object.assign(field, DAYS);
    field.addEventListener("change", () => {
      // While a year is typed, the field has other years: 0002, 0020, 0202.
      if (!isDay(field.value)) return;
      navigation.go({ day: field.value, again: this.#typed });
      this.#typed = this.#typing;
    });
    for (const kind of ["keydown", "pointerdown", "blur"]) {
      field.addEventListener(kind, () => {
        this.#typing = kind === "keydown";
        this.#typed &&= this.#typing;
      });
    }
    field.addEventListener("blur", () => {
      const { agenda } = reading;
      if (!isDay(field.value) && agenda) field.value = selection.day ?? (reading.isWeek ? selection.near : isoDay(agenda.start));
    });
  }

  #listenToReader() {
    const { screen } = this.#parts;
    at("scientist").addEventListener("change", ({ target }) =>
      this.chooseScientist(target.value ? Number(target.value) : undefined),
    );
    at("local").addEventListener("change", ({ target }) => {
      remember("local", target.checked);
      screen.showLocal(target.checked);
    });
    for (const button of document.querySelectorAll("[data-language]")) {
      button.addEventListener("click", () => {
        speak(button.dataset.language);
        screen.showAll();
      });
    }
  }
}
