// Live view: a few pictures a second, never more than one on its way, none while nobody looks at the page.

import { Problem, sleep } from "./api.js";

const PACE = 330; // ms from one picture to the next, at least
const LONGEST_PAUSE = 15; // s, when the service cannot be reached
const LONGEST_LOOK = 3000; // ms; after that, the answer before tells nothing of what the camera shows now

/** Judge picture after picture until `signal` stops it.
 *
 * @param {object} does
 *   look():       promise of an answer to the picture of this moment
 *   seen(answer): takes it
 *   waits(text):  says why it pauses, or null when it goes on
 * @returns a promise, kept once it has stopped; a problem that does not pass by itself is thrown.
 */
export async function watch(signal, { look, seen, waits }) {
  let failures = 0;
  while (!signal.aborted) {
    await visible(signal, () => waits("Paused while this page is hidden."));
    if (signal.aborted) return;
    const started = performance.now();
    const late = setTimeout(() => signal.aborted || waits("Waiting for the service."), LONGEST_LOOK);
    try {
      const answer = await look().finally(() => clearTimeout(late));
      if (signal.aborted) return;
      failures = 0;
      waits(null);
      seen(answer);
      await pause(signal, PACE - (performance.now() - started));
    } catch (problem) {
      if (signal.aborted) return;
      if (!(problem instanceof Problem) || !passes(problem)) throw problem;
      failures += 1;
      const seconds = problem.retryAfter ?? Math.min(2 ** failures, LONGEST_PAUSE);
      waits(`${reasonFor(problem)} Going on in ${seconds} s.`);
      await pause(signal, seconds * 1000);
    }
  }
}

function passes(problem) {
  return problem.passing || ["unreachable", "slow", "timeout"].includes(problem.slug);
}

function reasonFor(problem) {
  if (problem.slug === "unreachable") return "The service cannot be reached.";
  return "The service is busy.";
}

function pause(signal, milliseconds) {
  const stopped = new Promise((done) => signal.addEventListener("abort", done, { once: true }));
  return Promise.race([sleep(Math.max(milliseconds, 0)), stopped]);
}

async function visible(signal, paused) {
  while (document.hidden && !signal.aborted) {
    paused();
    await new Promise((done) => {
      document.addEventListener("visibilitychange", done, { once: true });
      signal.addEventListener("abort", done, { once: true });
    });
  }
}
