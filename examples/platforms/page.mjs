// The page: checks the model with its reference images, then judges the pictures of the camera.
// The query names the model's folder: index.html?model=plain/

import * as ort from "./node_modules/onnxruntime-web/dist/ort.wasm.min.mjs";

import { judge, load } from "./facepad.mjs";
import { detect, loadDetector } from "./yunet.mjs";

const folder = new URL(new URLSearchParams(location.search).get("model") ?? "plain/", location.href);
const element = (id) => document.getElementById(id);
const canvas = new OffscreenCanvas(1, 1);

async function read(name) {
  const answer = await fetch(new URL(name, folder));
  if (!answer.ok) throw new Error(`${name}: ${answer.status} ${answer.statusText}`);
  return new Uint8Array(await answer.arrayBuffer());
}

/** The pixels of an image bitmap or of the video. */
function pixels(source, width, height) {
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(source, 0, 0);
  return context.getImageData(0, 0, width, height);
}

async function picture(name) {
  const bitmap = await createImageBitmap(new Blob([await read(name)]), { colorSpaceConversion: "none" });
  return pixels(bitmap, bitmap.width, bitmap.height);
}

/** The largest difference between a score of this browser and its reference. */
async function check(model) {
  let largest = 0;
  for (const { image, box, score } of model.document.reference) {
    largest = Math.max(largest, Math.abs((await judge(model, await picture(image), box)).score - score));
  }
  return largest;
}

async function watch(model, detector) {
  const video = element("camera");
  video.srcObject = await navigator.mediaDevices.getUserMedia({ video: true });
  video.hidden = false;
  await video.play();
  for (;;) {
    const image = pixels(video, video.videoWidth, video.videoHeight);
    const [face] = await detect(detector, image);
    const found = face && (await judge(model, image, face.box));
    element("verdict").textContent = found ? `${found.verdict} (score ${found.score.toFixed(3)})` : "undecided: no face";
    await new Promise(requestAnimationFrame);
  }
}

try {
  ort.env.wasm.numThreads = 1;
  const model = await load(ort, JSON.parse(new TextDecoder().decode(await read("preprocess.json"))), read);
  const largest = await check(model);
  element("check").textContent =
    `${model.document.name}: ${largest < 0.001 ? "agrees with" : "differs from"} its reference (largest difference ${largest.toExponential(1)})`;
  if (model.document.detector) {
    const detector = await loadDetector(ort, model.document.detector, read);
    element("start").disabled = false;
    element("start").addEventListener("click", () => watch(model, detector).catch(tell), { once: true });
  }
} catch (error) {
  tell(error);
}

function tell(error) {
  element("check").textContent = `This model cannot be used: ${error.message}`;
}
