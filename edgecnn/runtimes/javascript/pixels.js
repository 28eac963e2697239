// From an image of any kind and size to the model's input, by the contract's rules: decode, composite alpha over white,
// turn as EXIF says, resize in integers, luma. Every step is that of edgecnn.preprocessing in Python.

import { decodePng, isPng, overWhite } from "./png.js";

export const RESIZE_RULE = "antialiased-bilinear-q15";
const MAX_PIXELS = 100_000_000;
const MAX_SIDE = 65_535;
const BAND = 1 << 20; // pixels that are drawn at a time
const DAMAGED = "The image is damaged or cut short; copy or save it again.";
const NO_IMAGE =
  "This is not an image that a browser decodes, or its beginning is damaged; give a JPEG, PNG, WEBP, BMP or GIF file.";

/** @typedef {import("./png.js").Rgb} Rgb */

/**
 * The model's input for an image.
 * @param {any} source a Blob, ImageBitmap, ImageData, or {data, width, height} with gray, RGB or RGBA pixels
 * @param {[number, number, number]} shape height, width, channels
 */
export async function prepare(source, [height, width, channels]) {
  const rgb = resize(await decode(source), height, width);
  return channels === 3 ? rgb : luma(rgb);
}

/** The upright RGB pixels of an image. @param {any} source @returns {Promise<Rgb>} */
export async function decode(source) {
  if (typeof Blob !== "undefined" && source instanceof Blob) return decodeFile(source);
  if (typeof ImageBitmap !== "undefined" && source instanceof ImageBitmap) return drawn(source);
  const { data, width, height } = source ?? {};
  if (!(data instanceof Uint8Array || data instanceof Uint8ClampedArray)) throw new Error(NO_IMAGE);
  checkSize(width, height);
  const channels = data.length / (width * height);
  if (![1, 3, 4].includes(channels)) {
    throw new Error(`${data.length} values are not the pixels of an image of ${width} x ${height}.`);
  }
  const rgb = new Uint8Array(width * height * 3);
  putPixels(data, channels, rgb, 0);
  return { data: rgb, width, height };
}

/** @param {number} width @param {number} height */
function checkSize(width, height) {
  if (!(width > 0 && height > 0)) throw new Error("The image has no pixels; give an image with content.");
  if (width * height > MAX_PIXELS || Math.max(width, height) > MAX_SIDE) {
    const most = `${MAX_PIXELS / 1e6} million, ${MAX_SIDE} a side`;
    throw new Error(`The image has ${width} x ${height} pixels, and edgecnn takes up to ${most}; make it smaller.`);
  }
}

/** @param {Blob} file */
async function decodeFile(file) {
  if (!file.size) throw new Error("The image is empty (0 bytes); copy or save it again.");
  const bytes = new Uint8Array(await file.arrayBuffer());
  if (isPng(bytes)) {
    const image = await decodePng(bytes, checkSize);
    return turned(image, image.orientation);
  }
  checkSize(...declaredSize(bytes));
  if (typeof createImageBitmap === "undefined")
    throw new Error("Node decodes PNG files only; give a PNG file, or pixels.");
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { colorSpaceConversion: "none", imageOrientation: "from-image" });
  } catch {
    throw new Error(DAMAGED);
  }
  const image = drawn(bitmap);
  bitmap.close();
  return image;
}

/**
 * Width and height as the first bytes of a file say them, before anything is decoded.
 * @param {Uint8Array} bytes @returns {[number, number]}
 */
function declaredSize(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = String.fromCharCode(...bytes.subarray(0, 16));
  try {
    if (text.startsWith("GIF8")) return [view.getUint16(6, true), view.getUint16(8, true)];
    if (text.startsWith("BM")) return [Math.abs(view.getInt32(18, true)), Math.abs(view.getInt32(22, true))];
    if (text.startsWith("RIFF") && text.slice(8, 12) === "WEBP") return webpSize(view, text.slice(12));
    if (bytes[0] === 0xff && bytes[1] === 0xd8) return jpegSize(view);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error; // cut short
  }
  throw new Error(NO_IMAGE);
}

/** @param {DataView} view @param {string} kind @returns {[number, number]} */
function webpSize(view, kind) {
  const three = (/** @type {number} */ at) => view.getUint32(at, true) & 0xffffff;
  if (kind === "VP8X") return [three(24) + 1, three(27) + 1];
  if (kind === "VP8 ") return [view.getUint16(26, true) & 0x3fff, view.getUint16(28, true) & 0x3fff];
  const packed = view.getUint32(21, true);
  return [(packed & 0x3fff) + 1, ((packed >> 14) & 0x3fff) + 1];
}

/** @param {DataView} view @returns {[number, number]} */
function jpegSize(view) {
  for (let at = 2; ; at += 2 + view.getUint16(at + 2)) {
    while (view.getUint8(at) !== 0xff || view.getUint8(at + 1) === 0xff) at++;
    const marker = view.getUint8(at + 1);
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
    if (!isFrame) continue;
    if (view.getUint8(at + 9) === 4) {
      throw new Error("The image is a CMYK JPEG, which browsers convert in other ways than Python; save it as RGB.");
    }
    if (!hasEnd(view, at)) throw new Error(DAMAGED); // a browser would show what is there
    return [view.getUint16(at + 7), view.getUint16(at + 5)];
  }
}

/** Whether a JPEG's end marker follows. @param {DataView} view @param {number} at */
function hasEnd(view, at) {
  for (let i = view.byteLength - 2; i > at; i--) {
    if (view.getUint16(i) === 0xffd9) return true;
  }
  return false;
}

