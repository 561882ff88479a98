// Score the first row of an .npy of uint8 by a server of the Open Inference Protocol (v2), averaged over 16 draws
// of the noise. Needs Node.js 18 or later.
//
// node examples/client.mjs http://127.0.0.1:8080 digits data/prepared/digits/test.npy
import { readFile } from "node:fs/promises";

const DRAWS = 16;
const [server, recipe, path] = process.argv.slice(2);
const model = `${server}/v2/models/${recipe}_score`;

// An .npy is ten bytes, the last two of which are the header's length, then the header, then the values.
const file = await readFile(path);
const start = 10 + file.readUInt16LE(8);
const found = file.toString("latin1", 10, start).match(/'\|u1'.*'shape': \(\d+, ([\d, ]*)\)/);
if (!found) throw new Error(`${path}: an .npy of uint8 is wanted`);
const event = found[1].split(",").filter((side) => side.trim()).map(Number);
const row = [...file.subarray(start, start + event.reduce((a, b) => a * b))];

const { inputs } = await ask(model);
const latents = inputs.find(({ name }) => name === "noise").shape[1];
const noise = Array.from({ length: DRAWS * latents }, normal);
const { outputs } = await ask(`${model}/infer`, {
  inputs: [
    { name: "x", datatype: "UINT8", shape: [DRAWS, ...event], data: Array(DRAWS).fill(row).flat() },
    { name: "noise", datatype: "FP32", shape: [DRAWS, latents], data: noise },
  ],
});
for (const { name, data } of outputs) {
  console.log(`${name} ${(data.reduce((a, b) => a + b) / DRAWS).toFixed(4)} nats`);
}

async function ask(address, content) {
  const body = content && JSON.stringify(content);
  const answer = await fetch(address, { method: body ? "POST" : "GET", headers: { "Content-Type": "application/json" }, body });
  if (!answer.ok) throw new Error(`${answer.status}: ${await answer.text()}`);
  return answer.json();
}

// Source: Box and Muller, A Note on the Generation of Random Normal Deviates, 1958.
function normal() {
  return Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
}
