// Shows an answer: the verdict in words, the score beside the threshold, advice, and the evidence.

import { numbersOf, reasonOf, sentenceOf, verdictOf } from "./words.js";
import { stepOf, TEXTS } from "../widget/texts.js";

const SVG = "http://www.w3.org/2000/svg";
const at = (id) => document.getElementById(id);

let pictureUrl = null;
let said = "";

/** Show the answer on `blob`, a picture or clip. */
export function showAnswer(answer, blob) {
  const { word, tone } = verdictOf(answer.label);
  at("result").dataset.tone = tone;
  at("word").textContent = word;
  at("sentence").textContent = sentenceOf(answer);
  showBar(answer);
  showAdvice(answer);
  showEvidence(answer, blob);
  showFacts(answer);
  const sentence = `${word}. ${sentenceOf(answer)} ${answer.reasons.map((name) => reasonOf(name).improve).join(" ")}`;
  return { word, tone, sentence };
}

/** Remove the answer, and give the reason in a sentence. */
export function showNoVerdict(reason) {
  at("result").dataset.tone = "none";
  at("word").textContent = "No verdict";
  at("sentence").textContent = reason;
  for (const id of ["bar", "advice", "depth", "why", "frames", "details", "picture", "clip"]) at(id).hidden = true;
  for (const id of ["picture", "clip", "depth-map", "why-map"]) at(id).removeAttribute("src");
  at("picture-caption").textContent = "";
  drawBoxes(at("picture-box"), [], null);
  if (pictureUrl) URL.revokeObjectURL(pictureUrl);
  pictureUrl = null;
  said = ""; // The next answer is announced even if it equals the last one.
}

/** Announce text to screen readers. With `kind`, the same kind is not announced twice in a row (in a live view). */
export function announce(sentence, kind = null) {
  if (kind !== null && kind === said) return;
  said = kind ?? "";
  // Screen readers ignore an unchanged text. A small change makes screen readers read the text again.
  const same = at("announce").textContent === sentence;
  at("announce").textContent = same ? `${sentence}\u00a0` : sentence;
}

/** Show whether the page waits for an answer. */
export function showWorking(on) {
  at("result").classList.toggle("working", on);
  at("result").setAttribute("aria-busy", String(on));
}

/** Show a problem (a title and advice) above the verdict. Null removes the problem. */
export function showProblem(advice) {
  const box = at("problem");
  box.hidden = advice === null;
  box.querySelector("h3").textContent = advice?.title ?? "";
  box.querySelector("p").textContent = advice?.text ?? "";
}

/** Draw face boxes into an SVG that covers a picture of `size` [height, width]. The first box is the judged face. */
export function drawBoxes(svg, boxes, size) {
  svg.replaceChildren();
  if (!size) return;
  svg.setAttribute("viewBox", `0 0 ${size[1]} ${size[0]}`);
  boxes.forEach(([x1, y1, x2, y2], index) => {
    for (const kind of index === 0 ? ["edge", "face"] : ["other"]) {
      svg.append(element("rect", { class: kind, x: x1, y: y1, width: x2 - x1, height: y2 - y1, rx: (x2 - x1) / 30 }));
    }
  });
}

/** The picture size and the face boxes of the first file, the judged face first. A clip has no boxes. */
export function boxesOf(answer) {
  const file = answer.files[0];
  if (answer.files.length !== 1 || file.kind !== "image") return { boxes: [], size: null };
  const [judged, ...others] = [file.decisions[answer.decided_by.face], ...file.decisions];
  const boxes = [judged, ...others.filter((decision) => decision !== judged)].map((decision) => decision.box);
  return { boxes: boxes.filter((box) => box !== null), size: file.size };
}

function showBar({ score, threshold }) {
  at("bar").hidden = score === null;
  if (score === null) return;
  const numbers = numbersOf(score, threshold);
  at("bar-score").style.width = `${100 * score}%`;
  at("bar-threshold").hidden = threshold === null;
  at("bar-threshold").style.left = `${100 * (threshold ?? 0)}%`;
  at("bar-label").textContent = threshold === null ? "no threshold" : `threshold ${numbers.threshold}`;
  // The label is below the mark of the threshold, unless the words at the ends need this space.
  at("bar-label").style.left = `${Math.min(Math.max(100 * (threshold ?? 0.5), 32), 68)}%`;
  const against = threshold === null ? "no threshold" : `threshold ${numbers.threshold}`;
  at("bar").setAttribute("aria-label", `Score ${numbers.score} between 0 for an attack and 1 for live, ${against}`);
}

function showAdvice(answer) {
  const items = answer.reasons.map((name) => advice(reasonOf(name).what, reasonOf(name).improve));
  for (const step of answer.challenge?.steps ?? []) {
    items.push(advice(stepOf(step.action, TEXTS.en).text, step.passed ? `Seen at ${step.seconds.toFixed(1)} s.` : "Not seen."));
  }
  if (answer.challenge?.note) items.push(advice("What the clip shows:", `${answer.challenge.note}.`));
  const faces = answer.files[0]?.decisions?.length ?? 0;
  const judged = answer.decided_by.face === 0 ? "the most prominent one" : `number ${answer.decided_by.face + 1} by size`;
  if (faces > 1) items.push(advice(`There are ${faces} faces.`, `The verdict is on ${judged}.`));
  const note = answer.files[0]?.note;
  if (note) items.push(advice("The clip has a defect.", note));
  at("advice").replaceChildren(...items);
  at("advice").hidden = items.length === 0;
}

