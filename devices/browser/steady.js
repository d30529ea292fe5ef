/** When the warm-up is over, and how sure a median is: what devices/runner/steady.py computes, tested with the same cases. */

const WINDOW = 5;
const LEAST = 2 * WINDOW;
const MOST = 300;
const MOST_S = 60;
const TOLERANCE = 0.03;
const NOISIEST = 0.15;
const SLOWDOWN = 0.05;
const ROUNDING = 1e-24; // mean square of logarithms that differ by rounding alone, which is no correlation

export const CRITERION =
  "the medians of the last 5 runs and of the 5 before them differ by at most 3%, or by what their scatter explains, " +
  "which may be no more than 15%; judged for at most 300 runs or 60 s";

/** Whether the last runs are as fast as those before them. */
export function isSteady(runs) {
  if (runs.length < LEAST) return false;
  const before = runs.slice(-LEAST, -WINDOW);
  const after = runs.slice(-WINDOW);
  const centre = median(before);
  const later = median(after);
  const scatter = median([...before.map((value) => Math.abs(value - centre)), ...after.map((value) => Math.abs(value - later))]);
  const explained = (1.96 * 1.4826 * scatter * 1.2533 * Math.sqrt(2 / WINDOW)) / centre;
  return Math.abs(later / centre - 1) <= Math.max(TOLERANCE, Math.min(NOISIEST, explained));
}

/** Whether a device that is not steady yet never will be; seconds: of its runs so far. */
export const isHopeless = (runs, seconds) => runs.length >= LEAST && (runs.length >= MOST || seconds > MOST_S);

/** A quantile with its 95 % interval from the order statistics, and whether there are runs for both ends. */
export function interval(runs, share) {
  const ordered = sorted(runs);
  const n = ordered.length;
  const apart = 1.96 * Math.sqrt(n * share * (1 - share) * autocorrelationTime(runs));
  const low = Math.floor(n * share - apart);
  const high = Math.ceil(n * share + apart);
  const at = (rank) => ordered[Math.min(Math.max(rank, 0), n - 1)];
  const value = quantile(ordered, share);
  return { value, low: Math.min(value, at(low)), high: Math.max(value, at(high)), whole: low >= 0 && high < n };
}

/** How much slower the later half is, as a share; null where it is not, beyond what scatter explains. */
export function slowerLater(runs) {
  const half = Math.floor(runs.length / 2);
  if (half < WINDOW) return null;
  const earlier = interval(runs.slice(0, half), 0.5);
  const later = interval(runs.slice(half), 0.5);
  return later.low > earlier.high * (1 + SLOWDOWN) ? later.value / earlier.value - 1 : null;
}

/** How many runs in a row count as one: 1 where they are independent (Sokal's sum, cut at its first window). */
function autocorrelationTime(runs) {
  const logs = runs.map(Math.log);
  const mean = logs.reduce((sum, value) => sum + value, 0) / logs.length;
  const series = logs.map((value) => value - mean);
  const power = series.reduce((sum, value) => sum + value * value, 0);
  if (series.length < 4 || power <= series.length * ROUNDING) return 1;
  let total = 1;
  for (let lag = 1; lag <= Math.floor(series.length / 4); lag++) {
    let product = 0;
    for (let i = lag; i < series.length; i++) product += series[i] * series[i - lag];
    total += (2 * product) / power;
    if (lag >= 5 * total) break;
  }
  return Math.max(1, total);
}

const sorted = (values) => [...values].sort((one, other) => one - other);
const median = (values) => quantile(sorted(values), 0.5);

/** Between the two nearest of sorted values, linearly. */
function quantile(ordered, share) {
  const place = share * (ordered.length - 1);
  const below = Math.floor(place);
  const above = Math.min(below + 1, ordered.length - 1);
  return ordered[below] + (place - below) * (ordered[above] - ordered[below]);
}
