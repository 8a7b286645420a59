/**
 * The game in the plane, live: two small networks that train in the page (lessons 01, 04 and 05).
 *
 * Nothing runs until the reader presses a button. The mathematics is in plane-game.js,
 * plane-network.js, plane-losses.js and plane-theory.js, and each of them is tested against Keras
 * or `utils.topics`.
 */
import { build } from "./plane-controls.js";
import { newGame, POINTS, stepDiscriminator, stepGenerator } from "./plane-game.js";
import { LOSSES } from "./plane-losses.js";
import { View } from "./plane-view.js";
import { grouped, hint, numbers } from "./plane-words.js";

// What each lesson begins with: data-game of the element.
const STARTS = {
  gan: { loss: "cross-entropy", points: "gaussian" },
  lsgan: { loss: "least-squares", points: "gaussian" },
  wgan: { loss: "penalty", points: "gaussian" },
};
const BUDGET = 14; // milliseconds of a frame for updates
const DRAWING = 4; // drawing takes at most one part in so many of the time
const COUNTING = 1500; // milliseconds between two counts of the modes while it runs
const CALM = 1000; // milliseconds between two pictures where a reader wants little motion
const MOST_ROWS = 500; // of the charts
const MOST_POINTS = 2000; // that a reader draws
const APART = 0.1; // from one drawn point to the next, in the plane
const SMALL_STEP = 0.1; // of an arrow key, in the plane
const LARGE_STEP = 0.5; // with Shift
const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowDown: [0, -1], ArrowUp: [0, 1] };

/** Fill the element with the game. */
export async function mount(element) {
  new Session(await build(element), element.dataset);
}

/** How many updates D makes for one of G, as in the lessons. */
function usualUpdates({ points, loss }) {
  if (!LOSSES[loss].answersAreProbabilities) return 5;
  return points === "gaussian" ? 10 : 1;
}

/** Points a batch: fewer than the lessons' 256 where the networks are large, to be quick. */
function batchFor(points) {
  return points === "gaussian" ? 256 : 64;
}

class Session {
  constructor(parts, data) {
    this.parts = parts;
    this.view = new View(parts);
    this.own = [];
    this.cross = [0, 0];
    this.visible = true;
    this.waiting = false; // for the next frame
    const start = STARTS[data.game] ?? STARTS.gan;
    parts.loss.value = data.loss ?? start.loss;
    parts.points.value = data.points ?? start.points;
    parts.speed.value = "10";
    this.calm = window.matchMedia("(prefers-reduced-motion: reduce)");
    this.listen();
    this.changeKind();
    this.watch();
  }

  listen() {
    const { parts } = this;
    const on = (part, name, action) => part.addEventListener(name, action);
    on(parts.stepD, "click", () => this.ask(1, 0));
    on(parts.stepD10, "click", () => this.ask(10, 0));
    on(parts.stepD200, "click", () => this.ask(200, 0));
    on(parts.stepG, "click", () => this.ask(0, 1));
    on(parts.run, "click", () => this.toggle());
    on(parts.reset, "click", () => this.begin("A new game."));
    on(parts.erase, "click", () => this.eraseOwn());
    on(parts.loss, "change", () => this.changeKind());
    on(parts.points, "change", () => this.changeKind());
    on(parts.seed, "change", () => this.begin("A new game."));
    on(parts.learned, "pointerdown", (event) => this.startDrawing(event));
    on(parts.learned, "pointermove", (event) => this.goOnDrawing(event));
    on(parts.learned, "keydown", (event) => this.pressKey(event));
    on(parts.learned, "focus", () => this.draw());
    on(parts.learned, "blur", () => this.draw());
  }

  /** Draw again when the size or the theme changes, and rest while nobody sees it. */
  watch() {
    const again = () => this.draw();
    new ResizeObserver(again).observe(this.parts.learned);
    const options = { attributes: true, attributeFilter: ["data-theme"] };
    new MutationObserver(again).observe(document.body, options);
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
    new IntersectionObserver((entries) => {
      this.visible = entries.at(-1).isIntersecting;
      this.wake();
    }).observe(this.parts.root);
  }

  get points() {
    return this.parts.points.value;
  }

  get drawsOwn() {
    return this.points === "own";
  }

  get ended() {
    return this.done.g >= POINTS[this.points].last;
  }

  get canTrain() {
    return !this.drawsOwn || this.own.length > 0;
  }

