// What a classifier does, in a worker or in Node: load, classify, show layers, test itself, measure.

import { Model } from "./model.js";
import { crc32, prepare, RESIZE_RULE } from "./pixels.js";

const MEASURE_MS = 1000;
const SAMPLE_MS = 5; // browsers' clocks step by up to 0.1 ms (some by 1 ms), so a sample is a loop of calls

export class Service {
  /** @type {any} */ #model;
  /** @type {any} */ #golden;
  #modelCrc = 0;
  #queue = Promise.resolve();

  /** One call after the other: a session runs one at a time. @param {string} command @param {any[]} args */
  answer(command, args) {
    const answer = this.#queue.then(() => /** @type {any} */ (this)[command](...args));
    this.#queue = answer.catch(() => {});
    return answer;
  }

  /** @param {{model: any, golden: any, runtime: string, wasm: any}} files @param {{webgpu?: boolean, threads: number}} options */
  async load(files, options) {
    const [bytes, wasm, golden] = await Promise.all([files.model, files.wasm, files.golden].map(bytesOf));
    this.#golden = JSON.parse(new TextDecoder().decode(golden));
    this.#modelCrc = crc32(bytes);
    const loaded = await this.#loadOn(bytes, wasm, files.runtime, { webgpu: this.#golden.webgpu, ...options });
    const { contract } = this.#model;
    if (contract?.resize !== RESIZE_RULE)
      throw new Error("The model has no contract that this code knows; export it again.");
    const shape = contract.input.shape.slice(1);
    return { ...loaded, contract, shape, layers: Object.keys(contract.export.layers) };
  }

