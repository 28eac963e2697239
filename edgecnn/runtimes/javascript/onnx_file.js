// An .onnx file's bytes without a library: its metadata, and the file with further outputs. A file is a ModelProto of
// protocol buffers. https://protobuf.dev/programming-guides/encoding https://github.com/onnx/onnx/blob/main/onnx/onnx.proto

const [GRAPH, OUTPUT, NAME] = [7, 12, 1]; // of a ModelProto, of a GraphProto, of a ValueInfoProto
const [METADATA, KEY, VALUE] = [14, 1, 2]; // of a ModelProto, of a StringStringEntryProto twice
const [VARINT, EIGHT_BYTES, LENGTH, FOUR_BYTES] = [0, 1, 2, 5];

/**
 * The model with these tensors as further outputs: messages merge when they are concatenated, so one that holds only
 * graph { output { name } } adds an output and changes nothing else.
 * @param {Uint8Array} model @param {Iterable<string>} tensors
 */
export function withOutputs(model, tensors) {
  const encoder = new TextEncoder();
  const parts = [model, ...[...tensors].map((name) => field(GRAPH, field(OUTPUT, field(NAME, encoder.encode(name)))))];
  return concatenated(parts);
}

/** An entry of the model's metadata, "" where there is none. @param {Uint8Array} model @param {string} key */
export function metadata(model, key) {
  const decoder = new TextDecoder();
  for (const [number, content] of fields(model)) {
    if (number !== METADATA || !content) continue;
    const entry = new Map(fields(content));
    if (decoder.decode(entry.get(KEY)) === key) return decoder.decode(entry.get(VALUE));
  }
  return "";
}

/** @param {number} number at most 15 @param {Uint8Array} content */
function field(number, content) {
  const head = [(number << 3) | LENGTH];
  let rest = content.length;
  for (; rest >= 0x80; rest >>>= 7) head.push((rest & 0x7f) | 0x80);
  return concatenated([Uint8Array.from([...head, rest]), content]);
}

/** @param {Uint8Array[]} parts */
function concatenated(parts) {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/**
 * The fields of a message: number, and the content of those that have a length.
 * @param {Uint8Array} message @returns {Generator<[number, Uint8Array | undefined]>}
 */
function* fields(message) {
  for (let at = 0; at < message.length; ) {
    let key;
    let size = 0;
    [key, at] = varint(message, at);
    const kind = key & 7;
    if (kind === LENGTH) [size, at] = varint(message, at);
    else if (kind === VARINT) [, at] = varint(message, at);
    else if (kind === EIGHT_BYTES || kind === FOUR_BYTES) at += kind === EIGHT_BYTES ? 8 : 4;
    else throw new Error("The model is damaged: it is no ONNX file.");
    yield [Math.floor(key / 8), kind === LENGTH ? message.subarray(at, at + size) : undefined];
    at += size;
  }
}

/** Seven bits a byte, the lowest first; and where the next value stands. @returns {[number, number]} */
function varint(/** @type {Uint8Array} */ message, /** @type {number} */ at) {
  let value = 0;
  for (let scale = 1; ; scale *= 128) {
    if (at >= message.length) throw new Error("The model is damaged: it is cut short.");
    const byte = message[at++];
    value += (byte & 0x7f) * scale;
    if (byte < 0x80) return [value, at];
  }
}
