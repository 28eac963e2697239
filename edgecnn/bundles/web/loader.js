// Starts a page that is one file: takes its parts out of the page, and makes modules and a worker of them.

const DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz!#$%&()*+-;/=>?@^_`{|}~";
const VALUES = new Uint8Array(128);
[...DIGITS].forEach((digit, value) => {
  VALUES[digit.charCodeAt(0)] = value;
});

/** The bytes of base 85 text: five digits are four bytes, the last ones fewer. */
function bytesOf(/** @type {string} */ text) {
  const bytes = new Uint8Array(Math.ceil(text.length / 5) * 4);
  const view = new DataView(bytes.buffer);
  for (let i = 0, at = 0; i < text.length; i += 5, at += 4) {
    let value = 0;
    for (let k = i; k < i + 5; k++) value = value * 85 + (k < text.length ? VALUES[text.charCodeAt(k)] : 84);
    view.setUint32(at, value);
  }
  return bytes.subarray(0, bytes.length - ((5 - (text.length % 5)) % 5));
}

async function part(/** @type {string} */ name) {
  const packed = bytesOf(/** @type {any} */ (document.getElementById(`part-${name}`)).textContent);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** @type {Record<string, string>} */
const modules = {};

/** Make a module's address; imports of modules before it are resolved. A worker here imports no blob addresses. */
async function add(/** @type {string} */ name) {
  let text = new TextDecoder().decode(await part(name));
  for (const [other, address] of Object.entries(modules)) text = text.replaceAll(`"./${other}"`, `"${address}"`);
  const reader = new FileReader();
  await new Promise((done) => {
    reader.onload = done;
    reader.readAsDataURL(new Blob([text], { type: "text/javascript" }));
  });
  modules[name] = String(reader.result);
}

const names = [
  "ort.mjs",
  "png.js",
  "pixels.js",
  "onnx_file.js",
  "model.js",
  "service.js",
  "classifier.js",
  "colors.js",
  "page.js",
];
for (const name of names) await add(name);
const script = `
  const ready = import(${JSON.stringify(modules["service.js"])}).then(({ Service, messageOf }) => [new Service(), messageOf]);
  addEventListener("message", async ({ data: { id, command, args } }) => {
    const [service, messageOf] = await ready;
    try { postMessage({ id, value: await service.answer(command, args) }); }
    catch (error) { postMessage({ id, error: messageOf(error) }); }
  });`;
const address = URL.createObjectURL(new Blob([script], { type: "text/javascript" }));
Object.assign(globalThis, {
  edgecnnFiles: {
    model: await part("model.onnx"),
    golden: await part("golden.json"),
    wasm: await part("ort.wasm"),
    runtime: modules["ort.mjs"],
    worker: () => new Worker(address),
  },
});
await import(modules["page.js"]);
