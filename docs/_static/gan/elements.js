/** What the widgets of digits and faces share: elements, sliders, pictures, their style sheet. */

/**
 * Make an element.
 *
 * @param tag its name.
 * @param attributes strings and numbers become attributes, functions become listeners.
 * @param children texts and elements in it.
 */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value !== null) element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** Make an element of a drawing (SVG), as `make` does. */
export function draw(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Make a button. */
export function button(text, pressed, attributes = {}) {
  return make("button", { type: "button", click: pressed, ...attributes }, text);
}

let made = 0;

/** Return an id that no other element has. */
export function newId() {
  made += 1;
  return `gan-${made}`;
}

/** Put a control below its label; the control needs no id of its own. */
export function labelled(text, control) {
  control.id = newId();
  const label = make("label", { for: control.id }, text);
  return make("div", { class: "gan-labelled" }, label, control);
}

/** A range with its label at the left and its value at the right. */
export class Slider {
  /**
   * @param options.text the label.
   * @param options.min, options.max, options.step as of the element `input`.
   * @param options.value at first.
   * @param options.say turns a value into words; by default a sign and one digit.
   * @param options.changed is called with the value when the reader moves the slider.
   */
  constructor({ text, min, max, step, value, say = signed, changed }) {
    this.text = text;
    this.say = say;
    const id = newId();
    const moved = () => {
      this.told();
      changed(this.value);
    };
    this.input = make("input", { type: "range", id, min, max, step, input: moved });
    this.output = make("output", { for: id });
    const label = make("label", { for: id }, text);
    this.element = make("div", { class: "gan-slider" }, label, this.input, this.output);
    this.value = value;
  }

  get value() {
    return Number(this.input.value);
  }

  set value(value) {
    this.input.value = value;
    this.told();
  }

  told() {
    this.output.textContent = this.say(this.value);
    this.input.setAttribute("aria-valuetext", this.output.textContent);
  }
}

function signed(value) {
  return (value > 0 ? "+" : value < 0 ? "−" : "") + Math.abs(value).toFixed(1);
}

/** A canvas that shows images in a grid: one pixel of it is one pixel of an image. */
export class Picture {
  constructor({ columns = 1, rows = 1, size = 28 } = {}) {
    this.columns = columns;
    this.size = size;
    this.step = size + (columns * rows > 1 ? 1 : 0); // with a line between the images
    const width = columns * this.step - (this.step - size);
    const height = rows * this.step - (this.step - size);
    this.element = make("canvas", { class: "gan-picture", role: "img", width, height });
    this.context = this.element.getContext("2d");
    this.pixels = this.context.createImageData(size, size);
  }

  /**
   * Show an image at a place of the grid.
   *
   * @param values its pixels, row after row, in [-1, 1]: grey, or red, green and blue.
   * @param place counts from 0, row after row.
   */
  show(values, place = 0) {
    const { data } = this.pixels;
    const channels = values.length / this.size ** 2;
    for (let i = 0; i < this.size ** 2; i++) {
      for (let colour = 0; colour < 3; colour++) {
        const value = values[channels * i + (colour % channels)];
        data[4 * i + colour] = (value + 1) * 127.5; // the canvas rounds and clips
      }
      data[4 * i + 3] = 255;
    }
    const x = (place % this.columns) * this.step;
    const y = Math.floor(place / this.columns) * this.step;
    this.context.putImageData(this.pixels, x, y);
  }

  /** Say in words what the picture shows. */
  describe(text) {
    this.element.setAttribute("aria-label", text);
  }
}

/** Tell whether the reader has asked for less motion. */
export function stillness() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}

/**
 * Return a function that calls another one once, at the next frame, however often it is called.
 */
export function atNextFrame(work) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      work();
    });
  };
}

/** Work that is done piece by piece, so that the page stays quick; new work ends the old. */
export class Turns {
  /**
   * Call a function with 0, 1, ... up to below a count, a few times a frame.
   *
   * @returns a promise: true at the end, false where new work came first.
   */
  async start(count, piece) {
    const token = {};
    this.token = token;
    let begin = performance.now();
    for (let i = 0; i < count; i++) {
      piece(i);
      if (performance.now() - begin < 12) continue;
      await new Promise((done) => setTimeout(done));
      if (this.token !== token) return false;
      begin = performance.now();
    }
    return true;
  }
}

/** A movement of half a second; a new one ends the one before it. */
export class Movement {
  /**
   * Call a function with numbers that grow from 0 to 1; with less motion with 1 only.
   */
  start(step) {
    cancelAnimationFrame(this.frame);
    if (stillness()) {
      step(1);
      return;
    }
    const begin = performance.now();
    const next = (now) => {
      const t = Math.min(1, Math.max(0, (now - begin) / 500));
      step(t);
      if (t < 1) this.frame = requestAnimationFrame(next);
    };
    this.frame = requestAnimationFrame(next);
  }

  stop() {
    cancelAnimationFrame(this.frame);
  }
}

/** Load the style sheet of these widgets, once a page. */
export function styles() {
  const { href } = new URL("./digits.css", import.meta.url);
  if ([...document.styleSheets].some((sheet) => sheet.href === href)) return null;
  return new Promise((done) => {
    document.head.append(make("link", { rel: "stylesheet", href, load: done, error: done }));
  });
}

/** Return names for directions that have none. */
export function numbered(directions) {
  return directions.map((_, i) => `direction ${i + 1}`);
}

/** Sliders along directions of z; `changed` is called with the number of one, and how far. */
export function directionSliders(names, farthest, changed) {
  const slider = (text, i) =>
    new Slider({
      text,
      min: -farthest,
      max: farthest,
      step: 0.1,
      value: 0,
      changed: (value) => changed(i, value),
    });
  return names.map(slider);
}

/** A field for the seed of z. */
export function seedField(changed) {
  const most = 4294967295;
  const whole = () => {
    field.value = Math.min(most, Math.max(0, Math.round(Number(field.value)) || 0));
    changed();
  };
  const field = make("input", { type: "number", min: 0, max: most, step: 1, change: whole });
  return field;
}

/** The field in a row with a button that draws another z. */
export function seedRow(field, text, drawn) {
  return make("div", { class: "gan-row" }, labelled("Seed of z", field), button(text, drawn));
}
