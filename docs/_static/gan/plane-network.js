/**
 * Small dense networks, their gradients and Adam, written out in plain JavaScript.
 *
 * A matrix is a Float64Array, row after row. A network is a list of layers, in order. A layer is
 * {inputs, outputs, activation, kernel, bias}: kernel is (inputs, outputs) as in Keras, bias is
 * (outputs). The activation is "relu", "softplus" or "linear". The last layer is always linear.
 */

const BETWEEN = 1e-12; // EPSILON of lesson 05: the square root has no slope at 0

/** Make a layer with kernel and bias at 0. */
export function layer(inputs, outputs, activation) {
  const kernel = new Float64Array(inputs * outputs);
  return { inputs, outputs, activation, kernel, bias: new Float64Array(outputs) };
}

/** Make a network: widths (2, 32, 32, 1) are two hidden layers of 32 units and one output. */
export function network(widths, activation) {
  const last = widths.length - 2;
  return widths.slice(1).map((outputs, i) => {
    return layer(widths[i], outputs, i === last ? "linear" : activation);
  });
}

/** Draw all kernels as Keras' GlorotUniform does, and set all biases to 0. */
export function glorotUniform(layers, random) {
  for (const { inputs, outputs, kernel, bias } of layers) {
    const limit = Math.sqrt(6 / (inputs + outputs));
    for (let i = 0; i < kernel.length; i++) kernel[i] = limit * (2 * random.uniform() - 1);
    bias.fill(0);
  }
}

/** Return kernel and bias of all layers, as `trainable_variables` of Keras. */
export function variables(layers) {
  return layers.flatMap(({ kernel, bias }) => [kernel, bias]);
}

/** Return (columns, rows) from (rows, columns). */
export function transposed(matrix, rows, columns) {
  const turned = new Float64Array(matrix.length);
  for (let i = 0; i < rows; i++) {
    for (let j = 0; j < columns; j++) turned[j * rows + i] = matrix[i * columns + j];
  }
  return turned;
}

/**
 * Multiply every row of a by every row of b: a times the transpose of b.
 *
 * This is where nearly all the time goes, so two rows of a and four of b are done at once: six
 * numbers are then read for eight products.
 *
 * @param a (n, length)
 * @param b (m, length)
 * @returns (n, m)
 */
export function rowsByRows(a, b, length) {
  const n = a.length / length;
  const m = b.length / length;
  const product = new Float64Array(n * m);
  for (let i = 0; i < n; i += 2) {
    for (let j = 0; j < m; j += 4) {
      if (i + 2 <= n && j + 4 <= m) twoByFour(a, i, b, j, length, product, m);
      else fewer(a, i, b, j, length, product, n, m);
    }
  }
  return product;
}

/** Fill product[i, j] and its neighbours, two rows with four numbers each. */
function twoByFour(a, i, b, j, length, product, m) {
  const upper = i * length;
  const lower = upper + length;
  const first = j * length;
  const second = first + length;
  const third = second + length;
  const fourth = third + length;
  let upper1 = 0;
  let upper2 = 0;
  let upper3 = 0;
  let upper4 = 0;
  let lower1 = 0;
  let lower2 = 0;
  let lower3 = 0;
  let lower4 = 0;
  for (let k = 0; k < length; k++) {
    const above = a[upper + k];
    const below = a[lower + k];
    const b1 = b[first + k];
    const b2 = b[second + k];
    const b3 = b[third + k];
    const b4 = b[fourth + k];
    upper1 += above * b1;
    upper2 += above * b2;
    upper3 += above * b3;
    upper4 += above * b4;
    lower1 += below * b1;
    lower2 += below * b2;
    lower3 += below * b3;
    lower4 += below * b4;
  }
  const place = i * m + j;
  product[place] = upper1;
  product[place + 1] = upper2;
  product[place + 2] = upper3;
  product[place + 3] = upper4;
  product[place + m] = lower1;
  product[place + m + 1] = lower2;
  product[place + m + 2] = lower3;
  product[place + m + 3] = lower4;
}

