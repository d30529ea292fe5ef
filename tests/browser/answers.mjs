/**
 * What the page's functions make of the cases on stdin: [{ask, ...}], answered as a list on stdout.
 *
 * The model of the tiles is the one of test_vectors.py: every pixel plus the mean of what was given.
 */

import { readFileSync } from "node:fs";

import { planesFromNpy } from "../../devices/browser/npy.js";
import { fade, pad, planesFromRgba, psnr, restore, rgbaFromPlanes, starts } from "../../devices/browser/picture.js";

const planes = ({ height, width, data }) => ({ height, width, data: Float32Array.from(data) });
const plain = ({ height, width, data }) => ({ height, width, data: [...data] });

async function run(picture) {
  const mean = picture.data.reduce((sum, value) => sum + value, 0) / picture.data.length;
  const data = picture.data.map((value) => value + mean);
  return { restored: { ...picture, data }, agreement: picture.data[0] };
}

const ANSWERS = {
  pad: ({ picture, height, width }) => plain(pad(planes(picture), height, width)),
  starts: ({ length, side }) => starts(length, side),
  fade: ({ height, width }) => [...fade(height, width)],
  planes: ({ rgba, height, width }) => plain(planesFromRgba(Uint8ClampedArray.from(rgba), height, width)),
  rgba: ({ rgba, restored, strength }) => [...rgbaFromPlanes(Uint8ClampedArray.from(rgba), planes(restored), strength)],
  psnr: ({ one, other }) => psnr(planes(one), planes(other)),
  npy: ({ path }) => {
    const bytes = readFileSync(path);
    return plain(planesFromNpy(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)));
  },
  restore: async ({ picture, size }) => {
    const told = [];
    const found = await restore(planes(picture), size, run, (done, all) => told.push([done, all]));
    return { restored: plain(found.restored), agreement: found.agreement, told };
  },
};

const answers = [];
for (const asked of JSON.parse(readFileSync(0, "utf8"))) answers.push(await ANSWERS[asked.ask](asked));
process.stdout.write(JSON.stringify(answers));
