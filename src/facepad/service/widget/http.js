// Requests to the service. Repeats them while the service is busy, and turns every failure into a Problem.

const PATIENCE = 45_000; // Timeout in milliseconds, longer than the timeouts of the service.
const TRIES = 4;

/** Timeout in milliseconds of an active check. The page sends a long clip, and the service examines many frames. */
export const PATIENCE_WITH_A_CHECK = 75_000;

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

/** The options of `call` that send a picture or clip as the body. */
export function upload(blob, patience = PATIENCE) {
  const headers = { "Content-Type": blob.type || "application/octet-stream" };
  return { method: "POST", headers, body: blob, patience };
}

/** The JSON answer to a request. `token` is an API key or upload token. Throws a Problem. */
export async function call(url, { headers = {}, patience = PATIENCE, token = "", signal = null, ...options } = {}) {
  const stop = new AbortController();
  const timer = setTimeout(() => stop.abort(), patience);
  const given = () => stop.abort();
  signal?.addEventListener("abort", given);
  const bearer = token ? { Authorization: `Bearer ${token}` } : {};
  try {
    const common = { headers: { ...headers, ...bearer }, signal: stop.signal, cache: "no-store" };
    const response = await fetch(url, { ...options, ...common });
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
