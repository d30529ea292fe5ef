/**
 * Pictures as planes: {height, width, data}, data a Float32Array (3, height, width) in [0, 1].
 *
 * What is computed here is what Python computes (moceir_edge.runner.pad, moceir_edge.tiling): both are tested with the
 * same vectors.
 */

/** Pixels that a tile gives up to each neighbour, at most an eighth of its side: neighbours share twice as many. */
export const OVERLAP = 32;

/** Up to here, about two megapixels, a picture is restored whole where any size is served; larger ones in such tiles. */
const WHOLE_PIXELS = 2 ** 21;
const AUTO_TILE = 768;

/** Sides of served pictures are multiples of this. */
export const MULTIPLE = 8;

/** Planes of 8-bit RGBA pixels; alpha is left out. */
export function planesFromRgba(rgba, height, width) {
  const area = height * width;
  const data = new Float32Array(3 * area);
  for (let i = 0; i < area; i++) {
    for (let c = 0; c < 3; c++) data[c * area + i] = Math.fround(rgba[4 * i + c] / 255);
  }
  return { height, width, data };
}

/** Opaque 8-bit pixels of source + strength (restored - source), clipped and rounded; source: 8-bit RGBA. */
export function rgbaFromPlanes(source, restored, strength = 1) {
  const area = restored.height * restored.width;
  const rgba = new Uint8ClampedArray(4 * area).fill(255);
  for (let c = 0; c < 3; c++) {
    for (let i = 0; i < area; i++) {
      const from = source[4 * i + c];
      rgba[4 * i + c] = from + strength * (255 * restored.data[c * area + i] - from); // clipped and rounded to even
    }
  }
  return rgba;
}

/** The part of a picture from (top, left), at most height x width. */
export function crop(picture, top, left, height, width) {
  const rows = Math.min(height, picture.height - top);
  const columns = Math.min(width, picture.width - left);
  const data = new Float32Array(3 * rows * columns);
  for (let c = 0; c < 3; c++) {
    for (let y = 0; y < rows; y++) {
      const start = (c * picture.height + top + y) * picture.width + left;
      data.set(picture.data.subarray(start, start + columns), (c * rows + y) * columns);
    }
  }
  return { height: rows, width: columns, data };
}

/** Padded right and below, by reflection, by edge where a side is too short for that. */
export function pad(picture, height, width) {
  const rows = sources(picture.height, height);
  const columns = sources(picture.width, width);
  const data = new Float32Array(3 * height * width);
  for (let c = 0; c < 3; c++) {
    for (let y = 0; y < height; y++) {
      const from = (c * picture.height + rows[y]) * picture.width;
      const to = (c * height + y) * width;
      for (let x = 0; x < width; x++) data[to + x] = picture.data[from + columns[x]];
    }
  }
  return { height, width, data };
}

/** Which index of a side each index of the padded one shows. */
function sources(length, padded) {
  const reflect = padded - length < length;
  return Array.from({ length: padded }, (_, i) => {
    if (i < length) return i;
    return reflect ? 2 * (length - 1) - i : length - 1;
  });
}

/** Starts of tiles that cover a length, the last one flush with its end. */
export function starts(length, side) {
  if (length <= side) return [0];
  const step = Math.max(MULTIPLE, side - 2 * overlapOf(side));
  const found = [];
  for (let start = 0; start < length - side; start += step) found.push(start);
  return [...found, length - side];
}

function overlapOf(side) {
  return Math.min(OVERLAP, Math.floor(side / 8));
}

/** (height, width) Float32Array: 1 inside, falling linearly over what neighbours share towards every edge, never 0. */
export function fade(height, width) {
  const rows = ramp(height);
  const columns = ramp(width);
  const found = new Float32Array(height * width);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) found[y * width + x] = rows[y] * columns[x];
  }
  return found;
}

function ramp(length) {
  const shared = Math.max(1, 2 * overlapOf(length));
  return Float32Array.from({ length }, (_, i) => Math.min((Math.min(i, length - 1 - i) + 1) / shared, 1));
}

/**
 * Restore a picture of any size.
 *
 * size: {height, width} that `run` serves, null for any multiple of 8. run(picture): {restored, agreement, scores} of a served
 * size. told(done, all): after each tile. Returns {restored, agreement, tiles}: the planes, not clipped, and the least
 * agreement of all tiles (null without a guard), and the scores of each of them (none without a guard).
 */
export async function restore(picture, size, run, told = () => {}) {
  const { height, width } = picture;
  const served = size ?? tileOf(height, width);
  const tops = starts(height, served.height);
  const lefts = starts(width, served.width);
  if (tops.length * lefts.length === 1) {
    const only = await padded(picture, served, run);
    told(1, 1);
    return only;
  }
  const total = { height, width, data: new Float32Array(3 * height * width) };
  const weights = new Float32Array(height * width);
  let agreement = null;
  const tiles = [];
  let done = 0;
  for (const top of tops) {
    for (const left of lefts) {
      const part = crop(picture, top, left, served.height, served.width);
      const found = await padded(part, served, run);
      add(total, weights, found.restored, top, left);
      tiles.push(...found.tiles);
      if (found.agreement !== null) agreement = Math.min(agreement ?? 1, found.agreement);
      told(++done, tops.length * lefts.length);
    }
  }
  for (let c = 0; c < 3; c++) {
    for (let i = 0; i < height * width; i++) total.data[c * height * width + i] /= weights[i];
  }
  return { restored: total, agreement, tiles };
}

/** The tile for a picture of a size where any is served. */
export function tileOf(height, width) {
  if (height * width > WHOLE_PIXELS) return { height: AUTO_TILE, width: AUTO_TILE };
  return { height: upTo(height), width: upTo(width) };
}

function upTo(length) {
  return Math.ceil(length / MULTIPLE) * MULTIPLE;
}

async function padded(picture, served, run) {
  const found = await run(pad(picture, served.height, served.width));
  const restored = crop(found.restored, 0, 0, picture.height, picture.width);
  return { restored, agreement: found.agreement, tiles: found.scores ? [found.scores.data] : [] };
}

/** Add a tile, faded towards its edges. */
function add(total, weights, tile, top, left) {
  const shade = fade(tile.height, tile.width);
  for (let y = 0; y < tile.height; y++) {
    const to = (top + y) * total.width + left;
    for (let x = 0; x < tile.width; x++) {
      const weight = shade[y * tile.width + x];
      weights[to + x] += weight;
      for (let c = 0; c < 3; c++) {
        const from = (c * tile.height + y) * tile.width + x;
        total.data[c * total.height * total.width + to + x] += tile.data[from] * weight;
      }
    }
  }
}

/** An Error where a value is no number or infinite: a black or a white pixel would hide it. */
export function requireFinite({ data }) {
  if (data.every(Number.isFinite)) return;
  throw new Error("the model gives NaN or infinity on this picture: choose another picture, or export the model again");
}

/** PSNR in dB between planes as they are, peak 1; Infinity for equal ones, NaN where one holds NaN or infinity. */
export function psnr(one, other) {
  let sum = 0;
  for (let i = 0; i < one.data.length; i++) sum += (one.data[i] - other.data[i]) ** 2;
  return Number.isFinite(sum) ? 10 * Math.log10(one.data.length / sum) : NaN; // squares of float32 stay far below its end
}
