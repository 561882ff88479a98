// The editor of rows: a field for each column, and beside it what the model makes of it.

import { $, make, typeset } from "dom.js";
import { columns, paint, valueOf, written } from "tables.js";

const SHOWN = 5; // columns that add most to a score
const named = (column) => make("span", { className: "name", textContent: column.name });
const outputs = columns.map(() => make("output"));
const reconstructed = columns.map(() => make("output"));
const fields = columns.map((column) => {
  const choices = { boolean: ["false", "true"], category: [...column.values, "another"] }[column.kind];
  if (!choices) return make("input", column.kind === "date" ? { type: "date" } : { type: "number", step: "any" });
  const options = column.missing ? ["", ...choices] : choices;
  return make("select", {}, ...options.map((text) => new Option(text || "–", text)));
});

$("values").append(...columns.map((column, at) => make("div", {}, named(column), outputs[at])));
$("fields").append(...columns.map((column, at) => make("label", {}, named(column), fields[at], reconstructed[at])));

let input;

const write = (cells, x) => cells.forEach((cell, at) => (cell.textContent = written(columns[at], x[at]).replace("-", "−")));

export function showOutput(x) {
  paint($("output"), x);
  write(outputs, x);
}

export function showInput(x) {
  input = x;
  paint($("input"), x);
  fields.forEach((field, at) => (field.value = written(columns[at], x[at])));
}

export const showBetween = (x) => paint($("between"), x);

/** In front of what was given. */
export function showReconstruction(x) {
  paint($("reconstruction"), input, x);
  write(reconstructed, x);
}

/** The columns that make the row unlikely, most first, with the nats that each adds to what is usual of it. */
export function showContributions(x, nats) {
  const order = [...nats.keys()].sort((a, b) => nats[b] - nats[a]).slice(0, SHOWN);
  $("contributions").replaceChildren(...order.map((at) => make("li", {}, named(columns[at]), make("output", { textContent: typeset(nats[at]) }))));
}

/** `given` is what was given last, `give` takes another; a value that can't be leaves the field as it was. */
export function openEditor(given, give) {
  fields.forEach((field, at) => (field.onchange = () => {
    try {
      const value = valueOf(columns[at], field.value);
      give(given().with(at, value));
      $("problem").textContent = "";
    } catch (error) {
      $("problem").textContent = `The row ${error.message}.`;
      showInput(given());
    }
  }));
}
