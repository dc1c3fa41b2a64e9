// Requests that make something, and make it once: a lost answer is asked for again.

import { follow } from "./api.js";
import { isShown } from "./dialog.js";

/// Sends a `POST` with a key of its own, and at once again if its answer was lost and the `flow` of the dialog is still there. The
/// server answers the second one as it answered the first.
export async function once(flow, link, { variables, body }) {
  // randomUUID() would need a secure context.
  const key = [...crypto.getRandomValues(new Uint32Array(4))].join("-");
  const post = () => follow(link, { variables, body, method: "POST", key });
  return post().catch((problem) => {
    if (!problem.unknown || !isShown(flow)) throw problem;
    return post();
  });
}
