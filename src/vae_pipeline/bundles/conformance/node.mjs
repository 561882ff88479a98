// node node.mjs PACKAGE FOLDER: answers an exchange's folder; the packages lie in NODE_PATH.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";

import { answerAll } from "./answer.mjs";

const [name, folder] = process.argv.slice(2);
const ort = createRequire(import.meta.url)(name);
const provider = name === "onnxruntime-web" ? "wasm" : "cpu";
ort.env.wasm.numThreads = 1;

const exchange = JSON.parse(await readFile(join(folder, "tasks.json"), "utf8"));
await mkdir(join(folder, "answers"), { recursive: true });
await answerAll(
  ort,
  { executionProviders: [provider], intraOpNumThreads: 1 },
  exchange,
  (file) => readFile(join(exchange.bundle, file)),
  (graph, found) => writeFile(join(folder, "answers", `${graph}.json`), JSON.stringify(found)),
);
