/**
 * A digit of lesson 02's generator: moved along the strongest directions, on a sphere through
 * three z, into another digit, and calculated with (lesson 03).
 *
 * data-parts names what is shown: "sliders", "walk", "three" (into a 3, or another digit) and
 * "arithmetic"; without it all four.
 */
import { Arithmetic } from "./arithmetic.js";
import { atNextFrame, button, directionSliders, make, Movement, Picture } from "./elements.js";
import { numbered, seedField, seedRow, styles } from "./elements.js";
import { load, loadLatent } from "./network.js";
import { anySeed, normal } from "./random.js";
import { inWords, loadReader, withArticle } from "./reader.js";
import { Sphere } from "./sphere.js";
import { add, walk, withLength } from "./vectors.js";

const FIRST_SEED = 2; // an 8, a 6 and a 1, all in front of the globe
const SHOWN = 3; // sliders that are seen at once; the others are folded
const FARTHEST = 4; // of a slider, as in lesson 03
const QUIET = 200; // milliseconds after the last change, until the classifier reads

export async function mount(element) {
  const { network = "02_dcgan", parts = "sliders walk three arithmetic" } = element.dataset;
  const [generator, latent, read] = await Promise.all([
    load(network),
    loadLatent(network),
    loadReader(),
    styles(),
  ]);
  const wanted = new Set(parts.split(" "));
  const shown = [];
  if (["sliders", "walk", "three"].some((part) => wanted.has(part)))
    shown.push(new Digit(generator, read, latent, wanted).element);
  if (wanted.has("arithmetic")) {
    const { element: sums } = new Arithmetic(generator, read, latent);
    shown.push(make("fieldset", {}, make("legend", {}, "Calculate with digits"), sums));
  }
  element.replaceChildren(...shown);
}

/**
 * One digit and all that changes it.
 *
 * Its z is `base`, a vector on the sphere, plus a step along each direction.
 */
class Digit {
  constructor(generator, read, latent, wanted) {
    this.generator = generator;
    this.read = read;
    this.latent = latent;
    this.steps = latent.directions.map(() => 0);
    this.movement = new Movement();
    this.picture = new Picture();
    this.words = make("p", { class: "gan-words", "aria-live": "polite" });
    this.draw = atNextFrame(() => this.show());
    this.sphere = new Sphere({
      radius: latent.radius,
      thumbnail: (z) => this.thumbnail(z),
      moved: () => {
        this.movement.stop();
        this.move(this.sphere.z);
      },
    });
    const controls = make("div", { class: "gan-controls" }, this.beginning());
    if (wanted.has("walk")) controls.append(this.part("Walk on the sphere", this.sphere.element));
    if (wanted.has("sliders")) controls.append(this.sliders());
    if (wanted.has("three")) controls.append(this.into());
    const shown = make("div", { class: "gan-shown" }, this.picture.element, this.words);
    this.element = make("div", { class: "gan-digit" }, shown, controls);
    this.begin(FIRST_SEED);
  }

  part(legend, ...children) {
    return make("fieldset", {}, make("legend", {}, legend), ...children);
  }

  beginning() {
    this.seed = seedField(() => this.begin(Number(this.seed.value)));
    return seedRow(this.seed, "New digit", () => this.begin(anySeed()));
  }

  sliders() {
    this.moving = directionSliders(numbered(this.latent.directions), FARTHEST, (i, value) => {
      this.steps[i] = value;
      this.draw();
    });
    const elements = this.moving.map((slider) => slider.element);
    const more = `${elements.length - SHOWN} more directions`;
    return this.part(
      "Move along the strongest directions",
      ...elements.slice(0, SHOWN),
      make("details", {}, make("summary", {}, more), ...elements.slice(SHOWN)),
      button("All sliders to 0", () => this.still()),
    );
  }

  into() {
    const buttons = [...Array(10).keys()].map((digit) =>
      button(String(digit), () => this.turnInto(digit), { "aria-label": `Into ${withArticle(digit)}` }),
    );
    const hint =
      "Each press adds the mean z of the digit that you choose, and subtracts the mean z of the " +
      "digit that the classifier reads.";
    return this.part(
      "Turn it into",
      make("div", { class: "gan-buttons" }, ...buttons),
      make("p", { class: "gan-hint" }, hint),
    );
  }

  /** Draw three z from a seed, and show the digit of the first. */
  begin(seed) {
    this.movement.stop();
    this.seed.value = seed;
    const length = this.generator.input.length;
    const numbers = normal(3 * length, seed);
    const points = [0, 1, 2].map((i) =>
      withLength(numbers.slice(i * length, (i + 1) * length), this.latent.radius),
    );
    this.sphere.place(points);
    this.base = points[0];
    this.still();
  }

  still() {
    this.steps.fill(0);
    this.moving?.forEach((slider) => {
      slider.value = 0;
    });
    this.draw();
  }

  move(z) {
    this.base = z;
    this.draw();
  }

  /** Walk towards a digit: by the difference of the means of two digits. */
  turnInto(wanted) {
    const { any } = this.latent.means;
    const { digit } = this.read(this.pixels());
    const target = add(add(this.base, any[wanted]), any[digit], -1);
    const goal = withLength(target, this.latent.radius);
    const from = this.base;
    this.movement.start((t) => {
      this.move(walk(from, goal, t));
      if (t === 1) this.sphere.placeFirst(goal);
    });
  }

  pixels() {
    const z = this.steps.reduce(
      (sum, step, i) => (step ? add(sum, this.latent.directions[i], step) : sum),
      this.base,
    );
    return this.generator.run(z);
  }

  show() {
    this.picture.show(this.pixels());
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => this.tell(), QUIET);
  }

  tell() {
    const said = inWords(this.read(this.pixels()));
    this.words.textContent = said;
    this.picture.describe(`A digit. ${said}`);
  }

  thumbnail(z) {
    const small = new Picture();
    small.show(this.generator.run(z));
    return small.element.toDataURL();
  }
}
