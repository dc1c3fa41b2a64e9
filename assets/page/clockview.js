// Shows the true time, and how far off the local clock is. The seconds change when the true second does.

import { at, setText } from "./dom.js";
import { clockError, localMoment, longDay, milliseconds, zone } from "./format.js";
import { t } from "./i18n.js";

/// Shows the time now, and gives the milliseconds until it changes.
export function showTime(clock, local) {
  const now = clock.now();
  if (Number.isNaN(now)) return 250;
  const text = new Date(now).toISOString();
  setText(at("time-hm"), text.slice(11, 16));
  setText(at("time-s"), text.slice(16, 19));
  at("time").dateTime = text;
  setText(at("date"), longDay(now));
  setText(at("local-time"), local ? t("clock.local", { time: localMoment(now), zone: zone(now) }) : "");
  return 1000 - (now % 1000) + 2;
}

/// What the comparison of the local clock with the official time says, in words.
function comparison(clock, never) {
  if (clock.doubtful) return t("clock.jumped");
  if (never) return t(clock.failed ? "clock.none" : "page.synchronising");
  if (!clock.failed) return clockError(clock.ahead, clock.aheadBound);
  // Nobody can know now whether the local clock is still right.
  return t("clock.old", { time: before(clock.now() - clock.age, clock.now()) });
}

/// An instant that is past, in UTC, with its day if that is not today's.
export function before(then, now) {
  const [day, time] = new Date(then).toISOString().split(/[T.]/);
  return new Date(now).toISOString().startsWith(day) ? time : `${day} ${time}`;
}

/// Shows the result of the last synchronisation.
export function showSynchronisation(clock) {
  const never = Number.isNaN(clock.bound);
  const error = at("clock-error");
  setText(error, comparison(clock, never));
  if (never) return;
  // For programs, in milliseconds: how far the local clock is ahead, and the error bound of that.
  error.value = clock.ahead.toFixed(3);
  error.dataset.bound = clock.aheadBound.toFixed(3);
  error.classList.toggle("off", Math.abs(clock.ahead) > 1000);
  setText(at("clock-detail"), t("clock.detail", { roundTrip: milliseconds(clock.roundTrip) }));
}
