/**
 * Everything slow, away from the page: fetching and checking files, the model, the tiles.
 *
 * Takes {id, ask: "open", provider, threads} | {id, ask: "restore", rgba, height, width} |
 * {id, ask: "example"} | {id, ask: "check"};
 * posts {id, told: {...}} on the way, then {id, done: {...}} or {id, failed: "what it was"}.
 */

import { open } from "./engine.js";
import { planesFromNpy } from "./npy.js";
import { planesFromRgba, psnr, restore, rgbaFromPlanes } from "./picture.js";

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

const ASKED = { open: opened, restore: restored, example, check: checked };

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
  const checkedFile = await clock("checksum", () => requireUnaltered(artifact.model, model));
  const library = Object.fromEntries(Object.entries(LIBRARIES[provider]).map(([name, path]) => [name, urlOf(path)]));
  const ort = await import(library.ort);
  const paths = { mjs: library.mjs, wasm: library.wasm };
  run = await clock("load", () => open({ ort, paths, model, provider, threads }));
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
  const moved = [found.restored.data.buffer];
  return { value: { restored: found.restored, agreement: found.agreement, times }, moved };
}

/** The first golden picture, as 8-bit pixels. */
async function example() {
  const { height, width, ...planes } = planesFromNpy((await bytesOf(artifact.golden[0].input)).buffer);
  const rgba = rgbaFromPlanes(new Uint8ClampedArray(4 * height * width), { height, width, ...planes });
  return { value: { rgba, height, width }, moved: [rgba.buffer] };
}

/** Parity with the reference on the artifact's golden pictures, the worst in dB, and the quickest run in ms. */
async function checked(_, told) {
  let worst = Infinity;
  let best = Infinity;
  for (const [number, golden] of artifact.golden.entries()) {
    const input = planesFromNpy((await bytesOf(golden.input)).buffer);
    const reference = planesFromNpy((await bytesOf(golden.reference)).buffer);
    const start = performance.now();
    const found = await restore(input, size, run);
    best = Math.min(best, performance.now() - start);
    const parity = psnr(found.restored, reference);
    worst = Number.isNaN(parity) ? NaN : Math.min(worst, parity);
    told({ done: number + 1, all: artifact.golden.length });
  }
  return { value: { parity: worst, milliseconds: best } };
}

async function fetched(path) {
  let answer;
  try {
    answer = await fetch(urlOf(path));
  } catch {
    throw new Error(`${path} cannot be fetched: is the server still there?`);
  }
  if (!answer.ok) throw new Error(`${path} is missing on the server (${answer.status}): export the folder again`);
  return answer;
}

/** The bytes of a file of the artifact; told how many have come. */
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
async function requireUnaltered(path, bytes) {
  if (!self.crypto?.subtle) return false;
  const digest = new Uint8Array(await self.crypto.subtle.digest("SHA-256", bytes));
  const found = [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  if (found !== artifact.files[path].sha256) {
    throw new Error(`${path} was altered on the server (its sha256 differs): export the folder again`);
  }
  return true;
}
