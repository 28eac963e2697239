/** Pixels, row by row: gray, RGB or RGBA with straight alpha, 0 to 255. */
export interface Pixels {
  data: Uint8Array | Uint8ClampedArray;
  width: number;
  height: number;
}

/** What can be classified. In Node: a Blob of a PNG file, or pixels. */
export type Image =
  | Blob
  | ImageBitmap
  | ImageData
  | HTMLCanvasElement
  | OffscreenCanvas
  | HTMLImageElement
  | HTMLVideoElement
  | Pixels;

export interface Label {
  label: string;
  /** In [0, 1]; the sum over all labels is 1, unless each score is of its own label. */
  probability: number;
  /** The model's output as it is. */
  score: number;
}

/** Values with channels last: shape [height, width, channels], [steps, channels] or [units]. */
export interface FeatureMaps {
  data: Float32Array;
  shape: number[];
}

export interface SelfTest {
  passed: boolean;
  images: number;
  /** Between outputs and those that Python's ONNX Runtime gave. */
  largestDifference: number;
  bound: number;
  problems: string[];
}

export interface Measurement {
  /** Median time of the model alone for one image, in ms. */
  p50_ms: number;
  /** Calls in each timed loop: a browser's clock is too coarse for one. */
  calls: number;
  /** Each loop's time divided by its calls, in ms. */
  samples: number[];
}

export interface Files {
  model: string | URL | ArrayBuffer | Uint8Array;
  golden: string | URL | ArrayBuffer | Uint8Array;
  /** URL of ONNX Runtime Web's module. */
  runtime: string | URL;
  /** Its WebAssembly. */
  wasm: string | URL | ArrayBuffer | Uint8Array;
  /** Starts the worker, where `worker.js` does not lie beside `classifier.js`. */
  worker?: () => Worker;
}

export interface Options {
  /** Ask for WebGPU. Where it is not there, or does not take all of the model, WebAssembly runs: see `provider`. */
  webgpu?: boolean;
  /** Of WebAssembly; more than 1 only in a cross-origin isolated page. */
  threads?: number;
}

export class Classifier {
  private constructor();

  /**
   * A classifier ready to use; rejects with one sentence where a file is missing or damaged.
   * @param files the folder with the bundle's files, or the files; without: those beside this module
   */
  static load(files?: string | URL | Partial<Files>, options?: Options): Promise<Classifier>;

  /** The labels, the most probable first. Rejects with one sentence for what is no image, or too large. */
  classify(image: Image): Promise<Label[]>;

  /** What the named layers (all, when none is) give for an image. Rejects for a layer that the file does not have. */
  features(image: Image, layers?: string[]): Promise<Record<string, FeatureMaps>>;

  /** The image as the model takes it: decoded, over white, turned as EXIF says, resized. */
  prepare(image: Image): Promise<Pixels>;

  /** An image to try: a golden one, as a PNG file. */
  sample(): Promise<Blob>;

  /** Classify the golden images of the bundle, and compare pixels and outputs with Python's. */
  selfTest(): Promise<SelfTest>;

  /** Time the model for a second. */
  measure(): Promise<Measurement>;

  /** End the worker; calls that wait are rejected. */
  close(): void;

  /** The execution provider that runs the model: "wasm" or "webgpu". */
  readonly provider: "wasm" | "webgpu";
  /** Why WebGPU was asked for and does not run; "" otherwise. */
  readonly reason: string;
  readonly threads: number;
  /** The runtime and its version. */
  readonly runtime: string;
  /** Height, width and channels of the input. */
  readonly shape: [number, number, number];
  /** Layers that `features` shows. */
  readonly layers: string[];
  /** The contract that the model file carries: input, output, labels, training data. */
  readonly contract: { model: string; labels: string[]; [key: string]: unknown };
}
