/** Charts of numbers over updates, drawn in the colours of the page's theme. */

const LEFT = 40; // pixels for the numbers at the axis
const BELOW = 20;
const ABOVE = 6;
const RIGHT = 8;

/**
 * Draw lines over updates.
 *
 * @param canvas
 * @param rows objects with a number `updates` and the fields of the lines.
 * @param lines [{field, colour, dashed}]: colour is the name of a CSS variable.
 * @param range [low, high], or null: that of the numbers.
 * @param marks numbers at which a thin line is drawn.
 */
export function drawChart(canvas, rows, lines, range = null, marks = []) {
  const scale = Math.min(2, window.devicePixelRatio || 1);
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  if (!width || !height) return;
  canvas.width = Math.round(width * scale);
  canvas.height = Math.round(height * scale);
  const context = canvas.getContext("2d");
  context.scale(scale, scale);
  const style = getComputedStyle(canvas);
  const [low, high] = range ?? rangeOf(rows, lines, marks);
  const last = Math.max(10, rows.at(-1)?.updates ?? 0);
  const axes = {
    across: (updates) => LEFT + (updates / last) * (width - LEFT - RIGHT),
    down: (value) => height - BELOW - ((value - low) / (high - low)) * (height - BELOW - ABOVE),
  };
  drawAxes(context, axes, [low, high], last, style, { width, height });
  for (const mark of marks) drawMark(context, axes, mark, last, style);
  for (const line of lines) drawLine(context, axes, rows, line, style);
}

function rangeOf(rows, lines, marks) {
  const values = rows.flatMap((row) => lines.map(({ field }) => row[field]));
  const known = [...values, ...marks].filter((value) => Number.isFinite(value));
  if (!known.length) return [0, 1];
  const low = Math.min(...known);
  const high = Math.max(...known);
  const space = Math.max((high - low) / 20, 0.01);
  return [low - space, high + space];
}

/** Return a few round numbers between two numbers. */
export function ticks(low, high, most = 4) {
  const rough = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
  const found = [];
  for (let i = Math.ceil(low / step); i * step <= high; i++) found.push(i * step);
  return found;
}

/** Write a tick as short as it can be: 0.5, 12, 1,500. */
function written(value) {
  return Number(value.toPrecision(6)).toLocaleString("en");
}

function drawAxes(context, axes, [low, high], last, style, { width, height }) {
  context.font = "11px sans-serif";
  context.fillStyle = style.getPropertyValue("--plane-text");
  context.strokeStyle = style.getPropertyValue("--plane-line");
  context.lineWidth = 1;
  context.textAlign = "right";
  context.textBaseline = "middle";
  for (const value of ticks(low, high)) {
    const y = axes.down(value);
    stroke(context, [LEFT, y], [width - RIGHT, y]);
    context.fillText(written(value), LEFT - 5, y);
  }
  context.textBaseline = "alphabetic";
  const few = ticks(0, last, width / 90);
  for (const value of few) {
    context.textAlign = value === 0 ? "left" : "center";
    if (axes.across(value) > width - 25) context.textAlign = "right";
    context.fillText(written(value), axes.across(value), height - 5);
  }
}

function drawMark(context, axes, value, last, style) {
  context.strokeStyle = style.getPropertyValue("--plane-text");
  context.setLineDash([1, 3]);
  stroke(context, [axes.across(0), axes.down(value)], [axes.across(last), axes.down(value)]);
  context.setLineDash([]);
}

function drawLine(context, axes, rows, { field, colour, dashed }, style) {
  context.strokeStyle = style.getPropertyValue(colour);
  context.lineWidth = 2;
  context.setLineDash(dashed ? [5, 4] : []);
  context.beginPath();
  for (const row of rows) {
    if (!Number.isFinite(row[field])) continue;
    context.lineTo(axes.across(row.updates), axes.down(row[field]));
  }
  context.stroke();
  context.setLineDash([]);
}

function stroke(context, from, to) {
  context.beginPath();
  context.moveTo(...from);
  context.lineTo(...to);
  context.stroke();
}
