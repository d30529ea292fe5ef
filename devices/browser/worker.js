/**
 * Everything slow, away from the page: fetching and checking files, the model, the tiles.
 *
 * Takes {id, ask: "open", provider, threads} | {id, ask: "restore", rgba, height, width} |
 * {id, ask: "example"} | {id, ask: "check"} | {id, ask: "profile", device};
 * posts {id, told: {...}} on the way, then {id, done: {...}} or {id, failed: "what it was"}.
 */

import { open } from "./engine.js";
import { planesFromNpy } from "./npy.js";
import { pad, planesFromRgba, psnr, requireFinite, restore, rgbaFromPlanes } from "./picture.js";
import { resultOf, timed } from "./profile.js";

const LIBRARIES = {
  wasm: { ort: "ort/ort.wasm.min.js", mjs: "ort/ort-wasm-simd-threaded.js", wasm: "ort/ort-wasm-simd-threaded.wasm" },
  webgpu: {
    ort: "ort/ort.webgpu.min.js",
    mjs: "ort/ort-wasm-simd-threaded.asyncify.js",
    wasm: "ort/ort-wasm-simd-threaded.asyncify.wasm",
  },
};

let artifact = null;
let run = null;
let size = null;
let runtime = null;
let load = 0;

const ASKED = { open: opened, restore: restored, example, check: checked, profile };

self.onmessage = async ({ data }) => {
  const { id, ask, ...given } = data;
  const told = (about) => self.postMessage({ id, told: about });
  try {
    const { value, moved = [] } = await ASKED[ask](given, told);
    self.postMessage({ id, done: value }, moved);
  } catch (error) {
    self.postMessage({ id, failed: error.message || String(error) });
  }
};

/** Fetch, check and load the model. */
async function opened({ provider, threads }, told) {
  const times = {};
  const clock = async (name, action) => {
    const start = performance.now();
    const value = await action();
    times[name] = performance.now() - start;
    return value;
  };
  artifact = await (await fetched("artifact.json")).json();
  const [, , height, width] = artifact.interface.inputs[0].shape;
  size = typeof height === "number" ? { height, width } : null;
  const model = await clock("download", () => bytesOf(artifact.model, told));
  const checkedFile = await clock("checksum", () => requireUnaltered(artifact.model, model, artifact.files[artifact.model]));
  const library = Object.fromEntries(Object.entries(LIBRARIES[provider]).map(([name, path]) => [name, urlOf(path)]));
  const ort = await import(library.ort);
  const paths = { mjs: library.mjs, wasm: library.wasm };
  run = await clock("load", () => open({ ort, paths, model, provider, threads }));
  load = times.load;
  runtime = { name: "onnxruntime-web", version: artifact.versions["onnxruntime-web"], provider, threads };
  return { value: { artifact, size, times, checked: checkedFile } };
}

function urlOf(path) {
  return new URL(path, import.meta.url).href; // the page starts this worker from a blob, which has no place of its own
}

/** Restore 8-bit pixels of any size. */
async function restored({ rgba, height, width }, told) {
  const planes = planesFromRgba(rgba, height, width);
  let inference = 0;
  const timed = async (picture) => {
    const start = performance.now();
    const found = await run(picture);
    inference += performance.now() - start;
    return found;
  };
  const start = performance.now();
  const found = await restore(planes, size, timed, (done, all) => told({ done, all }));
  const times = { inference, tiles: performance.now() - start - inference };
  requireFinite(found.restored);
  const moved = [found.restored.data.buffer];
  return { value: { restored: found.restored, agreement: found.agreement, tiles: found.tiles, times }, moved };
}

/** The first golden picture, as 8-bit pixels. */
async function example() {
  const { height, width, ...planes } = planesFromNpy((await bytesOf(artifact.golden[0].input)).buffer);
  const rgba = rgbaFromPlanes(new Uint8ClampedArray(4 * height * width), { height, width, ...planes });
  return { value: { rgba, height, width }, moved: [rgba.buffer] };
}

/**
 * Each golden pair: its parity with the reference in dB (NaN for no numbers), its agreement, and its time in ms.
 * planesOf(path): a file of the pairs.
 */
async function goldenRows(pairs, planesOf, told = () => {}) {
  const rows = [];
  for (const [number, { input, reference }] of pairs.entries()) {
    const picture = await planesOf(input);
    const wanted = await planesOf(reference);
    const start = performance.now();
    const { restored: found, agreement } = await restore(picture, size, run);
    rows.push({ agreement, milliseconds: performance.now() - start, parity: psnr(found, wanted) });
    told({ done: number + 1, all: pairs.length });
  }
  return rows;
}

