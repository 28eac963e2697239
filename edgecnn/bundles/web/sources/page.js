// The page of a web bundle: images in, labels and feature maps out, and the self-test's result.

import { Classifier } from "./classifier.js";
import { paint } from "./colors.js";

const SHOWN_LABELS = 10;
const GAP = 1; // pixels between the channels of the mosaic

/** @type {(id: string) => any} */
const element = (id) => document.getElementById(id);
/** @type {any} */
const files = /** @type {any} */ (globalThis).edgecnnFiles; // of a page that is one file

/** @type {Classifier} */
let classifier;
/** @type {any} the image as the model takes it */
let seen = null;
/** @type {any} */
let maps = null;
/** @type {MediaStream | null} */
let stream = null;

function say(/** @type {string} */ id, /** @type {string} */ text, kind = "") {
  element(id).textContent = text;
  element(id).className = kind;
}

const messageOf = (/** @type {unknown} */ error) => (error instanceof Error ? error.message : String(error));

/** Run a step; what goes wrong becomes a sentence in the page. */
async function attempt(/** @type {() => Promise<void>} */ step) {
  element("problem").textContent = "";
  try {
    await step();
  } catch (error) {
    element("problem").textContent = messageOf(error);
  }
}

async function start() {
  classifier = await Classifier.load(files ?? {});
  const test = await classifier.selfTest();
  if (test.passed) say("state", `Self-test passed: ${test.images} images`, "good");
  else say("state", `Self-test failed: ${test.problems[0]}`, "bad");
  const threads = classifier.threads === 1 ? "1 thread" : `${classifier.threads} threads`;
  const names = { wasm: "WebAssembly", webgpu: "WebGPU" };
  say("backend", `Runs on ${names[classifier.provider]}, ${threads}, ${classifier.runtime}`);
  if (classifier.reason) say("reason", `WebGPU was asked for and does not run: ${classifier.reason}`, "open");
  element("layer").replaceChildren(...classifier.layers.map((name) => new Option(name)));
  for (const id of ["file", "camera", "sample", "layer", "measure"]) element(id).disabled = false;
  document.documentElement.dataset.ready = String(Math.round(performance.now()));
  await attempt(showSample);
}

async function showSample() {
  await showFile(await classifier.sample(), "A golden image of the self-test");
}

async function showFile(/** @type {Blob} */ file, /** @type {string} */ words) {
  stopCamera();
  const pixels = await classifier.prepare(file); // before the picture: the browser would decode a huge one
  const picture = element("picture");
  URL.revokeObjectURL(picture.src);
  picture.src = URL.createObjectURL(file);
  picture.hidden = false;
  element("picture-words").textContent = words;
  await classify(pixels);
}

async function classify(/** @type {any} */ pixels) {
  seen = pixels;
  drawSeen();
  showLabels(await classifier.classify(pixels));
  await showMaps();
}