/** The same at the edges, where less than two rows or four numbers are left. */
function fewer(a, i, b, j, length, product, n, m) {
  for (let row = i; row < Math.min(i + 2, n); row++) {
    for (let column = j; column < Math.min(j + 4, m); column++) {
      let sum = 0;
      for (let k = 0; k < length; k++) sum += a[row * length + k] * b[column * length + k];
      product[row * m + column] = sum;
    }
  }
}

/** Replace sums by what the activation makes of them; return its slopes, the same shape. */
function activate(sums, activation) {
  const slopes = new Float64Array(sums.length).fill(1);
  if (activation === "relu") {
    for (let i = 0; i < sums.length; i++) {
      if (sums[i] > 0) continue;
      sums[i] = 0;
      slopes[i] = 0;
    }
  } else if (activation === "softplus") {
    for (let i = 0; i < sums.length; i++) {
      const small = Math.exp(-Math.abs(sums[i]));
      slopes[i] = (sums[i] > 0 ? 1 : small) / (1 + small); // the sigmoid
      sums[i] = Math.max(sums[i], 0) + Math.log1p(small);
    }
  }
  return slopes;
}

/** The derivatives of slopes: softplus has the slope s, the sigmoid, and s has s (1 - s). */
function bends(slopes, activation) {
  return slopes.map((slope) => (activation === "softplus" ? slope * (1 - slope) : 0));
}

/**
 * Compute a network's outputs, and keep what its gradients need.
 *
 * @param points (n, inputs of the first layer)
 * @returns {n, inputs, slopes, outputs}: for each layer its inputs and the slopes of its
 *     activation; outputs is (n, outputs of the last layer).
 */
export function forward(layers, points) {
  const trace = { n: points.length / layers[0].inputs, inputs: [], slopes: [], outputs: points };
  for (const { inputs, outputs, activation, kernel, bias } of layers) {
    trace.inputs.push(trace.outputs);
    const sums = rowsByRows(trace.outputs, transposed(kernel, inputs, outputs), inputs);
    addToRows(sums, bias);
    trace.slopes.push(activate(sums, activation));
    trace.outputs = sums;
  }
  return trace;
}

/**
 * Go back through a network (backpropagation).
 *
 * @param trace what `forward` returned.
 * @param gradient of a loss with respect to the outputs, (n, outputs).
 * @param extra for each layer, another gradient with respect to its sums, or null.
 * @returns {sums, back}: for each layer the gradient with respect to its sums and to its inputs;
 *     back[0] is that of the points, (n, inputs), and back has `gradient` as its last entry.
 */
export function backward(layers, trace, gradient, extra = null) {
  const sums = [];
  const back = [gradient];
  for (let l = layers.length - 1; l >= 0; l--) {
    const ofSums = multiplied(back[0], trace.slopes[l]);
    if (extra) add(ofSums, extra[l]);
    sums.unshift(ofSums);
    back.unshift(rowsByRows(ofSums, layers[l].kernel, layers[l].outputs));
  }
  return { sums, back };
}

/** Return the gradients with respect to `variables(layers)`; sums is from `backward`. */
export function weightGradients(layers, trace, sums) {
  return layers.flatMap(({ inputs, outputs }, l) => {
    const kernel = kernelGradient(trace.inputs[l], sums[l], inputs, outputs);
    return [kernel, columnSums(sums[l], outputs)];
  });
}

/** Return the gradient (inputs, outputs) of a kernel: inputs' times the gradient of the sums. */
function kernelGradient(points, sums, inputs, outputs) {
  const n = points.length / inputs;
  return rowsByRows(transposed(points, n, inputs), transposed(sums, n, outputs), n);
}

function multiplied(a, b) {
  const product = new Float64Array(a.length);
  for (let i = 0; i < a.length; i++) product[i] = a[i] * b[i];
  return product;
}

/** Add b to a, in place. */
export function add(a, b) {
  for (let i = 0; i < a.length; i++) a[i] += b[i];
}

/** Add a row to each row of a matrix, in place. */
function addToRows(matrix, row) {
  for (let i = 0; i < matrix.length; i += row.length) {
    for (let j = 0; j < row.length; j++) matrix[i + j] += row[j];
  }
}

