/** The page: pictures in, the worker's answers out. */

import { planesFromNpy } from "./npy.mjs";
import { planesFromRgba, rgbaFromPlanes } from "./picture.mjs";

const MOST_PIXELS = 50_000_000;
const LEAST_PARITY_DB = 50;
const THREADS = globalThis.crossOriginIsolated ? Math.min(4, navigator.hardwareConcurrency || 1) : 1;

const $ = (id) => document.getElementById(id);

let engine = null;
let facts = null;
let shown = null; // {name, source, restored, times}
let queue = Promise.resolve();

/** A worker that has opened the model, and how to ask it. */
class Engine {
  constructor(provider) {
    this.provider = provider;
    this.worker = new Worker("worker.mjs", { type: "module" });
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
      for (const call of this.waiting.values()) call.reject(new Error(reason));
      this.waiting.clear();
    };
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
  }
}

/** One thing at a time; what goes wrong is told on the page and stops nothing else. */
function inTurn(action) {
  queue = queue.then(action).catch((error) => fail(error));
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
  $("example").disabled = $("check").disabled = false;
  say("Ready.");
}

function describe() {
  const { artifact, size, times, checked } = facts;
  const computed = engine.provider === "wasm" ? `WebAssembly, ${THREADS} ${THREADS === 1 ? "thread" : "threads"}` : "WebGPU";
  const why = THREADS === 1 && !globalThis.crossOriginIsolated ? " (the page is not isolated, so only one)" : "";
  $("about").textContent =
    `A model for ${artifact.tasks.join(", ")}. Everything happens in this browser: no picture leaves the device.`;
  const rows = {
    Tasks: artifact.tasks.join(", "),
    Precision: artifact.precision,
    "Picture size": size ? `${size.width}×${size.height}, larger ones in tiles` : "any",
    "Computed with": computed + why,
    "Model file": `${artifact.files[artifact.model].sha256.slice(0, 12)}, ${checked ? "unaltered" : "not checked: the page needs https or localhost for that"}`,
    "Loaded in": milliseconds(times.download + times.checksum + times.load),
    "On a device": artifact.proofs.executed_on_device.state === "passed" ? "verified" : "not verified on a device",
  };
  $("facts").replaceChildren(
    ...Object.entries(rows).flatMap(([name, value]) => [element("dt", name), element("dd", value)]),
  );
}

function element(kind, text) {
  const made = document.createElement(kind);
  made.textContent = text;
  return made;
}

/** WebGPU where there is an adapter, once it has given the reference's pictures; else WebAssembly. */
async function offerWebgpu() {
  const adapter = await navigator.gpu?.requestAdapter?.().catch(() => null);
  if (!adapter || !facts.artifact.files["ort/ort.webgpu.min.mjs"]) return;
  const option = element("option", "WebGPU");
  option.value = "webgpu";
  $("provider").append(option);
}

async function check() {
  say("Checking this device…");
  const found = await engine.ask("check", {}, ({ done, all }) => progress(done / all));
  progress(null);
  const good = found.parity >= LEAST_PARITY_DB;
  const parity = Number.isFinite(found.parity) ? `${found.parity.toFixed(1)} dB` : "equal";
  $("checked").textContent =
    `${good ? "As the reference" : "NOT as the reference"}: ${parity}, ${milliseconds(found.milliseconds)} a picture`;
  say("Ready.");
  return good;
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
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#fff";
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const rgba = context.getImageData(0, 0, width, height).data;
  return { source: planesFromRgba(rgba, height, width), decode: performance.now() - start };
}

async function restoreFile(file) {
  forgive();
  say(`Reading ${file.name || "the picture"}…`);
  const { source, decode } = await pixelsOf(file);
  await restorePlanes(file.name || "picture", source, decode);
}

async function restoreExample() {
  forgive();
  const start = performance.now();
  const answer = await fetch(facts.artifact.golden[0].input);
  const source = planesFromNpy(await answer.arrayBuffer());
  await restorePlanes("example", source, performance.now() - start);
}

async function restorePlanes(name, source, decode) {
  if (!facts) throw new Error("the model is not loaded, so nothing can be restored: reload the page");
  say(`Restoring ${source.width}×${source.height}…`);
  progress(0);
  const found = await engine.ask("restore", { planes: source }, ({ done, all }) => {
    progress(done / all);
    if (all > 1) say(`Restoring: tile ${done} of ${all}`);
  });
  progress(null);
  shown = { name, source, restored: found.restored };
  $("result").hidden = false;
  const start = performance.now();
  draw($("before"), source, source, 0);
  drawAfter();
  tell({ Decode: decode, Model: found.times.inference, "Tiles and seams": found.times.tiles, Draw: performance.now() - start });
  judge(found.agreement);
  say(`Restored ${source.width}×${source.height} in ${milliseconds(found.times.inference)}.`);
}

function draw(canvas, source, restored, strength) {
  canvas.width = source.width;
  canvas.height = source.height;
  const rgba = rgbaFromPlanes(source, restored, strength);
  canvas.getContext("2d").putImageData(new ImageData(rgba, source.width, source.height), 0, 0);
}

function drawAfter() {
  const strength = Number($("strength").value) / 100;
  $("strength-value").textContent = `${$("strength").value} %`;
  if (shown) draw($("after"), shown.source, shown.restored, strength);
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

function judge(agreement) {
  const verdict = $("verdict");
  const tasks = facts.artifact.tasks.join(", ");
  const stranger = agreement !== null && agreement < 1;
  verdict.className = agreement === null ? "" : stranger ? "alarm" : "good";
  if (agreement === null) verdict.textContent = "This model carries no guard: it cannot tell whether the picture is of its task.";
  else if (stranger) verdict.textContent = `Only ${(100 * agreement).toFixed(0)} % of its routing is what ${tasks} uses: the picture may need another model.`;
  else verdict.textContent = `The picture looks like ${tasks}: all of its routing is what the model keeps.`;
}

function save() {
  $("after").toBlob((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = `${shown.name.replace(/\.[^.]*$/, "")}.restored.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  }, "image/png");
}

// The page

function take(files) {
  const file = [...files].find((each) => each.type.startsWith("image/")) ?? files[0];
  if (file) inTurn(() => restoreFile(file));
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
$("example").addEventListener("click", () => inTurn(restoreExample));
$("check").addEventListener("click", () => inTurn(check));
$("provider").addEventListener("change", ({ target }) => inTurn(() => change(target.value)));
$("strength").addEventListener("input", drawAfter);
$("split").addEventListener("input", ({ target }) => $("stage").style.setProperty("--split", `${target.value}%`));
$("save").addEventListener("click", save);

inTurn(async () => {
  if (typeof WebAssembly !== "object") throw new Error("this browser has no WebAssembly: use a newer one");
  await load("wasm");
  await offerWebgpu();
  if (navigator.serviceWorker) {
    navigator.serviceWorker.register("service.js").catch(() => {}); // without it the page only needs its network
  }
});
