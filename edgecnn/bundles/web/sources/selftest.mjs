// The self-test without a browser: node selftest.mjs

import { Classifier } from "./classifier.js";

const classifier = await Classifier.load();
const { passed, images, largestDifference, bound, problems } = await classifier.selfTest();
for (const problem of problems) console.error(problem);
const [best] = await classifier.classify(await classifier.sample());
console.log(`The sample: ${best.label}, ${(100 * best.probability).toFixed(1)} %`);
console.log(
  `${passed ? "PASS" : "FAIL"}: ${images} images, largest difference ${largestDifference.toPrecision(2)} (bound ${bound})`,
);
process.exitCode = passed ? 0 : 1;
