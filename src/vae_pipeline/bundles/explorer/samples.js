// New observations: noise from a seed, through the bundle's sampler.

import { $ } from "dom.js";
import { setInput } from "input.js";
import { followLabel, latest, normals, point } from "latents.js";
import { sample, size, width } from "model.js";
import { asInput, thumb } from "observations.js";

const COUNT = 12;

export function openSamples() {
  const draw = latest(async () => {
    const x = await sample(normals(COUNT * width, Number($("seed").value)), point.label);
    const rows = Array.from({ length: COUNT }, (_, row) => x.slice(row * size, (row + 1) * size));
    const thumbs = rows.map((drawn, row) => thumb(drawn, `Sample ${row + 1}`, () => setInput(asInput(drawn))));
    $("samples").replaceChildren(...thumbs);
  });
  $("more").onclick = () => {
    $("seed").value = (Number($("seed").value) + 1) % 2 ** 32;
    draw();
  };
  $("seed").oninput = draw;
  followLabel(draw);
  return draw();
}
