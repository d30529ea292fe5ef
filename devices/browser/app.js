/** The page: pictures in, the worker's answers out. */

import { verdict } from "./guard.js";
import { rgbaFromPlanes } from "./picture.js";

const MOST_PIXELS = 30_000_000;
const SEAMLESS = 384; // smaller tiles show: see moceir_edge.tile_plan
const LEAST_PARITY_DB = { float32: 50, int8: 30 }; // against the reference, which is the full model in float32
const THREADS = globalThis.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency || 1) : 1;

const $ = (id) => document.getElementById(id);

let engine = null;
let facts = null;
let webgpu = "not in this browser";
let offline = "not yet";
let shown = null; // {name, rgba, height, width, restored}
let queue = Promise.resolve();
let waiting = 0;

/** A worker that has opened the model, and how to ask it. */
class Engine {
  constructor(provider) {
    this.provider = provider;
    const start = new Blob([`import ${JSON.stringify(new URL("worker.js", location.href).href)};`], {
      type: "text/javascript",
    });
    this.worker = new Worker(URL.createObjectURL(start), { type: "module" }); // of a blob: under the page's own policy
    this.waiting = new Map();
    this.count = 0;
    this.worker.onmessage = ({ data }) => {
      const call = this.waiting.get(data.id);
      if (data.told) return call.told(data.told);
      this.waiting.delete(data.id);
      if (data.failed === undefined) call.resolve(data.done);
      else call.reject(new Error(data.failed));
    };
    this.worker.onerror = (event) => {
      const reason = event.message || "the worker could not start";
      this.give(new Error(reason));
    };
  }

  give(error) {
    for (const call of this.waiting.values()) call.reject(error);
    this.waiting.clear();
  }

  ask(what, given = {}, told = () => {}, moved = []) {
    const id = ++this.count;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject, told });
      this.worker.postMessage({ id, ask: what, ...given }, moved);
    });
  }

  end() {
    this.worker.terminate();
    this.give(new Error("stopped"));
  }
}

/** One thing at a time; what goes wrong is told on the page and stops nothing else. */
function inTurn(action) {
  if (waiting++) say(`${waiting - 1} waiting until this is done.`);
  queue = queue
    .then(action)
    .catch((error) => fail(error))
    .finally(() => waiting--);
  return queue;
}

function say(text) {
  $("status").textContent = text;
}

function fail(error) {
  $("error").textContent = error.message || String(error);
  $("error").hidden = false;
  say("");
  progress(null);
}

function forgive() {
  $("error").hidden = true;
}

function progress(share) {
  $("progress").hidden = share === null;
  if (share !== null) $("progress").value = share;
}

const milliseconds = (value) => (value >= 1000 ? `${(value / 1000).toFixed(2)} s` : `${value.toFixed(0)} ms`);
const mebibytes = (bytes) => `${(bytes / 2 ** 20).toFixed(1)} MiB`;

// The model

async function load(provider) {
  engine?.end();
  facts = null;
  $("example").disabled = $("check").disabled = $("profile").disabled = true;
  $("checked").textContent = "";
  const opening = new Engine(provider);
  engine = opening;
  say("Loading the model…");
  const found = await opening.ask("open", { provider, threads: THREADS }, ({ done, all }) => {
    progress(all ? done / all : 0);
    say(`Loading the model: ${mebibytes(done)}`);
  });
  facts = found;
  progress(null);
  describe();
  $("example").disabled = $("check").disabled = $("profile").disabled = false;
  say("Ready.");
}

function describe() {
  if (!facts) return; // the model is being opened again, and will be described then
  const { artifact, size, times, checked } = facts;
  const computed = engine.provider === "wasm" ? `WebAssembly, ${THREADS} ${THREADS === 1 ? "thread" : "threads"}` : "WebGPU";
  const why = globalThis.crossOriginIsolated ? "" : " (the page is not isolated, so only one: reload it once)";
  $("about").textContent =
    `A model for ${artifact.tasks.join(", ")}. Everything happens in this browser: no picture leaves the device.`;
  const rows = {
    Tasks: artifact.tasks.join(", "),
    Precision: artifact.precision,
    "Picture size": size ? `${size.width}×${size.height}, larger ones in tiles${mayShow(size)}` : "any, large ones in tiles",
    "Computed with": engine.provider === "wasm" ? computed + why : computed,
    WebGPU: webgpu,
    "Without a network": offline,
    "Model file": `${artifact.files[artifact.model].sha256.slice(0, 12)}, ${checked ? "unaltered" : "not checked: the page needs https or localhost for that"}`,
    Signature: "not checked: a page compares hashes, and trusts the server that it came from",
    "Loaded in": milliseconds(times.download + times.checksum + times.load),
    "On a device": artifact.proofs.executed_on_device.state === "passed" ? "verified" : "not verified on a device",
  };
  $("facts").replaceChildren(
    ...Object.entries(rows).flatMap(([name, value]) => [element("dt", name), element("dd", value)]),
  );
}

