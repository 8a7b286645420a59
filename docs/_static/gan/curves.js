/** Curves of a training, drawn as SVG, with a line at the round that is shown. */
import { draw, make } from "./elements.js";

const WIDTH = 360;
const HEIGHT = 170;
const LEFT = 38;
const RIGHT = 350;
const TOP = 26;
const BOTTOM = 134;

export class Curves {
  /**
   * @param options.rows the history: {round, ...} for each round, null where nothing was measured.
   * @param options.lines {key of a row: what it is called}, one or two.
   * @param options.axis what the vertical axis counts.
   * @param options.rounds which have a snapshot: they are marked on the axis.
   */
  constructor({ rows, lines, axis, rounds }) {
    this.rows = rows;
    this.lines = Object.entries(lines);
    this.axis = axis;
    const values = this.lines.flatMap(([key]) => this.known(key).map((row) => row[key]));
    const last = rows.at(-1).round;
    const step = stepOf(Math.max(...values, 0) - Math.min(...values, 0));
    this.low = Math.floor(Math.min(...values, 0) / step) * step;
    this.high = Math.ceil(Math.max(...values, 0) / step) * step;
    this.x = (round) => LEFT + ((round - 1) / (last - 1)) * (RIGHT - LEFT);
    this.y = (value) =>
      BOTTOM - ((value - this.low) / (this.high - this.low)) * (BOTTOM - TOP);
    this.now = draw("line", { class: "gan-now", y1: TOP - 4, y2: BOTTOM });
    this.points = this.lines.map((_, i) => draw("circle", { class: `gan-line-${i}`, r: 4 }));
    this.svg = draw(
      "svg",
      { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" },
      ...this.scale(step),
      ...rounds.map((round) => this.snapshot(round)),
      ...this.lines.map(([key], i) => this.curve(key, i)),
      ...this.legend(),
      this.now,
      ...this.points,
    );
    this.caption = make("figcaption");
    this.element = make("figure", { class: "gan-curves" }, this.svg, this.caption);
  }

  /** Move the line to a round, and say in words what the curves show there. */
  move(round) {
    const x = this.x(round);
    this.now.setAttribute("x1", x);
    this.now.setAttribute("x2", x);
    const said = this.lines.map(([key, name], i) => {
      const row = this.known(key).findLast((one) => one.round <= round);
      this.points[i].style.display = row ? "" : "none";
      if (!row) return `${name}: not measured yet`;
      this.points[i].setAttribute("cx", this.x(row.round));
      this.points[i].setAttribute("cy", this.y(row[key]));
      const value = row[key].toFixed(2).replace("-", "−").replace("−0.00", "0.00");
      return `${name}: ${value}${row.round < round ? ` (round ${row.round})` : ""}`;
    });
    this.caption.textContent = `${said.join(", ")}.`;
    this.svg.setAttribute("aria-label", `${this.axis} over the rounds. Now ${said.join(", ")}.`);
  }

  known(key) {
    return this.rows.filter((row) => row[key] !== null && row[key] !== undefined);
  }

  curve(key, i) {
    const places = this.known(key).map((row) => `${this.x(row.round)} ${this.y(row[key])}`);
    return draw("path", { class: `gan-curve gan-line-${i}`, d: `M${places.join("L")}` });
  }

  snapshot(round) {
    const x = this.x(round);
    return draw("line", { class: "gan-snapshot", x1: x, x2: x, y1: BOTTOM, y2: BOTTOM + 5 });
  }

  /** Both axes, with their names. */
  scale(step) {
    const found = [];
    const lines = Math.round((this.high - this.low) / step);
    for (let i = 0; i <= lines; i++) {
      const value = this.low + i * step;
      const y = this.y(value);
      const text = Number(value.toPrecision(6)).toString().replace("-", "−");
      found.push(draw("line", { class: "gan-tick", x1: LEFT, x2: RIGHT, y1: y, y2: y }));
      found.push(draw("text", { x: LEFT - 5, y: y + 4, "text-anchor": "end" }, text));
    }
    const last = this.rows.at(-1).round;
    const marks = stepOf(last, 6);
    const rounds = [1];
    for (let round = marks; round <= last; round += marks) rounds.push(round);
    for (const round of rounds) {
      const x = this.x(round);
      found.push(draw("text", { x, y: BOTTOM + 18, "text-anchor": "middle" }, String(round)));
    }
    const middle = { x: (LEFT + RIGHT) / 2, y: HEIGHT - 4, "text-anchor": "middle" };
    found.push(draw("text", { x: 0, y: 12 }, this.axis), draw("text", middle, "round"));
    return found;
  }

  /** The names of the lines, at the top right; of one line its axis tells it. */
  legend() {
    if (this.lines.length === 1) return [];
    return this.lines.flatMap(([, name], i) => {
      const x = RIGHT - 105 * (this.lines.length - i) + 15;
      const line = { class: `gan-curve gan-line-${i}`, d: `M${x} 8h22` };
      return [draw("path", line), draw("text", { x: x + 26, y: 12 }, name)];
    });
  }
}

/** Return a round number that divides a range into at most so many parts. */
function stepOf(range, most = 4) {
  const rough = range / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  return power * [1, 2, 5, 10].find((factor) => factor * power >= rough * (1 - 1e-9));
}
