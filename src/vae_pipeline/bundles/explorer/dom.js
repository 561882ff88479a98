// Small helps: elements by id, numbers as they are printed.

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
