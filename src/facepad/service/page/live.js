// Live view: judges a few pictures per second, one at a time. It pauses while the page is hidden.

import { Problem, sleep } from "../widget/http.js";

const PACE = 330; // Minimum milliseconds from one picture to the next.
const LONGEST_PAUSE = 15; // Maximum seconds of a pause if the service cannot be reached.
const LONGEST_LOOK = 3000; // Milliseconds after which the last answer is out of date.

/** Judge picture after picture until `signal` stops it.
 *
 * @param {object} does
 *   look():       returns a promise of the answer on the current picture
 *   seen(answer): gets each answer
 *   waits(text):  gets the reason of a pause, and null after the pause
 * @returns a promise that is fulfilled after the stop. A permanent problem rejects the promise.
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
