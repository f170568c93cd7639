// The login backend in Node, with Express: node examples/login/backend.mjs 9000. It does the same as backend.py.
//
// LIVENESS_URL is the URL of the service, and LIVENESS_KEY is an API key with the scope sessions. LOGIN_SECRET is a long
// random text that stays the same. Start the service with --signing-keys and --cors http://127.0.0.1:9000. `npm ci` in
// this folder installs Express and jose; Node must be 20.11 or newer.

import { createHmac, randomBytes } from "node:crypto";
import express from "express";
import { createRemoteJWKSet, jwtVerify } from "jose";

// Per account. A limit per IP address is not enough, because an attacker can use many addresses.
const TRIES = 5;
const SERVICE = process.env.LIVENESS_URL ?? "http://127.0.0.1:8000";
const PATIENCE = 20_000; // Timeout of a request in milliseconds.
const FETCHING = { cooldownDuration: 10_000, timeoutDuration: PATIENCE };
const KEYS = createRemoteJWKSet(new URL("/.well-known/jwks.json", SERVICE), FETCHING);
// Without LOGIN_SECRET each start takes new references, and the service counts the sessions of an account anew.
const SECRET = process.env.LOGIN_SECRET ?? randomBytes(32);

// In memory; several processes need a database. The accepted sessions need a unique column there.
const tries = new Map(); // user -> number
const attempts = new Map(); // attempt -> user and session
const accepted = new Set(); // ids of sessions

/** A refusal with an HTTP status. */
class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/** The name of the account for the service. A plain hash would not hide the user, because names can be guessed. */
function referenceOf(user) {
  return createHmac("sha256", SECRET).update(user).digest("hex");
}

async function liveness(path, options = {}) {
  const headers = { Authorization: `Bearer ${process.env.LIVENESS_KEY}`, "Content-Type": "application/json" };
  const signal = AbortSignal.timeout(PATIENCE);
  const response = await fetch(new URL(path, SERVICE), { ...options, headers, signal }).catch((error) => {
    throw new Refused(503, `no liveness service: ${error.message}`); // Never let the user in.
  });
  const document = await response.json();
  if (!response.ok) throw new Refused(response.status === 429 ? 429 : 503, document.detail);
  return document;
}

/** Verify a signed result, and accept the result of each session once. */
async function verify(signed, { reference, session, issuer = "facepad" }) {
  const rules = { algorithms: ["EdDSA"], typ: "facepad-result+jwt", issuer, subject: reference, clockTolerance: 10 };
  const required = { requiredClaims: ["exp", "jti"] };
  const { payload } = await jwtVerify(signed ?? "", KEYS, { ...rules, ...required }).catch((error) => {
    throw new Refused(403, `no valid check: ${error.message}`);
  });
  if (payload.jti !== session) throw new Refused(403, "no valid check: the result belongs to another session");
  if (accepted.has(session)) throw new Refused(403, "no valid check: the result was accepted before");
  accepted.add(session);
  return payload;
}

async function start({ user }) {
  if (typeof user !== "string") throw new Refused(400, "expected a user");
  tries.set(user, (tries.get(user) ?? 0) + 1);
  if (tries.get(user) > TRIES) throw new Refused(429, "too many tries: use another way to log in");
  const body = JSON.stringify({ reference: referenceOf(user) });
  const session = await liveness("/v1/sessions", { method: "POST", body });
  const attempt = randomBytes(16).toString("base64url");
  attempts.set(attempt, { user, session: session.id });
  return { attempt, token: session.token, service: SERVICE };
}

async function finish({ attempt }) {
  const { user, session } = attempts.get(attempt) ?? {};
  attempts.delete(attempt); // An attempt counts once.
  if (!session) throw new Refused(403, "this login is unknown or over: start again");
  const result = await liveness(`/v1/sessions/${session}`);
  if (result.duplicate_media === "exact") throw new Refused(403, "this picture was used before: take a new one");
  const { label, reasons } = await verify(result.signed, { reference: referenceOf(user), session });
  if (label !== "bona_fide") throw new Refused(403, `no live face: ${reasons.join(", ") || "try again"}`);
  // A live face may be the face of another person. Compare it with the face of the account here.
  tries.delete(user);
  return { user, liveness: "passed" };
}

const app = express();
app.use(express.json());
app.get("/", (_, response) => response.sendFile("page.html", { root: import.meta.dirname }));
for (const [path, action] of Object.entries({ "/login/start": start, "/login/finish": finish })) {
  app.post(path, async (request, response) => {
    response.json(await action(request.body ?? {}));
  });
}
app.use((error, _, response, __) => response.status(error.status ?? 500).json({ detail: error.message }));
app.listen(Number(process.argv[2] ?? 9000), "127.0.0.1");
