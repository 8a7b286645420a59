/**
 * Runs a network of lesson 07 or 09 in a thread of its own, so that the page stays usable.
 *
 * It gets { network, input, dims }: a name, a Float32Array and its shape (1, height, width, 3).
 * It answers with { progress: {what, loaded, bytes} } while files are loaded, { computing: true },
 * and at last { values, dims, seconds } or { failed: a sentence }.
 */

const FOLDER = new URL("./photo/", import.meta.url);
const sessions = {}; // networks that are ready
let runtime = null; // ONNX Runtime, once it is loaded
let facts = null; // files and their sizes

self.onmessage = async ({ data }) => {
  try {
    const answer = await compute(data);
    self.postMessage(answer, [answer.values.buffer]);
  } catch (error) {
    console.warn(error);
    self.postMessage({ failed: sentence(error) });
  }
};

async function compute({ network, input, dims }) {
  facts ??= await (await fetched("networks.json")).json();
  runtime ??= await loadRuntime();
  sessions[network] ??= await loadNetwork(network);
  self.postMessage({ computing: true });
  const start = performance.now();
  const session = sessions[network];
  const given = new runtime.Tensor("float32", input, dims);
  const outputs = await session.run({ [session.inputNames[0]]: given });
  const made = outputs[session.outputNames[0]];
  const seconds = (performance.now() - start) / 1000;
  return { values: Float32Array.from(made.data), dims: [...made.dims], seconds };
}

/** Load ONNX Runtime: one thread, and its core from our own host. */
async function loadRuntime() {
  const { file, core, bytes } = facts.program;
  const packed = await loaded(core, "the program", bytes);
  const unpacked = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const found = await import(new URL(file, FOLDER).href);
  found.env.logLevel = "error";
  found.env.wasm.numThreads = 1;
  found.env.wasm.wasmBinary = await new Response(unpacked).arrayBuffer();
  return found;
}

async function loadNetwork(name) {
  const { file, bytes } = facts[name];
  const content = await loaded(file, "the network", bytes);
  return runtime.InferenceSession.create(content, { executionProviders: ["wasm"] });
}

/** Load a file and tell the page how far it is. */
async function loaded(file, what, bytes) {
  const answer = await fetched(file);
  const reader = answer.body.getReader();
  const content = new Uint8Array(bytes);
  let place = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    if (place + value.length > bytes) throw new TypeError(`${file} is too long`);
    content.set(value, place);
    place += value.length;
    self.postMessage({ progress: { what, loaded: place, bytes } });
  }
  if (place !== bytes) throw new TypeError(`${file} is not whole`);
  return content;
}

async function fetched(file) {
  const answer = await fetch(new URL(file, FOLDER));
  if (!answer.ok) throw new TypeError(`${file}: ${answer.status}`);
  return answer;
}

/** Say in a sentence what went wrong; what `fetch` throws is a TypeError. */
function sentence(error) {
  if (error instanceof RangeError) return "The network needs more memory than this browser gives.";
  if (error instanceof TypeError) {
    return "The network could not be loaded: check the connection, and press the button again.";
  }
  return `The network did not run in this browser (${error.message ?? error}).`;
}
