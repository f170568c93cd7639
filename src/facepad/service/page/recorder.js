// Records a clip, and shows the steps meanwhile.

import { announce } from "./answer.js";
import { guideThrough, listParts, tickParts } from "../widget/challenge.js";

const at = (id) => document.getElementById(id);

/** Record a clip while the parts of the plan are shown. `guide` follows the steps of an active check. */
export async function record(camera, plan, guide = null) {
  listParts(at("steps"), plan.slice(1));
  at("steps").hidden = plan.length === 1;
  try {
    return await camera.clip(() => guideThrough(plan, showPart, guide));
  } finally {
    for (const id of ["step", "progress", "steps"]) at(id).hidden = true;
    at("step-text").textContent = "";
  }
}

function showPart({ text, arrow }, done, seen) {
  if (at("step-text").textContent !== text) {
    at("step-text").textContent = text;
    at("arrow").textContent = arrow;
    announce(text);
  }
  at("step").hidden = false;
  at("progress").hidden = false;
  at("progress").firstElementChild.style.width = `${100 * done}%`;
  tickParts(at("steps"), seen);
}
