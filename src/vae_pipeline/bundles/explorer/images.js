// All that depends on the data being images: showing, drawing, reading. Raw values are [channels, height, width].

import { bundle, examples, size, Values } from "model.js";

const { shape: [channels, height, width], dtype, low, high, binary, crop } = bundle.spec;
const plane = height * width;

export const aspect = [width * (channels === 3 ? 1 : channels), height];
/** Whether a file or a stroke can be turned into an observation. */
export const readable = channels === 1 || channels === 3;
export const coloured = channels === 3;
/** The plane's tiles in a row, an odd number, and how many are decoded in one run. */
export const tiles = { side: 13, atOnce: 13 };
/** Whether pixels are shown as squares. */
export const coarse = Math.max(...aspect) < 128;

/** Raw values of fractions in [0, 1]. */
const raw = (fractions) => Values.from(fractions, (fraction) => {
  const value = low + Math.min(1, Math.max(0, binary ? Math.round(fraction) : fraction)) * (high - low);
  return dtype === "uint8" ? Math.round(value) : value;
});
const fraction = (value) => (value - low) / (high - low);

const ground = Math.round(fraction(examples[0].slice().sort()[size >> 1])); // most of a page is empty
/** The colour of an empty page, and one that stands out from it. */
export const [backdrop, contrast] = ground ? ["#ffffff", "#000000"] : ["#000000", "#ffffff"];
export const blank = () => raw(new Float32Array(size).fill(ground));
export const invert = (x) => raw(Float32Array.from(x, (value) => 1 - fraction(value)));
/** An output of the model as an input to it. */
export const asInput = (x) => raw(Float32Array.from(x, fraction));

/** Show an observation on a canvas; where it has neither 1 nor 3 channels, they lie side by side in grey. */
export function paint(canvas, x) {
  const pixels = new ImageData(...aspect);
  for (let at = 0; at < pixels.width * height; at++) {
    const row = Math.floor(at / pixels.width), column = at % pixels.width;
    for (let colour = 0; colour < 3; colour++) {
      const channel = coloured ? colour : Math.floor(column / width);
      pixels.data[4 * at + colour] = 255 * fraction(x[channel * plane + row * width + (column % width)]);
    }
    pixels.data[4 * at + 3] = 255;
  }
  [canvas.width, canvas.height] = aspect;
  canvas.getContext("2d").putImageData(pixels, 0, 0);
}

/** Show where an observation is unlikely: in red over its grey, by nats summed over channels, the most in full red. */
export function paintHeat(canvas, x, nats) {
  const sum = (values, at) => Array.from({ length: channels }, (_, channel) => values[channel * plane + at]).reduce((a, b) => a + b);
  const heat = Float32Array.from({ length: plane }, (_, at) => Math.max(0, sum(nats, at)));
  const most = Math.max(1e-6, ...heat);
  const pixels = new ImageData(width, height);
  for (let at = 0; at < plane; at++) {
    const grey = 40 + 110 * fraction(sum(x, at) / channels);
    const share = heat[at] / most;
    pixels.data.set([grey + share * (235 - grey), grey * (1 - share), grey * (1 - share), 255], 4 * at);
  }
  [canvas.width, canvas.height] = [width, height];
  canvas.getContext("2d").putImageData(pixels, 0, 0);
}

/** The observation with a stroke from one place to another, each [across, down] in [0, 1], in an ink "#rrggbb". */
export function stroke(x, from, to, ink) {
  const radius = 0.5 + 0.03 * Math.min(width, height);
  const wanted = coloured ? [1, 3, 5].map((start) => parseInt(ink.slice(start, start + 2), 16) / 255) : [1 - ground];
  const [[fromX, fromY], [toX, toY]] = [from, to].map(([across, down]) => [across * width, down * height]);
  const [along, up] = [toX - fromX, toY - fromY];
  const drawn = Float32Array.from(x, fraction);
  for (let at = 0; at < plane; at++) {
    const [column, row] = [(at % width) + 0.5 - fromX, Math.floor(at / width) + 0.5 - fromY];
    const part = Math.min(1, Math.max(0, (column * along + row * up) / (along ** 2 + up ** 2 || 1)));
    const cover = Math.min(1, Math.max(0, radius + 0.5 - Math.hypot(column - part * along, row - part * up)));
    wanted.forEach((value, channel) => {
      const place = channel * plane + at, laid = ground + cover * (value - ground);
      if (cover > 0 && Math.abs(value - laid) < Math.abs(value - drawn[place])) drawn[place] = laid;
    });
  }
  return raw(drawn);
}

/** A picture file as one observation, laid on white. Of one of another size, what lies around its middle is taken: the
 * square that training pictures were cut to, where they were, and of that the part of the model's shape. Throws for what
 * is no picture, or is smaller than that square. */
export async function read(file) {
  const picture = await createImageBitmap(file, { colorSpaceConversion: "none" }).catch(() => {
    throw new Error("isn't a picture that this browser reads: give a PNG or JPEG");
  });
  const [left, top, across, down] = middle(picture, crop);
  const factor = Math.max(width / across, height / down);
  const [wide, tall] = [across * factor, down * factor];
  const context = new OffscreenCanvas(width, height).getContext("2d");
  context.imageSmoothingQuality = "high";
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.drawImage(picture, left, top, across, down, (width - wide) / 2, (height - tall) / 2, wide, tall);
  const { data } = context.getImageData(0, 0, width, height);
  const fractions = new Float32Array(size);
  for (let at = 0; at < plane; at++) {
    const [red, green, blue] = data.subarray(4 * at, 4 * at + 3);
    if (coloured) [red, green, blue].forEach((value, channel) => (fractions[channel * plane + at] = value / 255));
    else fractions[at] = (0.299 * red + 0.587 * green + 0.114 * blue) / 255; // Rec. 601, as Pillow does
  }
  return [raw(fractions)];
}

/** Left, top, width and height of what is taken of a picture: all, or of one of another size a square of side `crop`. */
export function middle(picture, crop) {
  if (!crop || (picture.width === width && picture.height === height)) return [0, 0, picture.width, picture.height];
  const [left, top] = [picture.width, picture.height].map((side) => Math.floor((side - crop) / 2));
  if (Math.min(left, top) < 0)
    throw new Error(`is ${picture.width} × ${picture.height} pixels, too small for the ${crop} × ${crop} that are cut out of its middle`);
  return [left, top, crop, crop];
}
