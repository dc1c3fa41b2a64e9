// The durations that a booking can have: as far as its telescope is free, over midnight too, and at most a day. No DOM.

import { Agenda } from "./agenda.js";
import { follow } from "./api.js";
import { DAY_MS } from "./instants.js";

/// The durations of `from` to `most` slots, in minutes; `step` is the duration of one.
export const lengths = (from, most, step) =>
  Array.from({ length: Math.max(most - from + 1, 0) }, (_, index) => (from + index) * step);

/// How many slots can be booked in a row from `start` on. The last `free` slots of the agenda are free; if the booking can
/// go on after them, the next agenda is read by `read`. When it cannot be read, the result is `free`.
export async function freeBeyond(agenda, start, free, read = follow) {
  const most = DAY_MS / agenda.length;
  const until = start + DAY_MS;
  if (start + free * agenda.length < agenda.end || until <= agenda.end) return free;
  const variables = { de: new Date(agenda.end).toISOString(), ate: new Date(until).toISOString() };
  const answer = await read(agenda.links.agenda, { variables }).catch(() => undefined);
  return answer ? Math.min(free + new Agenda(answer).free(0), most) : free;
}
