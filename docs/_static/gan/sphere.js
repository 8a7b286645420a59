/**
 * A walk on the great sphere through three z.
 *
 * All z of one length lie on a sphere of 32 dimensions. Three of them span a space of three
 * dimensions, which cuts that sphere in an ordinary one. It is drawn as a globe, seen from
 * outside, and the z in its centre is the one whose digit is shown.
 */
import { button, draw, make, Movement } from "./elements.js";
import { add, cross, dot, walk, withLength } from "./vectors.js";

const SIZE = 100; // radius of the globe in the drawing
const TURN = Math.PI / 36; // of one press of an arrow key: 5 degrees
const STEPS = 32; // pieces of a line between two of the three z

export class Sphere {
  /**
   * @param options.radius length of every z.
   * @param options.thumbnail z -> address of a small picture of its digit.
   * @param options.moved is called when the reader has walked.
   */
  constructor({ radius, thumbnail, moved }) {
    this.radius = radius;
    this.thumbnail = thumbnail;
    this.moved = moved;
    this.movement = new Movement();
    this.lines = ["back", "front"].map((side) => draw("path", { class: `gan-line-${side}` }));
    this.marks = [0, 1, 2].map((i) => mark(i + 1));
    this.globe = draw(
      "svg",
      { viewBox: "-125 -125 250 250", "aria-hidden": "true" },
      draw("circle", { r: SIZE, class: "gan-globe" }),
      ...this.lines,
      ...this.marks.map(({ group }) => group),
      draw("circle", { r: 6, class: "gan-here" }),
    );
    this.pad = make("div", PAD, this.globe);
    this.listen();
    const buttons = [0, 1, 2].map((i) => walkTo(i + 1, () => this.goTo(i)));
    const group = { class: "gan-buttons", role: "group", "aria-label": "Walk to one of the three" };
    this.element = make(
      "div",
      { class: "gan-sphere" },
      make("p", { class: "gan-hint" }, "The z in the centre draws the digit. Drag the sphere, or use the arrow keys on it."),
      this.pad,
      make("div", group, make("span", {}, "Walk to"), ...buttons),
    );
  }

  /** The z in the centre. */
  get z() {
    const point = this.basis.reduce(
      (sum, vector, i) => add(sum, vector, this.forward[i]),
      new Float32Array(this.basis[0].length),
    );
    return withLength(point, this.radius);
  }

  /** Put three other z on the globe, the first one in its centre. */
  place(points) {
    this.movement.stop();
    this.points = points;
    this.basis = [];
    for (const point of points) {
      // What is orthogonal to the vectors before it (Gram, Schmidt).
      const rest = this.basis.reduce((left, vector) => add(left, vector, -dot(left, vector)), point);
      this.basis.push(withLength(rest, 1));
    }
    this.places = points.map((point) =>
      withLength(this.basis.map((vector) => dot(vector, point)), 1),
    );
    this.marks.forEach(({ image }, i) => image.setAttribute("href", this.thumbnail(points[i])));
    this.forward = [1, 0, 0];
    this.right = [0, 1, 0];
    this.render();
  }

  /** Put another z in the centre, in place of the first one. */
  placeFirst(point) {
    this.place([point, ...this.points.slice(1)]);
  }

  /** Look at a place that lies by two angles to the right and above the centre. */
  turn(right, up) {
    const above = cross(this.forward, this.right);
    this.look(add(add(this.forward, this.right, Math.tan(right)), above, Math.tan(up)));
  }

  look(forward) {
    this.forward = withLength(forward, 1);
    this.right = withLength(add(this.right, this.forward, -dot(this.right, this.forward)), 1);
    this.render();
    this.moved();
  }

  goTo(i) {
    const from = this.forward;
    this.movement.start((t) => this.look(walk(from, this.places[i], t)));
  }

  listen() {
    const turns = {
      ArrowLeft: [-TURN, 0],
      ArrowRight: [TURN, 0],
      ArrowUp: [0, TURN],
      ArrowDown: [0, -TURN],
    };
    this.pad.addEventListener("keydown", (event) => {
      if (!turns[event.key]) return;
      event.preventDefault();
      this.movement.stop();
      this.turn(...turns[event.key]);
    });
    this.pad.addEventListener("pointerdown", (event) => {
      this.movement.stop();
      this.pad.setPointerCapture(event.pointerId);
      this.last = [event.clientX, event.clientY];
    });
    this.pad.addEventListener("pointermove", (event) => {
      if (!this.pad.hasPointerCapture(event.pointerId)) return;
      const unit = (SIZE / 250) * this.pad.clientWidth; // the globe's radius on the screen
      const [x, y] = this.last;
      this.last = [event.clientX, event.clientY];
      // The surface follows the pointer, so the centre moves the other way.
      const limit = (angle) => Math.max(-1, Math.min(1, angle));
      this.turn(limit((x - event.clientX) / unit), limit((event.clientY - y) / unit));
    });
  }

  render() {
    const above = cross(this.forward, this.right);
    const seen = (place) => ({
      x: SIZE * dot(place, this.right),
      y: -SIZE * dot(place, above),
      front: dot(place, this.forward) > -1e-6,
    });
    this.marks.forEach(({ group }, i) => {
      const { x, y, front } = seen(this.places[i]);
      group.setAttribute("transform", `translate(${x.toFixed(1)} ${y.toFixed(1)})`);
      group.classList.toggle("gan-behind", !front);
    });
    const pieces = { true: "", false: "" };
    for (let i = 0; i < 3; i++)
      for (let k = 0; k < STEPS; k++) {
        const ends = [k, k + 1].map((n) =>
          seen(walk(this.places[i], this.places[(i + 1) % 3], n / STEPS)),
        );
        const [from, to] = ends.map(({ x, y }) => `${x.toFixed(1)} ${y.toFixed(1)}`);
        pieces[ends[0].front && ends[1].front] += `M${from}L${to}`;
      }
    this.lines[0].setAttribute("d", pieces.false);
    this.lines[1].setAttribute("d", pieces.true);
  }
}

const PAD = {
  class: "gan-pad",
  tabindex: 0,
  role: "application",
  "aria-roledescription": "sphere",
  "aria-label":
    "The sphere through three z. The arrow keys walk on it, 5 degrees at a time. " +
    "Its centre is the digit that is shown.",
};

function walkTo(number, pressed) {
  return button(String(number), pressed, { "aria-label": `Walk to ${number}` });
}

/** Draw one of the three z: its digit in a frame, with its number. */
function mark(number) {
  const image = draw("image", { x: -14, y: -14, width: 28, height: 28 });
  const frame = draw("rect", { x: -15, y: -15, width: 30, height: 30 });
  const text = draw("text", { x: 17, y: -8 }, String(number));
  return { image, group: draw("g", { class: "gan-mark" }, frame, image, text) };
}