  /** Begin with another loss or other points. */
  changeKind() {
    const { parts } = this;
    parts.perG.value = String(usualUpdates({ points: this.points, loss: parts.loss.value }));
    if (parts.speed.value !== "1000" && this.points !== "gaussian") parts.speed.value = "1000";
    this.begin("A new game.");
    const known = this.view.knowsBest;
    parts.bestFigure.hidden = !known;
    parts.bestKey.hidden = !known;
    parts.modesFigure.hidden = this.points !== "ring";
    parts.erase.hidden = !this.drawsOwn;
    parts.root.classList.toggle("plane-with-best", known);
    const title = this.drawsOwn ? "Draw here. Colours: D as trained" : "D as trained";
    parts.learnedTitle.textContent = title;
    this.describeKey(known);
    this.describeCanvas();
    this.draw();
  }

  describeKey(known) {
    const isCritic = !LOSSES[this.parts.loss.value].answersAreProbabilities;
    let text = isCritic ? "grey lines: equal answers" : "black line: the answer is ½";
    if (known) text += " · ellipses: 86 % of each kind · grey: hardly any points";
    this.parts.line.textContent = text;
  }

  describeCanvas() {
    const { learned } = this.parts;
    learned.classList.toggle("plane-draws", this.drawsOwn);
    if (this.drawsOwn) {
      learned.tabIndex = 0;
      learned.setAttribute("role", "application");
      learned.setAttribute(
        "aria-label",
        "Field for your points. Arrow keys move the cross, Enter draws a point.",
      );
    } else {
      learned.removeAttribute("tabindex");
      learned.setAttribute("role", "img");
    }
  }

  /** Start a new game with the settings as they are. */
  begin(said) {
    const seed = Math.abs(Math.trunc(Number(this.parts.seed.value))) || 0;
    this.game = newGame({
      points: this.points,
      loss: this.parts.loss.value,
      seed,
      own: this.own,
      batch: batchFor(this.points),
    });
    this.done = { d: 0, g: 0 };
    this.asked = { d: 0, g: 0 };
    this.inRound = 0; // updates of D since the last one of G
    this.due = 0; // rounds that the speed allows
    this.running = false;
    this.rows = [];
    this.drawnAt = -Infinity;
    this.countedAt = -Infinity;
    this.view.begin(this.game);
    this.note(true);
    this.draw();
    this.say(said);
  }

  /** Ask for updates, which are made in the next frames. */
  ask(d, g) {
    this.asked.d += d;
    this.asked.g += g;
    this.wake();
  }

  toggle() {
    this.running = !this.running;
    this.lastFrame = performance.now();
    this.due = 0;
    this.refresh();
    this.say(this.running ? "Training." : `Paused. ${this.parts.numbers.textContent}`);
    if (!this.running) this.show(true);
    this.wake();
  }

  get hasWork() {
    return this.running || this.asked.d + this.asked.g > 0;
  }

  wake() {
    if (this.waiting || !this.visible || !this.hasWork) return;
    this.waiting = true;
    this.lastFrame = performance.now();
    requestAnimationFrame((now) => this.frame(now));
  }

  /** Make updates for a few milliseconds, and draw if the last picture is old enough. */
  frame(now) {
    this.waiting = false;
    if (!this.visible) return;
    if (this.running) {
      const seconds = Math.min(0.25, Math.max(0, now - this.lastFrame) / 1000);
      this.due = Math.min(this.due + seconds * Number(this.parts.speed.value), 1000);
    }
    this.lastFrame = now;
    const end = performance.now() + BUDGET;
    let worked = true;
    while (worked && performance.now() < end) worked = this.update();
    if (this.ended) this.stop();
    const finished = !this.hasWork;
    if (finished || performance.now() >= this.drawnAt) this.show(finished);
    if (this.hasWork) {
      this.waiting = true;
      requestAnimationFrame((next) => this.frame(next));
    }
  }

  /** Make one update: what was asked for first, then what the speed allows. */
  update() {
    if (this.asked.d > 0) {
      this.asked.d -= 1;
      this.updateD();
    } else if (this.asked.g > 0) {
      this.asked.g -= 1;
      this.updateG();
    } else if (!this.running || this.due < 1) {
      return false;
    } else if (this.inRound < Number(this.parts.perG.value)) {
      this.inRound += 1;
      this.updateD();
    } else {
      this.inRound = 0;
      this.due -= 1;
      this.updateG();
    }
    return true;
  }

  updateD() {
    stepDiscriminator(this.game);
    this.done.d += 1;
  }

  updateG() {
    if (this.ended) return;
    stepGenerator(this.game);
    this.done.g += 1;
  }

  stop() {
    this.running = false;
    this.asked.g = 0;
  }

