// Values as colors.

const ANCHORS = {
  0: "440154",
  17: "481a6c",
  34: "472f7d",
  50: "414287",
  73: "365c8d",
  114: "25838e",
  139: "1e9b8a",
  149: "20a486",
  161: "29af7f",
  174: "3bbb75",
  188: "56c667",
  203: "77d153",
  227: "b5de2b",
  237: "d0e11c",
  243: "dfe318",
  249: "efe51c",
  255: "fde725",
};

/** The viridis color map: 256 times red, green, blue, within 2 levels of matplotlib's. */
export const VIRIDIS = (() => {
  const table = new Uint8Array(256 * 3);
  const places = Object.keys(ANCHORS).map(Number);
  const color = (/** @type {number} */ place, /** @type {number} */ c) =>
    Number.parseInt(/** @type {Record<number, string>} */ (ANCHORS)[place].slice(2 * c, 2 * c + 2), 16);
  for (let i = 0, k = 0; i < 256; i++) {
    while (k + 2 < places.length && places[k + 1] <= i) k++;
    const share = (i - places[k]) / (places[k + 1] - places[k]);
    for (let c = 0; c < 3; c++)
      table[3 * i + c] = Math.round(color(places[k], c) * (1 - share) + color(places[k + 1], c) * share);
  }
  return table;
})();

/**
 * Draw a channel into an image, its lowest value dark blue, its highest yellow.
 * @param {ImageData} image @param {number} left @param {number} top
 * @param {{data: Float32Array, height: number, width: number, channels: number}} maps @param {number} channel
 * @returns {[number, number]} the lowest and the highest value
 */
export function paint(image, left, top, { data, height, width, channels }, channel) {
  let [low, high] = [Infinity, -Infinity];
  for (let i = channel; i < data.length; i += channels) {
    low = Math.min(low, data[i]);
    high = Math.max(high, data[i]);
  }
  const scale = high > low ? 255 / (high - low) : 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const color = 3 * Math.round((data[(y * width + x) * channels + channel] - low) * scale);
      const at = 4 * ((top + y) * image.width + left + x);
      for (let c = 0; c < 3; c++) image.data[at + c] = VIRIDIS[color + c];
      image.data[at + 3] = 255;
    }
  }
  return [low, high];
}
