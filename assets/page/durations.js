// How long a booking can be: as far as its telescope is free, over midnight too, and at most a day.

import { follow } from "./api.js";
import { Agenda } from "./agenda.js";
import { el } from "./dom.js";
import { minutes } from "./format.js";

const DAY_MS = 86400000;

/// A field for the duration of what is `wanted`: {agenda, start, step, duration, free}; and `most`, once that is known.
export function durations(wanted, onchange) {
  const { agenda, start, step, free } = wanted;
  const field = el("select", { onchange });
  const offer = (most) => {
    for (let length = (field.length + 1) * step; length <= most * step; length += step) {
      field.append(el("option", { value: length, text: minutes(length), selected: length === wanted.duration }));
    }
  };
  offer(wanted.most ?? free);
  if (!wanted.most) {
    freeBeyond(agenda, start, free).then((most) => {
      wanted.most = most;
      offer(most);
    });
  }
  return field;
}

/// How many slots can be booked in a row from `start` on, of which `free` are at the end of what an agenda shows: it goes
/// on in the next one. When that cannot be had, as many as are known.
async function freeBeyond(agenda, start, free) {
  const most = DAY_MS / agenda.length;
  const until = start + DAY_MS;
  if (start + free * agenda.length < agenda.end || until <= agenda.end) return free;
  const variables = { de: new Date(agenda.end).toISOString(), ate: new Date(until).toISOString() };
  const answer = await follow(agenda.links.agenda, { variables }).catch(() => undefined);
  return answer ? Math.min(free + new Agenda(answer).free(0), most) : free;
}
