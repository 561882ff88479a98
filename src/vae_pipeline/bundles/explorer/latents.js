// Points of the latent space: where the visitor is, draws of N(0, I), paths.

import { latents } from "model.js";

/** The point that every part of the page moves and shows, and the label of a conditional model. */
export const point = { z: new Float32Array(latents), label: 0 };

const followers = [];

/** Call `act` whenever the point or its label changes. */
export const follow = (act) => followers.push(act);

/** Call `act` whenever the label changes. */
export function followLabel(act) {
  let last = point.label;
  follow(() => {
    if (point.label === last) return;
    last = point.label;
    act();
  });
}

/** Change coordinates: an array of all, or an object of some by their index. */
export function move(changes, label = point.label) {
  point.z = Object.assign(point.z.slice(), changes);
  point.label = label;
  for (const act of followers) act();
}

/** `act`, never twice at once: asked for meanwhile, it runs once more, for what holds by then. */
export function latest(act) {
  let running, again;
  const loop = async () => {
    try {
      do {
        again = false;
        await act();
      } while (again);
    } finally {
      running = undefined;
    }
  };
  return () => {
    again = true;
    return (running ??= loop());
  };
}

/** `count` draws of N(0, 1) that follow from the seed: mulberry32, then Box and Muller's transform. */
export function normals(count, seed) {
  let state = seed >>> 0;
  const uniform = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const normal = () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
  return Float32Array.from({ length: count }, normal);
}

/** The point at `place` in [0, 1] of runtime.py's spherical path: the direction turns evenly, the length linearly. */
export function between(start, end, place) {
  const [from, to] = [Math.hypot(...start), Math.hypot(...end)];
  const cosine = start.reduce((sum, value, index) => sum + value * end[index], 0) / (from * to);
  const angle = Math.acos(Math.min(1, Math.max(-1, cosine)));
  const mix = (first, last) => start.map((value, index) => first * value + last * end[index]);
  if (Math.min(from, to) < 1e-8 || Math.sin(angle) < 1e-4) return mix(1 - place, place);
  const length = ((1 - place) * from + place * to) / Math.sin(angle);
  return mix((length * Math.sin((1 - place) * angle)) / from, (length * Math.sin(place * angle)) / to);
}
