// The denoiser: chunks of sound in, clean chunks out, later by the latency; run by ONNX Runtime on one thread.

import * as ort from "onnxruntime-web.js";
import { bytes } from "files.js";

export const bundle = JSON.parse(document.getElementById("bundle").textContent);
export const { rate_hz: rate, channels } = bundle.spec;
/** Samples: a chunk is a multiple of `hop`, and an answer comes so many later. */
export const { hop, latency, context } = bundle.denoising.stream;

ort.env.wasm.numThreads = 1;
ort.env.logLevel = "error";

export async function open() {
  [ort.env.wasm.wasmBinary] = [await bytes("ort-wasm-simd-threaded.wasm")];
  return ort.InferenceSession.create(await bytes("denoise_stream.onnx"), { executionProviders: ["wasm"] });
}

/** One recording, piece by piece. Sound is an array of its channels' samples. */
export class Stream {
  state = new Float32Array(channels * context); // silence
  computed_s = 0;

  constructor(session) {
    this.session = session;
  }

  async next(chunk) {
    const length = chunk[0].length, joined = new Float32Array(channels * length);
    chunk.forEach((samples, channel) => joined.set(samples, channel * length));
    const began = performance.now();
    const { clean, next_state } = await this.session.run({
      chunk: new ort.Tensor("float32", joined, [1, channels, length]),
      state: new ort.Tensor("float32", this.state, [1, channels, context]),
    });
    this.computed_s += (performance.now() - began) / 1000;
    this.state = next_state.data;
    return chunk.map((_, channel) => clean.data.subarray(channel * length, (channel + 1) * length));
  }
}

/** A whole recording without its noise, as long as it was; `tell` hears what share is done. */
export async function denoise(session, noisy, tell) {
  const length = noisy[0].length, stream = new Stream(session), step = hop * Math.max(1, Math.round((0.5 * rate) / hop));
  const all = noisy.map(() => new Float32Array(length + latency + step));
  const given = noisy.map((samples, channel) => { all[channel].set(samples); return all[channel]; });
  const clean = noisy.map(() => new Float32Array(length));
  for (let from = 0; from < length + latency; from += step) {
    const found = await stream.next(given.map((samples) => samples.subarray(from, from + step)));
    found.forEach((samples, channel) => {
      const skipped = Math.max(0, latency - from), at = from - latency + skipped;
      clean[channel].set(samples.subarray(skipped, Math.max(skipped, Math.min(step, length - from + latency))), Math.min(length, at));
    });
    tell(Math.min(1, (from + step) / (length + latency)));
    await new Promise((go) => setTimeout(go)); // the page has its turn
  }
  return { clean, computed_s: stream.computed_s };
}
