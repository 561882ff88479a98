// Answers the tasks of an exchange (exchange.py) with onnxruntime's JavaScript API, in Node and in a browser alike.

const ARRAYS = {
  float32: Float32Array,
  uint8: Uint8Array,
  int32: Int32Array,
  int64: BigInt64Array,
};

function unpack(ort, { dtype, shape, values }) {
  const convert = dtype === "int64" ? BigInt : Number;
  return new ort.Tensor(dtype, ARRAYS[dtype].from(values, convert), shape);
}

// A number that isn't finite becomes null in JSON.
const pack = ({ type, dims, data }) => ({
  dtype: type,
  shape: [...dims],
  values: Array.from(data, Number),
});

async function medianMs(run) {
  const took = [];
  const began = performance.now();
  while (took.length < 300 && (took.length < 5 || performance.now() - began < 500)) {
    const before = performance.now();
    await run();
    took.push(performance.now() - before);
  }
  const sorted = took.sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

async function answer(ort, options, model, task) {
  try {
    const session = await ort.InferenceSession.create(model, options);
    const feeds = task.cases.map((tensors) =>
      Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [name, unpack(ort, tensor)])),
    );
    const outputs = [];
    for (const feed of feeds) {
      const found = await session.run(feed, task.outputs);
      outputs.push(Object.fromEntries(task.outputs.map((name) => [name, pack(found[name])])));
    }
    return { outputs, latency_ms: await medianMs(() => session.run(feeds[0], task.outputs)) };
  } catch (error) {
    return { error: String(error?.message ?? error) };
  }
}

// `read` gives a model's bytes by its file name; `write` takes the answer of a graph.
export async function answerAll(ort, options, { tasks }, read, write) {
  for (const task of tasks) {
    await write(task.graph, await answer(ort, options, await read(task.file), task));
  }
}
