/**
 * The losses of lessons 01, 04 and 05, with their gradients.
 *
 * `discriminator(real, fake)` takes D's outputs for real points and fakes, and returns {loss, real,
 * fake}: the loss and its gradients with respect to both. `generator(fake)` returns {loss, fake}.
 * `answer` makes of an output that which is drawn. All losses are means over the batch.
 */

/** log(1 + exp(x)), without overflow. */
export function softplus(x) {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}

export function sigmoid(x) {
  return x >= 0 ? 1 / (1 + Math.exp(-x)) : 1 - 1 / (1 + Math.exp(x));
}

export function mean(values) {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Return the mean of a loss over outputs, and its gradient with respect to each output. */
function averaged(outputs, loss, slope) {
  const n = outputs.length;
  return { loss: mean(outputs.map(loss)), gradient: outputs.map((x) => slope(x) / n) };
}

/** Lesson 01: D answers with a logit, and G's loss is -log D, the non-saturating one. */
const crossEntropy = {
  name: "cross-entropy (lesson 01)",
  answer: sigmoid,
  answersAreProbabilities: true,
  discriminator(real, fake) {
    const ofReal = averaged(real, (x) => softplus(-x), (x) => sigmoid(x) - 1);
    const ofFake = averaged(fake, softplus, sigmoid);
    const loss = ofReal.loss + ofFake.loss;
    return { loss, real: ofReal.gradient, fake: ofFake.gradient };
  },
  generator(fake) {
    const { loss, gradient } = averaged(fake, (x) => softplus(-x), (x) => sigmoid(x) - 1);
    return { loss, fake: gradient };
  },
};

/** Lesson 04: the targets are 0 for fakes, 1 for real points, and 1 for G. */
const leastSquares = {
  name: "least squares (lesson 04)",
  answer: (x) => x,
  answersAreProbabilities: true,
  discriminator(real, fake) {
    const ofReal = averaged(real, (x) => (x - 1) ** 2 / 2, (x) => x - 1);
    const ofFake = averaged(fake, (x) => x ** 2 / 2, (x) => x);
    const loss = ofReal.loss + ofFake.loss;
    return { loss, real: ofReal.gradient, fake: ofFake.gradient };
  },
  generator(fake) {
    const { loss, gradient } = averaged(fake, (x) => (x - 1) ** 2 / 2, (x) => x - 1);
    return { loss, fake: gradient };
  },
};

/** Lesson 05: a critic, whose slope is limited by clipping or by a penalty. */
const wasserstein = {
  answer: (x) => x,
  answersAreProbabilities: false,
  discriminator(real, fake) {
    const ofReal = averaged(real, (x) => -x, () => -1);
    const ofFake = averaged(fake, (x) => x, () => 1);
    const loss = ofReal.loss + ofFake.loss;
    return { loss, real: ofReal.gradient, fake: ofFake.gradient };
  },
  generator(fake) {
    const { loss, gradient } = averaged(fake, (x) => -x, () => -1);
    return { loss, fake: gradient };
  },
};

export const LOSSES = {
  "cross-entropy": crossEntropy,
  "least-squares": leastSquares,
  clipping: { ...wasserstein, name: "Wasserstein, clipping (lesson 05)", clip: 0.1 },
  penalty: { ...wasserstein, name: "Wasserstein, gradient penalty (lesson 05)", lambda: 10 },
};
