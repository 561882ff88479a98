// The way from one latent point to another.

import { $ } from "dom.js";
import { between, followLabel, latest, move, point } from "latents.js";
import { decode } from "model.js";
import { paint } from "observations.js";
import { show } from "plane.js";

const LENGTH_S = 4; // there and back

export function openMorph(start, end) {
  const ends = { start, end };
  const at = () => between(ends.start, ends.end, Number($("place").value));
  const paintBetween = latest(async () => paint($("between"), await decode(at(), point.label)));
  const paintAll = latest(async () => {
    for (const [id, z] of Object.entries(ends)) paint($(id), await decode(z, point.label));
    await paintBetween();
  });
  const go = () => {
    show(ends);
    move(at());
    paintBetween();
  };
  for (const id of Object.keys(ends))
    $(`set-${id}`).onclick = () => {
      ends[id] = point.z;
      show(ends);
      paintAll();
    };
  $("place").oninput = go;
  $("play").onclick = () => play(go);
  followLabel(paintAll);
  return paintAll();
}

let playing;

/** Go there and back until asked again. */
function play(go) {
  playing = playing ? undefined : performance.now() - (Number($("place").value) * LENGTH_S * 1000) / 2;
  $("play").textContent = playing ? "Stop" : "Play";
  const step = (now) => {
    if (!playing) return;
    const way = (2 * ((now - playing) / 1000 / LENGTH_S)) % 2;
    $("place").value = way < 1 ? way : 2 - way;
    go();
    requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}
