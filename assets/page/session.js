// Who uses the page: signing in, at an identity provider or with a token, which the page shows once and does not keep; and signing out.

import { leaveFor } from "./address.js";
import { follow, strangers } from "./api.js";
import { field } from "./dialog.js";
import { at, el, replace, setText } from "./dom.js";
import { known, t } from "./i18n.js";
import { busy, explain, markErrors } from "./problems.js";

const dialog = at("sign-in");

/// Dispatches `who` when it is known who uses the page, and `in` when a person has signed in.
export class Session extends EventTarget {
  #who = {};
  /// How many answers about that there have been. An answer to an older question than the last of them is not believed.
  #answers = 0;
  /// Whether a person does not want to sign in now.
  #declined = false;

  constructor() {
    super();
    strangers.addEventListener("stranger", ({ detail: { method } }) => {
      // Readings go on by themselves: a person is asked once because of them, and again at each action.
      if (method !== "GET" || !this.#declined) this.#ended();
    });
    at("sign").addEventListener("click", () => (this.#links.sair ? this.#leave() : this.ask()));
    dialog.addEventListener("close", () => dialog.replaceChildren());
    dialog.addEventListener("cancel", () => (this.#declined = true));
    document.addEventListener("visibilitychange", () => this.#look());
  }

  /// The scientist as whom alone the person may book; undefined if that is not known, or may be anyone.
  get scientist() {
    const { papeis = [], cientista_id: scientist } = this.#who;
    return papeis.includes("operador") ? undefined : (scientist ?? undefined);
  }

  get #links() {
    return this.#who._links ?? {};
  }

  /// Asks who uses the page, by a link of the entry point. Without the link the server asks nobody.
  async read({ _links: links }) {
    if (links.sessao) this.#take(await follow(links.sessao).catch(() => ({ ...this.#who, _links: links })));
  }

  /// Asks again whether the session goes on, if there is one: the stream of events may have ended with it.
  async check() {
    if (!this.#links.sair) return;
    const before = this.#answers;
    const who = await follow(this.#links.self).catch(() => undefined);
    if (before === this.#answers && who?._links.entrar && !this.#declined) this.#ended(who);
  }

  /// Draws the name and the button, as they are in another language.
  show() {
    const { nome: name, papeis: roles = [] } = this.#who;
    const { sair: leave, entrar: enter } = this.#links;
    const words = (role) => (known(`role.${role}`) ? t(`role.${role}`) : role);
    setText(at("who"), name ? `${name} · ${roles.map(words).join(", ")}` : "");
    at("sign").hidden = !leave && !enter;
    // Nothing is heard before a person has signed in.
    at("live").hidden = Boolean(enter);
    setText(at("sign"), t(leave ? "sign.out" : "sign.in"));
  }

  /// Opens the form to sign in. `ended` says that the person has used the page already.
  ask(ended = false) {
    if (dialog.open) return;
    this.#declined = false;
    const provider = this.#links.entrar_com_provedor;
    const why = ended ? "sign.ended" : provider ? "sign.whyAccount" : "sign.why";
    const token = el("input", {
      type: "password",
      required: true,
      autofocus: !provider,
      autocomplete: "current-password",
      autocapitalize: "off",
      spellcheck: "false",
      maxlength: "200",
    });
    const send = el("button", { type: "submit", class: !provider && "primary", text: t("sign.send") });
    const later = () => {
      this.#declined = true;
      dialog.close();
    };
    const form = el(
      "form",
      { novalidate: true },
      el("p", { text: t(why) }),
      provider && this.#account(provider.href, ended),
      // Programs that keep passwords keep a name with each.
      el("input", { type: "text", autocomplete: "username", hidden: true }),
      field("token", t("sign.token"), token),
      el("div", { class: "problem", role: "alert" }),
      el("div", { class: "buttons" }, send, el("button", { type: "button", text: t("sign.later"), onclick: later })),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (busy(send)) return;
      if (!token.value.trim()) return void markErrors(form, [{ campo: "token", codigo: "obrigatorio" }]);
      busy(send, t("sign.sending"));
      this.#enter(token.value.trim(), form, send);
    });
    replace(dialog, el("h2", { id: "sign-title", text: t("sign.title") }), form);
    dialog.showModal();
  }

  /// The button that leads to the identity provider: in a tab of its own if something may have been typed here.
  #account(address, ended) {
    const go = () => (ended ? window.open(address, "_blank", "noopener") : leaveFor(address));
    const text = t(ended ? "sign.accountTab" : "sign.account");
    return el("div", { class: "field" }, el("button", { type: "button", class: "primary", autofocus: true, text, onclick: go }));
  }

  /// Looks whether the person has signed in meanwhile, in another tab.
  async #look() {
    if (document.hidden || !this.#links.entrar_com_provedor) return;
    const who = await follow(this.#links.self).catch(() => undefined);
    if (!who?._links.sair || this.#links.sair) return;
    dialog.close();
    this.#take(who);
    this.dispatchEvent(new Event("in"));
  }

  async #enter(token, form, send) {
    try {
      const who = await follow(this.#links.entrar, { body: { token }, method: "POST" });
      dialog.close();
      this.#take(who);
      this.dispatchEvent(new Event("in"));
    } catch (problem) {
      send.removeAttribute("aria-busy");
      send.textContent = t("sign.send");
      explain(form, problem, t("agenda.unreachable"));
      form.querySelector("[name=token]").select();
    }
  }

  /// The session has ended: what was typed stays where it is, below the form to sign in.
  async #ended(who) {
    const before = this.#answers;
    const fresh = who ?? (await follow(this.#links.self ?? {}).catch(() => undefined));
    // The person may have signed in again meanwhile.
    if (before !== this.#answers) return;
    if (fresh?._links.entrar) this.#take(fresh);
    if (this.#links.entrar) this.ask(true);
  }

  /// Ends the session. Everything that was read goes with the page.
  async #leave() {
    const sign = at("sign");
    if (busy(sign)) return;
    try {
      await follow(this.#links.sair, { method: "DELETE" });
      location.reload();
    } catch (problem) {
      explain(at("sign-problem"), problem, t("sign.stillIn"));
    } finally {
      sign.removeAttribute("aria-busy");
    }
  }

  #take(who) {
    this.#answers += 1;
    this.#who = who;
    this.show();
    this.dispatchEvent(new Event("who"));
  }
}
