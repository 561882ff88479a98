// What an observation is: a picture, a row of a table or sound. For each there is a module that shows and reads, and an
// editor.

import { make } from "dom.js";
import { bundle } from "model.js";

const [shows, edits] = { image: ["images.js", "drawing.js"], table: ["tables.js", "fields.js"], audio: ["sounds.js", "players.js"] }[bundle.spec.kind];

export const { aspect, asInput, backdrop, coarse, paint, read, readable, tiles } = await import(shows);
export const { openEditor, showBetween, showContributions, showInput, showOutput, showReconstruction } = await import(edits);

/** A button that shows an observation. */
export function thumb(x, name, act) {
  const canvas = make("canvas");
  paint(canvas, x);
  return make("button", { type: "button", title: name, ariaLabel: name, onclick: act }, canvas);
}
