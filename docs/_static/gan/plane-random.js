/** Random numbers from a seed, one after another: the same seed gives the same game. */
import { uniform } from "./random.js";

export class Random {
  constructor(seed) {
    this.uniform = uniform(seed); // () -> a number from 0 to below 1
    this.kept = null; // of two normal numbers the second
    for (let i = 0; i < 8; i++) this.uniform(); // seeds that are close start far apart
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
