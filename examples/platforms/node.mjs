// Check the files of `facepad model extract` in Node: the reference scores from the crops, and from the images.
//
//   npm install && node node.mjs ../../plain
//
// Each line is JSON. The exit code is 1 if a score differs from its reference by more than 0.001.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { argv, exit } from "node:process";
import * as ort from "onnxruntime-web"; // onnxruntime-node has the same interface, and is faster
import { PNG } from "pngjs";

import { judge, judgeCrops, load, withoutAlpha } from "./facepad.mjs";
import { detect, loadDetector } from "./yunet.mjs";

const folder = argv[2];
if (!folder) {
  console.error("usage: node node.mjs FOLDER (made by: facepad model extract MODEL FOLDER)");
  exit(2);
}
const read = (name) => readFile(join(folder, name));
const picture = async (name) => PNG.sync.read(await read(name));

ort.env.wasm.numThreads = 1;
const model = await load(ort, JSON.parse(await read("preprocess.json")), read);
const numbers = model.document.detector;
const detector = numbers && (await loadDetector(ort, numbers, read));
let largest = 0;
for (const reference of model.document.reference) {
  const crops = await Promise.all(reference.crops.map(async (name) => withoutAlpha(await picture(name))));
  const fromCrops = await judgeCrops(model, crops);
  const image = await picture(reference.image);
  const fromImage = await judge(model, image, reference.box);
  const faces = detector ? await detect(detector, image) : [];
  for (const found of [fromCrops, fromImage]) largest = Math.max(largest, Math.abs(found.score - reference.score));
  console.log(JSON.stringify({ image: reference.image, expected: reference.score, fromCrops, fromImage, faces }));
}
exit(largest > 0.001 ? 1 : 0);
