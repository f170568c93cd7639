// Calls of the service. Addresses are relative, because the page may be below a path of a reverse proxy.

// Timeouts in milliseconds, longer than the timeouts of the service.
const PATIENCE = 45_000;
const PATIENCE_WITH_A_CHECK = 75_000; // The page sends a long clip, and the service examines many frames.
const TRIES = 4;

// The key is only in memory, to hide it from later scripts and from other users of this browser. A password manager can
// fill in the key again.
let key = "";

/** Set the API key. An empty string means no key. */
export function setKey(value) {
  key = value;
}

/** The reason for a missing answer: a problem from the service, "unreachable" or "slow". */
export class Problem extends Error {
  constructor({ slug, title = "", detail = "", retryAfter = null }) {
    super(`${slug}: ${detail || title}`);
    Object.assign(this, { slug, title, detail, retryAfter });
  }

  /** Whether the same request may succeed later. */
  get passing() {
    return ["busy", "too-many-requests", "not-ready"].includes(this.slug);
  }
}

/** The models of the service. */
export async function models() {
  return (await call("v1/models")).models;
}

/** Judge an image or clip. */
export function judge(blob, { signal = null } = {}) {
  return call("v1/liveness?depth=true", upload(blob, PATIENCE), signal);
}

/** Open a session of the active check; null if the service does not offer the active check. */
export async function openSession() {
  // Sessions are limited per reference. The page has no accounts, so each session gets a reference of its own.
  const reference = `page-${crypto.getRandomValues(new Uint32Array(2)).join("-")}`;
  const body = JSON.stringify({ reference, checks: ["challenge"] });
  try {
    return await call("v1/sessions", { method: "POST", headers: { "Content-Type": "application/json" }, body });
  } catch (problem) {
    if (problem.slug === "challenges-off") return null;
    throw problem;
  }
}

/** Begin the active check of a session: its steps, and the longest clip in seconds. */
export function beginChallenge(session) {
  return call("v1/challenge", { method: "POST", token: session.token });
}

/** A function that judges the clip of an active check, and that may be repeated. The clip is uploaded once. */
export function judgeInSession(blob, session) {
  let uploaded = false;
  return async () => {
    if (!uploaded) await call("v1/uploads", { ...upload(blob, PATIENCE_WITH_A_CHECK), token: session.token });
    uploaded = true;
    return (await call(`v1/sessions/${session.id}`)).answer;
  };
}

function upload(blob, patience) {
  const headers = { "Content-Type": blob.type || "application/octet-stream" };
  return { method: "POST", headers, body: blob, patience };
}

/** Repeat a call while the service is busy, after the time in Retry-After. `waiting` gets the seconds. */
export async function patiently(work, waiting) {
  for (let left = TRIES - 1; ; left -= 1) {
    try {
      return await work();
    } catch (problem) {
      if (!(problem instanceof Problem) || !problem.passing || left === 0) throw problem;
      const seconds = Math.min(problem.retryAfter ?? 2, 30);
      waiting(seconds, problem);
      await sleep(seconds * 1000);
    }
  }
}

/** Wait for some milliseconds. */
export function sleep(milliseconds) {
  return new Promise((done) => setTimeout(done, milliseconds));
}

async function call(path, { headers = {}, patience = PATIENCE, token = key, ...options } = {}, signal = null) {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), patience);
  const given = () => stop.abort();
  signal?.addEventListener("abort", given);
  const bearer = token ? { Authorization: `Bearer ${token}` } : {};
  try {
    const common = { headers: { ...headers, ...bearer }, signal: stop.signal, cache: "no-store" };
    const response = await fetch(path, { ...options, ...common });
    if (!response.ok) throw await problemOf(response);
    return await response.json();
  } catch (error) {
    if (error instanceof Problem) throw error;
    throw new Problem({ slug: stop.signal.aborted ? "slow" : "unreachable", detail: String(error) });
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", given);
  }
}

async function problemOf(response) {
  // A proxy may answer with an HTML page.
  const document = await response.json().catch(() => ({}));
  const named = /^urn:facepad:problem:(.+)$/.exec(document.type ?? "");
  const usual = { 401: "unauthorized", 413: "too-large", 429: "busy", 503: "not-ready" };
  const seconds = Number.parseInt(response.headers.get("Retry-After") ?? "", 10);
  return new Problem({
    slug: named ? named[1] : (usual[response.status] ?? "other"),
    title: document.title ?? `The service answered ${response.status}`,
    detail: detailOf(document),
    retryAfter: Number.isFinite(seconds) ? Math.max(seconds, 0) : null,
  });
}

function detailOf(document) {
  const files = Array.isArray(document.files) ? document.files.map((file) => file.detail) : [];
  return files.length ? files.join("; ") : (document.detail ?? "");
}
