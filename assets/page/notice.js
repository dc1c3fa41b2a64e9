// Notices in the open form that a rival took a slot of what is wanted, and that it is free again. What was typed stays.

import { identity } from "./agenda.js";
import { announce, calm } from "./dialog.js";
import { el, typed } from "./dom.js";
import { span } from "./format.js";
import { phrase, t } from "./i18n.js";
import { MINUTE_MS } from "./instants.js";
import { spoken } from "./names.js";
import { Offers } from "./offers.js";

export class Notice {
  #parts;
  #rival;
  #offers;

  /// `parts` has `root`, where it is shown; `send`, the button that a rival disables; `rivals` and `people`; `wanted`, which
  /// gives {agenda, start, duration} as the form has it now; and `take`, which books an offered slot.
  constructor(parts) {
    this.#parts = parts;
  }

  /// Follows what others do at the slots that are offered.
  hear(booking) {
    this.#offers?.hear(booking);
  }

  /// Offers slots anew, for another duration.
  again() {
    this.#offers?.again();
  }

  /// Looks whether a rival has a slot of what is wanted now.
  look() {
    const { root, send, rivals, wanted } = this.#parts;
    if (!send.isConnected || send.getAttribute("aria-busy") || root.querySelector("[aria-busy]")) return;
    const now = wanted();
    const rival = rivals.over(now.start, now.start + now.duration * MINUTE_MS);
    const before = this.#rival;
    this.#rival = rival;
    if (rival && before && identity(rival) === identity(before)) return;
    if (rival) this.#taken(rival, now);
    else if (before) this.#freed(before, now);
  }

  #taken(rival, now) {
    const { root, send, wanted, take } = this.#parts;
    const offers = el("div", { class: "offers" });
    send.setAttribute("aria-disabled", "true");
    this.#show("lost", this.#whose(rival, now), el("p", { class: "quiet", text: t("book.kept") }));
    root.append(offers);
    this.#offers = new Offers(offers, now.agenda.links.livres, wanted, take);
  }

  #freed(before, now) {
    const { send, rivals } = this.#parts;
    send.removeAttribute("aria-disabled");
    this.#offers = undefined;
    // Either the booking is gone, or what is wanted is shorter now.
    const stands = rivals.has(before);
    const free = stands ? span(now.start, now.start + now.duration * MINUTE_MS) : spanOf(before, now);
    this.#show("won", [t(stands ? "book.clear" : "book.freed", { span: free })]);
  }

  #show(kind, words, ...more) {
    const { root } = this.#parts;
    const seen = el("div", { class: `outcome ${kind}` }, el("p", { class: "who" }, words), more);
    announce([spoken(words), ...more.map((one) => one.textContent)].join(" "));
    root.replaceChildren(seen);
    calm();
    root.scrollIntoView({ block: "nearest" });
  }

  #whose(rival, now) {
    const { people } = this.#parts;
    if (rival.cientista_id === people.me) return phrase("book.lostToSelf", { id: rival.id });
    return phrase("book.taken", { name: typed(people.nameOf(rival.cientista_id)), span: spanOf(rival, now) });
  }
}

/// The part of what is wanted that a booking has.
function spanOf({ horario_inicio_utc, horario_fim_utc }, { start, duration }) {
  const [from, to] = [Date.parse(horario_inicio_utc), Date.parse(horario_fim_utc)];
  const [first, last] = [Math.max(from, start), Math.min(to, start + duration * MINUTE_MS)];
  // If the duration was shortened, nothing of the booking is wanted any more.
  return first < last ? span(first, last, start) : span(from, to, start);
}
