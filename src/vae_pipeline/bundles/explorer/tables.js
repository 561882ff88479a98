// All that depends on the data being rows of a table: showing and reading. Rows are [columns] as graphs take them: values
// less their columns' offsets, NaN where missing.

import { dateOf, formatOf, numberOf, ORDINARY, secondsOf, table } from "csv.js";
import { bundle, size } from "model.js";

export const columns = bundle.spec.columns;
export const aspect = [96, 72];
export const backdrop = "transparent";
export const [coarse, readable] = [false, true];
export const tiles = { side: 13, atOnce: 13 };

const REACH = 10; // scaled units from the middle to the edge
const DAY = 864e5; // milliseconds
const style = getComputedStyle(document.documentElement);

/** An output of the model as an input to it. */
export const asInput = (x) => x.map((value, at) => (columns[at].kind === "boolean" ? Math.round(value) : value));

/** How far a value lies above the middle, in [-1, 1]: logarithmic in scaled units but near 0, so that usual rows and
 * outliers are both seen; or by the order of a category's values. */
function height({ kind, knots, values }, value) {
  if (kind === "boolean") return value - 0.5;
  if (kind === "category") return value / values.length - 0.5;
  const after = knots.findIndex(([raw]) => value < raw);
  const [[raw, scaled], [nextRaw, nextScaled]] = after > 0 ? knots.slice(after - 1) : [knots.at(after), knots.at(after)];
  const within = after > 0 ? (value - raw) / (nextRaw - raw) : 0;
  return Math.min(1, Math.max(-1, Math.asinh(scaled + within * (nextScaled - scaled)) / Math.asinh(REACH)));
}

/** Show rows as curves over the columns, the last in front. */
export function paint(canvas, ...rows) {
  const large = canvas.classList.contains("picture");
  const [wide, tall] = aspect.map((side) => (large ? 8 : 1) * side);
  [canvas.width, canvas.height] = [wide, tall];
  const context = canvas.getContext("2d");
  const line = (colour, width, places, dot = 0) => {
    context.strokeStyle = context.fillStyle = style.getPropertyValue(colour);
    context.lineWidth = width;
    context.beginPath();
    let drawn = false;
    for (const [across, down] of places) {
      if (drawn) context.lineTo(across, down);
      else context.moveTo(across, down);
      drawn = !Number.isNaN(down);
      if (drawn && dot) context.fillRect(across - dot / 2, down - dot / 2, dot, dot);
    }
    context.stroke();
  };
  context.lineJoin = "round";
  line("--rule", large ? 2 : 1, [[0, tall / 2], [wide, tall / 2]]);
  for (const [row, x] of rows.entries()) {
    const places = columns.map((column, at) => [((at + 0.5) / size) * wide, (tall / 2) * (1 - 0.94 * height(column, x[at]))]);
    line(row === rows.length - 1 ? "--blue" : "--muted", large ? 4.5 : 1.6, places, large ? 12 : size < 3 && 4);
  }
}

/** A value as a person writes it; a boolean of the model is the probability of true. */
export function written({ kind, knots, values, offset = 0 }, centred) {
  if (Number.isNaN(centred)) return "";
  const value = centred + offset;
  if (kind === "category") return values[value] ?? "another";
  if (kind === "date") return new Date(value * DAY).toISOString().slice(0, 10);
  if (kind === "boolean" && Number.isInteger(value)) return value ? "true" : "false";
  const reach = knots.at(-1)[0] - knots[0][0];
  const digits = kind === "boolean" ? 2 : 6 + Math.ceil(Math.log10(1 + Math.abs(offset) / reach));
  return String(Number(value.toPrecision(Math.min(digits, 15))));
}

/** The value that a text stands for, in a `format` of numbers and, of a file, as its column is `written`. Throws where it is
 * none of its column's. */
export function valueOf({ name, kind, missing, values, offset = 0 }, text, format = ORDINARY, written = "") {
  if (bundle.missing.includes(text)) {
    if (!missing) throw new Error(`lacks a value in column ${name}, which the model has always seen filled`);
    return NaN;
  }
  const whole = text.replace(/^([+-]?\d+)\.0+$/, "$1");
  const value = {
    number: () => (written === "duration" ? secondsOf(text) : numberOf(text, format, written)),
    boolean: () => ({ true: 1, false: 0, 1: 1, 0: 0 })[whole.toLowerCase()] ?? NaN,
    date: () => dateOf(text, written) / DAY,
    category: () => (values.includes(whole) ? values.indexOf(whole) : values.length),
  }[kind]();
  if (!Number.isFinite(value)) throw new Error(`holds “${text}” in column ${name}, which is no ${kind}`);
  return value - offset;
}

/** The rows of a text file. Throws where it isn't a table of this model's. */
export async function read(file) {
  const [names, rows] = await table(file, columns.map(({ name }) => name));
  const lacking = columns.filter(({ name }) => !names.includes(name));
  if (lacking.length) throw new Error(`lacks the column${lacking.length > 1 ? "s" : ""} ${lacking.map(({ name }) => name).join(", ")}`);
  if (!rows.length) throw new Error("has no row under the names of its columns");
  const places = columns.map(({ name }) => names.indexOf(name));
  const numbers = columns.flatMap(({ kind, written }, at) => (kind === "number" && written !== "duration" ? rows.map((row) => row[places[at]]) : []));
  const format = formatOf(numbers.filter((text) => !bundle.missing.includes(text)));
  return rows.map((row) => Float32Array.from(columns, (column, at) => valueOf(column, row[places[at]], format, column.written)));
}
