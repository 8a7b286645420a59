/**
 * Pictures of the plane: what D says everywhere, points, arrows and ellipses.
 *
 * A grid is a Float64Array of side x side numbers, from the lower left corner of the picture, row
 * after row. The colours are those of `utils.topics.plane`, in both themes.
 */
import { cholesky } from "./plane-theory.js";

const REAL = "#1f77b4";
const FAKE = "#d95f02";
const GROUND = [217, 217, 217]; // where there are hardly any points
const LOW = [253, 184, 99]; // orange
const MIDDLE = [255, 255, 255];
const HIGH = [146, 197, 222]; // blue
const BANDS = 11;
const PIXELS = 240; // of the surface, which is then stretched

export const COLOURS = { real: REAL, fake: FAKE };

function mixed(from, to, part) {
  return from.map((value, i) => value + part * (to[i] - value));
}

/** The colours of the bands, from orange over white to blue. */
const BAND_COLOURS = Array.from({ length: BANDS }, (_, i) => {
  const part = (i + 0.5) / BANDS;
  return part < 0.5 ? mixed(LOW, MIDDLE, 2 * part) : mixed(MIDDLE, HIGH, 2 * part - 1);
});

/** Return a colour as a canvas keeps it: red in the lowest byte, then green, blue, opacity. */
function asNumber(colour) {
  const [red, green, blue] = colour.map(Math.round);
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
}

const BAND_NUMBERS = BAND_COLOURS.map(asNumber);
const GROUND_NUMBER = asNumber(GROUND);

/** The same as a gradient for a legend, in CSS. */
export function legendGradient() {
  const stops = BAND_COLOURS.map((colour, i) => {
    const text = `rgb(${colour.map(Math.round)})`;
    return `${text} ${(100 * i) / BANDS}% ${(100 * (i + 1)) / BANDS}%`;
  });
  return `linear-gradient(to right, ${stops})`;
}

/** Return the points of a grid over the square from -edge to edge, (side * side, 2). */
export function gridPoints(edge, side) {
  const points = new Float64Array(2 * side * side);
  for (let row = 0; row < side; row++) {
    for (let column = 0; column < side; column++) {
      const place = 2 * (row * side + column);
      points[place] = edge * ((2 * column) / (side - 1) - 1);
      points[place + 1] = edge * ((2 * row) / (side - 1) - 1);
    }
  }
  return points;
}

/** Return a grid's number between its points; column and row need not be whole numbers. */
function between(grid, side, column, row) {
  const left = Math.min(Math.floor(column), side - 2);
  const below = Math.min(Math.floor(row), side - 2);
  const place = below * side + left;
  const right = column - left;
  const lower = grid[place] + right * (grid[place + 1] - grid[place]);
  const upper = grid[place + side] + right * (grid[place + side + 1] - grid[place + side]);
  return lower + (row - below) * (upper - lower);
}

/** A canvas that shows the square from -edge to edge. */
export class Picture {
  constructor(canvas) {
    this.canvas = canvas;
    this.edge = 1;
    this.surfaceCanvas = document.createElement("canvas");
    this.surfaceCanvas.width = PIXELS;
    this.surfaceCanvas.height = PIXELS;
  }

  /** Begin a new picture. */
  clear(edge) {
    const scale = Math.min(2, window.devicePixelRatio || 1);
    const size = Math.max(1, Math.round(this.canvas.clientWidth * scale));
    if (this.canvas.width !== size) {
      this.canvas.width = size;
      this.canvas.height = size;
    }
    this.edge = edge;
    this.unit = size / (2 * edge); // pixels for a length of 1 in the plane
    this.scale = scale;
    this.context = this.canvas.getContext("2d");
    this.context.fillStyle = `rgb(${GROUND})`;
    this.context.fillRect(0, 0, size, size);
  }

  across(x) {
    return (x + this.edge) * this.unit;
  }

  down(y) {
    return (this.edge - y) * this.unit;
  }

  /** Return where in the plane a pointer is, [x, y], kept inside the picture. */
  place({ clientX, clientY }) {
    const box = this.canvas.getBoundingClientRect();
    const x = this.edge * ((2 * (clientX - box.left)) / box.width - 1);
    const y = this.edge * (1 - (2 * (clientY - box.top)) / box.height);
    return [x, y].map((value) => Math.max(-this.edge, Math.min(this.edge, value)));
  }

