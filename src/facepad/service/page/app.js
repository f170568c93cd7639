// The page: its buttons, dropped files, and the camera.

import { announce, boxesOf, drawBoxes, placePicture, showAnswer, showNoVerdict, showProblem, showWorking } from "./answer.js";
import { askInSession, beginChallenge, judge, judgeInSession, models, openSession, setKey } from "./api.js";
import { History } from "./history.js";
import { watch } from "./live.js";
import { record } from "./recorder.js";
import { Steady } from "./steady.js";
import { adviceOn, adviceOnCamera, adviceOnFiles } from "./words.js";
import { Camera, CameraError } from "../widget/camera.js";
import { planOf } from "../widget/challenge.js";
import { Guide } from "../widget/guide.js";
import { patiently, Problem } from "../widget/http.js";
import { TEXTS } from "../widget/texts.js";

const CLIP_SECONDS = 3;
// Touch screens cannot drop files.
const RESTING = matchMedia("(any-hover: hover)").matches ? "Files can also be dropped anywhere on this page." : "";
const WAIT = "One thing at a time: ask again when this is done.";
const READY = "Fill the oval with your face, and look into the camera.";

// Problems of a single file. The next file may have no problem.
const OF_A_FILE = ["unsupported-media", "unreadable", "too-large", "bad-request"];

const at = (id) => document.getElementById(id);
const camera = new Camera(at("camera"), () => {
  live?.stop.abort();
  showCamera();
  dropVerdictOfCamera("The camera has stopped.");
  showProblem(adviceOnCamera("ended"));
});
const history = new History(at("history"), at("history-empty"), [at("download"), at("clear")]);

let busy = false; // Whether a judgement, a recording or a check is running. Only one may run at a time.
let live = null; // The controller that stops the live view; null if no live view is running.
let ofCamera = false; // Whether the shown verdict is on a camera picture.
let starting = false; // Whether the camera is starting.
let offersChecks = null; // Whether the service offers the active check; null if not known yet.

// --- one thing at a time ---

async function exclusively(work) {
  if (busy) {
    hint(WAIT);
    announce(WAIT);
    return;
  }
  setBusy(true);
  showProblem(null);
  try {
    await stopLive();
    dropVerdict("Nothing is judged yet.");
    await work();
  } catch (error) {
    dropVerdict(`${fail(error)}.`);
  } finally {
    setBusy(false);
    showWorking(false);
    hint(camera.on ? READY : RESTING);
  }
}

function setBusy(on) {
  busy = on;
  // Not `disabled`, because a disabled button loses the keyboard focus.
  for (const button of document.querySelectorAll(".toolbar button")) button.setAttribute("aria-disabled", String(on));
  document.querySelector(".picker").classList.toggle("waiting", on);
}

/** Show a problem, and return the title of the problem. */
function fail(error) {
  const advice = adviceOnError(error);
  showProblem(advice);
  if (error.slug === "unauthorized") askKey();
  return advice.title;
}

function adviceOnError(error) {
  if (error instanceof CameraError) return adviceOnCamera(error.name);
  if (error instanceof Problem) return adviceOn(error);
  console.error(error);
  return { title: "This page failed", text: String(error) };
}

// --- a verdict disappears with its picture ---

function dropVerdict(reason) {
  ofCamera = false;
  showNoVerdict(reason);
  clearStage();
  placePicture(!camera.on);
}

function dropVerdictOfCamera(reason) {
  if (ofCamera) dropVerdict(reason);
}

function clearStage() {
  at("chip").hidden = true;
  delete at("stage").dataset.tone;
  drawBoxes(at("live-box"), [], null);
}

function hint(text) {
  if (at("hint").textContent !== text) at("hint").textContent = text;
}

async function judged(source, blob, ask = () => judge(blob, { why: at("ask-why").checked })) {
  showWorking(true);
  hint("Judging …");
  dropVerdict("Judging …");
  const answer = await patiently(ask, (seconds) => {
    hint(`The service is busy. Trying again in ${seconds} s.`);
    announce(`The service is busy. Trying again in ${seconds} seconds.`);
  });
  const shown = showAnswer(answer, blob);
  ofCamera = !(blob instanceof File);
  placePicture(!camera.on);
  at("result").scrollIntoView({ block: "nearest" });
  announce(shown.sentence);
  history.add(source, answer);
}

