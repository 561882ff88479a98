// Files that belong to the page: inside it (a single file) or beside it (a folder).

/** The bytes of a file, which is kept gzipped. */
export async function bytes(name) {
  const inside = document.getElementById(name);
  const packed = inside
    ? Uint8Array.from(atob(inside.textContent), (letter) => letter.charCodeAt(0))
    : await fetched(`${name}.gz`);
  if (packed[0] !== 0x1f || packed[1] !== 0x8b) return packed; // a server that unpacks it on the way
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function fetched(name) {
  const response = await fetch(name);
  if (!response.ok) throw new Error(`${name} can't be had (${response.status} ${response.statusText})`);
  return new Uint8Array(await response.arrayBuffer());
}
