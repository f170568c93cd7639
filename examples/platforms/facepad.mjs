// Judges faces on this device, in Node and in browsers, with the files that `facepad model extract` writes.
//
// An image is {data, width, height} as from a canvas: four bytes per pixel, red, green, blue and one that is not used.
// A box is the face square [x1, y1, x2, y2] in pixels.

/** Load the networks. `read` gives the bytes of a file of the model's folder. */
export async function load(ort, document, read) {
  const networks = [];
  for (const numbers of document.networks) {
    networks.push({ ...numbers, session: await ort.InferenceSession.create(await read(numbers.file)) });
  }
  return { ort, document, networks };
}

/** The logits, the score and the verdict for a face square of an image. */
export function judge(model, image, box) {
  return judgeCrops(model, model.networks.map((network) => cut(image, box, network.crop)));
}

/** The same from the crops of the networks, each with the values red, green and blue of each pixel. */
export async function judgeCrops(model, crops) {
  const logits = [];
  for (const [index, network] of model.networks.entries()) logits.push(await logitOf(model.ort, network, crops[index]));
  const sum = logits.reduce((total, logit, index) => total + model.networks[index].weight * logit, 0);
  const { slope, offset } = model.document.calibration;
  const score = 1 / (1 + Math.exp(-(slope * sum + offset)));
  const threshold = model.document.threshold?.value;
  const verdict = threshold === undefined ? "undecided" : score >= threshold ? "live" : "attack";
  return { logits, score, verdict };
}

/** The values red, green and blue of each pixel of an image without its fourth bytes. */
export function withoutAlpha({ data }) {
  return Float64Array.from(data).filter((_, place) => place % 4 < 3);
}

async function logitOf(ort, network, crop) {
  const { session, input, output } = network;
  const [height, width] = network.crop.size;
  const shape = input.layout === "nhwc" ? [1, height, width, 3] : [1, 3, height, width];
  const results = await session.run({ [session.inputNames[0]]: new ort.Tensor(input.dtype, values(crop, input), shape) });
  const found = Array.from(results[output.name ?? session.outputNames[0]].data, Number);
  if (output.kind === "logit") return found[0];
  const x = output.kind === "logits" ? found : found.map((p) => Math.log(Math.min(Math.max(p, 1e-12), 1 - 1e-12)));
  const others = x.filter((_, place) => place !== output.bona_fide);
  const most = Math.max(...others);
  return x[output.bona_fide] - most - Math.log(others.reduce((total, value) => total + Math.exp(value - most), 0));
}

/** The crop as a network takes it: order of the channels, range, layout. */
function values(crop, { channels, dtype, layout, scale, mean, std }) {
  const pixels = crop.length / 3;
  const result = dtype === "uint8" ? new Uint8Array(crop.length) : new Float32Array(crop.length);
  for (let pixel = 0; pixel < pixels; pixel++) {
    for (let channel = 0; channel < 3; channel++) {
      const value = crop[3 * pixel + (channels === "bgr" ? 2 - channel : channel)];
      const place = layout === "nhwc" ? 3 * pixel + channel : channel * pixels + pixel;
      result[place] = dtype === "uint8" ? value : (value * scale - mean[channel]) / std[channel];
    }
  }
  return result;
}

/** The crop of a network: red, green and blue of each pixel, row by row. */
export function cut(image, [x1, y1, x2, y2], { scale, shift, size, border }) {
  if (scale === null) return averaged(image, size);
  const side = scale * Math.max(x2 - x1, y2 - y1);
  const left = (x1 + x2) / 2 + shift[0] * (x2 - x1) - side / 2;
  const top = (y1 + y2) / 2 + shift[1] * (y2 - y1) - side / 2;
  const [rows, columns] = size;
  if (side >= rows && side >= columns) return averaged(window(image, left, top, Math.ceil(side), border), size, side);
  const crop = new Float64Array(3 * rows * columns);
  for (let place = 0; place < rows * columns; place++) {
    const y = top + ((Math.floor(place / columns) + 0.5) * side) / rows - 0.5;
    const x = left + (((place % columns) + 0.5) * side) / columns - 0.5;
    for (let channel = 0; channel < 3; channel++) crop[3 * place + channel] = rint(linear(image, y, x, channel, border));
  }
  return crop;
}

/** A channel of a pixel, also outside the image. */
function at({ data, width, height }, row, column, channel, border) {
  if (border === "constant" && (row < 0 || row >= height || column < 0 || column >= width)) return 127;
  return data[4 * (mirrored(row, height) * width + mirrored(column, width)) + channel];
}

function mirrored(index, count) {
  const place = ((index % (2 * count)) + 2 * count) % (2 * count);
  return Math.min(place, 2 * count - 1 - place);
}

function linear(image, y, x, channel, border) {
  const [row, column] = [Math.floor(y), Math.floor(x)];
  const [down, right] = [y - row, x - column];
  const along = (line) =>
    (1 - right) * at(image, line, column, channel, border) + right * at(image, line, column + 1, channel, border);
  return (1 - down) * along(row) + down * along(row + 1);
}

/** A square of whole pixels, shifted by a part of a pixel: first downwards, then to the right, each rounded. */
function window(image, left, top, count, border) {
  const [row, column] = [Math.floor(top), Math.floor(left)];
  const [down, right] = [top - row, left - column];
  const data = new Float64Array(4 * count * count);
  for (let y = 0; y < count; y++) {
    for (let channel = 0; channel < 3; channel++) {
      const shifted = (x) =>
        rint((1 - down) * at(image, row + y, column + x, channel, border) +
          down * at(image, row + y + 1, column + x, channel, border));
      let before = shifted(0);
      for (let x = 0; x < count; x++) {
        const after = shifted(x + 1);
        data[4 * (y * count + x) + channel] = rint((1 - right) * before + right * after);
        before = after;
      }
    }
  }
  return { data, width: count, height: count };
}

/** The image, or a square of the given side in it, shrunk to (height, width): each pixel is the mean of its area. */
export function averaged(image, [rows, columns], side) {
  const vertical = shares(side ?? image.height, rows);
  const horizontal = shares(side ?? image.width, columns);
  const result = new Float64Array(3 * rows * columns);
  for (const [y, lines] of vertical.entries()) {
    for (const [x, places] of horizontal.entries()) {
      for (let channel = 0; channel < 3; channel++) {
        let sum = 0;
        for (const [row, weight] of lines) {
          for (const [column, share] of places) sum += weight * share * image.data[4 * (row * image.width + column) + channel];
        }
        result[3 * (y * columns + x) + channel] = rint(sum);
      }
    }
  }
  return result;
}

/** For each new pixel, the pixels in its area, each with its share of the area. */
function shares(length, size) {
  const step = length / size;
  return Array.from({ length: size }, (_, place) => {
    const [first, last] = [place * step, (place + 1) * step];
    const pixels = [];
    for (let pixel = Math.floor(first); pixel < Math.ceil(last - 1e-9); pixel++) {
      pixels.push([pixel, (Math.min(pixel + 1, last) - Math.max(pixel, first)) / step]);
    }
    return pixels;
  });
}

/** Round to the nearest whole number; a half becomes the even neighbour. */
function rint(value) {
  const up = Math.round(value);
  return up - value === 0.5 && up % 2 ? up - 1 : up;
}
