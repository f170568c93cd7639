// The active check: the steps of a session, shown one after another while a clip is recorded.

import { sleep } from "./http.js";
import { stepOf } from "./texts.js";

const NEUTRAL = 1.5; // Seconds of looking into the camera at the start. The steps are compared with this state.
const LONGEST_STEP = 4; // Maximum seconds of a step.
const SPARE = 1; // Seconds of delay that are allowed at the end of a recording.

/** The parts of an active check in order, as [{text, arrow, seconds}]. The total is shorter than `maxSeconds`. */
export function planOf(actions, maxSeconds, texts) {
  const seconds = Math.min(LONGEST_STEP, (maxSeconds - NEUTRAL - SPARE) / actions.length);
  const steps = actions.map((action) => ({ ...stepOf(action, texts), seconds }));
  return [{ text: texts.straight, arrow: "", seconds: NEUTRAL }, ...steps];
}

/** Show each part for its time. `show(part, done)` gets the part and the total progress from 0 to 1. */
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
