/**
 * The snapshots of a training: what the generator of each round draws for the reader's own z.
 *
 * data-network (or data-lesson) names the record, for instance "02_dcgan". data-second may name
 * another one, such as "01_gan_collapse", between which and the first a reader can choose. Only the
 * weights of rounds that the reader goes to are loaded, and every picture is computed from them.
 * It opens at the last snapshot, with data-begin="first" at the first one.
 */
import { Curves } from "./curves.js";
import { button, make, newId, Picture, seedField, seedRow } from "./elements.js";
import { Slider, stillness, styles, Turns } from "./elements.js";
import { describe, Network, weights } from "./network.js";
import { anySeed, normal } from "./random.js";

const SIDE = 6; // pictures in a row, and in a column
const FIRST_SEED = 1;
const RESTS = 150; // milliseconds on a round, after which its weights are loaded
const PAUSE = 800; // milliseconds on a round while it plays
const NAMES = { "01_gan_collapse": "the training with the saturating loss, which collapses" };

export async function mount(element) {
  const { network, lesson, second, begin } = element.dataset;
  const first = await Training.load(network ?? lesson);
  const index = begin === "first" ? 0 : first.snapshots.length - 1;
  await Promise.all([first.at(index), styles()]);
  const machine = new TimeMachine(first, second, index);
  await machine.show();
  element.replaceChildren(machine.element);
}

/** A record with its snapshots; the weights of those that were asked for stay in memory. */
class Training {
  static async load(name) {
    return new Training(await describe(name));
  }

  constructor(described) {
    this.described = described;
    this.name = described.name;
    this.snapshots = described.snapshots;
    this.loading = new Map(); // promises, by file
    this.there = new Set(); // files
  }

  /** Tell whether the weights of a snapshot are there already. */
  has(index) {
    return this.there.has(this.snapshots[index].file);
  }

  /** Load the weights of a snapshot; return a function that gives the network with them. */
  async at(index) {
    const { file } = this.snapshots[index];
    if (!this.loading.has(file)) this.loading.set(file, weights(file));
    try {
      const content = await this.loading.get(file);
      this.there.add(file);
      this.network ??= new Network(this.described, content);
      return () => {
        this.network.setWeights(content);
        return this.network;
      };
    } catch (error) {
      this.loading.delete(file); // so that it can be tried again
      throw error;
    }
  }
}

class TimeMachine {
  constructor(first, second, index) {
    this.trainings = { [first.name]: first };
    this.turns = new Turns();
    this.picture = new Picture({ columns: SIDE, rows: SIDE });
    this.words = make("p", { class: "gan-words", "aria-live": "polite" });
    this.curves = make("div");
    this.scrubber = new Slider({
      text: "Snapshot: drag, or use the arrow keys",
      min: 0,
      max: first.snapshots.length - 1,
      step: 1,
      value: index,
      say: (index) => this.nameOf(index),
      changed: () => {
        this.stop();
        this.go();
      },
    });
    this.player = button("", () => this.play());
    this.stop();
    const scrubber = make("div", { class: "gan-scrubber" }, this.player, this.scrubber.element);
    const left = make("div", {}, this.picture.element, scrubber, this.seeds(), this.words);
    const both = make("div", { class: "gan-time" }, left, this.curves);
    this.element = make("div", {}, ...(second ? [this.choice(first.name, second)] : []), both);
    this.choose(first);
  }

  /** Choose one of two trainings. */
  choice(...names) {
    const group = newId();
    const labels = names.map((name, i) => {
      const chosen = { type: "radio", name: group, checked: i === 0 ? "" : null };
      const input = make("input", { ...chosen, change: () => this.change(name) });
      return make("label", {}, input, NAMES[name] ?? "the training of this lesson");
    });
    const row = make("div", { class: "gan-choice" }, ...labels);
    return make("fieldset", {}, make("legend", {}, "Which training"), row);
  }

