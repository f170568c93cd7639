// The active check: the steps of a session, shown one after another while a clip is recorded.

import { Problem, sleep } from "./http.js";
import { stepOf } from "./texts.js";

const NEUTRAL = 1.5; // Seconds of looking into the camera at the start. The steps are compared with this state.
const LONGEST_STEP = 4; // Maximum seconds of a step without guidance.
const PRAISE = 0.7; // Seconds for which the tick of a step is shown. The clip also gets the end of the movement.
const SPARE = 1; // Seconds of delay that are allowed at the end of a recording.

/** The parts of an active check in order, as [{text, arrow, seconds, longest, praise}]. The clip is shorter than `maxSeconds`.
 *
 * A part takes `seconds` without guidance. With guidance it ends when it is seen, or after `longest` seconds.
 */
export function planOf(actions, maxSeconds, texts) {
  const each = (maxSeconds - NEUTRAL - SPARE) / actions.length;
  const times = { seconds: Math.min(LONGEST_STEP, each), longest: each - PRAISE };
  const steps = actions.map((action, index) => {
    const seen = texts.seen.replace("{number}", index + 1).replace("{count}", actions.length);
    return { ...stepOf(action, texts), ...times, praise: { text: seen, arrow: "✓" } };
  });
  return [{ text: texts.straight, arrow: "", seconds: NEUTRAL, longest: NEUTRAL }, ...steps];
}

/** Show each part until it is seen, or for its time. Throws the Problem "start-again" if the clip would fail.
 *
 * `show(part, done, seen)` gets what to show as {text, arrow}, the total progress from 0 to 1, and the number of steps seen.
 */
export async function guideThrough(plan, show, guide = null) {
  const whole = plan.reduce((sum, part) => sum + part.seconds, 0);
  let done = 0;
  guide?.run();
  try {
    for (const [number, part] of plan.entries()) {
      await showPart(part, guide, {
        show: (shown, share) => show(shown, (done + share * part.seconds) / whole, guide?.seen ?? 0),
        seen: () => number > 0 && guide !== null && guide.seen >= number,
      });
      done += part.seconds;
    }
  } finally {
    guide?.stop();
  }
}

async function showPart(part, guide, { show, seen }) {
  const started = performance.now();
  for (;;) {
    const passed = (performance.now() - started) / 1000;
    const limit = guide?.live ? part.longest : part.seconds;
    if (guide?.failed) throw new Problem({ slug: "start-again" });
    if (seen()) {
      show(part.praise, 1);
      return sleep(1000 * PRAISE);
    }
    if (passed >= limit) return undefined;
    show(guide?.hint ? { text: guide.hint, arrow: "" } : part, passed / limit);
    await sleep(Math.min(100, 1000 * (limit - passed)));
  }
}

/** Fill an ordered list with the texts of parts. */
export function listParts(list, parts) {
  const items = parts.map(({ text }) => {
    const item = document.createElement("li");
    item.append(Object.assign(document.createElement("span"), { className: "mark" }), text);
    return item;
  });
  list.replaceChildren(...items);
}

/** Tick the first `seen` items of the list. */
export function tickParts(list, seen) {
  [...list.children].forEach((item, index) => { item.firstChild.textContent = index < seen ? "✓ " : ""; });
}
