// The editor of sound: a button beside each recording that plays it; what the visitor moves is heard as it is shown.

import { $, make } from "dom.js";
import { bundle } from "model.js";
import { hear, paint, play } from "sounds.js";
import { colour } from "spectrogram.js";

const shown = {};

function show(id, x) {
  shown[id] = x;
  paint($(id), x);
}

export function showOutput(x) {
  show("output", x);
  hear(x, "stage");
}

export function showInput(x) {
  show("input", x);
  hear(x, "encode", "sample");
}

export const showReconstruction = (x) => show("reconstruction", x);

export function showBetween(x) {
  show("between", x);
  hear(x, "morph");
}

/** Show where the model finds a recording unlikely: in its spectrogram, or along its samples. */
export function showContributions(_, nats) {
  const [tall, wide] = bundle.graphs.detect.outputs.contributions.shape.slice(-2);
  const plane = tall * wide, heat = Float32Array.from({ length: plane }, (_, at) => Math.max(0, nats[at]));
  for (let at = plane; at < nats.length; at++) heat[at % plane] += Math.max(0, nats[at]);
  const most = Math.max(1e-6, ...heat), canvas = $("contributions"), pixels = new ImageData(wide, tall);
  heat.forEach((nat, at) => {
    const row = tall - 1 - Math.floor(at / wide); // low frequencies at the bottom
    pixels.data.set([...colour(nat / most), 255], 4 * (row * wide + (at % wide)));
  });
  [canvas.width, canvas.height] = [wide, tall];
  canvas.getContext("2d").putImageData(pixels, 0, 0);
}

export function openEditor() {
  for (const id of ["output", "input", "reconstruction", "between"]) {
    const label = $(id).ariaLabel.replace(/^The/, "the");
    $(id).after(make("button", { id: `hear-${id}`, type: "button", textContent: "Hear it", ariaLabel: `Hear ${label}`, onclick: () => play(shown[id]) }));
  }
}
