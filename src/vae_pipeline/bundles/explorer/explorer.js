// The page opens: labels and sliders here, the rest in other modules. All of it moves one latent point, or shows it.

import { $, make, NAMES, typeset } from "dom.js";
import { openDirections } from "directions.js";
import { openInput } from "input.js";
import { follow, latest, move, point } from "latents.js";
import { bundle, classes, decode, encode, examples, latents } from "model.js";
import { openMorph } from "morph.js";
import { aspect, coarse, showOutput } from "observations.js";
import { openPlane } from "plane.js";
import { openSamples } from "samples.js";

const OFFERED = 64; // latents to choose from
const STOPS = 3; // examples that the morph begins with

window.onunhandledrejection = ({ reason }) => {
  $("problem").textContent = `The model can't be run: ${reason.message ?? reason}`;
};

document.documentElement.style.setProperty("--aspect", aspect.join(" / "));
document.body.classList.toggle("coarse", coarse);
const seen = await encodeExamples();
openLabels();
const lively = liveliest(seen);
const offered = lively.slice(0, OFFERED).sort((a, b) => a - b);
openSliders();
openDirections();
follow(latest(async () => showOutput(await decode(point.z, point.label))));
openPlane([lively[0], lively[1] ?? lively[0]].sort((a, b) => a - b), offered);
await Promise.all([openInput(), openMorph(seen.slice(0, STOPS).map(({ mean }) => mean)), openSamples()]);
$("opening").hidden = true;
$("explorer").hidden = false;

async function encodeExamples() {
  const found = [];
  for (const [row, x] of examples.entries()) found.push(await encode(x, 1, bundle.examples.labels[row] ?? 0));
  return found;
}

/** The latents by falling rate over the examples: KL(N(m, s²) ‖ N(0, 1)) = (m² + s² − log s² − 1) / 2. */
function liveliest(encodings) {
  const rates = new Float32Array(latents);
  for (const { mean, log_variance } of encodings)
    log_variance.forEach((log, index) => (rates[index] += (mean[index] ** 2 + Math.exp(log) - log - 1) / 2));
  return [...rates.keys()].sort((a, b) => rates[b] - rates[a]);
}

function openLabels() {
  const radios = classes.map((_, index) => {
    return make("input", { type: "radio", name: "label", onchange: () => move(point.z, index) });
  });
  const spans = classes.map((name) => make("span", { textContent: name }));
  $("labels").append(...radios.map((radio, index) => make("label", {}, radio, spans[index])));
  $("labels").hidden = !classes.length;
  follow(() => classes.length && (radios[point.label].checked = true));
}

function openSliders() {
  const rows = offered.map((index) => {
    const slider = make("input", { type: "range", min: -3, max: 3, step: "any" });
    const value = make("output");
    slider.oninput = () => move({ [index]: Number(slider.value) });
    $("sliders").append(make("label", {}, make("i", { textContent: NAMES[index] }), slider, value));
    return [slider, value, index];
  });
  $("offered").textContent = `The ${OFFERED} of ${latents.toLocaleString("en")} latents that tell most of the examples.`;
  $("offered").hidden = latents <= OFFERED;
  follow(() => rows.forEach(([slider, value, index]) => {
    slider.value = point.z[index];
    value.textContent = typeset(point.z[index]);
  }));
}