// --- files ---

async function judgeFiles(files) {
  // Each file is judged separately, because the files may show different people.
  const refused = [];
  for (const file of files) {
    try {
      await judged(file.name, file);
    } catch (error) {
      if (files.length === 1 || !OF_A_FILE.includes(error.slug)) throw error;
      refused.push(file.name);
      dropVerdict(`${file.name} cannot be judged.`);
    }
  }
  if (refused.length) showProblem(adviceOnFiles(refused, files.length));
}

function takeFiles(files) {
  const chosen = [...files];
  if (chosen.length) exclusively(() => judgeFiles(chosen));
}

at("file").addEventListener("change", (event) => {
  takeFiles(event.target.files);
  event.target.value = ""; // Otherwise choosing the same file again would fire no event.
});

const holdsFiles = (event) => event.dataTransfer?.types.includes("Files");
document.addEventListener("dragover", (event) => {
  if (!holdsFiles(event)) return;
  event.preventDefault(); // On the whole page, because the browser would open a file that is dropped beside the stage.
  at("drop").hidden = false;
});
document.addEventListener("dragleave", (event) => {
  if (event.relatedTarget === null) at("drop").hidden = true;
});
document.addEventListener("drop", (event) => {
  if (!holdsFiles(event)) return;
  event.preventDefault();
  at("drop").hidden = true;
  takeFiles(event.dataTransfer.files);
});

// --- camera ---

// Starting the camera does not make the page busy. Files can be judged while the browser asks for permission.
async function startCamera(device = "") {
  if (starting) return;
  starting = true;
  showProblem(null);
  hint("Waiting for the camera …");
  try {
    await stopLive();
    dropVerdictOfCamera("The camera was started again.");
    await camera.start(device);
    await listLenses();
    await askForChecks();
  } catch (error) {
    fail(error);
  } finally {
    starting = false;
    showCamera();
  }
  if (!camera.on) return;
  if ([document.body, at("start")].includes(document.activeElement)) at("capture").focus();
  announce("The camera is on.");
}

async function askForChecks() {
  if (offersChecks !== null || !camera.records) return;
  try {
    offersChecks = (await openSession()) !== null;
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem; // A problem is ignored, because the next start asks again.
  }
}

function showCamera() {
  const on = camera.on;
  at("view").hidden = !on;
  placePicture(!on);
  at("start").hidden = on;
  for (const id of ["capture", "live", "stop"]) at(id).hidden = !on;
  at("record").hidden = !on || !camera.records;
  at("challenge").hidden = !on || !offersChecks;
  at("lenses").hidden = at("lenses").hidden || !on;
  clearStage();
  if (!busy) hint(on ? READY : RESTING);
  at("stage").style.aspectRatio = "";
  if (on) showGuide();
}

function showGuide() {
  const [height, width] = camera.size;
  if (!width) return;
  at("view").classList.toggle("mirrored", camera.mirrored);
  at("stage").style.aspectRatio = `${width} / ${height}`;
  const tall = 0.4 * Math.min(height, 1.25 * width);
  const [x, y, rx] = [width / 2, height / 2, 0.76 * tall];
  const guide = at("guide");
  guide.setAttribute("viewBox", `0 0 ${width} ${height}`);
  const half = `${rx},${tall} 0 0 1`;
  const hole = `M${x - rx},${y}A${half} ${x + rx},${y}A${half} ${x - rx},${y}Z`;
  guide.querySelector("path").setAttribute("d", `M0,0H${width}V${height}H0Z${hole}`);
  const oval = guide.querySelector("ellipse");
  for (const [name, value] of Object.entries({ cx: x, cy: y, rx, ry: tall })) oval.setAttribute(name, String(value));
}

async function listLenses() {
  const devices = await camera.devices();
  at("lenses").hidden = devices.length < 2;
  at("lens").replaceChildren(...devices.map(({ id, label }) => new Option(label, id, false, id === camera.device)));
}

at("camera").addEventListener("resize", showGuide); // A phone was turned.
at("start").addEventListener("click", () => startCamera());
at("lens").addEventListener("change", (event) => busy || startCamera(event.target.value));
at("stop").addEventListener("click", async () => {
  if (busy) return;
  await stopLive();
  camera.stop();
  showCamera();
  dropVerdictOfCamera("The camera is off.");
  at("start").focus();
});
at("capture").addEventListener("click", () =>
  exclusively(async () => judged("Camera", await camera.picture())));