  /** Draw, and note how long it took, so that drawing leaves time for updates. */
  show(finished) {
    const start = performance.now();
    const counts = finished || start - this.countedAt > COUNTING;
    if (counts) this.countedAt = start;
    this.note(counts);
    this.draw();
    const end = performance.now();
    const pause = this.calm.matches ? CALM : (end - start) * (DRAWING - 1);
    this.drawnAt = end + pause;
    if (finished) this.say(this.parts.numbers.textContent);
  }

  /** Add a row to the charts; of very many, every second one is kept. */
  note(counts) {
    this.row = this.view.row(this.done.d + this.done.g, counts);
    if (!Number.isFinite(this.row.found)) {
      const last = this.rows.at(-1);
      Object.assign(this.row, last && { found: last.found, good: last.good });
    }
    if (this.row.updates === this.rows.at(-1)?.updates) this.rows.pop();
    this.rows.push(this.row);
    if (this.rows.length > MOST_ROWS) this.rows = this.rows.filter((_, i) => i % 2 === 0);
  }

  draw() {
    const isDrawing = this.drawsOwn && document.activeElement === this.parts.learned;
    this.view.drawPictures(isDrawing ? this.cross : null);
    this.view.drawCharts(this.rows);
    this.refresh();
  }

  /** Write what changes in words, and which buttons can be pressed. */
  refresh() {
    const { parts } = this;
    const loss = parts.loss.value;
    parts.hint.textContent = hint({
      points: this.points,
      loss,
      done: this.done,
      running: this.running,
      ended: this.ended,
      known: this.view.knowsBest,
      own: this.own.length,
    });
    const { done, row, points } = this;
    const given = { done, row, points, loss: LOSSES[loss], canTrain: this.canTrain };
    parts.numbers.textContent = numbers(given);
    parts.run.textContent = this.running ? "Pause" : "Run";
    for (const name of ["run", "stepG"]) parts[name].disabled = this.ended || !this.canTrain;
    for (const name of ["stepD", "stepD10", "stepD200"]) parts[name].disabled = !this.canTrain;
    this.describe(parts.numbers.textContent);
  }

  /** Say in words what pictures and charts show. */
  describe(inNumbers) {
    const { parts } = this;
    const learned = `What D answers over the plane, with real points and fakes. ${inNumbers}`;
    if (!this.drawsOwn) parts.learned.setAttribute("aria-label", learned);
    const best = "What the best D answers over the plane, with an ellipse for each kind of points.";
    parts.best.setAttribute("aria-label", best);
    const charts = { losses: "The losses", answers: "Mean answers of D", modes: "Modes found" };
    for (const [name, what] of Object.entries(charts)) {
      parts[name].setAttribute("aria-label", `${what} over the updates. ${inNumbers}`);
    }
  }

  /** Tell a screen reader. */
  say(text) {
    this.parts.status.textContent = text;
  }

  startDrawing(event) {
    if (!this.drawsOwn) return;
    event.preventDefault();
    this.parts.learned.focus({ preventScroll: true });
    this.parts.learned.setPointerCapture(event.pointerId);
    this.addPoint(this.view.learned.place(event));
  }

  goOnDrawing(event) {
    if (!this.drawsOwn || !event.buttons) return;
    const place = this.view.learned.place(event);
    const [x, y] = this.own.at(-1) ?? [Infinity, Infinity];
    if (Math.hypot(place[0] - x, place[1] - y) >= APART) this.addPoint(place);
  }

  pressKey(event) {
    if (!this.drawsOwn) return;
    const step = STEPS[event.key];
    if (step) {
      const size = event.shiftKey ? LARGE_STEP : SMALL_STEP;
      const { edge } = this.game.kind;
      this.cross = this.cross.map((value, i) => {
        return Math.max(-edge, Math.min(edge, value + size * step[i]));
      });
      this.say(`Cross at ${this.cross.map((value) => value.toFixed(1)).join(", ")}.`);
      this.draw();
    } else if (event.key === "Enter" || event.key === " ") {
      this.addPoint([...this.cross]);
      this.say(`Point ${this.own.length} is drawn.`);
    } else {
      return;
    }
    event.preventDefault();
  }

  addPoint(place) {
    if (this.own.length >= MOST_POINTS) {
      return this.say(`There are ${grouped(MOST_POINTS)} points, and no more fit.`);
    }
    this.own.push(place);
    this.cross = [...place];
    if (this.own.length === 1) this.view.begin(this.game);
    if (!this.hasWork) this.draw();
  }

  eraseOwn() {
    this.own = [];
    this.begin("Your points are removed.");
  }
}