function advice(what, improve) {
  const item = document.createElement("li");
  const strong = document.createElement("strong");
  strong.textContent = what;
  item.append(strong, improve);
  return item;
}

function showEvidence(answer, blob) {
  const file = answer.files[0];
  const clip = file?.kind === "clip";
  showPicture(blob, clip);
  const { boxes, size } = boxesOf(answer);
  drawBoxes(at("picture-box"), boxes, size);
  at("picture-caption").textContent = captionOf(clip, boxes);
  showMap("depth", answer.depth_map);
  showMap("why", answer.occlusion_map);
  showFrames(clip ? file.frames : [], answer);
}

/** Show a map as the image of the figure `name`. Without a map, the figure is hidden. */
function showMap(name, map) {
  at(name).hidden = !map;
  if (map) at(`${name}-map`).src = map;
  else at(`${name}-map`).removeAttribute("src");
}

/** Show the judged picture or clip in the stage, or beside the depth map while the camera uses the stage. */
export function placePicture(stageIsFree) {
  const shown = stageIsFree && pictureUrl !== null;
  if (shown) at("shown").append(at("picture-frame"));
  else at("judged").prepend(at("picture-frame"));
  at("shown").hidden = !shown;
  at("judged").hidden = shown || pictureUrl === null;
  at("empty").hidden = shown || !stageIsFree;
  at("evidence").hidden = [...at("evidence").children].every((figure) => figure.hidden);
}

function captionOf(clip, boxes) {
  if (clip) return "The clip that was judged.";
  return boxes.length ? "The picture that was judged, and the face in it." : "The picture that was judged.";
}

function showPicture(blob, clip) {
  if (pictureUrl) URL.revokeObjectURL(pictureUrl);
  pictureUrl = URL.createObjectURL(blob);
  const [shown, other] = clip ? [at("clip"), at("picture")] : [at("picture"), at("clip")];
  other.hidden = true;
  other.removeAttribute("src");
  shown.hidden = false;
  shown.src = pictureUrl;
  // The service reads some kinds of images that the browser cannot show, such as TIFF.
  shown.onerror = () => { shown.hidden = true; };
}

function showFrames(frames, { threshold, decided_by: decidedBy }) {
  const scores = frames.map((frame) => frame.decisions[0]?.score ?? null);
  const scored = scores.filter((score) => score !== null);
  at("frames").hidden = scored.length < 2;
  if (scored.length < 2) return;
  const svg = at("frame-scores");
  svg.setAttribute("viewBox", `0 0 ${frames.length * 10} 100`);
  const bars = scores.map((score, index) =>
    element("rect", { x: index * 10 + 1.5, y: 100 - 100 * (score ?? 0), width: 7, height: 100 * (score ?? 0) }));
  const level = 100 - 100 * (threshold ?? 0);
  const line = element("line", { x1: 0, x2: frames.length * 10, y1: level, y2: level });
  svg.replaceChildren(...bars, ...(threshold === null ? [] : [line]));
  const range = `from ${Math.min(...scored).toFixed(3)} to ${Math.max(...scored).toFixed(3)}`;
  svg.setAttribute("aria-label", `Scores of ${scored.length} frames, ${range}`);
  at("frames-caption").textContent =
    `Scores of ${scored.length} of ${frames.length} frames, ${range}; frames ${decidedBy.frames.join(" to ")} decided.`;
}

function showFacts(answer) {
  const { model, timings } = answer;
  const facts = {
    Request: answer.request_id,
    Model: model.license ? `${model.name} (${model.license})` : model.name,
    "SHA-256": `${model.sha256.slice(0, 16)}…`,
    Threshold: originOf(model.threshold),
    Time: `${(1000 * timings.total).toFixed(0)} ms, of which the network ${(1000 * timings.score).toFixed(0)} ms`,
    facepad: answer.facepad,
  };
  const items = Object.entries(facts).flatMap(([name, value]) => {
    const [term, description] = [document.createElement("dt"), document.createElement("dd")];
    term.textContent = name;
    description.textContent = value;
    return [term, description];
  });
  at("facts").replaceChildren(...items);
  at("details").hidden = false;
}

/** The threshold with its criterion and the data on which it was chosen, such as "0.610 (eer, dev.csv, dev)". */
function originOf(threshold) {
  if (threshold === null) return "none";
  const given = Number.isFinite(Number(threshold.criterion)); // The user gave a number, not a criterion.
  const parts = [given ? null : threshold.criterion, threshold.origin.source, threshold.origin.split];
  return `${threshold.value.toFixed(3)} (${parts.filter(Boolean).join(", ")})`;
}

function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return made;
}
