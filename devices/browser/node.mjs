/**
 * Runs an artifact's model in Node with the library and the code of the page, picture by picture. Both are those of the
 * installation, not those that lie in the artifact: a model is data, and nothing out of an artifact is run here.
 *
 * Usage: node node.mjs MODEL LIBRARY. Reads a line of JSON {"height", "width"} and 3 * height * width little-endian float32,
 * writes a line {"agreement", "scores"} and as many float32; ends with its input. First it writes {"ready": true}.
 */

import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";

import { open } from "./engine.js";

const [, , file, folder] = process.argv;
const library = (name) => pathToFileURL(join(resolve(folder), name)).href;
const ort = await import(library("ort.wasm.min.mjs"));
const paths = { mjs: library("ort-wasm-simd-threaded.mjs"), wasm: library("ort-wasm-simd-threaded.wasm") };
const model = readFileSync(file);
const run = await open({ ort, paths, model, provider: "wasm", threads: 1 });

/** Bytes as they come, cut where the protocol says. */
class Input {
  constructor(stream) {
    this.chunks = stream[Symbol.asyncIterator]();
    this.bytes = Buffer.alloc(0);
  }

  async line() {
    for (;;) {
      const end = this.bytes.indexOf(10);
      if (end >= 0) return this.cut(end + 1).toString("utf8");
      const { done, value } = await this.chunks.next();
      if (done) return null;
      this.bytes = Buffer.concat([this.bytes, value]);
    }
  }

  async exactly(length) {
    const parts = [this.bytes];
    for (let have = this.bytes.length; have < length; have += parts.at(-1).length) {
      const { done, value } = await this.chunks.next();
      if (done) throw new Error("the input ended inside a picture");
      parts.push(value);
    }
    this.bytes = Buffer.concat(parts);
    return this.cut(length);
  }

  cut(length) {
    const found = this.bytes.subarray(0, length);
    this.bytes = this.bytes.subarray(length);
    return found;
  }
}

const input = new Input(process.stdin);
process.stdout.write(`${JSON.stringify({ ready: true })}\n`);
for (let line; (line = await input.line()) !== null; ) {
  const { height, width } = JSON.parse(line);
  const bytes = await input.exactly(12 * height * width);
  const data = new Float32Array(new Uint8Array(bytes).buffer);
  const { restored, agreement, scores } = await run({ height, width, data });
  process.stdout.write(`${JSON.stringify({ agreement, scores })}\n`);
  process.stdout.write(Buffer.from(restored.data.buffer, restored.data.byteOffset, restored.data.byteLength));
}
process.exit(0);
