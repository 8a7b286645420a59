/**
 * Runs a network of the lessons in the page, one example at a time.
 *
 * tools/site/weights.py writes what is read here: NAME.json with the layers, and NAME.bin with
 * their arrays. Images are (height, width, channels), channels last, as in Keras. Numbers are kept
 * as float32, and each sum of products is computed in double precision.
 */

const FOLDER = new URL("./weights/", import.meta.url);

/** Load a network, for instance "02_dcgan", with the weights of the end of its training. */
export async function load(name) {
  const [described, content] = await Promise.all([describe(name), weights(`${name}.bin`)]);
  return new Network(described, content);
}

/** Load what a network is: its layers, its history, its snapshots. */
export async function describe(name) {
  return (await fetched(`${name}.json`)).json();
}

/** Load what the controls of a page need beside its network. */
export async function loadLatent(name) {
  return (await fetched(`${name}.latent.json`)).json();
}

/** Load a file of weights, for instance that of a snapshot. */
export async function weights(file) {
  return (await fetched(file)).arrayBuffer();
}

async function fetched(file) {
  let found;
  try {
    found = await fetch(new URL(file, FOLDER));
  } catch {
    throw new Error(`The file ${file} could not be loaded: is there a connection to this site?`);
  }
  if (!found.ok) throw new Error(`The file ${file} could not be loaded (${found.status}).`);
  return found;
}

/**
 * A network as a chain of layers.
 *
 * Every layer has its own output buffer, which is used again for the next example.
 */
export class Network {
  /**
   * @param described what NAME.json holds.
   * @param content what NAME.bin holds.
   */
  constructor(described, content) {
    this.described = described;
    const sizes = described.inputs.map(size);
    this.input = new Float32Array(sizes.reduce((sum, n) => sum + n, 0));
    this.arrays = [];
    this.layers = [];
    let shape = described.inputs.length === 1 ? described.inputs[0] : [this.input.length];
    for (const layer of described.layers) {
      const make = LAYERS[layer.kind];
      if (!make) throw new Error(`There is no layer of the kind ${layer.kind} in network.js.`);
      const made = make(layer, shape, (place) => this.array(place));
      shape = made.shape;
      this.layers.push(made.run);
    }
    this.shape = shape;
    this.setWeights(content);
  }

  /** Give the layers the weights of a file, such as those of another round. */
  setWeights(content) {
    if (content.byteLength !== this.described.bytes)
      throw new Error(`The weights of ${this.described.name} are damaged or of another network.`);
    for (const { place, values } of this.arrays) {
      const length = values.length;
      if (place.type === "float16") fromHalf(new Uint16Array(content, place.at, length), values);
      else values.set(new Float32Array(content, place.at, length));
    }
  }

  /**
   * Compute the output for one example.
   *
   * @param inputs an array for each input: z, or z and label.
   * @returns a Float32Array that holds until the next call.
   */
  run(...inputs) {
    let filled = 0;
    for (const values of inputs) {
      this.input.set(values, filled);
      filled += values.length;
    }
    if (filled !== this.input.length)
      throw new Error(`The network takes ${this.input.length} numbers, not ${filled}.`);
    return this.layers.reduce((x, layer) => layer(x), this.input);
  }

  /** Return the numbers of an array, which `setWeights` fills; none where a layer has none. */
  array(place) {
    if (!place) return null;
    const values = new Float32Array(size(place.shape));
    this.arrays.push({ place, values });
    return values;
  }
}

function size(shape) {
  return shape.reduce((product, n) => product * n, 1);
}

/** Turn float16, as its bits, into float32. */
function fromHalf(bits, values) {
  HALF ??= Float32Array.from({ length: 2 ** 16 }, (_, i) => half(i));
  for (let i = 0; i < bits.length; i++) values[i] = HALF[bits[i]];
}

let HALF = null; // every float16, made when the first weights are read

function half(bits) {
  const exponent = (bits >> 10) & 31;
  const fraction = (bits & 1023) / 1024;
  const sign = bits & 0x8000 ? -1 : 1;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return sign * (exponent ? (1 + fraction) * 2 ** (exponent - 15) : fraction * 2 ** -14);
}

/**
 * Add products with a kernel: y[to + o] += sum over i of x[from + i] kernel[at + o step + i].
 *
 * The only inner loop of this file. Four sums at a time, so that each x is read once for four.
 */
function addProducts(y, to, outputs, x, from, inputs, kernel, at, step) {
  let o = 0;
  for (; o + 4 <= outputs; o += 4) {
    const first = at + o * step;
    const second = first + step;
    const third = second + step;
    const fourth = third + step;
    let a = 0;
    let b = 0;
    let c = 0;
    let d = 0;
    for (let i = 0; i < inputs; i++) {
      const value = x[from + i];
      a += value * kernel[first + i];
      b += value * kernel[second + i];
      c += value * kernel[third + i];
      d += value * kernel[fourth + i];
    }
    y[to + o] += a;
    y[to + o + 1] += b;
    y[to + o + 2] += c;
    y[to + o + 3] += d;
  }
  for (; o < outputs; o++) {
    const first = at + o * step;
    let sum = 0;
    for (let i = 0; i < inputs; i++) sum += x[from + i] * kernel[first + i];
    y[to + o] += sum;
  }
}

