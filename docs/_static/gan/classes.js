/**
 * Lesson 06: the class decides which digit is drawn, and z decides its style.
 *
 * Ten digits of one z, of which one is shown large, and a slider for each direction of the page.
 */
import { atNextFrame, button, directionSliders, make, Picture } from "./elements.js";
import { numbered, seedField, seedRow, styles, Turns } from "./elements.js";
import { load, loadLatent } from "./network.js";
import { anySeed, normal } from "./random.js";
import { withArticle } from "./reader.js";
import { add } from "./vectors.js";

const CLASSES = 10;
const FIRST_SEED = 3;
const FARTHEST = 4; // of a slider, as in the lesson

export async function mount(element) {
  const { network = "06_cgan" } = element.dataset;
  const loaded = [load(network), loadLatent(network), styles()];
  const [generator, { directions }] = await Promise.all(loaded);
  element.replaceChildren(new Classes(generator, directions).element);
}

class Classes {
  constructor(generator, directions) {
    this.generator = generator;
    this.directions = directions;
    this.steps = directions.map(() => 0);
    this.turns = new Turns();
    this.draw = atNextFrame(() => this.show());
    this.large = new Picture();
    this.words = make("p", { class: "gan-words", "aria-live": "polite" });
    this.small = Array.from({ length: CLASSES }, () => new Picture());
    this.buttons = this.small.map(({ element }, digit) => {
      element.setAttribute("aria-hidden", "true"); // the button says which digit it is
      const pressed = () => this.choose(digit);
      const chosen = button("", pressed, { "aria-label": `Class ${digit}` });
      chosen.append(element, make("span", {}, String(digit)));
      return chosen;
    });
    const group = { class: "gan-classes", role: "group", "aria-label": "Class" };
    const shown = make("div", { class: "gan-shown" }, this.large.element, this.words);
    const controls = make("div", {}, this.beginning(), this.sliders());
    this.element = make(
      "div",
      {},
      make("div", group, ...this.buttons),
      make("div", { class: "gan-digit" }, shown, controls),
    );
    this.choose(3);
    this.begin(FIRST_SEED);
  }

  beginning() {
    this.seed = seedField(() => this.begin(Number(this.seed.value)));
    return seedRow(this.seed, "New style", () => this.begin(anySeed()));
  }

  sliders() {
    this.moving = directionSliders(numbered(this.directions), FARTHEST, (i, value) => {
      this.steps[i] = value;
      this.draw();
    });
    return make(
      "fieldset",
      {},
      make("legend", {}, "Change the style"),
      ...this.moving.map((slider) => slider.element),
      button("All sliders to 0", () => this.still()),
    );
  }

  begin(seed) {
    this.seed.value = seed;
    this.base = normal(this.generator.described.inputs[0][0], seed);
    this.still();
  }

  still() {
    this.steps.fill(0);
    for (const slider of this.moving) slider.value = 0;
    this.draw();
  }

  choose(digit) {
    this.chosen = digit;
    this.buttons.forEach((one, k) => one.setAttribute("aria-pressed", String(k === digit)));
    this.draw();
  }

  /** Draw the large digit first, then all ten. */
  async show() {
    if (!this.base) return;
    const z = this.steps.reduce((sum, step, i) => add(sum, this.directions[i], step), this.base);
    const order = [this.chosen, ...Array(CLASSES).keys()];
    const done = await this.turns.start(order.length, (i) => {
      const label = Array.from({ length: CLASSES }, (_, k) => Number(k === order[i]));
      const picture = i === 0 ? this.large : this.small[order[i]];
      picture.show(this.generator.run(z, label));
    });
    if (!done) return;
    this.words.textContent = `Class ${this.chosen}, in the style of seed ${this.seed.value}.`;
    this.large.describe(`The digit that was asked for: ${withArticle(this.chosen)}.`);
  }
}
