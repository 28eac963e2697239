// An .onnx file on ONNX Runtime Web: its contract, its outputs, and the outputs of its layers.

import { metadata, withOutputs } from "./onnx_file.js";

const CONTRACT_KEY = "edgecnn.contract";

/** @typedef {{data: Float32Array, dims: readonly number[]}} Values */

export class Model {
  #ort;
  #bytes;
  #provider;
  #session;
  #layerSession = null;

  /** @param {any} ort @param {Uint8Array} bytes @param {string} provider @param {any} session */
  constructor(ort, bytes, provider, session) {
    [this.#ort, this.#bytes, this.#provider, this.#session] = [ort, bytes, provider, session];
    /** @type {any} */
    this.contract = JSON.parse(metadata(bytes, CONTRACT_KEY) || "null");
    this.runtime = `onnxruntime-web ${ort.env.versions.web}`;
  }

  /**
   * A session on one execution provider, "wasm" or "webgpu"; rejects where that does not run all of the model.
   * @param {Uint8Array} bytes @param {string} runtime URL of ONNX Runtime Web's module
   * @param {ArrayBuffer | Uint8Array} wasm its WebAssembly @param {string} provider @param {number} threads
   */
  static async load(bytes, runtime, wasm, provider, threads) {
    if (provider === "webgpu") await requireGpu();
    const ort = await import(/* @vite-ignore */ /* webpackIgnore: true */ runtime);
    Object.assign(ort.env.wasm, { wasmBinary: wasm, numThreads: threads });
    ort.env.logLevel = "error";
    return new Model(ort, bytes, provider, await open(ort, bytes, provider));
  }

  get outputNames() {
    return this.#session.outputNames;
  }

  /** Give these tensors too, from now on. @param {string[]} tensors */
  async expose(tensors) {
    const others = new Set(tensors.filter((name) => !this.#session.outputNames.includes(name)));
    if (others.size) this.#session = await open(this.#ort, withOutputs(this.#bytes, others), this.#provider);
  }

  /**
   * The model's outputs, by name.
   * @param {Uint8Array} pixels of images one after the other @param {number[]} shape [N, height, width, channels]
   * @returns {Promise<Record<string, Values>>}
   */
  run(pixels, shape) {
    return this.#run(this.#session, pixels, shape);
  }

  /**
   * What each Keras layer gives for an image. The session that shows them is another, so that the first stays what it is.
   * @param {Uint8Array} pixels @param {number[]} shape
   */
  async runWithLayers(pixels, shape) {
    if (!this.#layerSession) {
      const shown = new Set(Object.values(this.contract.export.layers).map((/** @type {any} */ layer) => layer.tensor));
      for (const name of this.#session.outputNames) shown.delete(name);
      this.#layerSession = await open(this.#ort, withOutputs(this.#bytes, shown), this.#provider);
    }
    return this.#run(this.#layerSession, pixels, shape);
  }

  async #run(/** @type {any} */ session, /** @type {Uint8Array} */ pixels, /** @type {number[]} */ shape) {
    const input = new this.#ort.Tensor("uint8", pixels, shape);
    const outputs = await session.run({ [session.inputNames[0]]: input });
    input.dispose?.();
    return outputs;
  }
}

async function requireGpu() {
  const adapter = await /** @type {any} */ (navigator).gpu?.requestAdapter();
  if (!adapter) throw new Error("WebGPU is not there");
  const { architecture, isFallbackAdapter } = adapter.info;
  if (isFallbackAdapter || architecture === "swiftshader")
    throw new Error("WebGPU would compute on the CPU: there is no GPU");
}

async function open(/** @type {any} */ ort, /** @type {Uint8Array} */ bytes, /** @type {string} */ provider) {
  // ONNX Runtime would run what a provider does not take on the CPU, and only warn.
  const strict = provider === "wasm" ? {} : { extra: { session: { disable_cpu_ep_fallback: "1" } } };
  try {
    return await ort.InferenceSession.create(bytes, { executionProviders: [provider], ...strict });
  } catch (error) {
    if (provider === "webgpu") throw new Error("WebGPU does not run all of the model");
    throw error;
  }
}
