/** The project's classifier of digits, which says what a picture shows. */
import { load } from "./network.js";

/** Return a function: pixels in [-1, 1] -> {digit, certainty}. */
export async function loadReader() {
  const network = await load("digit_classifier");
  return (pixels) => {
    const logits = network.run(pixels);
    const largest = Math.max(...logits);
    const sum = logits.reduce((total, logit) => total + Math.exp(logit - largest), 0);
    return { digit: logits.indexOf(largest), certainty: 1 / sum };
  };
}

/** Say what was read, as a sentence. */
export function inWords({ digit, certainty }) {
  const percent = Math.min(99.9, 100 * certainty);
  const share = percent < 99 ? percent.toFixed(0) : percent.toFixed(1);
  return `The classifier reads ${withArticle(digit)} (${share}\u00a0% certain).`;
}

/** Return "a 3", or "an 8". */
export function withArticle(digit) {
  return digit === 8 ? "an 8" : `a ${digit}`;
}