function columnSums(matrix, columns) {
  const sums = new Float64Array(columns);
  for (let i = 0; i < matrix.length; i += columns) {
    for (let j = 0; j < columns; j++) sums[j] += matrix[i + j];
  }
  return sums;
}

/**
 * The gradient penalty of lesson 05, and its gradient with respect to the weights.
 *
 * The penalty is λ times the mean of (‖∇D‖ - 1)² over the points. ∇D is itself computed by going
 * back through D (`backward`), layer after layer:
 *     sums[l] = slopes[l] back[l + 1],    back[l] = sums[l] kernel',
 * so the gradient of the penalty goes through these lines in the opposite order, from the first
 * layer to the last, and then back through D as usual, because the slopes depend on the weights.
 *
 * @param points (n, inputs)
 * @returns {loss, weights}: weights as `variables(layers)`.
 */
export function gradientPenalty(layers, points, lambda) {
  const trace = forward(layers, points);
  const ones = new Float64Array(trace.outputs.length).fill(1);
  const { sums, back } = backward(layers, trace, ones);
  const { loss, gradient } = penaltyOfSlopes(back[0], layers[0].inputs, lambda);
  const kernels = [];
  const extra = [];
  let ofBack = gradient; // of the penalty, with respect to back[l]
  layers.forEach(({ inputs, outputs, activation, kernel }, l) => {
    kernels.push(kernelGradient(ofBack, sums[l], inputs, outputs));
    const ofSums = rowsByRows(ofBack, transposed(kernel, inputs, outputs), inputs);
    const ofSlopes = multiplied(ofSums, back[l + 1]);
    extra.push(multiplied(ofSlopes, bends(trace.slopes[l], activation)));
    ofBack = multiplied(ofSums, trace.slopes[l]);
  });
  const through = backward(layers, trace, new Float64Array(trace.outputs.length), extra);
  const weights = weightGradients(layers, trace, through.sums);
  kernels.forEach((kernel, l) => add(weights[2 * l], kernel));
  return { loss, weights };
}

/** Return λ mean (length - 1)² of gradients (n, size), and its gradient, (n, size). */
function penaltyOfSlopes(gradients, size, lambda) {
  const n = gradients.length / size;
  const gradient = new Float64Array(gradients.length);
  let loss = 0;
  for (let i = 0; i < n; i++) {
    const one = gradients.subarray(i * size, (i + 1) * size);
    const length = Math.sqrt(one.reduce((sum, value) => sum + value * value, BETWEEN));
    loss += (lambda / n) * (length - 1) ** 2;
    const factor = ((2 * lambda) / n) * (1 - 1 / length);
    one.forEach((value, j) => (gradient[i * size + j] = factor * value));
  }
  return { loss, gradient };
}

/** Adam as Keras computes it (Kingma, Ba 2015). */
export class Adam {
  /**
   * @param rate a function: updates so far -> learning rate.
   * @param values arrays that are changed in place.
   */
  constructor(rate, beta1, beta2, values) {
    this.rate = rate;
    this.beta1 = beta1;
    this.beta2 = beta2;
    this.values = values;
    this.means = values.map((value) => new Float64Array(value.length));
    this.squares = values.map((value) => new Float64Array(value.length));
    this.updates = 0;
  }

  /** Change all values by their gradients. */
  apply(gradients) {
    const { beta1, beta2 } = this;
    const rate = this.rate(this.updates);
    this.updates += 1;
    const corrected = Math.sqrt(1 - beta2 ** this.updates) / (1 - beta1 ** this.updates);
    this.values.forEach((value, v) => {
      const [gradient, mean, square] = [gradients[v], this.means[v], this.squares[v]];
      for (let i = 0; i < value.length; i++) {
        mean[i] += (gradient[i] - mean[i]) * (1 - beta1);
        square[i] += (gradient[i] * gradient[i] - square[i]) * (1 - beta2);
        value[i] -= (rate * corrected * mean[i]) / (Math.sqrt(square[i]) + 1e-7);
      }
    });
  }
}