const mayShow = ({ width, height }) => (Math.min(width, height) < SEAMLESS ? ", which may show" : "");

function element(kind, text) {
  const made = document.createElement(kind);
  made.textContent = text;
  return made;
}

/** WebGPU where there is an adapter; it is used once it has given the reference's pictures. */
async function offerWebgpu() {
  const adapter = await navigator.gpu?.requestAdapter?.().catch(() => null);
  if (!facts.artifact.files["ort/ort.webgpu.min.js"]) webgpu = "not in this folder";
  else if (navigator.gpu && !adapter) webgpu = "in this browser, but without a GPU for it";
  else if (adapter) {
    webgpu = "can be chosen below";
    const option = element("option", "WebGPU");
    option.value = "webgpu";
    $("provider").append(option);
  }
  describe();
}

/** Keep everything in this browser; what is new on the server is there with the next visit. */
async function keepOffline() {
  if (!navigator.serviceWorker) return;
  try {
    await navigator.serviceWorker.register("service.js");
    const { active } = await navigator.serviceWorker.ready;
    offline = await new Promise((resolve) => {
      const { port1, port2 } = new MessageChannel();
      port1.onmessage = ({ data }) => resolve(data === "kept" ? "works from now on" : `not possible: ${data}`);
      active.postMessage("keep", [port2]);
    });
  } catch (error) {
    offline = `not possible: ${error.message}`;
  }
  describe();
}

async function check() {
  say("Checking this device…");
  const found = await engine.ask("check", {}, ({ done, all }) => progress(done / all));
  progress(null);
  const good = found.parity >= (LEAST_PARITY_DB[facts.artifact.precision] ?? LEAST_PARITY_DB.float32);
  const parity = Number.isNaN(found.parity) ? "no numbers" : found.parity === Infinity ? "equal" : `${found.parity.toFixed(1)} dB`;
  $("checked").textContent =
    `${good ? "As the reference" : "NOT as the reference"}: ${parity}, ${milliseconds(found.milliseconds)} a picture`;
  say("Ready.");
  return good;
}

/** Time this device for as long as it takes, and save the result that all runners write. */
async function profile() {
  forgive();
  say("Profiling this device: leave the page in front…");
  let hidden = document.hidden;
  const look = () => (hidden ||= document.hidden);
  document.addEventListener("visibilitychange", look);
  try {
    const result = await engine.ask("profile", { device: thisDevice() }, ({ done, all }) => progress(done / all));
    if (hidden) result.invalid.push("the page was in the background meanwhile");
    const { value, low, high } = result.latency.percentiles.p50;
    const about = result.invalid.length ? `; these times mean nothing: ${result.invalid.join("; ")}` : "";
    $("checked").textContent = `Median ${value.toFixed(1)} ms (95 %: ${low.toFixed(1)} to ${high.toFixed(1)})${about}`;
    download(new Blob([`${JSON.stringify(result, null, 1)}\n`], { type: "application/json" }), "result.json");
    say("Saved result.json.");
  } finally {
    document.removeEventListener("visibilitychange", look);
    progress(null);
  }
}

/** What a browser tells of the device. */
function thisDevice() {
  const { userAgent, userAgentData, platform, hardwareConcurrency } = navigator;
  return {
    model: userAgent,
    system: userAgentData?.platform || platform || "unknown",
    processor: "not told by a browser",
    cores: hardwareConcurrency || 1,
    memory_mib: null,
  };
}

async function change(provider) {
  forgive();
  try {
    await load(provider);
    if (provider === "wasm" || (await check())) return;
    throw new Error("WebGPU gives other pictures than the reference on this device; back to WebAssembly");
  } catch (error) {
    fail(error);
    if (provider === "wasm") return;
    $("provider").value = "wasm";
    await load("wasm");
  }
}

// Pictures

async function pixelsOf(file) {
  if (!file.size) throw new Error(`${file.name || "The picture"} is empty: choose another`);
  let bitmap;
  const start = performance.now();
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    throw new Error(`${file.name || "This"} cannot be read as a picture: choose a PNG, JPEG or WebP`);
  }
  const { width, height } = bitmap;
  if (width * height > MOST_PIXELS) {
    bitmap.close();
    throw new Error(`${width}×${height} is more than the ${MOST_PIXELS / 1e6} megapixels this page takes: make it smaller`);
  }
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error(`${width}×${height} is more than this browser draws: make the picture smaller`);
  context.fillStyle = "#fff";
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const rgba = context.getImageData(0, 0, width, height).data;
  canvas.width = canvas.height = 0; // Safari keeps what a canvas holds
  return { rgba, height, width, decode: performance.now() - start };
}

async function restoreFile(file) {
  forgive();
  say(`Reading ${file.name || "the picture"}…`);
  await restorePixels(file.name || "picture", await pixelsOf(file));
}

