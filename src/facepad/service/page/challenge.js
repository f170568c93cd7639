// The active check: steps that the service asks for, shown one after another while a clip is recorded.

import { sleep } from "./api.js";
import { stepOf } from "./words.js";

const NEUTRAL = 1.5; // s of looking straight at the camera, at the start: what the steps are measured against
const LONGEST_STEP = 4; // s
const SPARE = 1; // s, as a recording ends a little after it is told to

/** The parts of an active check in order, as [{text, arrow, seconds}]; together shorter than `maxSeconds`. */
export function planOf(actions, maxSeconds) {
  const seconds = Math.min(LONGEST_STEP, (maxSeconds - NEUTRAL - SPARE) / actions.length);
  const steps = actions.map((action) => ({ ...stepOf(action), seconds }));
  return [{ text: "Look straight at the camera", arrow: "", seconds: NEUTRAL }, ...steps];
}

/** Show each part for its time; `show(part, done)` gets how much of the whole is done, 0 to 1. */
export async function guideThrough(plan, show) {
  const whole = plan.reduce((sum, part) => sum + part.seconds, 0);
  let done = 0;
  for (const part of plan) {
    const started = performance.now();
    for (let passed = 0; passed < part.seconds; passed = (performance.now() - started) / 1000) {
      show(part, (done + passed) / whole);
      await sleep(Math.min(100, 1000 * (part.seconds - passed)));
    }
    done += part.seconds;
  }
}
