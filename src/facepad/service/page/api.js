// Calls of the page. Addresses are relative, because the page may be below a path of a reverse proxy.

import { call, PATIENCE_WITH_A_CHECK, upload } from "../widget/http.js";

// The key is only in memory, to hide it from later scripts and from other users of this browser. A password manager can
// fill in the key again.
let key = "";

/** Set the API key. An empty string means no key. */
export function setKey(value) {
  key = value;
}

/** The models of the service. */
export async function models() {
  return (await callWithKey("v1/models")).models;
}

/** Judge an image or clip. With `why`, the answer on an image has an occlusion map, which takes many more scores. */
export function judge(blob, { signal = null, why = false } = {}) {
  return callWithKey(`v1/liveness?depth=true${why ? "&why=true" : ""}`, { ...upload(blob), signal });
}

/** Open a session of the active check; null if the service does not offer the active check. */
export async function openSession() {
  // Sessions are limited per reference. The page has no accounts, so each session gets a reference of its own.
  const reference = `page-${crypto.getRandomValues(new Uint32Array(2)).join("-")}`;
  const body = JSON.stringify({ reference, checks: ["challenge"] });
  try {
    return await callWithKey("v1/sessions", { method: "POST", headers: { "Content-Type": "application/json" }, body });
  } catch (problem) {
    if (problem.slug === "challenges-off") return null;
    throw problem;
  }
}

/** Begin the active check of a session: its steps, and the longest clip in seconds. */
export function beginChallenge(session) {
  return call("v1/challenge", { method: "POST", token: session.token });
}

/** A function that sends requests of the active check of a session: `ask` of `Guide`. */
export function askInSession(session) {
  return (path, options) => call(path, { ...options, token: session.token });
}

/** A function that judges the clip of an active check, and that may be repeated. The clip is uploaded once. */
export function judgeInSession(blob, session) {
  let uploaded = false;
  return async () => {
    if (!uploaded) await call("v1/uploads", { ...upload(blob, PATIENCE_WITH_A_CHECK), token: session.token });
    uploaded = true;
    return (await callWithKey(`v1/sessions/${session.id}`)).answer;
  };
}

function callWithKey(path, options = {}) {
  return call(path, { token: key, ...options });
}
