// The contest in which a booking was won or lost, as it was decided: clicks and arrivals on one line of time. And the receipt of what the server
// received, to save.

import { follow } from "./api.js";
import { parts, requestOf } from "./contestline.js";
import { isShown } from "./dialog.js";
import { el, typed } from "./dom.js";
import { milliseconds } from "./format.js";
import { known, t } from "./i18n.js";

/// Who has lost may ask before the winner is written. The contest is asked for this often.
const TRIES = 8;
const WAIT_MS = 250;
/// How long the browser has to take what it saves.
const SAVING_MS = 10000;
/// More entries than these are only counted.
const ENTRIES_MAX = 12;

/// Shows in `root` the contest to which the answer to a request leads, if the request was in it: {_links, recibo} of a booking or of a refusal.
export async function showContest(flow, root, { _links: links = {}, recibo: receipt }, nameOf) {
  if (!receipt) return;
  const button = el("button", { type: "button", text: t("contest.save"), onclick: () => save(receipt) });
  root.append(el("p", {}, button));
  const own = requestOf(receipt);
  for (let tried = 0; links.disputa && tried < TRIES; tried += 1) {
    const contest = await follow(links.disputa).catch(() => undefined);
    if (!isShown(flow)) return;
    // An older contest for the slot is another one.
    if (contest?.entradas.some(({ req }) => req === own)) return root.prepend(picture(contest, own, nameOf));
    await new Promise((resolve) => setTimeout(resolve, WAIT_MS));
  }
}

function save(receipt) {
  const href = URL.createObjectURL(new Blob([receipt], { type: "text/plain" }));
  el("a", { href, download: "recibo.txt" }).click();
  setTimeout(() => URL.revokeObjectURL(href), SAVING_MS);
}

/// The entries, the winner first. What the lines show is said in words too.
function picture(contest, own, nameOf) {
  const { shown, more } = parts(contest, own, ENTRIES_MAX);
  const items = shown.map(({ entry, won, from, length, stamp, arrival }) => {
    const line = el("span", { class: "line", "aria-hidden": "true" }, el("i"));
    line.style.setProperty("--from", from);
    line.style.setProperty("--part", length);
    const words = t("contest.entry", { stamp: milliseconds(stamp), arrival: milliseconds(arrival) });
    return el(
      "li",
      { class: won ? "won" : "lost" },
      typed(nameOf(entry.cientista_id)),
      won && ` · ${t("contest.winner")}`,
      !won && entry.req === own && ` · ${t("contest.own")}`,
      line,
      el("span", { class: "quiet", text: words }),
    );
  });
  const rule = t(known(`contest.${contest.politica}`) ?? "contest.other", { policy: contest.politica });
  return el(
    "section",
    { class: "contest" },
    el("h3", { text: t("contest.title", { count: contest.entradas.length }) }),
    el("p", { class: "quiet", text: contest.sorteio ? `${rule} ${t("contest.drawn")}` : rule }),
    el("ol", {}, items),
    more > 0 && el("p", { class: "quiet", text: t("contest.more", { count: more }) }),
  );
}
