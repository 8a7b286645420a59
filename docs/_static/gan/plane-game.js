/**
 * The game of lesson 01 in the plane: networks, points and updates. Nothing is drawn here.
 *
 * Points are Float64Arrays (n, 2), row after row. The functions `updateDiscriminator` and
 * `updateGenerator` get the random numbers handed in, so that a test can hand in the same ones
 * to Keras.
 */
import { LOSSES, mean } from "./plane-losses.js";
import { Adam, add, backward, forward, gradientPenalty, weightGradients } from "./plane-network.js";
import { glorotUniform, network, variables } from "./plane-network.js";
import { Random } from "./plane-random.js";
import { REAL, DEVIATION, MODES, centre, cholesky } from "./plane-theory.js";

/** After so many updates of G the rate of its Adam is 0 in the game of lesson 01 (14 rounds). */
export const LAST_UPDATE = 224;
const OWN_DEVIATION = 0.03; // each point of the reader's counts as a small cloud

/** The kinds of real points, with the networks that lessons 01 and 04 take for them. */
export const POINTS = {
  gaussian: {
    name: "one Gaussian (lesson 01)",
    generator: { widths: [2, 2], activation: "linear" },
    discriminator: { widths: [2, 32, 32, 1], activation: "softplus" },
    batch: 256,
    edge: 4, // of the square that is shown
    last: LAST_UPDATE,
    // CosineDecay(0.03, 224)
    generatorRate: (done) => 0.015 * (1 + Math.cos((Math.PI * Math.min(done, 224)) / 224)),
    generatorBetas: [0.5, 0.9],
    discriminatorRate: 0.01,
  },
  ring: {
    name: "a ring of eight Gaussians (lesson 04)",
    generator: { widths: [16, 128, 128, 2], activation: "relu" },
    discriminator: { widths: [2, 128, 128, 1], activation: "relu" },
    batch: 256,
    edge: 3,
    last: Infinity,
    generatorRate: () => 1e-3,
    generatorBetas: [0.5, 0.999],
    discriminatorRate: 1e-3,
  },
};
POINTS.own = { ...POINTS.ring, name: "points that I draw" };

/**
 * Begin a game.
 *
 * @param options.points one of POINTS.
 * @param options.loss one of LOSSES.
 * @param options.seed decides weights and points.
 * @param options.own the reader's points, [[x, y], ...], for "own".
 * @param options.batch points of each kind, an update; by default as in the lessons.
 */
export function newGame({ points, loss, seed, own = [], batch = null }) {
  const kind = POINTS[points];
  const random = new Random(seed);
  const generator = network(kind.generator.widths, kind.generator.activation);
  const discriminator = network(kind.discriminator.widths, kind.discriminator.activation);
  glorotUniform(discriminator, random);
  if (points === "gaussian") startInTheCorner(generator[0]);
  else glorotUniform(generator, random);
  const game = { points, kind, loss: LOSSES[loss], own, random, generator, discriminator };
  game.batch = batch ?? kind.batch;
  game.gAdam = new Adam(kind.generatorRate, ...kind.generatorBetas, variables(generator));
  game.dAdam = discriminatorAdam(game);
  return game;
}

/** Lesson 01: G begins with z / 2 - 1.5, a small Gaussian far from the real points. */
function startInTheCorner({ kernel, bias }) {
  kernel.set([0.5, 0, 0, 0.5]);
  bias.fill(-1.5);
}

/** A critic's Adam remembers no earlier gradients, as in lesson 05. */
function discriminatorAdam({ kind, loss, discriminator }) {
  const betas = loss.answersAreProbabilities ? [0.5, 0.999] : [0, 0.9];
  return new Adam(() => kind.discriminatorRate, ...betas, variables(discriminator));
}

/** Turn random numbers z of N(0, 1), (n, 2), into points of the Gaussian of lesson 01. */
export function gaussianPoints(z) {
  const [l, m, n] = cholesky(REAL.covariance);
  const points = new Float64Array(z.length);
  for (let i = 0; i < z.length; i += 2) {
    points[i] = REAL.mean[0] + l * z[i];
    points[i + 1] = REAL.mean[1] + m * z[i] + n * z[i + 1];
  }
  return points;
}

