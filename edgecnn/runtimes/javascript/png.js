// Decodes PNG files, the same to the bit in every browser and in Node: a canvas stores premultiplied alpha, which
// loses bits. Alpha is composited over white. https://www.w3.org/TR/png-3/

const CHANNELS = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 }; // of each color type
const DEPTHS = { 0: [1, 2, 4, 8, 16], 2: [8, 16], 3: [1, 2, 4, 8], 4: [8, 16], 6: [8, 16] };
const PASSES = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
]; // Adam7
const ORIENTATION_TAG = 0x0112;

/** @typedef {{data: Uint8Array, width: number, height: number}} Rgb  RGB, 8 bits a channel, row by row */

/** Whether these bytes begin as a PNG file does. @param {Uint8Array} bytes */
export const isPng = (bytes) => [137, 80, 78, 71, 13, 10, 26, 10].every((value, i) => bytes[i] === value);

/**
 * The pixels of a PNG file over white, and its EXIF orientation.
 * @param {Uint8Array} bytes
 * @param {(width: number, height: number) => void} checkSize throws where it is too large to be decoded
 * @returns {Promise<Rgb & {orientation: number}>}
 */
export async function decodePng(bytes, checkSize) {
  const file = readChunks(bytes);
  const { width, height, depth, type, interlaced } = file.header;
  checkSize(width, height);
  const data = new Uint8Array(width * height * 3);
  const rows = rowReader(file.compressed);
  const bytesPerPixel = Math.max(1, (CHANNELS[type] * depth) >> 3);
  for (const [x0, y0, dx, dy] of interlaced ? PASSES : [[0, 0, 1, 1]]) {
    const count = Math.ceil((width - x0) / dx);
    if (count <= 0) continue;
    let above = new Uint8Array((count * CHANNELS[type] * depth + 7) >> 3);
    for (let y = y0; y < height; y += dy) {
      const line = await rows(above.length + 1);
      const row = line.subarray(1);
      unfilter(line[0], row, above, bytesPerPixel);
      putRow(file, row, count, data, (y * width + x0) * 3, dx * 3);
      above = row;
    }
  }
  return { data, width, height, orientation: file.orientation };
}

/** @param {Uint8Array} bytes */
function readChunks(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  /** @type {any} */
  const file = { header: null, palette: null, transparent: null, orientation: 1, compressed: [] };
  for (let at = 8; at + 8 <= bytes.length; ) {
    const length = view.getUint32(at);
    const name = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const content = bytes.subarray(at + 8, at + 8 + length);
    if (name === "IHDR") file.header = readHeader(content);
    else if (name === "PLTE") file.palette = content;
    else if (name === "tRNS") file.transparent = content;
    else if (name === "eXIf") file.orientation = orientationIn(content);
    else if (name === "IDAT") file.compressed.push(content);
    else if (name === "IEND") break;
    at += length + 12;
  }
  if (!file.header || !file.compressed.length || (file.header.type === 3 && !file.palette)) {
    throw new Error("The PNG file is damaged or cut short.");
  }
  return file;
}

/** @param {Uint8Array} content */
function readHeader(content) {
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
  if (content.length < 13) throw new Error("The PNG file is damaged or cut short.");
  const [depth, type, compression, filter, interlaced] = content.subarray(8);
  if (!DEPTHS[type]?.includes(depth) || compression || filter || interlaced > 1) {
    throw new Error("The PNG file has a header that the standard does not know.");
  }
  return { width: view.getUint32(0), height: view.getUint32(4), depth, type, interlaced };
}

/**
 * The orientation, 1 to 8, in EXIF data; 1 where it cannot be read.
 * @param {Uint8Array} content
 */
function orientationIn(content) {
  const view = new DataView(content.buffer, content.byteOffset, content.byteLength);
  try {
    const little = view.getUint16(0) === 0x4949;
    const directory = view.getUint32(4, little);
    for (let i = 0; i < view.getUint16(directory, little); i++) {
      const entry = directory + 2 + 12 * i;
      if (view.getUint16(entry, little) === ORIENTATION_TAG) return view.getUint16(entry + 8, little);
    }
  } catch {
    // cut short: as without
  }
  return 1;
}

