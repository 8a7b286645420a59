/** What is seen of a game: both pictures, the charts, and the row of numbers behind them. */
import { drawChart } from "./plane-chart.js";
import { COLOURS, Picture, gridPoints } from "./plane-draw.js";
import * as game from "./plane-game.js";
import { Random } from "./plane-random.js";
import { sigmoid } from "./plane-losses.js";
import { REAL, count, gaussianOf, leastSquare, logDensity, value } from "./plane-theory.js";

const SHOWN = 150; // points of each kind
const JUDGED = { gaussian: 400, ring: 200, own: 200 }; // points of each kind, for the losses
const ARROWS = 25;
const LONGEST = { gaussian: 1.2, ring: 0.4, own: 0.4 }; // arrow, in the plane
const COUNTED = 2500; // fakes, on the ring
const SIDES = { gaussian: 51, ring: 37, own: 37 }; // of the grid; fewer for larger networks
const EMPTY = -8; // log-density: hardly any points
const LINES = 9; // with a critic
const NEVER_DRAWN = 77; // a seed for what is shown, apart from that of the game

export class View {
  constructor(parts) {
    this.parts = parts;
    this.learned = new Picture(parts.learned);
    this.best = new Picture(parts.best);
  }

  /** Begin to show a game: choose the points that are shown, the same all the time. */
  begin(played) {
    this.game = played;
    const random = new Random(NEVER_DRAWN);
    const judged = JUDGED[played.points];
    const isEmpty = played.points === "own" && !played.own.length;
    this.real = isEmpty ? null : game.realPoints(played, judged, random);
    this.z = game.latent(played, judged, random);
    this.countedZ = played.points === "ring" ? game.latent(played, COUNTED, random) : null;
    this.side = SIDES[played.points];
    this.grid = gridPoints(played.kind.edge, this.side);
    this.realDensity = this.overGrid((point) => logDensity(point, REAL));
  }

  get knowsBest() {
    return this.game.points === "gaussian" && this.game.loss.answersAreProbabilities;
  }

  /** Return a row for the charts. */
  row(updates, withModes) {
    const made = game.fakes(this.game, this.z);
    const row = { updates, ...game.judge(this.game, this.real ?? made, made), best: NaN };
    if (this.knowsBest) {
      const fakes = gaussianOf(this.game.generator[0]);
      const isLeast = this.game.loss.name.startsWith("least");
      row.best = isLeast ? leastSquare(fakes, 0.25) : -value(fakes, 0.25);
    }
    if (withModes && this.countedZ) {
      const { modes, good } = count(game.fakes(this.game, this.countedZ));
      const shares = { modesShare: (100 * modes) / 8, goodShare: 100 * good };
      Object.assign(row, { found: modes, good, ...shares });
    }
    return row;
  }

  /** Draw the pictures. `cross` is where the arrow keys draw, or null. */
  drawPictures(cross) {
    if (this.game.points !== "gaussian") {
      this.drawLearned(null, cross);
      return;
    }
    const fakes = gaussianOf(this.game.generator[0]);
    const fakeDensity = this.overGrid((point) => logDensity(point, fakes));
    // Above 0 where both densities are small.
    const empty = fakeDensity.map((density, i) => EMPTY - Math.max(density, this.realDensity[i]));
    this.drawLearned(empty, cross);
    if (this.knowsBest) this.drawBest(fakes, fakeDensity, empty);
  }

  overGrid(ofPoint) {
    const found = new Float64Array(this.grid.length / 2);
    for (let i = 0; i < found.length; i++) {
      found[i] = ofPoint([this.grid[2 * i], this.grid[2 * i + 1]]);
    }
    return found;
  }

  drawLearned(empty, cross) {
    const { learned, side } = this;
    learned.clear(this.game.kind.edge);
    const answers = game.outputs(this.game, this.grid).map(this.game.loss.answer);
    if (this.game.loss.answersAreProbabilities) {
      this.setScale(0, 1);
      learned.surface(answers, side, empty);
      learned.contour(answers, side, 0.5, "#000", empty);
    } else {
      this.drawCritic(answers);
    }
    const made = game.fakes(this.game, this.z);
    const real = this.game.points === "own" ? this.game.own.flat() : this.real;
    learned.dots(real, COLOURS.real, this.game.points === "own" ? Infinity : SHOWN);
    learned.dots(made, COLOURS.fake, SHOWN);
    const some = made.slice(0, 2 * ARROWS);
    learned.arrows(some, game.pull(this.game, some), LONGEST[this.game.points]);
    if (cross) learned.cross(cross);
  }

  /** A critic's answers are no probabilities: the scale goes from the smallest to the largest. */
  drawCritic(answers) {
    const low = Math.min(...answers);
    const high = Math.max(...answers);
    const width = high - low || 1;
    this.setScale(low, high);
    this.learned.surface(answers.map((answer) => (answer - low) / width), this.side);
    for (let i = 1; i <= LINES; i++) {
      this.learned.contour(answers, this.side, low + (i * width) / (LINES + 1), "#777");
    }
  }

  drawBest(fakes, fakeDensity, empty) {
    const { best, side } = this;
    best.clear(this.game.kind.edge);
    const answers = fakeDensity.map((density, i) => sigmoid(this.realDensity[i] - density));
    best.surface(answers, side, empty);
    best.contour(answers, side, 0.5, "#000", empty);
    best.ellipse(REAL, COLOURS.real);
    best.ellipse(fakes, COLOURS.fake);
  }

  /** Write the ends of the scale of colours. */
  setScale(low, high) {
    const probabilities = this.game.loss.answersAreProbabilities;
    const short = (number) => number.toFixed(1).replace("-", "−");
    this.parts.low.textContent = probabilities ? "0 (fake)" : `${short(low)} (smallest)`;
    this.parts.middle.textContent = probabilities ? "½" : short((low + high) / 2);
    this.parts.high.textContent = probabilities ? "1 (real)" : `${short(high)} (largest)`;
  }

  /** Draw the charts over all rows. */
  drawCharts(rows) {
    const { parts, game: played } = this;
    const losses = [
      { field: "best", colour: "--plane-text", dashed: true },
      { field: "dLoss", colour: "--plane-d" },
      { field: "gLoss", colour: "--plane-g" },
    ];
    drawChart(parts.losses, rows, losses);
    const answers = [
      { field: "dReal", colour: "--plane-d" },
      { field: "dFake", colour: "--plane-g" },
    ];
    const known = played.loss.answersAreProbabilities;
    const isLogit = played.loss.name.startsWith("cross");
    drawChart(parts.answers, rows, answers, isLogit ? [0, 1] : null, known ? [0.5] : []);
    if (played.points !== "ring") return;
    const modes = [
      { field: "modesShare", colour: "--plane-d" },
      { field: "goodShare", colour: "--plane-g" },
    ];
    drawChart(parts.modes, rows, modes, [0, 105]);
  }
}
