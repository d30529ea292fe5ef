/**
 * Runs an artifact's model in Node with the library and the code of the page, picture by picture.
 *
 * Usage: node node.mjs ARTIFACT MODEL. Reads a line of JSON {"height", "width"} and 3 * height * width little-endian float32,
 * writes a line {"agreement", "scores", "milliseconds"} and as many float32; ends with its input. First it writes {"ready": true}.
 */

import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import process from "node:process";
import { pathToFileURL } from "node:url";

import { open } from "./engine.mjs";

const [, , folder, name] = process.argv;
const library = pathToFileURL(join(resolve(folder), "ort", "/")).href;
const ort = await import(new URL("ort.wasm.min.mjs", library));
const model = readFileSync(join(folder, name));
const run = await open({ ort, folder: library, model, provider: "wasm", threads: 1 });

/** Bytes as they come, cut where the protocol says. */
class Input {
  constructor(stream) {
    this.chunks = stream[Symbol.asyncIterator]();
    this.bytes = Buffer.alloc(0);
  }

  async more() {
    const { done, value } = await this.chunks.next();
    if (done) return false;
    this.bytes = Buffer.concat([this.bytes, value]);
    return true;
  }

  async line() {
    for (;;) {
      const end = this.bytes.indexOf(10);
      if (end >= 0) return this.cut(end + 1).toString("utf8");
      if (!(await this.more())) return null;
    }
  }

  async exactly(length) {
    while (this.bytes.length < length) {
      if (!(await this.more())) throw new Error("the input ended inside a picture");
    }
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
  const start = performance.now();
  const { restored, agreement, scores } = await run({ height, width, data });
  const milliseconds = performance.now() - start;
  process.stdout.write(`${JSON.stringify({ agreement, scores, milliseconds })}\n`);
  process.stdout.write(Buffer.from(restored.data.buffer, restored.data.byteOffset, restored.data.byteLength));
}
process.exit(0);
