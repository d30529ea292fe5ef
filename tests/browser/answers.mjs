/**
 * What the page's functions make of the cases on stdin: [{ask, ...}], answered as a list on stdout.
 *
 * The model of the tiles is the one of test_vectors.py: every pixel plus the mean of what was given.
 */

import { readFileSync } from "node:fs";

import { verdict } from "../../devices/browser/guard.js";
import { planesFromNpy } from "../../devices/browser/npy.js";
import {
  fade,
  pad,
  planesFromRgba,
  psnr,
  requireFinite,
  restore,
  rgbaFromPlanes,
  starts,
  tileOf,
} from "../../devices/browser/picture.js";

import { interval, isSteady, slowerLater } from "../../devices/browser/steady.js";
import { timed, VERSION } from "../../devices/browser/profile.js";

const planes = ({ height, width, data }) => ({ height, width, data: Float32Array.from(data) });
const plain = ({ height, width, data }) => ({ height, width, data: [...data] });

async function run(picture) {
  const mean = picture.data.reduce((sum, value) => sum + value, 0) / picture.data.length;
  const data = picture.data.map((value) => value + mean);
  return { restored: { ...picture, data }, agreement: picture.data[0], scores: { data: [picture.data[0]] } };
}

const told = (value) => (Number.isFinite(value) ? value : String(value)); // JSON has null for both

const ends = ({ value, low, high }) => [value, low, high];

const ANSWERS = {
  times: ({ runs_ms }) => ({
    steady: isSteady(runs_ms),
    slower_later: slowerLater(runs_ms),
    median: ends(interval(runs_ms, 0.5)),
    p95: ends(interval(runs_ms, 0.95)),
  }),
  timed: async ({ milliseconds }) => {
    let now = 0;
    let count = 0;
    return timed(async () => (now += milliseconds[Math.min(count++, milliseconds.length - 1)]), () => {}, () => now);
  },
  pad: ({ picture, height, width }) => plain(pad(planes(picture), height, width)),
  starts: ({ length, side }) => starts(length, side),
  fade: ({ height, width }) => [...fade(height, width)],
  planes: ({ rgba, height, width }) => plain(planesFromRgba(Uint8ClampedArray.from(rgba), height, width)),
  rgba: ({ rgba, restored, strength }) => [...rgbaFromPlanes(Uint8ClampedArray.from(rgba), planes(restored), strength)],
  psnr: ({ one, other }) => told(psnr(planes(one), planes(other))),
  finite: ({ picture }) => {
    try {
      return requireFinite(planes(picture)) ?? "finite";
    } catch (error) {
      return error.message;
    }
  },
  tile: ({ height, width }) => Object.values(tileOf(height, width)),
  whole: ({ runs_ms }) => interval(runs_ms, 0.5).whole,
  version: () => VERSION,
  guard: ({ rule, tiles }) => verdict(rule, tiles.map((scores) => scores.flat().map((value) => value ?? NaN))),
  npy: ({ path }) => {
    const bytes = readFileSync(path);
    return plain(planesFromNpy(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)));
  },
  restore: async ({ picture, size }) => {
    const told = [];
    const found = await restore(planes(picture), size, run, (done, all) => told.push([done, all]));
    return { restored: plain(found.restored), agreement: found.agreement, tiles: found.tiles, told };
  },
};

const answers = [];
for (const asked of JSON.parse(readFileSync(0, "utf8"))) answers.push(await ANSWERS[asked.ask](asked));
process.stdout.write(JSON.stringify(answers));