/** The pixels of a bitmap over white, a band at a time. @param {ImageBitmap} bitmap @returns {Rgb} */
function drawn(bitmap) {
  const { width, height } = bitmap;
  checkSize(width, height);
  const rows = Math.min(height, Math.max(1, Math.floor(BAND / width)));
  const context = /** @type {any} */ (new OffscreenCanvas(width, rows).getContext("2d", { willReadFrequently: true }));
  const data = new Uint8Array(width * height * 3);
  for (let top = 0; top < height; top += rows) {
    context.fillStyle = "white";
    context.fillRect(0, 0, width, rows);
    context.drawImage(bitmap, 0, -top);
    putPixels(context.getImageData(0, 0, width, Math.min(rows, height - top)).data, 4, data, top * width * 3);
  }
  return { data, width, height };
}

/**
 * Write gray, RGB or RGBA pixels as RGB over white.
 * @param {Uint8Array | Uint8ClampedArray} pixels @param {number} channels @param {Uint8Array} rgb @param {number} at
 */
function putPixels(pixels, channels, rgb, at) {
  if (channels === 3) {
    rgb.set(pixels, at);
    return;
  }
  for (let i = 0; i < pixels.length; i += channels, at += 3) {
    const alpha = channels === 4 ? pixels[i + 3] : 255;
    for (let c = 0; c < 3; c++) rgb[at + c] = overWhite(pixels[channels === 4 ? i + c : i], alpha);
  }
}

/**
 * The pixels as EXIF orientation 1 to 8 wants them shown; any other number is as 1.
 * @param {Rgb} image @param {number} orientation @returns {Rgb}
 */
export function turned(image, orientation) {
  if (!(orientation >= 2 && orientation <= 8)) return image;
  const isSwapped = orientation >= 5;
  const [width, height] = isSwapped ? [image.height, image.width] : [image.width, image.height];
  const data = new Uint8Array(image.data.length);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at += 3) {
      const u = [2, 3, 6, 7].includes(orientation) ? width - 1 - x : x;
      const v = [3, 4, 7, 8].includes(orientation) ? height - 1 - y : y;
      const from = 3 * (isSwapped ? u * image.width + v : v * image.width + u);
      for (let c = 0; c < 3; c++) data[at + c] = image.data[from + c];
    }
  }
  return { data, width, height };
}

/**
 * What each input pixel adds to each output pixel, in 2**-15; they sum to 1. Numbers stay below 2**53, so they are exact.
 * @param {number} inputs @param {number} outputs
 */
function weights(inputs, outputs) {
  const reach = 2 * Math.max(inputs, outputs);
  const half = Math.ceil(reach / (2 * outputs)) + 1;
  return Array.from({ length: outputs }, (_, i) => {
    const center = Math.floor(((2 * i + 1) * inputs) / (2 * outputs));
    const first = Math.max(0, center - half);
    const count = Math.min(inputs, center + half + 1) - first;
    const triangle = Array.from({ length: count }, (_, k) =>
      Math.max(0, reach - Math.abs((2 * (first + k) + 1) * outputs - (2 * i + 1) * inputs)),
    );
    const total = triangle.reduce((sum, part) => sum + part, 0);
    let running = 0;
    let before = 0;
    const shares = triangle.map((part) => {
      running += part;
      const now = Math.floor((2 * running * 2 ** 15 + total) / (2 * total));
      const share = now - before;
      before = now;
      return share;
    });
    return { first, shares: Int32Array.from(shares) };
  });
}

/**
 * Antialiased bilinear in 15-bit fixed point: every row, then every column. Gives the bytes of RGB pixels.
 * @param {Rgb} image @param {number} height @param {number} width
 */
export function resize(image, height, width) {
  const rows = resizePass(image.data, image.height, image.width, width, image.width * 3, 3, width * 3, 3);
  return resizePass(rows, width, image.height, height, 3, width * 3, 3, width * 3);
}

/**
 * One pass over `lines` lines of `inputs` pixels each; the steps are those between lines and between pixels.
 * @param {Uint8Array} data @param {number} lines @param {number} inputs @param {number} outputs
 * @param {number} line @param {number} step @param {number} lineOut @param {number} stepOut
 */
function resizePass(data, lines, inputs, outputs, line, step, lineOut, stepOut) {
  if (inputs === outputs) return data;
  const out = new Uint8Array(lines * outputs * 3);
  weights(inputs, outputs).forEach(({ first, shares }, i) => {
    for (let l = 0; l < lines; l++) {
      const from = l * line + first * step;
      let [r, g, b] = [2 ** 14, 2 ** 14, 2 ** 14];
      for (let k = 0, at = from; k < shares.length; k++, at += step) {
        r += data[at] * shares[k];
        g += data[at + 1] * shares[k];
        b += data[at + 2] * shares[k];
      }
      const at = l * lineOut + i * stepOut;
      out[at] = r >> 15;
      out[at + 1] = g >> 15;
      out[at + 2] = b >> 15;
    }
  });
  return out;
}

/** @param {Uint8Array} rgb */
function luma(rgb) {
  return Uint8Array.from(
    { length: rgb.length / 3 },
    (_, i) => (19595 * rgb[3 * i] + 38470 * rgb[3 * i + 1] + 7471 * rgb[3 * i + 2] + 32768) >> 16,
  );
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, value) => {
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

/** The CRC-32 of zlib and PNG. @param {Uint8Array} bytes */
export function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = CRC_TABLE[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
}
