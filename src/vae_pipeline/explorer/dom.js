// Small helps: elements by id, numbers as they are printed, a row of pictures to choose from.

import { paint } from "images.js";
import { latents } from "model.js";

export const $ = (id) => document.getElementById(id);

/** z₀, z₁, ... */
export const NAMES = Array.from({ length: latents }, (_, index) => {
  return "z" + String(index).replace(/\d/g, (digit) => "₀₁₂₃₄₅₆₇₈₉"[digit]);
});

export const typeset = (value) => (Number.isFinite(value) ? value.toFixed(2).replace("-", "−") : "–");

/** An element with properties and what is in it. */
export function make(tag, properties, ...inside) {
  const element = Object.assign(document.createElement(tag), properties);
  element.append(...inside);
  return element;
}

/** A button that shows an observation. */
export function thumb(x, name, act) {
  const canvas = make("canvas");
  paint(canvas, x);
  return make("button", { type: "button", title: name, ariaLabel: name, onclick: act }, canvas);
}
