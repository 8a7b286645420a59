/**
 * Normal random numbers from a seed: the same seed gives the same z in every browser.
 *
 * The same in Python, to compute a picture of a page anew:
 *
 *     def uniform(seed):  # mulberry32: 32 bits of state
 *         while True:
 *             seed = (seed + 0x6D2B79F5) % 2**32
 *             mixed = (seed ^ seed >> 15) * (1 | seed) % 2**32
 *             mixed ^= (mixed + (mixed ^ mixed >> 7) * (61 | mixed)) % 2**32
 *             yield (mixed ^ mixed >> 14) / 2**32
 *
 *     def normal(n, seed):  # Box and Muller: two normal numbers of two uniform ones
 *         numbers, found = uniform(seed), []
 *         while len(found) < n:
 *             radius = math.sqrt(-2 * math.log(1 - next(numbers)))
 *             angle = 2 * math.pi * next(numbers)
 *             found += [radius * math.cos(angle), radius * math.sin(angle)]
 *         return found[:n]
 */

/** Return a function that gives numbers from 0 to below 1, always the same for a seed. */
export function uniform(seed) {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Return n normal random numbers (mean 0, standard deviation 1), as a Float32Array. */
export function normal(n, seed) {
  const next = uniform(seed);
  const found = new Float32Array(n + 1);
  for (let i = 0; i < n; i += 2) {
    const radius = Math.sqrt(-2 * Math.log(1 - next()));
    const angle = 2 * Math.PI * next();
    found[i] = radius * Math.cos(angle);
    found[i + 1] = radius * Math.sin(angle);
  }
  return found.subarray(0, n);
}

/** Return a seed that nobody chose, from 0 to 9999. */
export function anySeed() {
  return Math.floor(Math.random() * 10000);
}
