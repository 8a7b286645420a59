/**
 * The reader's own photograph through a network of lesson 07 or 09, by ONNX Runtime in a worker.
 *
 * data-network of the element says which: "zebra" (lesson 07, both directions) or "srgan"
 * (lesson 09). The photograph stays in this page.
 */
import { button, labelled, make, styles } from "./elements.js";
import { horse } from "./photo-example.js";
import { fitting, resized, toCanvas, toInput } from "./photo-pixels.js";
import { Runner } from "./photo-runner.js";

const SIDE = 256; // pixels of a photograph in lesson 07
const SMALL = 128; // of the longer side in lesson 09
const SCALE = 4; // how much lesson 09 enlarges
const LARGEST = 2048; // of what is kept of a photograph
const PRIVATE =
  "Your photograph never leaves your machine: this page reads it and computes with it here, and " +
  "sends nothing. For the first picture it loads the network and the program that runs it, 7 to " +
  "8 MB.";

const LESSONS = {
  zebra: {
    press: "Translate",
    directions: { zebra: "horse to zebra", horse: "zebra to horse" },
    example: (network) => horse(network === "horse"),
    hint:
      "Choose a photograph of a horse, or use the drawn one. Then press Translate. The network " +
      "learned from photographs, so it does less with the drawing.",
    prepare: forTranslation,
  },
  srgan: {
    press: "Enlarge",
    directions: null,
    example: () => horse(true),
    hint: "Choose a photograph, or use the drawn one. Then press Enlarge.",
    prepare: forEnlarging,
  },
};

/** Fill the element. */
export async function mount(element) {
  const { network } = element.dataset;
  if (!LESSONS[network]) throw new Error(`there is no network ${network}`);
  await Promise.all([styles(), ownStyles()]);
  const widget = new Photo(network);
  element.replaceChildren(widget.element);
}

/** Load the style sheet of this widget. */
function ownStyles() {
  const { href } = new URL("./photo.css", import.meta.url);
  return new Promise((done) => {
    document.head.append(make("link", { rel: "stylesheet", href, load: done, error: done }));
  });
}

/**
 * Lesson 07: the photograph becomes a square, as in the lesson, and is shown in its own form.
 *
 * @param photo a canvas.
 * @returns {given, form, before, after, behind}: what the network gets, width / height, pictures
 *     before and behind the result, {canvas, caption} each, and the result's caption.
 */
function forTranslation(photo) {
  const small = resized(photo, SIDE, SIDE);
  return {
    given: toInput(small, -1, 1),
    form: photo.width / photo.height,
    before: [{ canvas: small, caption: `before, reduced to ${SIDE} × ${SIDE} pixels` }],
    after: "after",
    behind: [],
  };
}

/** Lesson 09: the photograph is reduced to 128 pixels, and the network makes it larger again. */
function forEnlarging(photo) {
  const [width, height] = fitting(photo, SMALL);
  const small = resized(photo, width, height);
  const size = [SCALE * width, SCALE * height];
  const isReduced = width < photo.width;
  const word = isReduced ? `reduced to ${width} × ${height} pixels, then ` : "";
  const original = { canvas: resized(photo, ...size), caption: "the original, at this size" };
  return {
    given: toInput(small, 0, 1),
    form: width / height,
    before: [{ canvas: resized(small, ...size), caption: `${word}enlarged by the browser` }],
    after: "enlarged by SRGAN",
    behind: isReduced ? [original] : [],
  };
}

class Photo {
  constructor(network) {
    this.network = network;
    this.lesson = LESSONS[network];
    this.runner = new Runner();
    this.photo = null;
    this.build();
    this.say(this.lesson.hint);
  }

  build() {
    this.file = make("input", { type: "file", accept: "image/*", change: () => this.chosen() });
    const controls = make("div", { class: "gan-row" }, labelled("Your photograph", this.file));
    if (this.lesson.directions) controls.append(labelled("Direction", this.directions()));
    this.press = button(this.lesson.press, () => this.run(), { class: "photo-press" });
    this.stop = button("Stop", () => this.runner.stop());
    this.drawn = button("Use a drawn picture", () => this.useDrawn());
    const buttons = make("div", { class: "gan-buttons" }, this.drawn, this.press, this.stop);
    this.status = make("p", { role: "status", class: "photo-status" });
    this.bar = make("progress", { max: 1, value: 0, "aria-label": "Loaded" });
    // Lesson 09 is about fine details: its pictures stand one below the other, not reduced.
    const columns = this.lesson.directions ? "photo-columns" : "";
    this.shown = make("div", { class: `photo-shown ${columns}` });
    const note = make("p", { class: "gan-hint" }, PRIVATE);
    this.saved = make("p", {});
    const parts = [note, controls, buttons, this.status, this.bar, this.shown, this.saved];
    const dropped = (event) => this.dropped(event);
    const over = (event) => event.preventDefault();
    this.element = make("div", { class: "photo", drop: dropped, dragover: over }, ...parts);
    this.setBusy(false);
  }

