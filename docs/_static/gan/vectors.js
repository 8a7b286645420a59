/** Sums, lengths and walks of vectors; nothing is changed in place. */

/** Return a + factor b. */
export function add(a, b, factor = 1) {
  return a.map((value, i) => value + factor * b[i]);
}

export function dot(a, b) {
  return a.reduce((sum, value, i) => sum + value * b[i], 0);
}

/** Return a vector of the same direction with another length. */
export function withLength(a, length) {
  const factor = length / Math.sqrt(dot(a, a));
  return a.map((value) => factor * value);
}

/** Return the point at t, from 0 to 1, of the walk on the sphere from a to b (lesson 02). */
export function walk(a, b, t) {
  const cosine = dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b));
  const angle = Math.acos(Math.min(1, Math.max(-1, cosine)));
  if (Math.sin(angle) < 1e-4) return add(a, add(b, a, -1), t);
  const first = Math.sin((1 - t) * angle) / Math.sin(angle);
  const second = Math.sin(t * angle) / Math.sin(angle);
  return a.map((value, i) => first * value + second * b[i]);
}

/** Return the mean of vectors. */
export function mean(vectors) {
  return vectors.reduce((sum, vector) => add(sum, vector)).map((value) => value / vectors.length);
}

/** Return the product of two vectors of three numbers that is orthogonal to both. */
export function cross([a, b, c], [x, y, z]) {
  return [b * z - c * y, c * x - a * z, a * y - b * x];
}
