// A morph through several latent points, there and back, at a pace that is even in z or in what is seen.

import { $, make } from "dom.js";
import { readAll } from "input.js";
import { between, followLabel, latest, move, point } from "latents.js";
import { bundle, decode, encode, latents, size } from "model.js";
import { readable, showBetween, thumb } from "observations.js";
import { show } from "plane.js";

const WAY_S = 2; // from a stop to the next
const FINE = 32; // steps of a way, by which its length is measured
const AT_ONCE = 8; // places decoded in one run, so that others get their turn
const MOST = 12; // observations taken from files at a time

/** The points that the morph goes through, two at least. */
let stops;
/** The length of what is seen up to each of `FINE` places a way; undefined where the pace is even in z. */
let lengths;

const ways = () => stops.length - 1;

/** The point at a place from 0, the first stop, to `ways()`, the last. */
function at(place) {
  const way = Math.min(Math.floor(place), ways() - 1);
  return between(stops[way], stops[way + 1], place - way);
}

/** The place at a share of the whole morph, and the share at a stop. */
function placeAt(share) {
  if (!lengths?.at(-1)) return share * ways();
  const wanted = share * lengths.at(-1);
  const after = Math.max(1, lengths.findIndex((length) => length >= wanted));
  const [from, to] = [lengths[after - 1], lengths[after]];
  return (after - 1 + (to > from ? (wanted - from) / (to - from) : 0)) / FINE;
}
const shareAt = (stop) => (lengths?.at(-1) ? lengths[stop * FINE] / lengths.at(-1) : stop / ways());

const here = () => at(placeAt(Number($("place").value)));
const paintBetween = latest(async () => showBetween(await decode(here(), point.label)));

/** Measure how much what is seen changes along the morph: Euclidean distances of decoded observations. */
const measure = latest(async () => {
  lengths = undefined;
  if (!$("even").checked) return paintBetween();
  const [mine, label, last] = [stops, point.label, FINE * ways()];
  const found = [];
  let before;
  for (let first = 0; first <= last; first += AT_ONCE) {
    const count = Math.min(AT_ONCE, last + 1 - first);
    const z = new Float32Array(count * latents);
    for (let row = 0; row < count; row++) z.set(at((first + row) / FINE), row * latents);
    const x = await decode(z, label);
    if (mine !== stops || label !== point.label) return; // and it is measured anew
    for (let row = 0; row < count; row++) {
      const seen = x.subarray(row * size, (row + 1) * size);
      const step = before ? Math.sqrt(seen.reduce((sum, value, index) => sum + (value - before[index]) ** 2, 0)) : 0;
      found.push((found.at(-1) ?? 0) + step);
      before = seen;
    }
  }
  lengths = found;
  return paintBetween();
});

/** Show each stop as it is decoded, with a button that takes it out. */
const paintStops = latest(async () => {
  const [mine, shown] = [stops, []];
  for (const [index, z] of mine.entries()) {
    const name = `Stop ${index + 1}`;
    const picture = thumb(await decode(z, point.label), name, () => go(shareAt(index)));
    const without = () => change(stops.toSpliced(index, 1));
    const remove = make("button", { type: "button", textContent: "×", title: `Take it out`, ariaLabel: `Take ${name} out`, onclick: without });
    remove.disabled = mine.length < 3;
    shown.push(make("span", {}, picture, remove));
  }
  $("stops").replaceChildren(...shown);
});

function go(share) {
  $("place").value = share;
  show({ stops });
  move(here());
  paintBetween();
}

/** Go through other points. */
function change(points) {
  stops = points;
  show({ stops });
  return Promise.all([paintStops(), measure()]);
}

async function add(files) {
  const [found, label] = [(await readAll(files)).slice(0, MOST), point.label];
  const added = [];
  for (const x of found) added.push((await encode(x, 1, label)).mean);
  if (added.length) await change([...stops, ...added]);
}

export function openMorph(points) {
  stops = points;
  $("add").onclick = () => change([...stops, point.z]);
  $("add-files").onchange = () => add($("add-files").files);
  $("only").onclick = () => change(stops.slice(-2));
  if (readable)
    $("morph").ondrop = (event) => {
      event.preventDefault();
      event.stopPropagation(); // elsewhere on the page it would be the input
      add(event.dataTransfer.files);
    };
  $("even").checked = bundle.spec.kind === "image"; // columns have units of their own, and waveforms phases
  $("even").parentElement.hidden = !$("even").checked;
  $("even").onchange = measure;
  $("place").oninput = () => go(Number($("place").value));
  $("play").onclick = play;
  followLabel(() => [paintStops(), measure()]);
  measure();
  return Promise.all([paintStops(), paintBetween()]);
}

let playing;

/** Go there and back until asked again. */
function play() {
  const length = () => WAY_S * 1000 * ways();
  playing = playing ? undefined : performance.now() - Number($("place").value) * length();
  $("play").textContent = playing ? "Pause" : "Play";
  const step = (now) => {
    if (!playing) return;
    const way = ((now - playing) / length()) % 2;
    go(Math.max(0, way < 1 ? way : 2 - way));
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}
