/**
 * Lesson 11: a face, and a slider for each attribute whose direction the page finds.
 */
import { atNextFrame, button, directionSliders, make, Picture } from "./elements.js";
import { seedField, seedRow, styles } from "./elements.js";
import { load, loadLatent } from "./network.js";
import { anySeed, normal } from "./random.js";
import { add, withLength } from "./vectors.js";

const FIRST_SEED = 24; // a face without glasses that does not smile
const FARTHEST = 6; // of a slider, as in the lesson
const HINT =
  "The directions are not separate: most people with glasses in the data are men, so “glasses” " +
  "changes more than glasses.";
const WORDS = {
  Smiling: "smile",
  Eyeglasses: "glasses",
  Male: "woman – man",
  Blond_Hair: "blond hair",
};

export async function mount(element) {
  const { network = "11_faces" } = element.dataset;
  const loaded = [load(network), loadLatent(network), styles()];
  const [generator, latent] = await Promise.all(loaded);
  element.replaceChildren(new Face(generator, latent).element);
}

class Face {
  constructor(generator, { directions, names, radius }) {
    this.generator = generator;
    this.directions = directions;
    this.names = names.map((name) => WORDS[name] ?? name);
    this.radius = radius;
    this.steps = names.map(() => 0);
    this.draw = atNextFrame(() => this.show());
    this.picture = new Picture({ size: generator.shape[0] });
    this.words = make("p", { class: "gan-words", "aria-live": "polite" });
    const shown = make("div", { class: "gan-shown" }, this.picture.element, this.words);
    const controls = make("div", {}, this.beginning(), this.sliders());
    this.element = make("div", { class: "gan-digit" }, shown, controls);
    this.begin(FIRST_SEED);
  }

  beginning() {
    this.seed = seedField(() => this.begin(Number(this.seed.value)));
    return seedRow(this.seed, "New face", () => this.begin(anySeed()));
  }

  sliders() {
    this.moving = directionSliders(this.names, FARTHEST, (i, value) => {
      this.steps[i] = value;
      this.draw();
    });
    return make(
      "fieldset",
      {},
      make("legend", {}, "Change the face"),
      ...this.moving.map((slider) => slider.element),
      button("All sliders to 0", () => this.still()),
      make("p", { class: "gan-hint" }, HINT),
    );
  }

  /** Draw a z from a seed; as in the lesson, every z has the usual length of a random one. */
  begin(seed) {
    this.seed.value = seed;
    this.base = withLength(normal(this.generator.input.length, seed), this.radius);
    this.still();
  }

  still() {
    this.steps.fill(0);
    for (const slider of this.moving) slider.value = 0;
    this.draw();
  }

  show() {
    const z = this.steps.reduce((sum, step, i) => add(sum, this.directions[i], step), this.base);
    this.picture.show(this.generator.run(withLength(z, this.radius)));
    const moved = this.moving.filter(({ value }) => value !== 0);
    const changes = moved.map((slider) => `, ${slider.text} ${slider.output.textContent}`);
    this.words.textContent = `The face of seed ${this.seed.value}${changes.join("")}.`;
    this.picture.describe(this.words.textContent);
  }
}
