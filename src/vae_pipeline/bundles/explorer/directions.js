// Directions of the latent space that mean something: sliders move the point along them, in differences of means.

import { $, make, typeset } from "dom.js";
import { follow, move, point } from "latents.js";
import { bundle, latents } from "model.js";

const REACH = 3; // differences of means
const found = bundle.directions?.found ?? [];
const vectors = new Float32Array(Uint8Array.from(atob(bundle.moves.vectors), (letter) => letter.charCodeAt(0)).buffer);

export function openDirections() {
  let from = point.z; // where the point is without them
  let moving = false;
  const rows = found.map(({ name, auroc, auroc_standard_error, shown, others }, index) => {
    const slider = make("input", { type: "range", min: -REACH, max: REACH, step: "any", value: 0 });
    const amount = make("output", { textContent: typeset(0) });
    const judged = auroc === null ? "no validation example judges it" : `AUROC ${auroc.toFixed(2)} ± ${auroc_standard_error.toFixed(2)}`;
    const title = `${judged}; ${shown} training examples show it, ${others} don't`;
    const mark = bundle.moves.chance[index] ? [make("span", { className: "chance", textContent: " †" })] : [];
    const label = make("span", { className: "name" }, name, ...mark);
    slider.oninput = go;
    $("towards").append(make("label", { title }, label, slider, amount));
    return [slider, amount];
  });

  function go() {
    const amounts = rows.map(([slider]) => Number(slider.value));
    const along = (sum, amount, row, index) => sum + amount * vectors[row * latents + index];
    moving = true;
    move(from.map((value, index) => amounts.reduce((sum, amount, row) => along(sum, amount, row, index), value)));
    moving = false;
    tell();
  }

  const tell = () => rows.forEach(([slider, amount]) => (amount.textContent = typeset(Number(slider.value))));

  follow(() => {
    if (moving) return;
    from = point.z;
    for (const [slider] of rows) slider.value = 0;
    tell();
  });
  $("directions").hidden = !found.length;
  $("chance").hidden = !bundle.moves.chance.includes(true);
}