  /**
   * Colour the plane by a grid of numbers from 0 (orange) to 1 (blue).
   *
   * @param empty another grid; where it is above 0 there is hardly any point. May be null.
   */
  surface(grid, side, empty = null) {
    const context = this.surfaceCanvas.getContext("2d");
    const image = context.createImageData(PIXELS, PIXELS);
    const colours = new Uint32Array(image.data.buffer); // a pixel is one number
    for (let y = 0; y < PIXELS; y++) {
      const row = (1 - (y + 0.5) / PIXELS) * (side - 1);
      for (let x = 0; x < PIXELS; x++) {
        const column = ((x + 0.5) / PIXELS) * (side - 1);
        const isEmpty = empty && between(empty, side, column, row) > 0;
        const part = Math.max(0, Math.min(0.9999, between(grid, side, column, row)));
        const band = Math.floor(part * BANDS);
        colours[y * PIXELS + x] = isEmpty ? GROUND_NUMBER : BAND_NUMBERS[band];
      }
    }
    context.putImageData(image, 0, 0);
    this.context.drawImage(this.surfaceCanvas, 0, 0, this.canvas.width, this.canvas.height);
  }

  /** Draw a line where a grid has a value, left out where `empty` is above 0. */
  contour(grid, side, level, colour, empty = null) {
    const { context } = this;
    const step = this.canvas.width / (side - 1);
    context.beginPath();
    for (let row = 0; row < side - 1; row++) {
      for (let column = 0; column < side - 1; column++) {
        if (empty && empty[row * side + column] > 0) continue;
        const ends = crossings(grid, side, column, row, level);
        for (let i = 0; i + 1 < ends.length; i += 2) {
          context.moveTo(ends[i][0] * step, this.canvas.height - ends[i][1] * step);
          context.lineTo(ends[i + 1][0] * step, this.canvas.height - ends[i + 1][1] * step);
        }
      }
    }
    context.strokeStyle = colour;
    context.lineWidth = 1.2 * this.scale;
    context.stroke();
  }

  /** Draw points (n, 2), at most so many. */
  dots(points, colour, most = Infinity) {
    const { context } = this;
    const size = 1.7 * this.scale;
    context.fillStyle = colour;
    for (let i = 0; i < Math.min(points.length, 2 * most); i += 2) {
      context.beginPath();
      context.arc(this.across(points[i]), this.down(points[i + 1]), size, 0, 2 * Math.PI);
      context.fill();
    }
  }

  /** Draw arrows at points (n, 2), half as long as the pull, and at most so long. */
  arrows(points, pulls, longest) {
    for (let i = 0; i < points.length; i += 2) {
      const shown = Math.min(Math.hypot(pulls[i], pulls[i + 1]) / 2, longest);
      if (shown * this.unit < 2 * this.scale) continue; // shorter than two pixels
      const direction = Math.atan2(-pulls[i + 1], pulls[i]);
      this.arrow(this.across(points[i]), this.down(points[i + 1]), direction, shown * this.unit);
    }
  }

  arrow(x, y, direction, length) {
    const { context } = this;
    const head = Math.min(5 * this.scale, length / 2);
    context.save();
    context.translate(x, y);
    context.rotate(direction);
    context.strokeStyle = "#000";
    context.lineWidth = 1.4 * this.scale;
    context.beginPath();
    context.moveTo(0, 0);
    context.lineTo(length, 0);
    context.moveTo(length - head, -head / 1.5);
    context.lineTo(length, 0);
    context.lineTo(length - head, head / 1.5);
    context.stroke();
    context.restore();
  }

  /** Draw the line at two standard deviations: 86 % of a Gaussian's points are inside. */
  ellipse({ mean, covariance }, colour) {
    const { context } = this;
    const [l, m, n] = cholesky(covariance);
    context.beginPath();
    for (let i = 0; i <= 60; i++) {
      const angle = (2 * Math.PI * i) / 60;
      const [right, up] = [2 * Math.cos(angle), 2 * Math.sin(angle)];
      const x = this.across(mean[0] + l * right);
      context.lineTo(x, this.down(mean[1] + m * right + n * up));
    }
    context.strokeStyle = colour;
    context.lineWidth = 2 * this.scale;
    context.stroke();
  }

  /** Draw the cross that the arrow keys move. */
  cross([x, y]) {
    const { context } = this;
    const size = 8 * this.scale;
    const [across, down] = [this.across(x), this.down(y)];
    context.beginPath();
    context.moveTo(across - size, down);
    context.lineTo(across + size, down);
    context.moveTo(across, down - size);
    context.lineTo(across, down + size);
    context.strokeStyle = "#000";
    context.lineWidth = 2 * this.scale;
    context.stroke();
  }
}

/** Return where a level crosses the sides of one square of a grid: 0, 2 or 4 places [x, y]. */
function crossings(grid, side, column, row, level) {
  const corners = [
    [column, row],
    [column + 1, row],
    [column + 1, row + 1],
    [column, row + 1],
  ];
  const found = [];
  corners.forEach(([x, y], i) => {
    const [nextX, nextY] = corners[(i + 1) % 4];
    const here = grid[y * side + x] - level;
    const there = grid[nextY * side + nextX] - level;
    if (here > 0 === there > 0) return;
    const part = here / (here - there);
    found.push([x + part * (nextX - x), y + part * (nextY - y)]);
  });
  return found;
}
