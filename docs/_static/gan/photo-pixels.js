/** Pixels of photographs: reduced, turned into what a network takes, and back. */

/** Draw a picture into a new canvas of another size, without skipping pixels. */
export function resized(picture, width, height) {
  let source = picture;
  // Halved again and again, because a canvas looks at few pixels where it reduces a lot.
  while (source.width > 2 * width || source.height > 2 * height) {
    const half = [Math.max(width, source.width / 2), Math.max(height, source.height / 2)];
    source = drawn(source, Math.ceil(half[0]), Math.ceil(half[1]));
  }
  return drawn(source, width, height);
}

function drawn(source, width, height) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#fff"; // behind what is transparent
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(source, 0, 0, width, height);
  return canvas;
}

/** Return the size [width, height] that fits into a square, never larger than it is. */
export function fitting({ width, height }, side) {
  const part = Math.min(1, side / Math.max(width, height));
  return [width, height].map((pixels) => Math.max(1, Math.round(pixels * part)));
}

/**
 * Return what a network takes: (1, height, width, 3).
 *
 * @param low, high what black and white become.
 */
export function toInput(canvas, low, high) {
  const { width, height } = canvas;
  const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
  const values = new Float32Array(3 * width * height);
  for (let i = 0; i < width * height; i++) {
    for (let channel = 0; channel < 3; channel++) {
      values[3 * i + channel] = low + (data[4 * i + channel] / 255) * (high - low);
    }
  }
  return { input: values, dims: [1, height, width, 3] };
}

/** Return a canvas with an output in [-1, 1], (1, height, width, 3). */
export function toCanvas(values, [, height, width]) {
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let channel = 0; channel < 3; channel++) {
      image.data[4 * i + channel] = (values[3 * i + channel] + 1) * 127.5; // rounded, clipped
    }
    image.data[4 * i + 3] = 255;
  }
  context.putImageData(image, 0, 0);
  return canvas;
}