async function restoreExample() {
  forgive();
  const start = performance.now();
  const found = await engine.ask("example");
  await restorePixels("example", { ...found, decode: performance.now() - start });
}

async function restorePixels(name, { rgba, height, width, decode }) {
  if (!facts) throw new Error("the model is not loaded, so nothing can be restored: reload the page");
  say(`Restoring ${width}×${height}…`);
  progress(0);
  $("stop").hidden = false;
  let found;
  try {
    found = await engine.ask("restore", { rgba, height, width }, ({ done, all }) => {
      progress(done / all);
      if (all > 1) say(`Restoring: tile ${done} of ${all}${waiting > 1 ? `; ${waiting - 1} waiting` : ""}`);
    });
  } finally {
    $("stop").hidden = true;
  }
  progress(null);
  shown = { name, rgba, height, width, restored: found.restored };
  $("result").hidden = false;
  const start = performance.now();
  draw($("before"), 0);
  drawAfter();
  tell({ Decode: decode, Model: found.times.inference, "Tiles and seams": found.times.tiles, Draw: performance.now() - start });
  judge(found);
  say(`Restored ${width}×${height} in ${milliseconds(found.times.inference)}.`);
}

/** Stop what runs: the worker ends, and another one opens the model again. */
function stop() {
  const { provider } = engine;
  engine.end();
  inTurn(() => load(provider));
}

function draw(canvas, strength) {
  const { rgba, height, width, restored } = shown;
  Object.assign(canvas, { width, height });
  canvas.getContext("2d").putImageData(new ImageData(rgbaFromPlanes(rgba, restored, strength), width, height), 0, 0);
}

let drawing = 0;

function drawAfter() {
  $("strength-value").textContent = `${$("strength").value} %`;
  if (shown) draw($("after"), Number($("strength").value) / 100);
}

/** Once for each frame that is shown, however fast the slider moves. */
function drawSoon() {
  cancelAnimationFrame(drawing);
  drawing = requestAnimationFrame(drawAfter);
}

function tell(times) {
  const rows = Object.entries(times).map(([name, value]) => {
    const row = document.createElement("tr");
    const head = element("th", name);
    head.scope = "row";
    row.append(head, element("td", milliseconds(value)));
    return row;
  });
  $("times").tBodies[0].replaceChildren(...rows);
}

/** Say whether the picture is of the model's task, by the artifact's rule. */
function judge({ tiles, agreement }) {
  const place = $("verdict");
  const { guard, tasks } = facts.artifact;
  if (!guard || !tiles.length) {
    place.className = "";
    place.textContent = "This model carries no guard: it cannot tell whether the picture is of its task.";
    return;
  }
  const { distance, foreign } = verdict(guard, tiles);
  const figure = `routing distance ${distance.toFixed(2)}, limit ${guard.threshold.toFixed(2)}`;
  const kept = `${(100 * agreement).toFixed(0)} % of its routing is what the model keeps`;
  place.className = foreign ? "alarm" : "good";
  place.textContent = foreign
    ? `The picture looks like none of ${tasks.join(", ")}, it may need another model: ${figure}; ${kept}.`
    : `The picture looks like ${tasks.join(", ")}: ${figure}; ${kept}.`;
}

function save() {
  $("after").toBlob((blob) => {
    if (!blob) return fail(new Error("this browser cannot write a picture of this size: make it smaller"));
    download(blob, `${shown.name.replace(/\.[^.]*$/, "")}.restored.png`);
  }, "image/png");
}

function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

// The page

function take(files) {
  if (!files.length) return fail(new Error("that is no file: drop or paste a picture, or open one"));
  for (const file of files) inTurn(() => restoreFile(file));
}

for (const id of ["file", "camera"]) {
  $(id).addEventListener("change", ({ target }) => {
    take(target.files);
    target.value = "";
  });
}
for (const kind of ["dragenter", "dragover"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    $("drop").classList.add("over");
  });
}
for (const kind of ["dragleave", "drop"]) document.addEventListener(kind, () => $("drop").classList.remove("over"));
document.addEventListener("drop", (event) => {
  event.preventDefault();
  take(event.dataTransfer.files);
});
document.addEventListener("paste", (event) => take(event.clipboardData.files));
$("stop").addEventListener("click", stop);
$("example").addEventListener("click", () => inTurn(restoreExample));
$("check").addEventListener("click", () => inTurn(check));
$("profile").addEventListener("click", () => inTurn(profile));
$("provider").addEventListener("change", ({ target }) => inTurn(() => change(target.value)));
$("strength").addEventListener("input", drawSoon);
$("split").addEventListener("input", ({ target }) => $("stage").style.setProperty("--split", `${target.value}%`));
$("save").addEventListener("click", save);

inTurn(async () => {
  if (typeof WebAssembly !== "object") throw new Error("this browser has no WebAssembly: use a newer one");
  say("Loading the model…");
  await load("wasm");
  await offerWebgpu();
  keepOffline();
});
