// What an observation is: a picture, or a row of a table. For each there is a module that shows and reads, and an editor.

import { make } from "dom.js";
import { bundle } from "model.js";

const table = bundle.spec.kind === "table";

export const { aspect, asInput, backdrop, coarse, paint, read, readable } = await import(table ? "tables.js" : "images.js");
export const { openEditor, showContributions, showInput, showOutput, showReconstruction } = await import(table ? "fields.js" : "drawing.js");

/** A button that shows an observation. */
export function thumb(x, name, act) {
  const canvas = make("canvas");
  paint(canvas, x);
  return make("button", { type: "button", title: name, ariaLabel: name, onclick: act }, canvas);
}
