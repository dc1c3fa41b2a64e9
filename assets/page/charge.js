// The proposal that a booking is charged to: the form offers those of the scientist that are valid then and have minutes at the
// telescope.

import { follow } from "./api.js";
import { field } from "./dialog.js";
import { el } from "./dom.js";
import { minutes } from "./format.js";
import { t } from "./i18n.js";

/// The most proposals that are offered.
const OFFERED_MAX = 100;

/// Whether a booking that begins at `start` can be charged to a proposal.
const fits = ({ alocado_min: has, inicio_utc, fim_utc }, telescope, start) =>
  telescope in has && Date.parse(inicio_utc) <= start && start < Date.parse(fim_utc);

/// The field for a booking of a `telescope` from `start` on by the scientist of the select `scientist`, as an element `root`, and
/// `read` for what is chosen. `link` leads to the proposals. Without any to offer it is hidden, unless the telescope needs one.
export function charge({ link, telescope, start, chosen }, scientist) {
  const needed = telescope?.regras?.exige_proposta;
  const select = el("select", {});
  const note = el("p", { class: "quiet", role: "status" });
  const root = field("proposta_id", t(needed ? "book.proposal" : "book.proposalIfAny"), select);
  root.append(note);
  root.hidden = true;
  let list;
  let offered = [];
  let asked = 0;

  const offer = async () => {
    asked += 1;
    const number = asked;
    const found = await read(scientist.value).catch(() => undefined);
    if (number !== asked) return;
    const before = select.value || String(chosen ?? "");
    offered = (found ?? []).filter((one) => fits(one, telescope?.id, start));
    const options = offered.map(({ id, titulo }) => el("option", { value: id, dir: "auto", text: titulo }));
    select.replaceChildren(el("option", { value: "", text: t(needed ? "scientist.choose" : "book.noProposal") }), ...options);
    if (offered.some(({ id }) => String(id) === before)) select.value = before;
    root.hidden = !needed && !offered.length;
    note.textContent = needed && found && !offered.length ? t("book.noneFits") : "";
    tell();
  };

  const read = async (id) => {
    if (!link || !id) return [];
    list ??= await follow(link);
    if (!list.propostas.length) return [];
    const variables = { cientista_id: id, ativo: true, limite: OFFERED_MAX };
    return (await follow(list._links.buscar, { variables })).propostas;
  };

  /// Says how much of the chosen proposal is left at the telescope.
  const tell = async () => {
    const { value } = select;
    const one = offered.find(({ id }) => String(id) === value);
    const now = one && (await follow(one._links.self).catch(() => undefined));
    const left = now?.restante_min?.[telescope?.id];
    if (left === undefined || select.value !== value) return;
    note.textContent = t("book.left", { duration: left > 0 ? minutes(left) : "0 min" });
  };

  scientist.addEventListener("change", offer);
  select.addEventListener("change", () => {
    note.textContent = "";
    tell();
  });
  offer();
  return { root, read: () => Number(select.value) || undefined };
}
