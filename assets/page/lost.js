// A request whose answer was lost: the agenda shows whether its booking was made.

import { follow } from "./api.js";
import { isShown } from "./dialog.js";
import { el } from "./dom.js";
import { t } from "./i18n.js";
import { MINUTE_MS, parseInstant } from "./instants.js";

/// A request may still be at work when its answer is lost. Its booking is looked for this often before it counts as not made.
const TRIES = 4;
const WAIT_MS = 1500;
/// If the server does not answer, it is asked again after so many seconds.
const UNREACHABLE_S = 5;
/// Ends the countdown that is shown.
let end = () => undefined;

/// The server answers again: it is asked at once.
export const hurry = () => end();

/// Looks for the booking of a request: {mine} if it was made, {other, links} if another booking has one of its slots, and
/// otherwise nothing of that. `wanted` is what was asked for, `body` what was sent. While the server does not answer, `root`
/// shows when it is asked again, and a button asks at once. Undefined if the `flow` of the dialog was left.
export async function find(flow, { agenda, start, duration }, body, root) {
  const variables = { de: body.horario_inicio_utc, ate: new Date(start + duration * MINUTE_MS).toISOString() };
  for (let tried = 0; tried < TRIES;) {
    const answer = await follow(agenda.links.agenda ?? agenda.links.self, { variables }).catch(() => undefined);
    if (!isShown(flow)) return undefined;
    const bookings = answer?.agendamentos ?? [];
    const mine = bookings.find((booking) => isOf(booking, start, body));
    if (mine) return { mine };
    const other = bookings.find((booking) => overlaps(booking, start, duration));
    if (other) return { other, links: answer._links };
    if (answer) {
      tried += 1;
      root.replaceChildren(el("p", { class: "quiet", text: t("book.look", { tried, tries: TRIES }) }));
      await new Promise((resolve) => setTimeout(resolve, WAIT_MS));
    } else await countDown(root);
  }
  return {};
}

const overlaps = ({ horario_inicio_utc, horario_fim_utc }, start, duration) =>
  Date.parse(horario_inicio_utc) < start + duration * MINUTE_MS && Date.parse(horario_fim_utc) > start;

/// Whether a booking was made by the request that sent `body`: by scientist, slot and click.
function isOf({ cientista_id, horario_inicio_utc, instante_clique_utc: clicked }, start, body) {
  const instant = (text) => (text ? parseInstant(text) : undefined);
  return (
    cientista_id === body.cientista_id &&
    Date.parse(horario_inicio_utc) === start &&
    instant(clicked) === instant(body.instante_clique_utc)
  );
}

/// Shows in `root` how long it is until the next question, and waits for that or for the button beside it. The button stays
/// the same, so that it keeps the focus. The seconds are no announcement: they would be read aloud each second.
async function countDown(root) {
  let [words, button] = root.children;
  if (!button) {
    words = el("p", { class: "quiet" });
    button = el("button", { type: "button", text: t("book.checkNow") });
    root.replaceChildren(words, button);
  }
  await new Promise((resolve) => {
    let left = UNREACHABLE_S;
    let timer;
    const finish = () => {
      clearTimeout(timer);
      words.textContent = t("book.checking");
      resolve();
    };
    const count = () => {
      if (left === 0) return finish();
      words.textContent = t("book.nextCheck", { seconds: left });
      left -= 1;
      timer = setTimeout(count, 1000);
    };
    button.onclick = end = finish;
    count();
  });
}
