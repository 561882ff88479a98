// The editor of pictures: drawing with mouse or finger, a blank page, the colours turned round.

import { $ } from "dom.js";
import { blank, coloured, contrast, readable, invert, paint, paintHeat, stroke } from "images.js";

export const showOutput = (x) => paint($("output"), x);
export const showInput = (x) => paint($("input"), x);
export const showReconstruction = (x) => paint($("reconstruction"), x);
export const showBetween = (x) => paint($("between"), x);
export const showContributions = (x, nats) => paintHeat($("contributions"), x, nats);

/** `given` is what was given last, `give` takes another. */
export function openEditor(given, give) {
  $("invert").onclick = () => give(invert(given()));
  $("clear").onclick = () => give(blank());
  $("invert").hidden = false;
  $("clear").hidden = !readable;
  $("ink").hidden = !coloured;
  document.querySelectorAll(".edit, .files").forEach((element) => (element.hidden = !readable));
  if (readable) openPad($("input"), given, give);
}

function openPad(pad, given, give) {
  const ink = $("ink").lastElementChild;
  let from;
  const draw = (event) => {
    const to = [event.offsetX / pad.clientWidth, event.offsetY / pad.clientHeight];
    give(stroke(given(), from ?? to, to, ink.value));
    from = to;
  };
  ink.value = contrast;
  pad.classList.add("pad");
  pad.onpointerdown = (event) => {
    if (event.button !== 0) return;
    pad.setPointerCapture(event.pointerId);
    from = undefined;
    draw(event);
  };
  pad.onpointermove = (event) => pad.hasPointerCapture(event.pointerId) && draw(event);
}
