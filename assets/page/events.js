// The agenda live: server-sent events, reconnecting by itself, and a slow re-reading while there are none.

const RETRY_MS = [2000, 30000];
/// While nothing comes live the agenda is read again this often: not all pages at the same moment.
const POLL_MS = [15000, 30000];
/// The server says that it lives every fifteen seconds: a stream that is silent for so long is dead.
const SILENCE_MS = 40000;
/// Who only looks at another tab for a moment comes back to a stream that is still there.
const HIDDEN_MS = 1500;

const between = ([least, most]) => least + (most - least) * Math.random();

/// Dispatches `booking` and `dispute` (with `detail`), `stale` when the agenda has to be read again, and `state`.
///
/// All tabs of a browser share its six connections to a server: one that nobody sees holds none, and hears what it has
/// missed when it is seen again.
export class Live extends EventTarget {
  #link;
  #source;
  #last = "";
  #failures = 0;
  #retry;
  #poll;
  #silence;
  #hiding;
  #connected = false;
  #channel = true;
  /// Whether the first attempt has ended, well or badly.
  tried = false;

  /// Whether everything that happens is heard.
  get on() {
    return this.#connected && this.#channel;
  }

  /// Listens at a link from now on; without one it only reads the agenda again and again.
  open(link) {
    this.#link = link;
    document.addEventListener("visibilitychange", () => this.#seen());
    // A connection may have died while the machine slept, without a word.
    addEventListener("online", () => this.again());
    addEventListener("pageshow", (event) => event.persisted && this.again());
    addEventListener("pagehide", () => this.#source?.close());
    this.again();
  }

  /// Connects anew, going on after the last event; later, if nobody sees the page.
  again() {
    if (document.hidden) this.#rest();
    else if (this.#link) this.#connect();
    else this.#changed();
  }

  /// Does not believe any more that it hears everything, and connects anew.
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
    this.#connected = this.tried = false;
    this.dispatchEvent(new Event("state"));
  }

  #connect() {
    clearTimeout(this.#retry);
    this.#source?.close();
    const url = new URL(this.#link.href, location.href);
    // The stream's own reconnecting sends Last-Event-ID; a new stream has to say it itself.
    if (this.#last) url.searchParams.set("desde", this.#last);
    const source = new EventSource(url);
    this.#source = source;
    this.#listen();
    source.addEventListener("open", () => {
      this.#listen();
      this.#failures = 0;
      this.#connected = true;
      // Who has heard nothing yet cannot go on after anything.
      if (!this.#last) this.dispatchEvent(new Event("stale"));
      this.#changed();
    });
    source.addEventListener("error", () => this.#lost());
    source.addEventListener("vivo", () => this.#listen());
    for (const name of ["criado", "cancelado"]) source.addEventListener(name, (event) => this.#heard("booking", event));
    source.addEventListener("disputa", (event) => this.#heard("dispute", event));
    source.addEventListener("perdidos", (event) => {
      this.#keep(event);
      this.dispatchEvent(new Event("stale"));
    });
    source.addEventListener("canal", (event) => {
      // It has no id of its own, and so tells where the stream is, also before its first event.
      this.#keep(event);
      this.#channel = JSON.parse(event.data).ligado;
      this.#changed();
    });
  }

  /// Takes the stream for dead unless something comes within the time in which something has to.
  #listen() {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.doubt(), SILENCE_MS);
  }

  #heard(name, event) {
    this.#keep(event);
    this.dispatchEvent(new CustomEvent(name, { detail: JSON.parse(event.data) }));
  }

  #keep(event) {
    this.#listen();
    if (event.lastEventId) this.#last = event.lastEventId;
  }

  #lost() {
    this.#connected = false;
    if (this.#source.readyState === EventSource.CLOSED) {
      // Refused: the browser does not try again by itself.
      const wait = Math.min(RETRY_MS[0] * 2 ** this.#failures, RETRY_MS[1]);
      this.#failures += 1;
      this.#retry = setTimeout(() => this.#connect(), wait * (0.5 + Math.random()));
    }
    this.#changed();
  }

  #changed() {
    this.tried = true;
    clearTimeout(this.#poll);
    if (!this.on) this.#pollLater();
    this.dispatchEvent(new Event("state"));
  }

  #pollLater() {
    this.#poll = setTimeout(() => {
      this.dispatchEvent(new Event("stale"));
      this.#pollLater();
    }, between(POLL_MS));
  }
}
