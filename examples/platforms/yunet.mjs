// Finds faces with YuNet on this device, as facepad does: canonical face squares, the most prominent face first.

import { averaged, withoutAlpha } from "./facepad.mjs";

const STRIDES = [8, 16, 32];
const [MIN_CONFIDENCE, MAX_OVERLAP] = [0.6, 0.3];
const [CLEAR_SHARE, CLEAR_CONFIDENCE] = [1 / 8, 0.8];

/** Load the detector of `preprocess.json`. `read` gives the bytes of a file of the model's folder. */
export async function loadDetector(ort, numbers, read) {
  return { ort, ...numbers, session: await ort.InferenceSession.create(await read(numbers.file)) };
}

/** The faces of an image: {box: [x1, y1, x2, y2], confidence}. */
export async function detect(detector, image) {
  const [first, second] = detector.sides;
  const longest = Math.max(image.width, image.height);
  const faces = await look(detector, image, first);
  const clear = faces[0] && width(faces[0]) >= CLEAR_SHARE * longest && faces[0].confidence >= CLEAR_CONFIDENCE;
  return longest <= first || clear ? faces : look(detector, image, second);
}

const width = ({ box }) => box[2] - box[0];

/** The faces in the image, shrunk to a longest side of `longest` pixels. */
async function look({ ort, session, square }, image, longest) {
  const factor = Math.min(1, longest / Math.max(image.width, image.height));
  const [rows, columns] = [image.height, image.width].map((side) => Math.max(1, Math.round(side * factor)));
  const pixels = factor < 1 ? averaged(image, [rows, columns]) : withoutAlpha(image);
  const [height, across] = [rows, columns].map((side) => 32 * Math.ceil(side / 32));
  const input = new Float32Array(3 * height * across);
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      for (let channel = 0; channel < 3; channel++) {
        input[((2 - channel) * height + y) * across + x] = pixels[3 * (y * columns + x) + channel];
      }
    }
  }
  const outputs = await session.run({ [session.inputNames[0]]: new ort.Tensor("float32", input, [1, 3, height, across]) });
  const found = STRIDES.flatMap((stride) => rowsOf(outputs, stride, across / stride));
  const [down, right] = [image.height / rows, image.width / columns];
  return distinct(found)
    .map((row) => ({ box: scaled(canonical(row, square), right, down), confidence: row.score }))
    .sort((a, b) => width(b) * b.confidence - width(a) * a.confidence);
}

/** Box, eyes and score of each face that one stride of the network finds. */
function rowsOf(outputs, stride, columns) {
  const [cls, obj, bbox, kps] = ["cls", "obj", "bbox", "kps"].map((kind) => outputs[`${kind}_${stride}`].data);
  const clipped = (value) => Math.min(Math.max(value, 0), 1);
  const rows = [];
  for (let cell = 0; cell < cls.length; cell++) {
    const score = Math.sqrt(clipped(cls[cell]) * clipped(obj[cell]));
    if (score < MIN_CONFIDENCE) continue;
    const corner = [cell % columns, Math.floor(cell / columns)];
    const [w, h] = [2, 3].map((axis) => Math.exp(bbox[4 * cell + axis]) * stride);
    const eyes = [0, 1, 2, 3].map((place) => (corner[place % 2] + kps[10 * cell + place]) * stride);
    rows.push({
      x: (corner[0] + bbox[4 * cell]) * stride - w / 2,
      y: (corner[1] + bbox[4 * cell + 1]) * stride - h / 2,
      w, h, eyes, score,
    });
  }
  return rows;
}

/** The rows without boxes that overlap a box with a higher score. */
function distinct(rows) {
  const kept = [];
  for (const row of rows.sort((a, b) => b.score - a.score)) {
    if (kept.every((other) => overlap(row, other) <= MAX_OVERLAP)) kept.push(row);
  }
  return kept;
}

function overlap(a, b) {
  const across = Math.min(a.x + a.w, b.x + b.w) - Math.max(a.x, b.x);
  const down = Math.min(a.y + a.h, b.y + b.h) - Math.max(a.y, b.y);
  if (across <= 0 || down <= 0) return 0;
  return (across * down) / (a.w * a.h + b.w * b.h - across * down);
}

/** The canonical face square, from YuNet's box and eyes. */
function canonical({ x, y, w, h, eyes }, { eyes_x, eyes_y, height_y, width: by_width, height: by_height }) {
  const [middleX, middleY] = [x + w / 2, y + h / 2];
  const centerX = middleX + eyes_x * ((eyes[0] + eyes[2]) / 2 - middleX);
  const centerY = middleY + eyes_y * ((eyes[1] + eyes[3]) / 2 - middleY) + height_y * h;
  const half = (by_width * w + by_height * h) / 2;
  return [centerX - half, centerY - half, centerX + half, centerY + half];
}

const scaled = ([x1, y1, x2, y2], right, down) => [x1 * right, y1 * down, x2 * right, y2 * down];
