// A text file of rows and what stands in its cells, read as Python reads it (data/csv_files.py): where a file leaves open how it
// is written, it is written as the one was that the model was made of.

import { bundle } from "model.js";

const usual = bundle.spec.csv ?? {};
const ALIKE = { "\u00a0": " ", "\u202f": " ", "\u2009": " ", "’": "'", "−": "-" };
const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DURATION = /^(?:([+-]?\d+) days?(?:,? ?|$))?(?:([+-]?\d{1,2}):(\d\d)(?::(\d\d(?:\.\d+)?))?)?$/;
const PARTS = { d: "\\d{1,2}", m: "\\d{1,2}", Y: "\\d{4}", y: "\\d\\d", H: "\\d{1,2}", I: "\\d{1,2}", M: "\\d\\d", S: "\\d\\d", f: "\\d{1,6}", p: "[AP]M", b: "[a-z]+", B: "[a-z]+" };
export const ORDINARY = [".", ""]; // the decimal mark, and what groups thousands

const literal = (mark) => mark.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");

/** The names of the columns and the cells of each row. Throws where a file has no rows of one width. */
export async function table(file, wanted) {
  let text = decoded(new Uint8Array(await file.arrayBuffer())).replace(/^\uFEFF/, "");
  const comment = usual.comment ?? (text.startsWith("#") ? "#" : null);
  if (comment) text = text.split(/(?<=\n)/).filter((line) => !line.startsWith(comment)).join("");
  const said = /^\s*"?sep=(.)"?\s*\n/.exec(text);
  if (said) text = text.slice(said[0].length);
  const tried = (said ? [said[1]] : [usual.separator, ",", ";", "\t", "|"].filter(Boolean)).map((separator) => cells(text, separator));
  const named = ([first = []]) => wanted.filter((name) => first.includes(name)).length;
  const rows = tried.reduce((best, other) => (named(other) > named(best) ? other : best));
  const headless = usual.header === false && named(rows) < wanted.length;
  const names = headless ? (rows[0] ?? []).map((_, at) => `x${at}`) : (rows.shift() ?? []);
  const odd = rows.findIndex((row) => row.length !== names.length);
  if (odd >= 0 && named([names]) === wanted.length) throw new Error(`has ${rows[odd].length} fields in row ${odd + 1}, and ${names.length} columns`);
  return [names, rows];
}

function decoded(bytes) {
  const marked = { "255,254": "utf-16le", "254,255": "utf-16be" }[bytes.subarray(0, 2).join()];
  for (const encoding of [marked ?? "utf-8", usual.encoding?.replace(/^latin-?1$|^iso8859-/i, "iso-8859-1")].filter(Boolean)) {
    try {
      return new TextDecoder(encoding, { fatal: true }).decode(bytes);
    } catch {
      continue; // of another encoding, or of one that browsers don't know
    }
  }
  throw new Error("isn't text in UTF-8");
}

function cells(text, separator) {
  const [mark, quote] = [separator, usual.quote || '"'].map(literal);
  const aligned = separator === " " ? text.replace(/ +/g, " ").replace(/^ | $/gm, "") : text;
  const cell = new RegExp(`(?:${quote}((?:[^${quote}]|${quote}${quote})*)${quote}|([^${mark}\\r\\n]*))(${mark}|\\r?\\n|$)`, "g");
  const rows = [[]];
  for (const [, quoted, plain, end] of aligned.matchAll(cell)) {
    rows.at(-1).push((quoted?.replaceAll(usual.quote === "'" ? "''" : '""', usual.quote || '"') ?? plain).trim());
    if (end !== separator) rows.push([]);
  }
  return rows.filter((row) => row.some(Boolean));
}

/** How the numbers of texts are written: as usual or else in the ordinary way. */
export function formatOf(texts) {
  const formats = [[usual.decimal ?? ".", usual.thousands ?? ""], ORDINARY];
  return formats.find((format) => texts.every((text) => !Number.isNaN(numberOf(text, format, text.match(/\p{Sc}|%/u)?.[0])))) ?? formats[0];
}

/** The number that a text says, which may stand beside a sign ($, %); NaN where it is none. */
export function numberOf(text, [decimal, thousands], sign) {
  const [point, group] = [decimal, thousands].map(literal);
  let bare = text.replace(/[\u00a0\u202f\u2009’−]/g, (each) => ALIKE[each]);
  if (sign) bare = bare.replace(new RegExp(`^([+-]?) *${literal(sign)} *| *${literal(sign)}$`), "$1");
  const plain = `[+-]?(?:\\d+(?:${point}\\d*)?|${point}\\d+)(?:e[+-]?\\d+)?`;
  const grouped = group ? `|[+-]?[1-9]\\d{0,2}(?:${group}\\d{3})+(?:${point}\\d+)?` : "";
  return new RegExp(`^(?:${plain}${grouped})$`, "i").test(bare) ? Number(bare.replaceAll(thousands || " ", "").replace(decimal, ".")) : NaN;
}

/** The seconds of a duration or a time of day; NaN of what is neither. */
export function secondsOf(text) {
  const [whole, days = 0, hours = 0, minutes = 0, seconds = 0] = DURATION.exec(text) ?? [];
  return whole ? ((Number(days) * 24 + Number(hours)) * 60 + Number(minutes)) * 60 + Number(seconds) : NaN;
}

/** Milliseconds since 1970 of a date in strptime's format, or ISO 8601; NaN of what is none. */
export function dateOf(text, format) {
  if (!format) {
    const zoned = /:/.test(text) && !/(Z|[+-]\d\d:?\d\d)$/.test(text) ? `${text}Z` : text;
    return /^\d{4}-\d\d/.test(text) ? Date.parse(zoned) : NaN; // browsers guess at other formats
  }
  const pattern = literal(format).replace(/%(\w)/g, (_, part) => `(?<${part}>${PARTS[part]})`);
  const { d = 1, m, Y, y, H, I = 0, M = 0, S = 0, f = "", p = "", b, B } = new RegExp(`^${pattern}$`, "i").exec(text)?.groups ?? {};
  const month = m ? m - 1 : MONTHS.indexOf((b ?? B ?? "").slice(0, 3).toLowerCase());
  const year = Number(Y ?? (y < 69 ? 2000 : 1900) + Number(y));
  const hours = H ?? (I % 12) + (/p/i.test(p) ? 12 : 0);
  const date = Date.UTC(year, month, d, hours, M, S, f.padEnd(3, "0").slice(0, 3));
  return month >= 0 && new Date(Date.UTC(year, month, d)).getUTCDate() === Number(d) ? date : NaN;
}
