// What a page runs when it is a runtime of edgecnn: whole batches through the model, as base64, and timed loops.

import { Model } from "./model.js";

const LETTERS = 0x8000; // that a call takes at a time

/** @type {Model} */
let model;
/** @type {Uint8Array[]} */
let images = [];

const bytesOf = (/** @type {string} */ text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));

const textOf = (/** @type {any} */ data) => {
  const values = data instanceof Float32Array ? data : Float32Array.from(data);
  const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  let text = "";
  for (let i = 0; i < bytes.length; i += LETTERS) text += String.fromCharCode(...bytes.subarray(i, i + LETTERS));
  return btoa(text);
};

async function fetched(/** @type {string} */ name) {
  return new Uint8Array(await (await fetch(name)).arrayBuffer());
}

/** @param {{provider: string, threads: number, tensors: string[]}} wanted */
async function load({ provider, threads, tensors }) {
  if (threads > 1 && !crossOriginIsolated) throw new Error("this browser runs one thread only");
  const runtime = new URL("ort.mjs", location.href).href;
  model = await Model.load(await fetched("model.onnx"), runtime, await fetched("ort.wasm"), provider, threads);
  await model.expose(tensors);
  return { runtime: model.runtime, outputs: model.outputNames };
}

/** @param {{pixels: string, shape: number[]}} batch */
async function run({ pixels, shape }) {
  const outputs = await model.run(bytesOf(pixels), shape);
  return model.outputNames.map((/** @type {string} */ name) => ({
    shape: outputs[name].dims,
    data: textOf(outputs[name].data),
  }));
}

/** @param {string[]} batches */
function keep(batches) {
  images = batches.map(bytesOf);
}

/**
 * Mean times of `repeat` calls each, in ms, on the batches kept, after `skip` calls.
 * @param {{shape: number[], skip: number, calls: number, repeat: number}} block
 */
async function time({ shape, skip, calls, repeat }) {
  const call = (/** @type {number} */ i) => model.run(images[i % images.length], shape);
  for (let i = 0; i < skip; i++) await call(i);
  const samples = [];
  for (let i = 0; i < calls; i++) {
    const start = performance.now();
    for (let k = 0; k < repeat; k++) await call(i);
    samples.push((performance.now() - start) / repeat);
  }
  return samples;
}

/** The smallest step by which this page's clock is seen to go on, in ms. */
function clockStep() {
  let least = Infinity;
  for (let i = 0; i < 20; i++) {
    const start = performance.now();
    let now = start;
    while (now === start) now = performance.now();
    least = Math.min(least, now - start);
  }
  return least;
}

Object.assign(globalThis, { edgecnn: { load, run, keep, time, clockStep } });
