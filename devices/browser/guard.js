/**
 * The guard: whether a picture is one of those that the model was made for, by the scores of its routers alone.
 *
 * The rule lies in artifact.json; moceir_edge/guarding.py says where it comes from, and the tests run both on the same
 * vectors.
 */

/**
 * rule: `guard` of artifact.json. tiles: the scores of each tile of the picture, one for a whole one.
 * Returns {distance, foreign}; a distance that is no number is foreign.
 */
export function verdict(rule, tiles) {
  const point = rule.pictures[0].map((_, i) => mean(tiles.map((scores) => Math.log(Math.max(scores[i], rule.floor)))));
  const distances = rule.pictures.map((picture) => Math.sqrt(mean(picture.map((value, i) => (point[i] - value) ** 2))));
  const distance = mean(distances.sort((one, other) => one - other).slice(0, rule.neighbours));
  return { distance, foreign: !(distance <= rule.threshold) };
}

function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
