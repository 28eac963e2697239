// An image classifier that answers as the trained model does, in a browser or in Node.
//
//   const classifier = await Classifier.load();
//   const [best] = await classifier.classify(file);      // {label, probability, score}
//
// In a browser it computes in a worker of its own, so that the page never waits.

export class Classifier {
  /** @type {any} */ #port;
  /** @type {Map<number, {resolve: (value: any) => void, reject: (error: Error) => void}>} */ #waiting = new Map();
  #count = 0;

  constructor(/** @type {any} */ port) {
    this.#port = port;
    port.onmessage = (/** @type {any} */ { data: { id, value, error } }) => this.#settle(id, value, error);
    port.onerror = (/** @type {any} */ event) => {
      this.#settleAll(`The worker failed: ${event.message ?? "it did not start"}`);
    };
  }

  /** See classifier.d.ts. */
  static async load(/** @type {any} */ files = {}, /** @type {any} */ options = {}) {
    const given = typeof files === "string" || files instanceof URL ? inFolder(files) : files;
    const isWhole = ["model", "golden", "runtime", "wasm"].every((name) => name in given);
    const { worker, ...all } = isWhole ? given : { ...ownFiles(), ...given };
    const classifier = new Classifier(await port(worker));
    Object.assign(classifier, await classifier.#call("load", [plain(all), { threads: 1, ...options }]));
    return classifier;
  }

  async classify(/** @type {any} */ image) {
    return this.#onImage("classify", image);
  }

  async features(/** @type {any} */ image, /** @type {string[] | null} */ layers = null) {
    return this.#onImage("features", image, layers);
  }

  async prepare(/** @type {any} */ image) {
    return this.#onImage("prepare", image);
  }

  sample() {
    return this.#call("sample", []);
  }

  selfTest() {
    return this.#call("selfTest", []);
  }

  measure() {
    return this.#call("measure", []);
  }

  close() {
    this.#port.terminate();
    this.#settleAll("The classifier is closed.");
  }

  async #onImage(/** @type {string} */ command, /** @type {any} */ image, /** @type {any[]} */ ...args) {
    const own = await portable(image);
    return this.#call(command, [own, ...args], own !== image ? [own] : []);
  }

  #call(/** @type {string} */ command, /** @type {any[]} */ args, /** @type {any[]} */ transfer = []) {
    const id = ++this.#count;
    const answer = new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    this.#port.postMessage({ id, command, args }, transfer);
    return answer;
  }

  #settleAll(/** @type {string} */ error) {
    for (const id of [...this.#waiting.keys()]) this.#settle(id, null, error);
  }

  #settle(/** @type {number} */ id, /** @type {any} */ value, /** @type {string | undefined} */ error) {
    const call = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) call?.resolve(value);
    else call?.reject(new Error(error));
  }
}

/** The files beside this module; bundlers see these addresses, and bring the files along. */
function ownFiles() {
  return {
    model: new URL("./model.onnx", import.meta.url),
    golden: new URL("./golden.json", import.meta.url),
    runtime: new URL("./runtime/ort.mjs", import.meta.url),
    wasm: new URL("./runtime/ort.wasm", import.meta.url),
  };
}

function inFolder(/** @type {string | URL} */ folder) {
  const base = new URL(String(folder).replace(/\/?$/, "/"), globalThis.location?.href ?? import.meta.url);
  const names = { model: "model.onnx", golden: "golden.json", runtime: "runtime/ort.mjs", wasm: "runtime/ort.wasm" };
  return Object.fromEntries(Object.entries(names).map(([file, name]) => [file, new URL(name, base)]));
}

/** Addresses as text: a worker takes no URL objects. */
const plain = (/** @type {Record<string, any>} */ files) =>
  Object.fromEntries(Object.entries(files).map(([name, file]) => [name, file instanceof URL ? file.href : file]));

/** What answers: a worker, or in Node the service itself. */
async function port(/** @type {(() => Worker) | undefined} */ worker) {
  if (worker) return worker();
  if (typeof Worker !== "undefined") return new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
  const { messageOf, Service } = await import("./service.js");
  const service = new Service();
  /** @type {any} */
  const own = { terminate() {} };
  own.postMessage = (/** @type {any} */ { id, command, args }) =>
    service.answer(command, args).then(
      (/** @type {any} */ value) => own.onmessage({ data: { id, value } }),
      (/** @type {any} */ error) => own.onmessage({ data: { id, error: messageOf(error) } }),
    );
  return own;
}

/** An image that can be sent to a worker: an element becomes a bitmap. */
async function portable(/** @type {any} */ image) {
  const isElement = ["HTMLCanvasElement", "OffscreenCanvas", "HTMLImageElement", "HTMLVideoElement"].some(
    (kind) => /** @type {any} */ (globalThis)[kind] && image instanceof /** @type {any} */ (globalThis)[kind],
  );
  return isElement ? createImageBitmap(image, { colorSpaceConversion: "none" }) : image;
}