function drawSeen() {
  const canvas = element("seen");
  const { data, width, height } = seen;
  const channels = data.length / (width * height);
  [canvas.width, canvas.height] = [width, height];
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    for (let c = 0; c < 3; c++) image.data[4 * i + c] = data[i * channels + (channels === 3 ? c : 0)];
    image.data[4 * i + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  element("seen-words").textContent = `What the model sees: ${width} x ${height}`;
}

function showLabels(/** @type {import("./classifier.js").Label[]} */ labels) {
  const list = element("labels");
  while (list.children.length < Math.min(SHOWN_LABELS, labels.length)) {
    const item = document.createElement("li");
    item.append(document.createElement("span"), document.createElement("span"), document.createElement("div"));
    item.lastElementChild?.append(document.createElement("span"));
    item.lastElementChild?.classList.add("track");
    item.lastElementChild?.setAttribute("aria-hidden", "true");
    list.append(item);
  }
  [...list.children].forEach((item, i) => {
    const { label, probability } = labels[i];
    item.children[0].textContent = label;
    item.children[1].textContent = `${(100 * probability).toFixed(1)} %`;
    item.children[2].firstElementChild.style.width = `${100 * probability}%`;
  });
}

async function showMaps() {
  const layer = element("layer").value;
  if (!seen || !layer) return;
  const { [layer]: found } = await classifier.features(seen, [layer]);
  const [height, width, channels] =
    found.shape.length === 3 ? found.shape : found.shape.length === 2 ? [1, ...found.shape] : [1, found.shape[0], 1];
  maps = { data: found.data, height, width, channels };
  const slider = element("channel");
  slider.max = channels;
  slider.disabled = channels === 1;
  drawMosaic(found.shape);
  drawMap();
}

function drawMosaic(/** @type {number[]} */ shape) {
  const { height, width, channels } = maps;
  const columns = Math.ceil(Math.sqrt((channels * height) / width));
  maps.columns = columns;
  const canvas = element("mosaic");
  canvas.width = columns * (width + GAP) - GAP;
  canvas.height = Math.ceil(channels / columns) * (height + GAP) - GAP;
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  for (let c = 0; c < channels; c++) {
    paint(image, (c % columns) * (width + GAP), Math.floor(c / columns) * (height + GAP), maps, c);
  }
  context.putImageData(image, 0, 0);
  element("mosaic-words").textContent =
    `${shape.join(" x ")} values, each channel from its lowest (dark) to its highest`;
}

function drawMap() {
  const channel = Number(element("channel").value) - 1;
  const canvas = element("map");
  [canvas.width, canvas.height] = [maps.width, maps.height];
  const context = canvas.getContext("2d");
  const image = context.createImageData(canvas.width, canvas.height);
  const [low, high] = paint(image, 0, 0, maps, channel);
  context.putImageData(image, 0, 0);
  element("channel-number").textContent = `${channel + 1} of ${maps.channels}`;
  element("map-words").textContent = `Channel ${channel + 1}: from ${low.toPrecision(3)} to ${high.toPrecision(3)}`;
}

async function startCamera() {
  const video = element("video");
  try {
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
  } catch (error) {
    throw new Error(`The camera cannot be used: ${messageOf(error)}.`);
  }
  video.srcObject = stream;
  await video.play();
  element("camera").setAttribute("aria-pressed", "true");
  element("picture").hidden = true;
  video.hidden = false;
  element("picture-words").textContent = "Camera";
  for (const own = stream; stream === own; ) {
    await classify(await classifier.prepare(video));
    await new Promise(requestAnimationFrame);
  }
}

function stopCamera() {
  for (const track of stream?.getTracks() ?? []) track.stop();
  stream = null;
  element("camera").setAttribute("aria-pressed", "false");
  element("video").hidden = true;
}

async function measure() {
  element("measure").disabled = true;
  say("time", "Measuring…");
  try {
    const { p50_ms, calls, samples } = await classifier.measure();
    say("time", `${p50_ms.toFixed(2)} ms an image, p50 of ${samples.length} loops of ${calls} calls`);
  } finally {
    element("measure").disabled = false;
  }
}

function listen() {
  const drop = element("drop");
  const take = (/** @type {Blob | undefined} */ file, /** @type {string} */ words) =>
    file && attempt(() => showFile(file, words));
  element("file").addEventListener("change", (/** @type {any} */ event) => {
    take(event.target.files[0], event.target.files[0]?.name);
    event.target.value = ""; // the same file may be chosen again
  });
  for (const name of ["dragenter", "dragover", "dragleave", "drop"]) {
    document.addEventListener(name, (/** @type {any} */ event) => {
      event.preventDefault();
      drop.classList.toggle("over", name === "dragenter" || name === "dragover");
      if (name === "drop" && classifier) take(event.dataTransfer.files[0], event.dataTransfer.files[0]?.name);
    });
  }
  document.addEventListener("paste", (event) => classifier && take(event.clipboardData?.files[0], "Pasted"));
  element("sample").addEventListener("click", () => attempt(showSample));
  element("camera").addEventListener("click", () => attempt(async () => (stream ? stopCamera() : startCamera())));
  element("layer").addEventListener("change", () => {
    element("channel").value = "1";
    attempt(showMaps);
  });
  element("channel").addEventListener("input", () => maps && drawMap());
  element("mosaic").addEventListener("click", (/** @type {any} */ event) => {
    if (!maps) return;
    const scale = event.target.width / event.target.clientWidth;
    const [x, y] = [event.offsetX * scale, event.offsetY * scale];
    const channel = Math.floor(x / (maps.width + GAP)) + maps.columns * Math.floor(y / (maps.height + GAP));
    element("channel").value = String(channel + 1);
    drawMap();
  });
  element("measure").addEventListener("click", () => attempt(measure));
}

listen();
start().catch((error) => say("state", `It does not start: ${messageOf(error)}`, "bad"));
if (!files && "serviceWorker" in navigator) {
  navigator.serviceWorker.register("service-worker.js").catch(() => {}); // offline use is an extra
}
