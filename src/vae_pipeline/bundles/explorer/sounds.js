// All that depends on the data being sound: showing, hearing, reading. Raw values are [channels, samples] in [-1, 1].

import { bundle, size } from "model.js";
import { colour, COLOURS, spectrum } from "spectrogram.js";

const { rate_hz: rate, length, channels, longer } = bundle.spec;

export const aspect = [192, 144];
export const [backdrop, coarse, readable] = ["#0d0823", false, true];
/** Fewer than of pictures, one at a time: sound takes longer to decode, and what the visitor moves has its turn between. */
export const tiles = { side: 7, atOnce: 1 };

const [WIDE, TALL] = aspect;
const WAVE = 36; // rows of the waveform, above the spectrogram

/** An output of the model as an input to it. */
export const asInput = (x) => x.map((value) => Math.min(1, Math.max(-1, value)));

/** The mean of a recording's channels. */
const mono = (x) => Float32Array.from({ length }, (_, at) => {
  let sum = 0;
  for (let channel = 0; channel < channels; channel++) sum += x[channel * length + at];
  return sum / channels;
});

/** Show a recording: its waveform, and below it the spectrogram, low frequencies at the bottom. */
export function paint(canvas, x) {
  const pixels = new ImageData(WIDE, TALL), wave = mono(x);
  const put = (column, row, colour) => pixels.data.set([...colour, 255], 4 * (row * WIDE + column));
  for (let column = 0; column < WIDE; column++) {
    const [from, to] = [column, column + 1].map((edge) => Math.floor((edge * length) / WIDE));
    const part = wave.subarray(from, Math.max(from + 1, to));
    const [high, low] = [Math.max(...part), Math.min(...part)].map((value) => ((1 - Math.max(-1, Math.min(1, value))) / 2) * (WAVE - 1));
    for (let row = 0; row < WAVE; row++) put(column, row, row >= Math.round(high) && row <= Math.round(low) ? COLOURS[3] : COLOURS[0]);
    const levels = spectrum(wave, Math.floor(((column + 0.5) * length) / WIDE), rate);
    for (let row = WAVE; row < TALL; row++) put(column, row, colour(levels[Math.floor(((TALL - 1 - row) / (TALL - WAVE)) * levels.length)]));
  }
  [canvas.width, canvas.height] = aspect;
  canvas.getContext("2d").putImageData(pixels, 0, 0);
}

/** A recording's file as observations, at the model's rate and channels: its beginning, or all of it in windows. Throws
 * for what is no recording, or has another number of channels that isn't mixed. */
export async function read(file) {
  const content = await file.arrayBuffer();
  const decoder = new OfflineAudioContext(channels, length, rate);
  const found = await decoder.decodeAudioData(content).catch(() => {
    throw new Error("isn't a recording that this browser reads: give a WAV, FLAC or Ogg file");
  });
  if (channels !== 1 && found.numberOfChannels !== channels)
    throw new Error(`has ${found.numberOfChannels} channels, and the model takes ${channels}: give one that has as many`);
  const given = Array.from({ length: found.numberOfChannels }, (_, channel) => found.getChannelData(channel));
  const count = longer === "crop" ? 1 : Math.max(1, Math.ceil(found.length / length));
  return Array.from({ length: count }, (_, window) => {
    const x = new Float32Array(size), from = window * length;
    given.forEach((all, channel) => all.subarray(from, from + length).forEach((value, at) => {
      x[(channels === 1 ? 0 : channel * length) + at] += channels === 1 ? value / given.length : value;
    }));
    return asInput(x);
  });
}

let speaker, playing;

/** Play a recording in place of the one that plays. */
export function play(x) {
  speaker ??= new AudioContext();
  speaker.resume();
  playing?.stop();
  const buffer = speaker.createBuffer(channels, length, rate);
  for (let channel = 0; channel < channels; channel++) buffer.copyToChannel(x.slice(channel * length, (channel + 1) * length), channel);
  playing = new AudioBufferSourceNode(speaker, { buffer });
  playing.connect(speaker.destination);
  playing.start();
}

let region, timer;
for (const kind of ["pointerdown", "keydown"])
  addEventListener(kind, ({ target }) => (region = target.closest?.("#stage, section")?.id), true);
const REST_MS = 150;

/** Play what has come to be shown, if the visitor pressed last in one of these parts of the page; once it rests. */
export function hear(x, ...parts) {
  if (!parts.includes(region)) return;
  clearTimeout(timer);
  timer = setTimeout(play, REST_MS, x.slice());
}