  seeds() {
    this.seed = seedField(() => this.show());
    this.seed.value = FIRST_SEED;
    return seedRow(this.seed, "Other z", () => {
      this.seed.value = anySeed();
      this.show();
    });
  }

  async change(name) {
    this.stop();
    try {
      this.trainings[name] ??= await Training.load(name);
    } catch (error) {
      this.words.textContent = error.message;
      return;
    }
    this.choose(this.trainings[name]);
    await this.show();
  }

  /** Show the curves of a training; its pictures come with `show`. */
  choose(training) {
    this.training = training;
    const rows = training.described.history;
    const rounds = training.snapshots.map(({ round }) => round);
    const scored = rows.some((row) => row.score !== null);
    const score = "score (lower is better, 1 is as good as real digits)";
    const quality = scored
      ? { lines: { score: "score" }, axis: score }
      : { lines: { diversity: "diversity" }, axis: "diversity (0: all samples are equal)" };
    this.charts = [
      new Curves({ rows, rounds, lines: { d_loss: "loss of D", g_loss: "loss of G" }, axis: "loss" }),
      new Curves({ rows, rounds, ...quality }),
    ];
    this.curves.replaceChildren(...this.charts.map(({ element }) => element));
    this.scrubber.told();
  }

  nameOf(index) {
    if (!this.training) return "";
    const { snapshots, described } = this.training;
    return `round ${snapshots[index].round} of ${described.history.length}`;
  }

  /** Show the snapshot of the scrubber, once it rests there. */
  go() {
    clearTimeout(this.waiting);
    this.moveCurves();
    const rests = this.training.has(this.scrubber.value) ? 0 : RESTS;
    this.waiting = setTimeout(() => this.show(), rests);
  }

  moveCurves() {
    const { round } = this.training.snapshots[this.scrubber.value];
    for (const chart of this.charts) chart.move(round);
  }

  /** Load what is needed, and draw a picture for each z; say whether it came to its end. */
  async show() {
    const { training } = this;
    const index = this.scrubber.value;
    this.moveCurves();
    if (!training.has(index)) this.words.textContent = "The weights of this round are loading.";
    let made;
    try {
      made = await training.at(index);
    } catch (error) {
      this.words.textContent = error.message;
      return false;
    }
    if (training !== this.training || index !== this.scrubber.value) return false;
    return this.drawAll(made(), training.snapshots[index].round);
  }

  async drawAll(network, round) {
    const length = network.input.length;
    const count = SIDE * SIDE;
    const z = normal(count * length, Number(this.seed.value));
    const done = await this.turns.start(count, (i) => {
      this.picture.show(network.run(z.subarray(i * length, (i + 1) * length)), i);
    });
    if (!done) return false;
    const row = this.training.described.history.find((one) => one.round === round);
    const updates = row.step.toLocaleString("en");
    this.picture.describe(
      `${count} pictures that the generator draws after round ${round}, for the z of seed ` +
        `${this.seed.value}.`,
    );
    this.words.textContent = `After round ${round}: ${updates} updates.`;
    return true;
  }

  /** Go through all snapshots; where less motion is asked for, only to the next one. */
  async play() {
    const last = this.training.snapshots.length - 1;
    if (this.playing) return this.stop();
    if (stillness()) {
      this.scrubber.value = this.scrubber.value === last ? 0 : this.scrubber.value + 1;
      return this.show();
    }
    const token = {};
    this.playing = token;
    this.player.textContent = "Stop";
    if (this.scrubber.value === last) this.scrubber.value = 0;
    for (;;) {
      const pause = new Promise((done) => setTimeout(done, PAUSE));
      if (!(await this.show())) break;
      await pause;
      if (this.playing !== token || this.scrubber.value === last) break;
      this.scrubber.value += 1;
    }
    if (this.playing === token) this.stop();
  }

  stop() {
    this.playing = null;
    this.player.textContent = stillness() ? "Next" : "Play";
  }
}
