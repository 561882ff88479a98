// The latent plane: two latents across and up, the point to drag, and behind it what the decoder draws at each place.

import { NAMES } from "dom.js";
import { between, follow, move, point } from "latents.js";
import { decode, latents, size } from "model.js";
import { aspect, backdrop, paint, tiles } from "observations.js";

const REACH = 3; // N(0, 1) is within it 997 times of 1000
const SIDE = tiles.side; // tiles a row; odd, so that one is at the middle
const LONGEST = Math.max(...aspect);
const INSIDE = LONGEST > 64 ? 64 : LONGEST * Math.max(1, Math.round(32 / LONGEST)); // pixels of a tile's longer side
const TILE = Math.round(1.15 * INSIDE); // with the gap around it

const element = document.getElementById("plane");
const canvas = element.querySelector("canvas");
const context = canvas.getContext("2d");
const tile = document.createElement("canvas");
const [path, posterior] = ["path", "posterior"].map((name) => element.querySelector(`.${name}`));
const selects = ["across", "up"].map((name) => document.getElementById(name));

/** The latents that run across and up. */
export let axes = [0, Math.min(1, latents - 1)];
const shown = {};

/** Begin with two latents across and up, and offer some. */
export function openPlane(chosen, offered) {
  canvas.width = canvas.height = SIDE * TILE;
  canvas.style.background = backdrop;
  context.imageSmoothingEnabled = INSIDE < LONGEST; // else by a whole factor
  selects.forEach((select, side) => {
    select.append(...offered.map((index) => new Option(NAMES[index], index)));
    select.disabled = latents < 3; // there is nothing to choose
    select.onchange = () => setAxes(selects.map((other) => Number(other.value)), side);
  });
  element.onpointerdown = (event) => {
    if (event.button !== 0) return;
    element.setPointerCapture(event.pointerId);
    moveTo(event);
  };
  element.onpointermove = (event) => element.hasPointerCapture(event.pointerId) && moveTo(event);
  element.onkeydown = onKey;
  follow(drawMarks);
  follow(drawTiles);
  setAxes(chosen);
}

/** Show where an input lies (mean and scale of its posterior), and the way of a morph through its stops. */
export function show(marks) {
  if (marks.stops && marks.stops !== shown.stops) drawPath(marks.stops);
  Object.assign(shown, marks);
  drawMarks();
}

function setAxes(chosen, changed = 0) {
  if (latents > 1 && chosen[0] === chosen[1]) chosen[1 - changed] = axes[changed]; // they change places
  axes = chosen;
  selects.forEach((select, side) => (select.value = axes[side]));
  if (shown.stops) drawPath(shown.stops);
  drawMarks();
  drawTiles();
}

function moveTo(event) {
  const box = element.getBoundingClientRect();
  const clip = (fraction) => REACH * (2 * Math.min(1, Math.max(0, fraction)) - 1);
  const place = [clip((event.clientX - box.left) / box.width), clip((box.bottom - event.clientY) / box.height)];
  move(onAxes(place));
}

/** Coordinates on the axes by latent; a model of one latent has no way up. */
const onAxes = ([across, up]) => (latents > 1 ? { [axes[0]]: across, [axes[1]]: up } : { 0: across });

function onKey(event) {
  const step = event.shiftKey ? 0.5 : 0.1;
  const steps = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowDown: [0, -step], ArrowUp: [0, step] };
  const [across, up] = steps[event.key] ?? [];
  if (event.key === "Home") move(new Float32Array(latents));
  else if (across !== undefined) move(onAxes([point.z[axes[0]] + across, point.z[axes[1] ?? 0] + up]));
  else return;
  event.preventDefault();
}

const place = (z) => [z[axes[0]], latents > 1 ? -z[axes[1]] : 0];
const set = (mark, values) => Object.entries(values).forEach(([name, value]) => mark.setAttribute(name, value));

function drawPath(stops) {
  const way = (end, index) => Array.from({ length: 33 }, (_, step) => place(between(stops[index], end, step / 32)).join());
  set(path, { points: stops.slice(1).flatMap(way).join(" ") });
}

function drawMarks() {
  const within = (z) => place(z).map((value) => Math.min(REACH, Math.max(-REACH, value)));
  const [cx, cy] = within(point.z);
  element.querySelectorAll(".mark").forEach((mark) => set(mark, { cx, cy }));
  if (shown.mean) {
    const [x, y] = place(shown.mean), [rx, ry] = axes.map((axis) => shown.scale[axis]);
    set(posterior, { cx: x, cy: y, rx, ry: latents > 1 ? ry : rx });
  }
}

let drawing = 0, timer, pause = 0, last;

/** Draw the tiles anew where they would change; a slow decoder waits until the point rests. */
function drawTiles() {
  const z = point.z.slice();
  for (const axis of axes) z[axis] = 0;
  const key = [...z, ...axes, point.label].join();
  if (key === last) return;
  last = key;
  clearTimeout(timer);
  timer = setTimeout(() => drawRows(z), pause);
}

async function drawRows(z) {
  const mine = ++drawing;
  const [wide, tall] = aspect.map((side) => (INSIDE * side) / LONGEST);
  const started = performance.now();
  for (let first = 0; first < SIDE * SIDE; first += tiles.atOnce) {
    const places = Array.from({ length: tiles.atOnce }, (_, at) => [(first + at) % SIDE, Math.floor((first + at) / SIDE)]);
    const points = new Float32Array(tiles.atOnce * latents);
    places.forEach(([column, row], at) => {
      const [across, up] = [column, SIDE - 1 - row].map((step) => REACH * ((2 * step + 1) / SIDE - 1));
      points.set(Object.assign(z.slice(), onAxes([across, up])), at * latents);
    });
    const x = await decode(points, point.label);
    if (mine !== drawing) return;
    pause = (10 * SIDE * (performance.now() - started)) / (first + tiles.atOnce);
    places.forEach(([column, row], at) => {
      paint(tile, x.subarray(at * size, (at + 1) * size));
      context.clearRect(column * TILE, row * TILE, TILE, TILE);
      context.drawImage(tile, column * TILE + (TILE - wide) / 2, row * TILE + (TILE - tall) / 2, wide, tall);
    });
  }
}
