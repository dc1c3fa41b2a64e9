// The agenda live: server-sent events, with reconnection. While they do not come, the agenda is read again and again.

import { readBooking, readChange, readChannel, readDispute, readTelescope } from "./heard.js";

const RETRY_MS = [2000, 30000];
/// Without events the agenda is read again after a random time between these.
const POLL_MS = [15000, 30000];
/// The server sends a sign of life every fifteen seconds. A stream that is silent for this long is dead.
const SILENCE_MS = 40000;
/// A page that is hidden for less than this keeps its stream.
const HIDDEN_MS = 1500;

const between = ([least, most]) => least + (most - least) * Math.random();

/// Dispatches `booking`, `altered`, `telescope` and `dispute` (with `detail`), `stale` when the agenda has to be read again, `state` when that may
/// have changed, and `back` when it is on again after it was off.
///
/// All tabs of a browser share six connections to a server. So a hidden tab closes its stream, and reads the events that it
/// has missed when it is seen again.
export class Live extends EventTarget {
  #link;
  #source;
  #last = "";
  #failures = 0;
  #retry;
  #poll;
  #silence;
  #hiding;
  /// When the server last gave a sign of life, on `performance.now()`.
  heard = NaN;
  #connected = false;
  #channel = true;
  /// Whether there was no event stream since the last time that it was `on`.
  #wasOff = false;
  /// Whether the first attempt to connect has ended, with or without success.
  tried = false;

  /// Whether all events arrive: the stream is open, and the scheduler has its own to the coordinator.
  get on() {
    return this.#connected && this.#channel;
  }

  /// Whether there is no stream from the server, in spite of an attempt.
  get isCut() {
    return this.tried && !this.#connected;
  }

  /// `on`, `off`, or `connecting` during the first attempt.
  get state() {
    return this.on ? "on" : this.tried ? "off" : "connecting";
  }

  /// Listens at a link from now on. Without a link only `stale` is dispatched, again and again.
  open(link) {
    this.#link = link;
    document.addEventListener("visibilitychange", () => this.#seen());
    // A connection may have died while the machine slept. The browser does not notice that.
    addEventListener("online", () => this.again());
    addEventListener("pageshow", (event) => event.persisted && this.again());
    addEventListener("pagehide", () => this.#source?.close());
    this.again();
  }

  /// Connects anew and goes on after the last event. A hidden page does so when it is seen.
  again() {
    if (document.hidden) this.#rest();
    else if (this.#link) this.#connect();
    else this.#changed();
  }

  /// Takes the stream for dead, and connects anew.
  doubt() {
    this.#connected = false;
    this.#changed();
    this.again();
  }

  #seen() {
    clearTimeout(this.#hiding);
    if (document.hidden) this.#hiding = setTimeout(() => this.#rest(), HIDDEN_MS);
    else if (!this.#connected) this.again();
  }

  #rest() {
    this.#source?.close();
    for (const timer of [this.#retry, this.#poll, this.#silence]) clearTimeout(timer);
    this.#poll = undefined;
    this.#connected = this.tried = false;
    this.#tell();
  }

  #connect() {
    clearTimeout(this.#retry);
    this.#source?.close();
    const url = new URL(this.#link.href, location.href);
    // When the browser reconnects a stream, it sends Last-Event-ID. A new stream has to name the event itself.
    if (this.#last) url.searchParams.set("desde", this.#last);
    const source = new EventSource(url);
    this.#source = source;
    this.#listen();
    source.addEventListener("open", () => {
      this.#hear();
      this.#failures = 0;
      this.#connected = true;
      // Before the first event there is nothing to go on after.
      if (!this.#last) this.dispatchEvent(new Event("stale"));
      this.#changed();
    });
    source.addEventListener("error", () => this.#lost());
    source.addEventListener("vivo", () => this.#hear());
    for (const name of ["criado", "cancelado"])
      source.addEventListener(name, (event) => this.#heard("booking", event, readBooking(event.data, name)));
    source.addEventListener("alterado", (event) => this.#heard("altered", event, readChange(event.data)));
    source.addEventListener("telescopio", (event) => this.#heard("telescope", event, readTelescope(event.data)));
    source.addEventListener("disputa", (event) => this.#heard("dispute", event, readDispute(event.data)));
    source.addEventListener("perdidos", (event) => {
      this.#keep(event);
      this.dispatchEvent(new Event("stale"));
    });
    source.addEventListener("canal", (event) => {
      // This event has the position of the stream as its id, also before the first other event.
      this.#keep(event);
      this.#channel = readChannel(event.data) ?? this.#channel;
      this.#changed();
    });
  }

  /// Takes the stream for dead if nothing comes within SILENCE_MS.
  #listen() {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.doubt(), SILENCE_MS);
  }

  /// Tells what an event says. If it does not say what it should, only the agenda is read again.
  #heard(name, event, detail) {
    this.#keep(event);
    this.dispatchEvent(detail ? new CustomEvent(name, { detail }) : new Event("stale"));
  }

  #hear() {
    this.heard = performance.now();
    this.#listen();
  }

  #keep(event) {
    this.#hear();
    if (event.lastEventId) this.#last = event.lastEventId;
  }

  #lost() {
    this.#connected = false;
    if (this.#source.readyState === EventSource.CLOSED) {
      // The stream was refused: the browser does not try again by itself.
      const wait = Math.min(RETRY_MS[0] * 2 ** this.#failures, RETRY_MS[1]);
      this.#failures += 1;
      this.#retry = setTimeout(() => this.#connect(), wait * (0.5 + Math.random()));
    }
    this.#changed();
  }

  #changed() {
    this.tried = true;
    // A browser that tries again every few seconds does not put the next reading off.
    if (!this.on && !this.#poll) this.#pollLater();
    if (this.on) {
      clearTimeout(this.#poll);
      this.#poll = undefined;
    }
    this.#tell();
  }

  #tell() {
    const { state } = this;
    const back = this.#wasOff && state === "on";
    this.#wasOff = state === "off" || (this.#wasOff && state !== "on");
    this.dispatchEvent(new Event("state"));
    if (back) this.dispatchEvent(new Event("back"));
  }

  #pollLater() {
    this.#poll = setTimeout(() => {
      this.dispatchEvent(new Event("stale"));
      this.#pollLater();
    }, between(POLL_MS));
  }
}
