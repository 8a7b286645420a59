/**
 * What is known without training: the best D for two Gaussians, its loss, and the ring's modes.
 *
 * A Gaussian is {mean: [x, y], covariance: [a, b, d]} with the matrix ((a, b), (b, d)).
 */
import { softplus } from "./plane-losses.js";

/** The real points of lesson 01. */
export const REAL = { mean: [1, 0.5], covariance: [1, 0.6, 0.8] };

export const MODES = 8;
export const RADIUS = 2;
export const DEVIATION = 0.02; // of each Gaussian of the ring, in x and in y
const SMALLEST_SHARE = 0.01; // of the points, in a mode that counts as found
const CENTRES = Array.from({ length: MODES }, (_, i) => {
  const angle = (2 * Math.PI * i) / MODES;
  return [RADIUS * Math.fround(Math.cos(angle)), RADIUS * Math.fround(Math.sin(angle))];
});

/** Return the centre [x, y] of a Gaussian of the ring. */
export function centre(mode) {
  return CENTRES[mode];
}

/** Return the triangle [l, m, n] of a covariance: ((l, 0), (m, n)) times its transpose. */
export function cholesky([a, b, d]) {
  const first = Math.sqrt(a);
  const below = b / first;
  return [first, below, Math.sqrt(d - below * below)];
}

/** Return the Gaussian of an affine generator's points, z kernel + bias with z from N(0, I). */
export function gaussianOf({ kernel, bias }) {
  const [a, b, c, d] = kernel;
  const covariance = [a * a + c * c, a * b + c * d, b * b + d * d];
  return { mean: [bias[0], bias[1]], covariance };
}

export function logDensity([x, y], { mean, covariance }) {
  const [a, b, d] = covariance;
  const determinant = a * d - b * b;
  const right = x - mean[0];
  const up = y - mean[1];
  const square = (d * right * right - 2 * b * right * up + a * up * up) / determinant;
  return -(square + Math.log(determinant)) / 2 - Math.log(2 * Math.PI);
}

/** Return the logit of D* = p_r / (p_r + p_g) at a point: log p_r - log p_g. */
export function optimalLogit(point, fakes) {
  return logDensity(point, REAL) - logDensity(point, fakes);
}

/** Return the mean over a Gaussian of a function of the point, as a sum over a fine grid of z. */
function expected(ofPoint, { mean, covariance }, step) {
  const [l, m, n] = cholesky(covariance);
  let sum = 0;
  let weights = 0;
  for (let right = -8; right <= 8; right += step) {
    for (let up = -8; up <= 8; up += step) {
      const weight = Math.exp(-(right * right + up * up) / 2);
      weights += weight;
      sum += weight * ofPoint([mean[0] + l * right, mean[1] + m * right + n * up]);
    }
  }
  return sum / weights;
}

/** Return V(D*, G) = E log D* over the real points + E log(1 - D*) over the fakes. */
export function value(fakes, step = 0.125) {
  const ofReal = expected((point) => -softplus(-optimalLogit(point, fakes)), REAL, step);
  return ofReal + expected((point) => -softplus(optimalLogit(point, fakes)), fakes, step);
}

/** Return the loss that D* has with least squares: E (1 - D*)² / 2 + E D*² / 2. */
export function leastSquare(fakes, step = 0.125) {
  const wrong = (sign) => (point) => Math.exp(-2 * softplus(sign * optimalLogit(point, fakes))) / 2;
  return expected(wrong(1), REAL, step) + expected(wrong(-1), fakes, step);
}

/**
 * Count the Gaussians of the ring that a generator finds.
 *
 * A point is good, and belongs to a Gaussian, within three standard deviations of its centre. A
 * Gaussian is found if it has at least 1 % of the points. All is rounded to single precision, as
 * in `utils.topics.ring`, so that both count the same.
 *
 * @param points (n, 2)
 * @returns {modes, good}: how many are found, and the share of good points.
 */
export function count(points) {
  const round = Math.fround;
  const limit = round(3 * DEVIATION);
  const found = new Array(MODES).fill(0);
  for (let i = 0; i < points.length; i += 2) {
    CENTRES.forEach(([x, y], mode) => {
      const right = round(round(points[i]) - x);
      const up = round(round(points[i + 1]) - y);
      const square = round(round(right * right) + round(up * up));
      if (round(Math.sqrt(square)) <= limit) found[mode] += 1;
    });
  }
  const n = points.length / 2;
  const modes = found.filter((points) => points / n >= SMALLEST_SHARE).length;
  return { modes, good: found.reduce((sum, points) => sum + points, 0) / n };
}