/** Begin an output with the biases of its channels, or with 0. */
function begin(y, bias) {
  if (!bias) y.fill(0);
  else for (let i = 0; i < y.length; i += bias.length) y.set(bias, i);
}

/**
 * How many pixels stand before the first one where the window begins, as TensorFlow pads.
 *
 * @param large size of the larger image: input of a convolution, output of a transposed one.
 * @param small size of the smaller image.
 */
function before(padding, large, small, window, stride) {
  if (padding === "valid") return 0;
  return Math.floor(Math.max((small - 1) * stride + window - large, 0) / 2);
}

/** Each kind of layer: (layer, shape of its input, array of a place) -> {shape, run}. */
const LAYERS = {
  dense(layer, [inputs], array) {
    const [outputs] = layer.kernel.shape;
    const kernel = array(layer.kernel);
    const bias = array(layer.bias);
    const y = new Float32Array(outputs);
    const run = (x) => {
      begin(y, bias);
      addProducts(y, 0, outputs, x, 0, inputs, kernel, 0, inputs);
      return y;
    };
    return { shape: [outputs], run };
  },

  reshape(layer) {
    return { shape: layer.shape, run: (x) => x };
  },

  /** Batch normalisation once training is over. */
  scale(layer, shape, array) {
    const scale = array(layer.scale);
    const offset = array(layer.offset);
    const channels = scale.length;
    const run = (x) => {
      for (let i = 0; i < x.length; i += channels)
        for (let c = 0; c < channels; c++) x[i + c] = x[i + c] * scale[c] + offset[c];
      return x;
    };
    return { shape, run };
  },

  leaky_relu({ slope }, shape) {
    const run = (x) => {
      for (let i = 0; i < x.length; i++) if (x[i] < 0) x[i] *= slope;
      return x;
    };
    return { shape, run };
  },

  tanh(layer, shape) {
    const run = (x) => {
      for (let i = 0; i < x.length; i++) x[i] = Math.tanh(x[i]);
      return x;
    };
    return { shape, run };
  },

  /** For each output pixel, and each row of the window, one product with that row. */
  conv2d(layer, [height, width, channels], array) {
    const [rows, filters, columns] = layer.kernel.shape; // (rows, filters, columns, channels)
    const { stride, padding } = layer;
    const kernel = array(layer.kernel);
    const bias = array(layer.bias);
    const inside = (large, window) =>
      Math.floor(padding === "valid" ? (large - window) / stride : (large - 1) / stride) + 1;
    const high = inside(height, rows);
    const wide = inside(width, columns);
    const above = before(padding, height, high, rows, stride);
    const left = before(padding, width, wide, columns, stride);
    const step = columns * channels;
    const y = new Float32Array(high * wide * filters);
    const run = (x) => {
      begin(y, bias);
      for (let row = 0; row < high; row++)
        for (let column = 0; column < wide; column++) {
          const start = column * stride - left;
          const first = Math.max(0, -start); // columns of the window that lie in the image
          const last = Math.min(columns, width - start);
          const to = (row * wide + column) * filters;
          for (let k = 0; k < rows; k++) {
            const line = row * stride - above + k;
            if (line < 0 || line >= height) continue;
            const from = (line * width + start + first) * channels;
            const at = k * filters * step + first * channels;
            const inputs = (last - first) * channels;
            addProducts(y, to, filters, x, from, inputs, kernel, at, step);
          }
        }
      return y;
    };
    return { shape: [high, wide, filters], run };
  },

  /** For each input pixel, and each row of the window, what it adds to that row of the output. */
  conv2d_transpose(layer, [height, width, channels], array) {
    const [rows, columns, filters] = layer.kernel.shape; // (rows, columns, filters, channels)
    const { stride, padding } = layer;
    const kernel = array(layer.kernel);
    const bias = array(layer.bias);
    const outside = (small, window) =>
      small * stride + (padding === "valid" ? Math.max(window - stride, 0) : 0);
    const high = outside(height, rows);
    const wide = outside(width, columns);
    const above = before(padding, high, height, rows, stride);
    const left = before(padding, wide, width, columns, stride);
    const y = new Float32Array(high * wide * filters);
    const run = (x) => {
      begin(y, bias);
      for (let row = 0; row < height; row++)
        for (let column = 0; column < width; column++) {
          const start = column * stride - left;
          const first = Math.max(0, -start); // columns of the window that lie in the image
          const last = Math.min(columns, wide - start);
          const from = (row * width + column) * channels;
          for (let k = 0; k < rows; k++) {
            const line = row * stride - above + k;
            if (line < 0 || line >= high) continue;
            const to = (line * wide + start + first) * filters;
            const at = (k * columns + first) * filters * channels;
            const outputs = (last - first) * filters;
            addProducts(y, to, outputs, x, from, channels, kernel, at, channels);
          }
        }
      return y;
    };
    return { shape: [high, wide, filters], run };
  },

  crop({ top, bottom, left, right }, [height, width, channels]) {
    const high = height - top - bottom;
    const wide = width - left - right;
    const y = new Float32Array(high * wide * channels);
    const run = (x) => {
      for (let row = 0; row < high; row++) {
        const from = ((row + top) * width + left) * channels;
        y.set(x.subarray(from, from + wide * channels), row * wide * channels);
      }
      return y;
    };
    return { shape: [high, wide, channels], run };
  },
};
