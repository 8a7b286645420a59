/** Arithmetic with z, as in lesson 03: a - b + c, where each term is a z or a mean of several. */
import { button, labelled, make, Picture } from "./elements.js";
import { uniform } from "./random.js";
import { inWords } from "./reader.js";
import { add, mean, withLength } from "./vectors.js";

const GROUPS = { slanted: "slanted", upright: "upright", any: "mixed" };
const FIRST = [["slanted", 3], ["upright", 3], ["upright", 0]]; // a, b, c
const COUNTS = { 1: "1 vector z", 3: "3 vectors z", 10: "10 vectors z", all: "all z of its group" };
const HINT =
  "A slanted 3 minus an upright 3 leaves the slant. So the sum with an upright 0 should be a " +
  "slanted 0. Choose other digits, too.";

export class Arithmetic {
  /**
   * @param generator, read the networks.
   * @param latent what NAME.latent.json holds.
   */
  constructor(generator, read, latent) {
    this.generator = generator;
    this.read = read;
    this.latent = latent;
    this.seed = 1;
    const changed = () => this.show();
    this.terms = FIRST.map((chosen, i) => new Term("abc"[i], chosen, changed));
    this.sum = new Picture();
    this.count = make("select", { change: changed }, ...options(COUNTS, "3"));
    this.other = button("Other z", () => {
      this.seed += 1;
      this.show();
    });
    this.words = make("p", { class: "gan-words", "aria-live": "polite" });
    const [a, b, c] = this.terms.map(({ element }) => element);
    const sum = inGrid("sum", this.sum.element, make("span", {}, "the sum"));
    const terms = [a, sign("minus", "−"), b, sign("plus", "+"), c, sign("equals", "="), sum];
    this.element = make(
      "div",
      { class: "gan-arithmetic" },
      make("p", { class: "gan-hint" }, HINT),
      make("div", { class: "gan-sum" }, ...terms),
      make("div", { class: "gan-row" }, labelled("Each term is the mean of", this.count), this.other),
      this.words,
    );
    this.show();
  }

  show() {
    const count = this.count.value;
    this.other.disabled = count === "10" || count === "all"; // there are no other ones
    const next = uniform(this.seed);
    const [a, b, c] = this.terms.map((term) => term.mean(this.latent, count, next));
    this.terms.forEach((term, i) => term.show(this.pixels([a, b, c][i])));
    const pixels = this.pixels(add(add(a, b, -1), c));
    const said = inWords(this.read(pixels));
    this.sum.show(pixels);
    this.sum.describe(`The sum. ${said}`);
    const [first, second, third] = this.terms.map((term) => term.name);
    this.words.textContent = `Sum: ${first} − ${second} + ${third}. ${said}`;
  }

  /** Return the digit of a z, which is first set to the length of a typical z. */
  pixels(z) {
    return this.generator.run(withLength(z, this.latent.radius));
  }
}

/** A term of the sum: its picture, and what it is a mean of. */
class Term {
  constructor(letter, [group, digit], changed) {
    this.picture = new Picture();
    const text = (name) => `${letter}: which ${name}`;
    this.digit = make("select", { "aria-label": text("digit"), change: changed });
    this.digit.append(...options(Object.fromEntries([..."0123456789"].map((k) => [k, k])), digit));
    this.group = make("select", { "aria-label": text("slant"), change: changed });
    this.group.append(...options(GROUPS, group));
    this.element = inGrid(letter, this.picture.element, this.group, this.digit);
  }

  get name() {
    return `${GROUPS[this.group.value]} ${this.digit.value}`;
  }

  /** Return the mean of as many z of the group as asked for; `next` draws which. */
  mean({ means, terms }, count, next) {
    const group = this.group.value;
    const digit = Number(this.digit.value);
    if (count === "all") return means[group][digit];
    const left = [...terms[group][digit]];
    const chosen = Array.from({ length: Number(count) }, () => {
      const [taken] = left.splice(Math.floor(next() * left.length), 1);
      return taken;
    });
    return mean(chosen);
  }

  show(pixels) {
    this.picture.show(pixels);
    this.picture.describe(`The term ${this.name}`);
  }
}

/** Give elements their places in the grid: a picture, and below it what it is. */
function inGrid(name, ...elements) {
  elements.forEach((element, i) => {
    element.style.gridArea = name + (i || "");
  });
  return make("div", { class: "gan-term" }, ...elements);
}

function sign(name, text) {
  const place = `grid-area: ${name}`;
  return make("span", { class: "gan-sign", style: place, "aria-hidden": "true" }, text);
}

function options(words, chosen) {
  return Object.entries(words).map(([value, text]) =>
    make("option", { value, selected: value === String(chosen) ? "" : null }, text),
  );
}
