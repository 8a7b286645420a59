/** Random numbers from a seed: the same seed gives the same game. */

/** A generator of 32 bits (mulberry32), good enough for points in a picture. */
export class Random {
  constructor(seed) {
    this.state = seed | 0;
    this.kept = null; // of two normal numbers the second
    for (let i = 0; i < 8; i++) this.uniform(); // seeds that are close start far apart
  }

  /** Return a number from 0 to below 1. */
  uniform() {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** Return a whole number from 0 to below `count`. */
  below(count) {
    return Math.floor(this.uniform() * count);
  }

  /** Return n numbers of the normal distribution with mean 0 and deviation 1 (Box, Muller). */
  normal(n) {
    return Float64Array.from({ length: n }, () => this.oneNormal());
  }

  oneNormal() {
    if (this.kept !== null) {
      const kept = this.kept;
      this.kept = null;
      return kept;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - this.uniform()));
    const angle = 2 * Math.PI * this.uniform();
    this.kept = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }
}