  /** On WebGPU where that is wanted and there; otherwise on WebAssembly, with the reason. */
  async #loadOn(
    /** @type {Uint8Array} */ bytes,
    /** @type {Uint8Array} */ wasm,
    /** @type {string} */ runtime,
    /** @type {any} */ { webgpu, threads },
  ) {
    let reason = "";
    const isolated = globalThis.crossOriginIsolated || "process" in globalThis;
    if (webgpu) {
      try {
        this.#model = await Model.load(bytes, runtime, wasm, "webgpu", 1);
        return { provider: "webgpu", threads: 1, runtime: this.#model.runtime, reason };
      } catch (error) {
        reason = messageOf(error);
      }
    }
    const used = isolated ? threads : 1;
    this.#model = await Model.load(bytes, runtime, wasm, "wasm", used);
    return { provider: "wasm", threads: used, runtime: this.#model.runtime, reason };
  }

  /** @param {any} image */
  async classify(image) {
    const { pixels, shape } = await this.#prepared(image);
    return ranked(this.#scores(await this.#model.run(pixels, shape)), this.#model.contract);
  }

  /** @param {any} image @param {string[] | null} layers null: all */
  async features(image, layers) {
    const { contract } = this.#model;
    const known = contract.export.layers;
    const names = layers ?? Object.keys(known);
    for (const name of names) if (!Object.hasOwn(known, name)) throw new Error(unknownLayer(name, contract));
    const { pixels, shape } = await this.#prepared(image);
    const outputs = await this.#model.runWithLayers(pixels, shape);
    return Object.fromEntries(names.map((name) => [name, laidOut(outputs[known[name].tensor], known[name].layout)]));
  }

  /** A golden image, as a PNG file. */
  async sample() {
    return new Blob([bytesOfBase64(this.#golden.images[0].png)], { type: "image/png" });
  }

  /** Run the golden images through all of it, and compare. */
  async selfTest() {
    const { contract } = this.#model;
    const golden = this.#golden;
    const problems = [];
    let largestDifference = 0;
    if (this.#modelCrc !== golden.model_crc32) problems.push("The model is not the file that was bundled.");
    if (JSON.stringify(contract.labels) !== JSON.stringify(golden.labels)) problems.push("The labels were changed.");
    for (const [number, image] of golden.images.entries()) {
      const { pixels, shape } = await this.#prepared(new Blob([bytesOfBase64(image.png)]));
      if (crc32(pixels) !== image.pixels_crc32)
        problems.push(`Golden image ${number}: its pixels are prepared otherwise.`);
      const scores = this.#scores(await this.#model.run(pixels, shape));
      const difference = Math.max(
        ...image.scores.map((/** @type {number} */ score, /** @type {number} */ i) => Math.abs(score - scores[i])),
      );
      if (!(difference <= golden.bound))
        problems.push(`Golden image ${number}: its outputs differ by ${difference.toPrecision(3)}.`);
      largestDifference = Math.max(largestDifference, difference);
    }
    return { passed: !problems.length, images: golden.images.length, largestDifference, bound: golden.bound, problems };
  }

  /** Times of the model alone on an image, in ms: the median of loops of `calls` calls, and every loop's mean. */
  async measure() {
    const { pixels, shape } = await this.#prepared(await this.sample());
    const loop = async (/** @type {number} */ calls) => {
      const start = performance.now();
      for (let i = 0; i < calls; i++) await this.#model.run(pixels, shape);
      return (performance.now() - start) / calls;
    };
    let calls = 1;
    while ((await loop(calls)) * calls < SAMPLE_MS) calls *= 2;
    const samples = [];
    for (const end = performance.now() + MEASURE_MS; performance.now() < end; ) samples.push(await loop(calls));
    return { p50_ms: samples.toSorted((a, b) => a - b)[samples.length >> 1], calls, samples };
  }

  /** The image as the model takes it. @param {any} image */
  async prepare(image) {
    const { pixels, shape } = await this.#prepared(image);
    return { data: pixels, width: shape[2], height: shape[1] };
  }

  async #prepared(/** @type {any} */ image) {
    const shape = this.#model.contract.input.shape.slice(1);
    return { pixels: await prepare(image, shape), shape: [1, ...shape] };
  }

  #scores(/** @type {any} */ outputs) {
    return outputs[this.#model.contract.output.name].data;
  }
}

/** @param {Float32Array} scores @param {any} contract */
function ranked(scores, contract) {
  const largest = Math.max(...scores);
  const parts =
    contract.output_meaning === "logits" ? Array.from(scores, (score) => Math.exp(score - largest)) : [...scores];
  const sum = contract.output_meaning === "logits" ? parts.reduce((a, b) => a + b, 0) : 1;
  return parts
    .map((part, i) => ({ label: contract.labels[i], probability: part / sum, score: scores[i] }))
    .sort((a, b) => b.score - a.score); // among equals the earlier label
}

/** Values without the batch, channels last. */
function laidOut(/** @type {any} */ { data, dims }, /** @type {string} */ layout) {
  const shape = dims.slice(1);
  if (layout !== "NCHW") return { data: Float32Array.from(data), shape };
  const [channels, height, width] = shape;
  const turned = new Float32Array(data.length);
  for (let c = 0, at = 0; c < channels; c++) {
    for (let i = 0; i < height * width; i++, at++) turned[i * channels + c] = data[at];
  }
  return { data: turned, shape: [height, width, channels] };
}

function unknownLayer(/** @type {string} */ name, /** @type {any} */ contract) {
  const other = contract.export.fused_into[name];
  if (other) return `Layer ${name} has no maps of its own in this file: it is fused into ${other}; use that.`;
  return `There is no layer '${name}', only ${Object.keys(contract.export.layers).join(", ")}.`;
}

/** The bytes of what is a URL, or bytes already. */
async function bytesOf(/** @type {any} */ file) {
  if (typeof file !== "string") return new Uint8Array(file);
  if (file.startsWith("file:")) {
    const node = "node:fs/promises";
    return new Uint8Array(
      await (await import(/* @vite-ignore */ /* webpackIgnore: true */ node)).readFile(new URL(file)),
    );
  }
  const response = await fetch(file);
  if (!response.ok) throw new Error(`${file} cannot be loaded: ${response.status} ${response.statusText}`);
  return new Uint8Array(await response.arrayBuffer());
}

const bytesOfBase64 = (/** @type {string} */ text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

export const messageOf = (/** @type {unknown} */ error) => (error instanceof Error ? error.message : String(error));
