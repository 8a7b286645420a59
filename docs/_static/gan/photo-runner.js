/** Hands photographs to photo-worker.js and waits for what its network makes of them. */
export class Runner {
  /**
   * Run a network.
   *
   * @param network its name: "zebra", "horse" or "srgan".
   * @param given {input, dims}: a Float32Array and its shape, (1, height, width, 3).
   * @param told is called with each message on the way.
   * @returns a promise of {values, dims, seconds}; it fails with a sentence, or null when stopped.
   */
  run(network, { input, dims }, told = () => {}) {
    const address = new URL("./photo-worker.js", import.meta.url);
    this.worker ??= new Worker(address, { type: "module" });
    return new Promise((resolve, reject) => {
      this.fail = reject;
      this.worker.onmessage = ({ data }) => {
        if (data.failed) reject(data.failed);
        else if (data.values) resolve(data);
        else told(data);
      };
      this.worker.onerror = () => {
        this.stop();
        reject("This browser cannot run the network: it needs workers that are modules.");
      };
      this.worker.postMessage({ network, input, dims }, [input.buffer]);
    });
  }

  /** End what runs; the next run loads everything again, mostly from the browser's cache. */
  stop() {
    this.worker?.terminate();
    this.worker = null;
    this.fail?.(null);
  }
}