  directions() {
    const options = Object.entries(this.lesson.directions).map(([value, text]) => {
      return make("option", { value }, text);
    });
    const changed = (event) => {
      this.network = event.target.value;
      if (this.photo === this.example) this.useDrawn();
    };
    this.direction = make("select", { change: changed }, ...options);
    return this.direction;
  }

  setBusy(busy) {
    this.press.disabled = busy || !this.photo;
    this.stop.hidden = !busy;
    this.bar.hidden = !busy;
    for (const control of [this.file, this.drawn, this.direction]) {
      if (control) control.disabled = busy;
    }
  }

  say(text) {
    this.status.textContent = text;
  }

  dropped(event) {
    event.preventDefault();
    const [file] = event.dataTransfer.files;
    if (file && !this.file.disabled) this.read(file);
  }

  chosen() {
    const [file] = this.file.files;
    if (file) this.read(file);
  }

  /** Read a photograph: upright, and not larger than needed. */
  async read(file) {
    try {
      const bitmap = await createImageBitmap(file);
      this.use(resized(bitmap, ...fitting(bitmap, LARGEST)));
      bitmap.close();
    } catch {
      this.say(`${file.name} is no picture that this browser can read.`);
    }
  }

  useDrawn() {
    this.example = this.lesson.example(this.network);
    this.file.value = "";
    this.use(this.example);
  }

  use(photo) {
    this.photo = photo;
    this.prepared = this.lesson.prepare(photo);
    this.show(this.prepared.before);
    this.setBusy(false);
    this.say(`Press ${this.lesson.press}.`);
  }

  async run() {
    this.setBusy(true);
    const { given, before, after, behind } = this.prepared;
    const copy = { input: given.input.slice(), dims: given.dims };
    const clock = setInterval(() => this.tick(), 1000);
    try {
      const made = await this.runner.run(this.network, copy, (message) => this.told(message));
      const canvas = toCanvas(made.values, made.dims);
      this.show([...before, { canvas, caption: after }, ...behind], canvas);
      this.say(`Done. The network needed ${made.seconds.toFixed(1)} seconds on this machine.`);
    } catch (error) {
      this.say(error ?? "Stopped.");
    } finally {
      clearInterval(clock);
      this.started = null;
      this.setBusy(false);
    }
  }

  told({ progress, computing }) {
    if (progress) {
      const { what, loaded, bytes } = progress;
      this.bar.value = loaded / bytes;
      const share = `${(loaded / 1e6).toFixed(1)} of ${(bytes / 1e6).toFixed(1)} MB`;
      this.bar.setAttribute("aria-valuetext", share);
      const text = `Loading ${what}.`;
      if (this.status.textContent !== text) this.say(text);
    } else if (computing) {
      this.started = performance.now();
      this.bar.removeAttribute("value"); // how long it takes is not known
      this.say("The network computes. This takes a few seconds.");
    }
  }

  /** Say how long it takes, every ten seconds. */
  tick() {
    if (!this.started) return;
    const seconds = Math.round((performance.now() - this.started) / 1000);
    if (seconds === 0 || seconds % 10 !== 0) return;
    this.say(`The network has computed for ${seconds} seconds.`);
  }

  /** Show pictures side by side, and offer the result as a file. */
  show(pictures, result = null) {
    const figures = pictures.map(({ canvas, caption }) => {
      canvas.setAttribute("role", "img");
      canvas.setAttribute("aria-label", `Your picture, ${caption}`);
      canvas.style.aspectRatio = this.prepared.form;
      return make("figure", {}, canvas, make("figcaption", {}, caption));
    });
    this.shown.replaceChildren(...figures);
    this.saved.replaceChildren(...(result ? [this.link(result)] : []));
  }

  /** Return a link that saves a canvas as a file, in the form of the photograph. */
  link(canvas) {
    const { form } = this.prepared;
    const { width: side } = canvas;
    const [width, height] = form > 1 ? [side, side / form] : [canvas.height * form, canvas.height];
    const link = make("a", { download: `${this.network}.png` }, "Save the result");
    link.href = resized(canvas, Math.round(width), Math.round(height)).toDataURL("image/png");
    return link;
  }
}
