// An observation as input: an example, an edited one, a file. It is encoded, reconstructed and scored, and the point goes to it.

import { detects, openDetection, showDetection } from "detection.js";
import { $, NAMES, typeset } from "dom.js";
import { followLabel, latest, move, normals, point } from "latents.js";
import { bundle, decode, encode, examples, latents, score } from "model.js";
import { openEditor, read, readable, showInput, showReconstruction, thumb } from "observations.js";
import { show } from "plane.js";

const DRAWS = 16; // of z, for a score
const OFFERED = 12; // observations of files to choose from

let input;
let arrived; // whether the point has gone to the input

/** Take an observation as input, of a class if it is known. */
export function setInput(x, label = point.label) {
  input = x;
  arrived = false;
  showInput(x);
  if (label === point.label) return encodeInput();
  return move(point.z, label); // and encodes, as below
}

const encodeInput = latest(async () => {
  const [x, label] = [input, point.label];
  const { mean, log_variance } = await encode(x, 1, label);
  const scale = log_variance.map((value) => Math.exp(value / 2));
  show({ mean, scale });
  if (!arrived) move(mean); // another label leaves the point where it is
  arrived = true;
  showReconstruction(await decode(mean, label));
  const scores = await score(x, normals(DRAWS * latents, 0), label);
  for (const [name, nats] of Object.entries(scores)) $(name).textContent = typeset(nats);
  if (detects) await showDetection(x, label);
  const shown = NAMES.slice(0, 16).map((name, index) => `${name} = ${typeset(mean[index])} ± ${typeset(scale[index])}`);
  $("position").textContent = shown.map((part) => part.replaceAll(" ", "\u00a0")).join(", ") + (latents > 16 ? ", …" : "");
});

export function openInput() {
  const { distortion, rate, elbo } = bundle.metrics;
  const average = { distortion, rate, negative_elbo: -elbo };
  for (const [name, nats] of Object.entries(average)) $(`mean-${name}`).textContent = typeset(nats);
  offer(examples, "Example", bundle.examples.labels);
  followLabel(encodeInput);
  openDetection();
  openEditor(() => input, setInput);
  if (readable) openFiles();
  return setInput(examples[0], bundle.examples.labels[0]);
}

/** Show observations to choose from. */
function offer(found, name, labels = []) {
  $("examples").replaceChildren(...found.map((x, row) => thumb(x, `${name} ${row + 1}`, () => setInput(x, labels[row]))));
}

function openFiles() {
  $("file").onchange = () => take($("file").files);
  document.ondragover = (event) => event.preventDefault();
  document.ondrop = (event) => {
    event.preventDefault();
    take(event.dataTransfer.files);
  };
  document.onpaste = (event) => take(event.clipboardData.files);
}

async function take(files) {
  const found = await readAll(files);
  if (found.length > 1) offer(found.slice(0, OFFERED), "Given");
  if (found.length) setInput(found[0]);
}

/** The observations of files; of a file that can't be used, the page says why. */
export async function readAll(files) {
  const found = [], problems = [];
  for (const file of files)
    await read(file).then((some) => found.push(...some), ({ message }) => problems.push(`${file.name} ${message}.`));
  if (files.length) $("problem").textContent = problems.join(" ");
  return found;
}
