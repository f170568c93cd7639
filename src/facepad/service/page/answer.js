// Shows an answer: the verdict in words, the score against the threshold, what to improve, and the evidence.

import { numbersOf, reasonOf, sentenceOf, stepOf, verdictOf } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const at = (id) => document.getElementById(id);

let pictureUrl = null;
let said = "";

/** Show an answer on `blob`, the picture or clip that it is about. */
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

/** Take the answer away, with all that belongs to it, and say in a sentence why there is none. */
export function showNoVerdict(reason) {
  at("result").dataset.tone = "none";
  at("word").textContent = "No verdict";
  at("sentence").textContent = reason;
  for (const id of ["bar", "advice", "depth", "frames", "details", "picture", "clip"]) at(id).hidden = true;
  for (const id of ["picture", "clip", "depth-map"]) at(id).removeAttribute("src");
  at("picture-caption").textContent = "";
  drawBoxes(at("picture-box"), [], null);
  if (pictureUrl) URL.revokeObjectURL(pictureUrl);
  pictureUrl = null;
  said = ""; // the next answer is news, even if it is as the last one
}

/** Tell screen readers. With `kind`, the same kind is not told twice in a row, so that a live view does not chatter. */
export function announce(sentence, kind = null) {
  if (kind !== null && kind === said) return;
  said = kind ?? "";
  // An equal text would not be told again: a changed one is.
  const same = at("announce").textContent === sentence;
  at("announce").textContent = same ? `${sentence}\u00a0` : sentence;
}

/** Mark that an answer is under way, or no longer. */
export function showWorking(on) {
  at("result").classList.toggle("working", on);
  at("result").setAttribute("aria-busy", String(on));
}

/** Show a problem (a title and what to do) above the verdict; null takes it away. */
export function showProblem(advice) {
  const box = at("problem");
  box.hidden = advice === null;
  box.querySelector("h3").textContent = advice?.title ?? "";
  box.querySelector("p").textContent = advice?.text ?? "";
}

/** Draw face boxes into an SVG that covers a picture of `size` [height, width]; the first is the judged one. */
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

/** The boxes of an answer's first file, the judged face first, and the picture's size; none of a clip. */
export function boxesOf(answer) {
  const file = answer.files[0];
  if (answer.files.length !== 1 || file.kind !== "image") return { boxes: [], size: null };
  const boxes = file.decisions.map((decision) => decision.box).filter((box) => box !== null);
  return { boxes, size: file.size };
}

function showBar({ score, threshold }) {
  at("bar").hidden = score === null;
  if (score === null) return;
  const numbers = numbersOf(score, threshold);
  at("bar-score").style.width = `${100 * score}%`;
  at("bar-threshold").hidden = threshold === null;
  at("bar-threshold").style.left = `${100 * (threshold ?? 0)}%`;
  at("bar-label").textContent = threshold === null ? "no threshold" : `threshold ${numbers.threshold}`;
  // Below the threshold's mark, as far as the words at both ends leave room.
  at("bar-label").style.left = `${Math.min(Math.max(100 * (threshold ?? 0.5), 32), 68)}%`;
  const against = threshold === null ? "no threshold" : `threshold ${numbers.threshold}`;
  at("bar").setAttribute("aria-label", `Score ${numbers.score} between 0 for an attack and 1 for live, ${against}`);
}

function showAdvice(answer) {
  const items = answer.reasons.map((name) => advice(reasonOf(name).what, reasonOf(name).improve));
  for (const step of answer.challenge?.steps ?? []) {
    items.push(advice(stepOf(step.action).text, step.passed ? `Seen at ${step.seconds.toFixed(1)} s.` : "Not seen."));
  }
  if (answer.challenge?.note) items.push(advice("What the clip shows:", `${answer.challenge.note}.`));
  const faces = answer.files[0]?.decisions?.length ?? 0;
  if (faces > 1) items.push(advice(`There are ${faces} faces.`, "The verdict is on the most prominent one."));
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
  at("depth").hidden = !answer.depth_map;
  if (answer.depth_map) at("depth-map").src = answer.depth_map;
  else at("depth-map").removeAttribute("src");
  showFrames(clip ? file.frames : [], answer.threshold);
}

/** Show what was judged in the stage, where the camera leaves it free, else beside the depth map. */
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
  // Kinds that the service reads and this browser does not, such as TIFF, go without a picture.
  shown.onerror = () => { shown.hidden = true; };
}

function showFrames(frames, threshold) {
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
    `Scores of ${scored.length} of ${frames.length} frames, ${range}; the verdict is on their mean.`;
}

function showFacts(answer) {
  const { model, timings } = answer;
  const facts = {
    Request: answer.request_id,
    Model: model.license ? `${model.name} (${model.license})` : model.name,
    "SHA-256": model.sha256 ? `${model.sha256.slice(0, 16)}…` : "none",
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

/** Such as "0.610 (eer, dev.csv, dev)": the value, how it was chosen, and on what. */
function originOf(threshold) {
  if (threshold === null) return "none";
  const given = Number.isFinite(Number(threshold.criterion)); // a number, and no way of choosing one
  const parts = [given ? null : threshold.criterion, threshold.origin.source, threshold.origin.split];
  return `${threshold.value.toFixed(3)} (${parts.filter(Boolean).join(", ")})`;
}

function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return made;
}