// --- live view ---

async function stopLive() {
  if (!live) return;
  live.stop.abort();
  await live.done;
}

async function runLive(signal) {
  const add = history.addLive();
  const steady = new Steady();
  let picture = null;
  await watch(signal, {
    look: async () => {
      picture = await camera.picture();
      return judge(picture, { signal });
    },
    seen: (single) => {
      const answer = steady.add(single);
      const { word, tone, sentence } = showAnswer(answer, picture);
      placePicture(false);
      at("chip").textContent = answer.score === null ? word : `${word} ${answer.score.toFixed(2)}`;
      at("chip").hidden = false;
      at("stage").dataset.tone = tone;
      const { boxes, size } = boxesOf(answer);
      drawBoxes(at("live-box"), boxes, size);
      announce(sentence, `${answer.label} ${answer.reasons}`);
      add(single);
    },
    waits: (text) => {
      hint(text ?? READY);
      if (text) dropVerdict(text);
      if (text) announce(text, text.replace(/\d+/g, ""));
    },
  });
}

function startLive() {
  const stop = new AbortController();
  showProblem(null);
  dropVerdict("Nothing is judged yet.");
  at("live").setAttribute("aria-pressed", "true");
  const done = runLive(stop.signal).then(() => "The live view is off", fail).then((reason) => {
    live = null;
    at("live").setAttribute("aria-pressed", "false");
    dropVerdict(`${reason}.`);
    hint(camera.on ? READY : RESTING);
  });
  live = { stop, done };
}

at("live").addEventListener("click", () => {
  if (live) stopLive();
  else if (!busy) startLive();
});

// --- clips and the active check ---

at("record").addEventListener("click", () =>
  exclusively(async () => {
    hint(`Recording ${CLIP_SECONDS} s …`);
    const clip = await record(camera, [{ text: "Recording", arrow: "", seconds: CLIP_SECONDS }]);
    await judged("Clip", clip);
  }));

at("challenge").addEventListener("click", () =>
  exclusively(async () => {
    hint("Follow the steps.");
    const session = await openSession();
    if (session === null) throw new Problem({ slug: "challenges-off" });
    const challenge = await beginChallenge(session);
    const guide = new Guide(camera, askInSession(session), TEXTS.en.hints);
    const clip = await record(camera, planOf(challenge.steps, challenge.max_seconds, TEXTS.en), guide);
    await judged("Active check", clip, judgeInSession(clip, session));
  }));

// --- history ---

at("download").addEventListener("click", () => {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(history.document());
  link.download = `facepad-${new Date().toISOString().slice(0, 19).replaceAll(":", "")}.json`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
});
at("clear").addEventListener("click", () => {
  history.clear();
  announce("The list is empty.");
  at("file").focus();
});

// --- key and model ---

function askKey(wrong = "") {
  at("key-form").hidden = false;
  at("key-wrong").textContent = wrong;
  at("key").focus();
}

async function showModel() {
  const [model] = await models();
  at("model").textContent = `Model ${model.name}` + (model.license ? `, licence ${model.license}` : "");
  at("scope").textContent = model.scope;
  at("scope").hidden = !model.scope;
}

at("key-form").addEventListener("submit", async (event) => {
  event.preventDefault();
  const key = at("key").value.trim();
  setKey(/^[!-~]*$/.test(key) ? key : "no-key"); // A header cannot hold other characters.
  try {
    await showModel();
  } catch (error) {
    if (error.slug === "unauthorized") return askKey("The service does not know this key.");
    return fail(error);
  }
  at("key-form").hidden = true;
  at("key").value = "";
  showProblem(null);
  at(camera.on ? "capture" : "start").focus();
  announce("The key is accepted.");
  return undefined;
});

async function begin() {
  hint(RESTING);
  if (!window.isSecureContext) showProblem(adviceOnCamera("insecure"));
  try {
    await patiently(showModel, () => {});
  } catch (error) {
    if (error.slug === "unauthorized") askKey();
    else fail(error);
  }
}

begin();
