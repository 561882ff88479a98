// The bundle: its graphs, run by ONNX Runtime on one thread. Raw values in, raw values out; rows lie side by side.

import * as ort from "onnxruntime-web.js";
import { bytes } from "files.js";

export const bundle = JSON.parse(document.getElementById("bundle").textContent);
export const latents = bundle.latents;
const { dtype, shape: [, ...shape] } = bundle.graphs.encoder.inputs.x;
/** Raw values are of this type, and so many in one observation. */
export const Values = dtype === "uint8" ? Uint8Array : Float32Array;
export const size = shape.reduce((product, side) => product * side, 1);
/** Names of the labels that the model is conditional on; empty if it isn't. */
export const classes = bundle.conditional ? bundle.spec.classes : [];
/** How many numbers a sample takes. */
export const width = bundle.graphs.sample.inputs.noise.shape[1];

/** What lies inside the page: real test rows. */
export const examples = (() => {
  const packed = Uint8Array.from(atob(bundle.examples.x), (letter) => letter.charCodeAt(0));
  const all = new Values(packed.buffer);
  return Array.from({ length: all.length / size }, (_, row) => all.subarray(row * size, (row + 1) * size));
})();

ort.env.wasm.numThreads = 1;
ort.env.logLevel = "error";

const wasm = bytes("ort-wasm-simd-threaded.wasm");
const names = ["encoder", "decoder", "score", "sample", "detect"].filter((name) => name in bundle.graphs);
const graphs = Object.fromEntries(names.map((name) => [name, open(bytes(`${name}.onnx`))]));
let running = Promise.resolve(); // one run at a time

async function open(graph) {
  ort.env.wasm.wasmBinary = await wasm;
  return ort.InferenceSession.create(await graph, { executionProviders: ["wasm"] });
}

/** E[x|z] of each row of latents. */
export const decode = async (z, label) => (await run("decoder", { z }, z.length / latents, label)).x_mean;

/** q(z|x): mean and log_variance of each of `count` rows. */
export const encode = (x, count, label) => run("encoder", { x }, count, label);

/** E[x|z] at a draw of the sampler for each row of noise. */
export const sample = async (noise, label) => (await run("sample", { noise }, noise.length / width, label)).x_mean;

/** negative_elbo, distortion and rate of one observation, in nats, averaged over the rows of noise. */
export async function score(x, noise, label) {
  const count = noise.length / latents;
  const repeated = new x.constructor(x.length * count);
  for (let row = 0; row < count; row++) repeated.set(x, row * x.length);
  const answers = await run("score", { x: repeated, noise }, count, label);
  const mean = (values) => values.reduce((sum, value) => sum + value / count, 0);
  return Object.fromEntries(Object.entries(answers).map(([name, values]) => [name, mean(values)]));
}

/** score, p_value and contributions of one observation, as the detector finds them. */
export const detect = (x, label) => run("detect", { x }, 1, label);

async function run(name, inputs, count, label) {
  const feeds = {};
  for (const [key, values] of Object.entries(inputs)) {
    const { dtype, shape } = bundle.graphs[name].inputs[key];
    feeds[key] = new ort.Tensor(dtype, values, [count, ...shape.slice(1)]);
  }
  if (classes.length) feeds.label = new ort.Tensor("int64", new BigInt64Array(count).fill(BigInt(label)), [count]);
  const graph = await graphs[name];
  const outputs = await (running = running.catch(() => {}).then(() => graph.run(feeds)));
  return Object.fromEntries(Object.entries(outputs).map(([key, tensor]) => [key, tensor.data]));
}