/** Draw n real points, (n, 2). */
export function realPoints({ points, own }, n, random) {
  const z = random.normal(2 * n);
  if (points === "gaussian") return gaussianPoints(z);
  const deviation = points === "ring" ? DEVIATION : OWN_DEVIATION;
  for (let i = 0; i < 2 * n; i += 2) {
    const [x, y] = points === "ring" ? centre(random.below(MODES)) : own[random.below(own.length)];
    z[i] = x + deviation * z[i];
    z[i + 1] = y + deviation * z[i + 1];
  }
  return z;
}

/** Draw z for n fakes. */
export function latent({ generator }, n, random) {
  return random.normal(generator[0].inputs * n);
}

/** Return G(z), (n, 2). */
export function fakes({ generator }, z) {
  return forward(generator, z).outputs;
}

/** Return D's outputs, (n): logits, or the answers themselves. */
export function outputs({ discriminator }, points) {
  return forward(discriminator, points).outputs;
}

/** Update D once with points drawn by the game. */
export function stepDiscriminator(game) {
  const { batch, random } = game;
  const real = realPoints(game, batch, random);
  const z = latent(game, batch, random);
  const alpha = Float64Array.from({ length: batch }, () => random.uniform());
  return updateDiscriminator(game, real, z, alpha);
}

/** Update G once with z drawn by the game. */
export function stepGenerator(game) {
  return updateGenerator(game, latent(game, game.batch, game.random));
}

/**
 * Update D once.
 *
 * @param real (n, 2)
 * @param z of n fakes.
 * @param alpha (n), from 0 to 1: where between a fake and a real point the penalty looks.
 * @returns the loss before the update.
 */
export function updateDiscriminator(game, real, z, alpha) {
  const { discriminator, loss, dAdam } = game;
  const made = fakes(game, z);
  const trace = forward(discriminator, joined(real, made));
  const n = alpha.length;
  const told = loss.discriminator(trace.outputs.subarray(0, n), trace.outputs.subarray(n));
  const { sums } = backward(discriminator, trace, joined(told.real, told.fake));
  const gradients = weightGradients(discriminator, trace, sums);
  let total = told.loss;
  if (loss.lambda) {
    const between = made.map((value, i) => value + alpha[i >> 1] * (real[i] - value));
    const penalty = gradientPenalty(discriminator, between, loss.lambda);
    penalty.weights.forEach((gradient, v) => add(gradients[v], gradient));
    total += penalty.loss;
  }
  dAdam.apply(gradients);
  if (loss.clip) clip(dAdam.values, loss.clip);
  return total;
}

function joined(a, b) {
  const both = new Float64Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

function clip(values, limit) {
  for (const value of values) {
    for (let i = 0; i < value.length; i++) value[i] = Math.max(-limit, Math.min(limit, value[i]));
  }
}

/** Update G once, and return its loss before the update. */
export function updateGenerator(game, z) {
  const { generator, discriminator, loss, gAdam } = game;
  const trace = forward(generator, z);
  const judged = forward(discriminator, trace.outputs);
  const told = loss.generator(judged.outputs);
  const { back } = backward(discriminator, judged, told.fake);
  const { sums } = backward(generator, trace, back[0]);
  gAdam.apply(weightGradients(generator, trace, sums));
  return told.loss;
}

/** Return the pull on each fake, (n, 2): minus the gradient of G's loss, times n for the mean. */
export function pull({ discriminator, loss }, made) {
  const trace = forward(discriminator, made);
  const { back } = backward(discriminator, trace, loss.generator(trace.outputs).fake);
  return back[0].map((value) => -trace.n * value);
}

/** Return the losses and mean answers for points and fakes, (n, 2) each, without an update. */
export function judge(game, real, made) {
  const { loss } = game;
  const ofReal = outputs(game, real);
  const ofFake = outputs(game, made);
  return {
    dLoss: loss.discriminator(ofReal, ofFake).loss,
    gLoss: loss.generator(ofFake).loss,
    dReal: mean(ofReal.map(loss.answer)),
    dFake: mean(ofFake.map(loss.answer)),
  };
}
