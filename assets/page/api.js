// Requests to the API. They follow links: the only URL in the page's code is the entry point.

/// An answer other than 2xx, as RFC 9457 has it.
export class Problem extends Error {
  constructor(status, body, retryAfter) {
    super(body?.detail ?? `HTTP ${status}`);
    this.status = status;
    this.code = body?.codigo;
    this.detail = body?.detail;
    this.errors = body?.erros ?? [];
    this.body = body ?? {};
    this.retryAfter = retryAfter;
  }

  /// Whether the same request may be answered later: the server cannot now, or takes no more requests from this client for a while.
  get passes() {
    return !(this.status < 500) || this.status === 429;
  }

  /// Whether the request may have been carried out in spite of this answer.
  get unknown() {
    if (this.code === "resultado_incerto" || this.code === "chave_em_andamento") return true;
    if (this.code === "gravacao_recusada") return false;
    return this.status === 500 || this.status === 502 || this.status === 504;
  }
}

/// No answer came. The request may have been carried out.
export class Unreachable extends Error {
  unknown = true;
  passes = true;
}

/// How long to wait before a request that failed is tried again, in milliseconds: `usual`, and what the server asks for beside that.
export const waitFor = (problem, usual) => usual + 1000 * (problem?.retryAfter ?? 0);

/// Is told, by `stranger` with the request's {method}, that the server does not know any more who uses the page.
export const strangers = new EventTarget();
const STRANGE = ["nao_identificado", "sessao_encerrada"];

const PATIENCE_MS = 20000;
/// A table may be long.
const TABLE_MS = 600000;
/// The page says where the entry point is: a proxy may show the service below a path.
const ENTRY_POINT = globalThis.document?.querySelector?.("meta[name=entry-point]")?.content ?? "/";

/// Reads the entry point, with its links.
export const enter = () => follow({ href: ENTRY_POINT });

/// The versions of the answers, by their JSON.
const tags = new WeakMap();

/// The version of what an answer shows: with it as `match`, a change is only made if nobody else has made one since.
export const tagOf = (json) => tags.get(json);

/// Sends the request of a link and gives the answer's JSON; undefined if it has nothing to say. `variables` fill a template; `body` is sent as JSON. With a `key` the
/// same request may be sent again: it is carried out once. A link that has another `method` than is expected of it is not followed.
export async function follow(link, { variables = {}, body, method = "GET", match, key } = {}) {
  const answer = await ask(link, { variables, body, method, match, key });
  const text = await answer.text().catch((cause) => Promise.reject(new Unreachable("", { cause })));
  const json = parse(text);
  if (STRANGE.includes(json?.codigo)) strangers.dispatchEvent(new CustomEvent("stranger", { detail: { method } }));
  if (!answer.ok) throw refusal(answer, json);
  if (json === undefined && answer.status !== 204) throw new Unreachable("not JSON");
  const tag = answer.headers.get("ETag");
  if (tag && json) tags.set(json, tag);
  return json;
}

/// The JSON of a link's answer, and the monotonic instants before and after the exchange. Nothing else is done in between.
export async function timed(link, variables) {
  const begun = performance.now();
  const answer = await ask(link, { method: "GET", variables });
  const text = await answer.text();
  const ended = performance.now();
  if (!answer.ok) throw refusal(answer, parse(text));
  return { begun, ended, json: parse(text) };
}

/// The whole list of a link as a table (CSV), with the mark by which spreadsheets know its characters.
export async function table(link) {
  const answer = await ask(link, { method: "GET", accept: "text/csv; bom=true", patience: TABLE_MS });
  if (!answer.ok) throw refusal(answer, parse(await answer.text()));
  // A table that is cut off is none.
  return answer.blob().catch((cause) => Promise.reject(new Unreachable("", { cause })));
}

async function ask(link, { variables, body, method, match, key, accept = "application/json", patience = PATIENCE_MS }) {
  if ((link.method ?? "GET") !== method) throw new Problem(0);
  const headers = { Accept: accept };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (match) headers["If-Match"] = match;
  if (key) headers["Idempotency-Key"] = key;
  const href = link.templated ? expand(link.href, variables) : link.href;
  try {
    return await fetch(href, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: "no-store",
      signal: AbortSignal.timeout(patience),
    });
  } catch (cause) {
    throw new Unreachable("", { cause });
  }
}

const refusal = (answer, json) =>
  new Problem(answer.status, json, Number(answer.headers.get("Retry-After")) || undefined);

/// Fills in a URI template. Of RFC 6570 it knows what the API uses: `{a}`, `{?a,b}` and `{&a,b}`. A variable without a value is
/// left out.
export function expand(template, variables) {
  return template.replace(/\{([?&]?)([^}]*)\}/g, (_, operator, names) => {
    const known = names.split(",").filter((name) => variables[name] != null);
    if (!operator) return known.map((name) => encodeURIComponent(variables[name])).join(",");
    const pairs = known.map((name) => `${name}=${encodeURIComponent(variables[name])}`);
    return pairs.length ? operator + pairs.join("&") : "";
  });
}

function parse(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