/**
 * A function that gives the next so many bytes of a zlib stream; no more is inflated than is asked for.
 * @param {BlobPart[]} parts
 */
function rowReader(parts) {
  const reader = new Blob(parts).stream().pipeThrough(new DecompressionStream("deflate")).getReader();
  let rest = new Uint8Array(0);
  /** @param {number} count */
  return async (count) => {
    const found = new Uint8Array(count);
    for (let filled = 0; filled < count; ) {
      if (!rest.length) {
        const { value, done } = await reader.read().catch(() => ({ value: undefined, done: true }));
        if (done || !value) throw new Error("The PNG file is damaged or cut short.");
        rest = value;
      }
      const part = rest.subarray(0, count - filled);
      found.set(part, filled);
      filled += part.length;
      rest = rest.subarray(part.length);
    }
    return found;
  };
}

/**
 * Undo a row's filter in place (PNG, 9.2).
 * @param {number} filter @param {Uint8Array} row @param {Uint8Array} above @param {number} step bytes to the left pixel
 */
function unfilter(filter, row, above, step) {
  if (filter > 4) throw new Error("The PNG file is damaged or cut short.");
  for (let i = 0; i < row.length; i++) {
    const a = i < step ? 0 : row[i - step];
    const b = above[i];
    if (filter === 1) row[i] += a;
    else if (filter === 2) row[i] += b;
    else if (filter === 3) row[i] += (a + b) >> 1;
    else if (filter === 4) row[i] += paeth(a, b, i < step ? 0 : above[i - step]);
  }
}

const paeth = (/** @type {number} */ a, /** @type {number} */ b, /** @type {number} */ c) => {
  const [pa, pb, pc] = [Math.abs(b - c), Math.abs(a - c), Math.abs(a + b - 2 * c)];
  return pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
};

/** Composite a value with straight alpha over white. @param {number} value @param {number} alpha */
export const overWhite = (value, alpha) => Math.floor((value * alpha + 255 * (255 - alpha) + 127) / 255);

/** Write a row's pixels as RGB, the first at `at`, the others `step` values after one another. */
function putRow({ header, palette, transparent }, row, count, data, at, step) {
  const { depth, type } = header;
  const wide = depth === 16 ? 2 : 1;
  const channels = CHANNELS[type];
  const clear = transparent && type !== 3 ? [...transparent.subarray(0, 2 * channels)] : null; // big-endian, 16 bits each
  for (let x = 0; x < count; x++, at += step) {
    const i = x * channels * wide;
    if (type === 0 || type === 3) {
      const value = depth < 8 ? bits(row, x, depth) : row[i];
      if (type === 3) {
        const alpha = transparent?.[value] ?? 255;
        for (let c = 0; c < 3; c++) data[at + c] = overWhite(palette[3 * value + c] ?? 0, alpha);
      } else {
        const whole = wide === 2 ? value * 256 + row[i + 1] : value;
        const gray =
          clear && clear[0] * 256 + clear[1] === whole ? 255 : depth < 8 ? value * (255 / (2 ** depth - 1)) : value;
        data.fill(gray, at, at + 3);
      }
    } else if (type === 2) {
      const hidden = clear && [0, 1, 2].every((c) => clear[2 * c + 2 - wide] === row[i + c * wide]); // the upper 8 bits of 16
      for (let c = 0; c < 3; c++) data[at + c] = hidden ? 255 : row[i + c * wide];
    } else {
      const alpha = row[i + (channels - 1) * wide];
      for (let c = 0; c < 3; c++) data[at + c] = overWhite(row[i + (type === 4 ? 0 : c * wide)], alpha);
    }
  }
}

const bits = (/** @type {Uint8Array} */ row, /** @type {number} */ x, /** @type {number} */ depth) => {
  const at = x * depth;
  return (row[at >> 3] >> (8 - depth - (at & 7))) & (2 ** depth - 1);
};
