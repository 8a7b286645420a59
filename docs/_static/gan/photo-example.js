/** Simple drawn pictures, for readers who have no photograph at hand. */
import { uniform } from "./random.js";

/** Return a canvas of 512 x 512 pixels: a horse on grass, with stripes if asked for. */
export function horse(striped) {
  const [canvas, context] = begun();
  const coat = striped ? "#f4f1ea" : "#7a4a24";
  context.save();
  silhouette(context);
  context.fillStyle = coat;
  context.fill();
  context.clip();
  if (striped) stripes(context);
  else shade(context);
  fur(context);
  context.restore();
  mane(context, striped ? "#222" : "#2e1a0c");
  return canvas;
}

/** Return a canvas of 512 x 512 pixels with sky and grass that has blades. */
function begun() {
  const canvas = document.createElement("canvas");
  canvas.width = 512;
  canvas.height = 512;
  const context = canvas.getContext("2d");
  const sky = context.createLinearGradient(0, 0, 0, 220);
  sky.addColorStop(0, "#8fb8de");
  sky.addColorStop(1, "#dfeaf2");
  context.fillStyle = sky;
  context.fillRect(0, 0, 512, 220);
  context.fillStyle = "#6f8f45";
  context.fillRect(0, 210, 512, 302);
  for (let i = 0; i < 2600; i++) {
    // A fixed order of blades that looks like chance.
    const x = (i * 197) % 512;
    const y = 212 + ((i * 89) % 300);
    context.strokeStyle = ["#5c7b38", "#86a757", "#74924a"][i % 3];
    context.beginPath();
    context.moveTo(x, y);
    context.lineTo(x + (i % 5) - 2, y - 8);
    context.stroke();
  }
  return [canvas, context];
}

/** Trace the outline of a horse that looks to the right. */
function silhouette(context) {
  const line = [
    [96, 250], [150, 226], [230, 232], [300, 222], [342, 176], [362, 132], [384, 128],
    [388, 108], [398, 126], [440, 176], [446, 194], [428, 206], [398, 190], [382, 214],
    [366, 272], [352, 312], [350, 370], [354, 436], [328, 436], [322, 372], [312, 330],
    [200, 334], [184, 350], [186, 388], [178, 436], [152, 436], [152, 384], [134, 340],
    [118, 312], [104, 290],
  ];
  context.beginPath();
  context.moveTo(...line[0]);
  line.forEach((point, i) => {
    const [x, y] = line[(i + 1) % line.length];
    context.quadraticCurveTo(...point, (point[0] + x) / 2, (point[1] + y) / 2);
  });
  context.closePath();
}

function stripes(context) {
  context.strokeStyle = "#1c1c1c";
  context.lineWidth = 9;
  for (let x = 80; x < 470; x += 22) {
    context.beginPath();
    context.moveTo(x, 90);
    context.bezierCurveTo(x + 26, 200, x - 26, 320, x + 8, 450);
    context.stroke();
  }
}

function shade(context) {
  const light = context.createLinearGradient(0, 200, 0, 360);
  light.addColorStop(0, "rgba(255, 214, 160, 0.35)");
  light.addColorStop(1, "rgba(0, 0, 0, 0.35)");
  context.fillStyle = light;
  context.fillRect(0, 0, 512, 512);
}

/** Roughen what was drawn: networks that know photographs do little where all is smooth. */
function fur(context) {
  const next = uniform(1);
  const rough = document.createElement("canvas");
  rough.width = 256;
  rough.height = 256;
  const grains = rough.getContext("2d").createImageData(256, 256);
  for (let i = 0; i < grains.data.length; i += 4) {
    grains.data.fill(next() < 0.5 ? 0 : 255, i, i + 3);
    grains.data[i + 3] = 90 * next(); // opacity, of 255
  }
  rough.getContext("2d").putImageData(grains, 0, 0);
  context.drawImage(rough, 0, 0, 512, 512);
}

function mane(context, colour) {
  context.strokeStyle = colour;
  context.lineWidth = 12;
  context.lineCap = "round";
  for (const [x, y, toX, toY] of [
    [374, 128, 340, 176],
    [350, 160, 318, 212],
    [100, 256, 74, 350],
    [94, 270, 84, 372],
  ]) {
    context.beginPath();
    context.moveTo(x, y);
    context.quadraticCurveTo(x - 14, y + 20, toX, toY);
    context.stroke();
  }
}
