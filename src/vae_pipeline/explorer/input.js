// A picture as input: an example, a drawing, a file. It is encoded, reconstructed and scored, and the point goes to it.

import { $, NAMES, thumb, typeset } from "dom.js";
import { blank, coloured, contrast, drawable, examples, invert, paint, readPicture, stroke } from "images.js";
import { followLabel, latest, move, normals, point } from "latents.js";
import { bundle, decode, encode, latents, score } from "model.js";
import { show } from "plane.js";

const DRAWS = 16; // of z, for a score

let input;
let arrived; // whether the point has gone to the input

/** Take an observation as input, of a class if it is known. */
export function setInput(x, label = point.label) {
  input = x;
  arrived = false;
  paint($("input"), x);
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
  paint($("reconstruction"), await decode(mean, label));
  const scores = await score(x, normals(DRAWS * latents, 0), label);
  for (const [name, nats] of Object.entries(scores)) $(name).textContent = typeset(nats);
  const shown = NAMES.slice(0, 16).map((name, index) => `${name} = ${typeset(mean[index])} ± ${typeset(scale[index])}`);
  $("position").textContent = shown.map((part) => part.replaceAll(" ", "\u00a0")).join(", ") + (latents > 16 ? ", …" : "");
});

export function openInput() {
  const { distortion, rate, elbo } = bundle.metrics;
  const average = { distortion, rate, negative_elbo: -elbo };
  for (const [name, nats] of Object.entries(average)) $(`mean-${name}`).textContent = typeset(nats);
  const choose = (row) => setInput(examples[row], bundle.examples.labels[row]);
  $("examples").append(...examples.map((x, row) => thumb(x, `Example ${row + 1}`, () => choose(row))));
  followLabel(encodeInput);
  $("invert").onclick = () => setInput(invert(input));
  $("clear").onclick = () => setInput(blank());
  document.querySelectorAll(".draw, .files").forEach((element) => (element.hidden = !drawable));
  $("ink").hidden = !coloured;
  if (drawable) {
    openPad($("input"));
    openFiles();
  }
  return choose(0);
}

function openPad(pad) {
  const ink = $("ink").lastElementChild;
  let from;
  const draw = (event) => {
    const to = [event.offsetX / pad.clientWidth, event.offsetY / pad.clientHeight];
    setInput(stroke(input, from ?? to, to, ink.value));
    from = to;
  };
  ink.value = contrast;
  pad.classList.add("pad");
  pad.onpointerdown = (event) => {
    if (event.button !== 0) return;
    pad.setPointerCapture(event.pointerId);
    from = undefined;
    draw(event);
  };
  pad.onpointermove = (event) => pad.hasPointerCapture(event.pointerId) && draw(event);
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

async function take([file]) {
  if (!file) return;
  try {
    await setInput(await readPicture(file));
    $("problem").textContent = "";
  } catch {
    $("problem").textContent = `${file.name} isn't a picture that this browser reads: give a PNG or JPEG.`;
  }
}