/** Parity with the reference on the artifact's golden pictures, the worst in dB, and the quickest run in ms. */
async function checked(_, told) {
  const rows = await goldenRows(artifact.golden, (path) => unaltered(path, artifact.files[path]), told);
  const parity = rows.some((row) => Number.isNaN(row.parity)) ? NaN : Math.min(...rows.map((row) => row.parity));
  return { value: { parity, milliseconds: Math.min(...rows.map((row) => row.milliseconds)) } };
}

/** The result of all runners; device: what the page knows of it. The session is the one that is open. */
async function profile({ device }, told) {
  const { manifest, bundle } = await bundled();
  const planesOf = (path) => unaltered(placeOf(path), manifest.files[path]);
  const started = new Date().toISOString();
  const { data, height, width } = await planesOf(manifest.golden[0].input);
  const served = size ?? { height: height - (height % 8), width: width - (width % 8) };
  const picture = pad({ data, height, width }, served.height, served.width);
  const times = await timed(() => run({ ...picture, data: picture.data.slice() }), (share) => told({ done: share, all: 1 }));
  const rows = await goldenRows(manifest.golden, planesOf);
  const accuracy = manifest.golden.map(({ name, task, floor_db }, index) => ({
    name,
    task,
    agreement: rows[index].agreement,
    finite: !Number.isNaN(rows[index].parity),
    psnr_db: Number.isFinite(rows[index].parity) ? rows[index].parity : null,
    floor_db,
  }));
  const about = { manifest, bundle, started, times, load, size: served, accuracy, device, runtime };
  return { value: resultOf({ ...about, invalid: [] }) };
}

/** The manifest of the bundle that the artifact came in, with its sha256. */
async function bundled() {
  if (!self.crypto?.subtle) throw new Error("a profile needs https or localhost: open the page from there");
  const answer = await fetch(urlOf("manifest.json"), { cache: "no-cache" });
  if (!answer.ok) {
    const remedy = "unpack a bundle and open its folder with moceir-edge serve, or copy its manifest.json beside the page";
    throw new Error(`a profile belongs to a bundle, and no manifest.json is here: ${remedy}`);
  }
  const bytes = new Uint8Array(await answer.arrayBuffer());
  const manifest = JSON.parse(new TextDecoder().decode(bytes));
  const alike = ([name, entry]) => manifest.files?.[`artifact/${name}`]?.sha256 === entry.sha256;
  if (!Object.entries(artifact.files).every(alike)) {
    throw new Error("manifest.json is that of another artifact: copy the one of this bundle beside the page");
  }
  return { manifest, bundle: await sha256(bytes) };
}

/** Where the page finds a file of its bundle: the artifact is where the page is, the rest of the bundle in bundle/. */
function placeOf(path) {
  const inside = "artifact/";
  return path.startsWith(inside) ? path.slice(inside.length) : `bundle/${path}`;
}

/** Planes of a .npy file whose sha256 is known. */
async function unaltered(path, entry) {
  const bytes = await bytesOf(path);
  await requireUnaltered(path, bytes, entry);
  return planesFromNpy(bytes.buffer);
}

async function fetched(path) {
  let answer;
  try {
    answer = await fetch(urlOf(path));
  } catch {
    throw new Error(`${path} cannot be fetched: is the server still there?`);
  }
  if (!answer.ok) throw new Error(`${path} is missing on the server (${answer.status}): ${remedyFor(path)}`);
  return answer;
}

function remedyFor(path) {
  return path.startsWith("bundle/") ? `copy ${path.slice(7)} of the bundle there` : "export the folder again";
}

/** The bytes of a file of the page's folder; told how many have come. */
async function bytesOf(path, told = () => {}) {
  const answer = await fetched(path);
  const all = artifact.files[path]?.size_bytes ?? 0;
  const parts = [];
  let done = 0;
  for (const reader = answer.body.getReader(); ; ) {
    const { done: end, value } = await reader.read();
    if (end) break;
    parts.push(value);
    done += value.length;
    told({ done, all });
  }
  const bytes = new Uint8Array(done);
  parts.reduce((at, part) => (bytes.set(part, at), at + part.length), 0);
  return bytes;
}

/** Whether a file could be checked; an Error where it is another one. Browsers hash on https and localhost only. */
async function requireUnaltered(path, bytes, entry) {
  if (!self.crypto?.subtle) return false;
  if ((await sha256(bytes)) !== entry?.sha256) {
    throw new Error(`${path} was altered on the server (its sha256 differs): ${remedyFor(path)}`);
  }
  return true;
}

async function sha256(bytes) {
  const digest = new Uint8Array(await self.crypto.subtle.digest("SHA-256", bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
