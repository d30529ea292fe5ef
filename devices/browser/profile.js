/** Times a model and tells the result that all runners tell: devices/result.schema.json. */

import { CRITERION, interval, isHopeless, isSteady, slowerLater } from "./steady.js";

/** Of this page, which runs the bundle; the bundle may be of another. */
export const VERSION = "0.1.0";

const SECONDS = 10;
const LEAST_RUNS = 20;
const QUANTILES = { p50: 0.5, p90: 0.9, p95: 0.95, p99: 0.99 };

/**
 * Time `run`, a function without arguments: the first run, those until the device is steady, those that count.
 * told(share): how far the last ones have come.
 */
export async function timed(run, told = () => {}, clock = () => performance.now()) {
  const once = async () => {
    const start = clock();
    await run();
    return clock() - start;
  };
  const first = await once();
  const warmUp = [];
  for (let seconds = 0; !isSteady(warmUp) && !isHopeless(warmUp, seconds); seconds += warmUp.at(-1) / 1e3) warmUp.push(await once());
  const runs = [];
  const began = [];
  const start = clock();
  for (let seconds = 0; runs.length < LEAST_RUNS || seconds < SECONDS; seconds = (clock() - start) / 1e3) {
    began.push(seconds);
    runs.push(await once());
    told(Math.min(1, seconds / SECONDS));
  }
  return { first, warmUp, steady: isSteady(warmUp), runs, began };
}

/** What result.json says. accuracy: its rows; device, runtime: what the page knows of both; invalid: its own reasons. */
export function resultOf({ manifest, bundle, started, times, load, size, accuracy, device, runtime, invalid }) {
  const found = Object.fromEntries(Object.entries(QUANTILES).map(([name, share]) => [name, interval(times.runs, share)]));
  const short = Object.keys(found).filter((name) => !found[name].whole);
  const percentiles = Object.fromEntries(
    Object.entries(found).map(([name, { value, low, high }]) => [name, { value, low, high }]),
  );
  return {
    schema_version: 1,
    runner: "browser",
    runner_version: VERSION,
    started_utc: started,
    bundle_sha256: bundle,
    artifact_sha256: manifest.artifact_sha256,
    target: manifest.target,
    precision: manifest.precision,
    tasks: manifest.tasks,
    device: { profile: manifest.device, ...device },
    runtime,
    versions: { [runtime.name]: runtime.version },
    latency: {
      size: [size.height, size.width],
      load_ms: load,
      first_ms: times.first,
      warm_up_ms: times.warmUp,
      steady: times.steady,
      criterion: CRITERION,
      runs_ms: times.runs,
      began_s: times.began,
      percentiles,
      per_second: (1e3 * times.runs.length) / times.runs.reduce((sum, value) => sum + value, 0),
    },
    memory_peak_mib: null,
    accuracy,
    invalid: [...reasons(times), ...invalid],
    notes: notes(short, times.runs.length),
  };
}

function reasons({ steady, warmUp, runs }) {
  const found = steady ? [] : [`never steady in ${warmUp.length} runs of warm-up`];
  const slower = slowerLater(runs);
  if (slower === null) return found;
  const percent = (100 * slower).toFixed(0);
  return [...found, `the later half of the runs is ${percent}% slower than the earlier: throttled, or others at work`];
}

function notes(short, count) {
  const found = ["a browser tells neither memory, power, clocks nor temperature"];
  if (!short.length) return found;
  const ends = "it ends at the fastest or slowest run";
  return [...found, `${short.join(", ")}: too few runs (${count}) for a whole 95 % interval: ${ends}`];
}
