// Sound as it is shown: spectra of frames of about 32 ms, as log magnitudes on [0, 1], and their colours.

const FLOOR_DB = -80;
export const COLOURS = [[13, 8, 35], [112, 28, 112], [226, 88, 62], [252, 214, 122]];

/** The colour of a level in [0, 1]. */
export function colour(level) {
  const place = Math.min(1, Math.max(0, level)) * (COLOURS.length - 1), below = Math.min(COLOURS.length - 2, Math.floor(place));
  return COLOURS[below].map((value, part) => Math.round(value + (place - below) * (COLOURS[below + 1][part] - value)));
}

/** The level of each frequency of a frame whose middle is at a sample; beyond the recording all is silent. */
export function spectrum(x, middle, rate) {
  const frame = 2 ** Math.max(5, Math.round(Math.log2(0.032 * rate)));
  const real = new Float32Array(frame), imaginary = new Float32Array(frame);
  for (let at = 0; at < frame; at++) {
    const window = (1 - Math.cos((2 * Math.PI * at) / frame)) / 2;
    real[at] = window * (x[middle - frame / 2 + at] ?? 0);
  }
  transform(real, imaginary);
  return Float32Array.from({ length: frame / 2 + 1 }, (_, bin) => {
    const decibels = 10 * Math.log10((real[bin] ** 2 + imaginary[bin] ** 2) / (frame / 4) ** 2 + 1e-20);
    return 1 - Math.max(FLOOR_DB, Math.min(0, decibels)) / FLOOR_DB;
  });
}

const turns = {}; // cosines and sines of a whole turn, by the number of their parts

/** Cooley and Tukey's transform of a power of two of numbers, in place. */
function transform(real, imaginary) {
  const count = real.length;
  const angles = () => Array.from({ length: count / 2 }, (_, at) => (-2 * Math.PI * at) / count);
  const [cosines, sines] = (turns[count] ??= [angles().map(Math.cos), angles().map(Math.sin)]);
  for (let at = 1, turned = 0; at < count; at++) {
    let bit = count >> 1;
    for (; turned & bit; bit >>= 1) turned ^= bit;
    turned ^= bit;
    if (at < turned) for (const part of [real, imaginary]) [part[at], part[turned]] = [part[turned], part[at]];
  }
  for (let span = 2; span <= count; span *= 2)
    for (let start = 0; start < count; start += span)
      for (let at = 0; at < span / 2; at++) {
        const turn = (at * count) / span, [cosine, sine] = [cosines[turn], sines[turn]];
        const [low, high] = [start + at, start + at + span / 2];
        const re = real[high] * cosine - imaginary[high] * sine, im = real[high] * sine + imaginary[high] * cosine;
        [real[high], imaginary[high]] = [real[low] - re, imaginary[low] - im];
        [real[low], imaginary[low]] = [real[low] + re, imaginary[low] + im];
      }
}
