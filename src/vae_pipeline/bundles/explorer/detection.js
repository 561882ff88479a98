// What the detector says of the input: its p-value among normal examples, an alarm, and what makes the score high.

import { $, typeset } from "dom.js";
import { bundle, detect } from "model.js";
import { showContributions } from "observations.js";

export const detects = bundle.detection !== null;
let p;

export function openDetection() {
  $("detection").hidden = !detects;
  if (!detects) return;
  $("alpha").min = (1 / (bundle.detection.calibration.examples + 1)).toPrecision(2);
  $("alpha").oninput = decide;
}

/** Show what is found of an observation. */
export async function showDetection(x, label) {
  const { score, p_value, contributions } = await detect(x, label);
  p = p_value[0];
  $("score").textContent = typeset(score[0]);
  $("p_value").textContent = p.toPrecision(2);
  showContributions(x, contributions);
  decide();
}

function decide() {
  const alarm = p <= Math.fround(Number($("alpha").value)); // as `vae-pipeline score --alpha` alarms
  $("alarm").textContent = alarm ? "Alarm" : "No alarm";
  $("detection").classList.toggle("alarmed", alarm);
}
