/** The sentences of the game in the plane. */
import { LAST_UPDATE } from "./plane-game.js";

const ENDED =
  `G has made its ${LAST_UPDATE} updates, as in lesson 01, and its learning rate is 0 now. ` +
  "Press Reset to play again, or choose another loss.";
const BALANCED =
  "Look: where there are points, D answers about ½, so nothing pulls the fakes any more.";

/**
 * Say what to try next.
 *
 * @param state {points, loss, done: {d, g}, running, ended, known, own}: known tells whether the
 *     best D is known, own is the number of points that the reader has drawn.
 */
export function hint(state) {
  if (state.ended) return state.known ? `${BALANCED} ${ENDED}` : ENDED;
  if (state.points === "own" && state.own === 0) return DRAW_FIRST;
  if (state.running) return whileRunning(state);
  if (state.points !== "gaussian") return onTheRing(state);
  return state.known ? besideTheBest(state) : withACritic(state);
}

const DRAW_FIRST =
  "Draw real points: press and move over the picture, or go there by Tab and use the arrow keys " +
  "and Enter. Then press Run.";

function besideTheBest({ done }) {
  if (done.d < 10) {
    return (
      "Press “Step D × 10”. D learns to tell blue real points from orange fakes, and the black " +
      "line, where D answers ½, moves between the two clouds."
    );
  }
  if (done.d < 100) {
    return "Press “Step D × 200”. D becomes nearly equal to D*, the best D that there is.";
  }
  if (done.g < 5) {
    return (
      "Press “Step G” a few times. Each press moves the fakes in the direction of the arrows, " +
      "and D* changes with them. Then press Run."
    );
  }
  return (
    "Press Run. With ten updates of D for each one of G, D stays close to D*. Later, try one " +
    "update of D, too."
  );
}

function withACritic({ done, loss }) {
  if (done.d < 10) {
    return (
      "Press “Step D × 10” a few times. D is a critic now. Grey lines join places with the same " +
      "answer, and the arrows cross these lines."
    );
  }
  if (done.g < 5) return "Press “Step G” a few times, then Run. The fakes follow the arrows.";
  const other = loss === "clipping" ? "the gradient penalty" : "clipping";
  return `Press Run. Then choose ${other} as the loss, and compare.`;
}

function onTheRing({ points, done, loss }) {
  if (done.g > 0) return "Press Run to go on, or choose another loss and compare.";
  if (points === "own") {
    return "Press Run. The orange fakes learn the form that you draw. You can go on drawing.";
  }
  const needed = loss === "clipping" || loss === "penalty" ? "many thousand" : "about 2,000";
  return (
    "Press Run. The real points lie in eight small clusters, called modes. Does G find all of " +
    `them? It needs ${needed} updates.`
  );
}

function whileRunning({ points, known }) {
  if (points === "own") return "Go on drawing, and watch how G follows.";
  if (points === "ring") return "Watch the modes: some are found, lost, and found again.";
  if (known) return "Watch the loss of D: it rises because the fakes become better.";
  return "Watch the arrows: the more equal both kinds of points are, the weaker is the pull.";
}

/** Say in numbers where the game stands. `row` is the last row of the curves. */
export function numbers({ done, loss, row, points, canTrain }) {
  if (!canTrain) return "Updates: 0 of D, 0 of G. There are no real points yet.";
  const sentences = [`Updates: ${grouped(done.d)} of D, ${grouped(done.g)} of G.`];
  const short = (value) => value.toFixed(2).replace("-", "−");
  const sign = loss.answersAreProbabilities ? "" : "mean ";
  sentences.push(`Now ${sign}D(x) = ${short(row.dReal)}, ${sign}D(G(z)) = ${short(row.dFake)}.`);
  const best = Number.isFinite(row.best) ? ` (the best D would have ${short(row.best)})` : "";
  sentences.push(`Loss of D: ${short(row.dLoss)}${best}. Loss of G: ${short(row.gLoss)}.`);
  if (points === "ring" && Number.isFinite(row.found)) {
    const good = Math.round(row.good * 100);
    sentences.push(`G finds ${row.found} of 8 modes, and ${good} % of its points are good.`);
  }
  return sentences.join(" ");
}

/** Write a whole number with its thousands set apart. */
export function grouped(number) {
  return number.toLocaleString("en");
}
