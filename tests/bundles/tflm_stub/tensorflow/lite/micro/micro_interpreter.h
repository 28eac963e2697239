// What main.cc uses of TFLite Micro, without a model: it gives each golden image its golden output.
// -DSTUB_NEW: the classes in tflite::micro, as trees from autumn 2026 on have them. -DSTUB_WRONG: one bit is wrong.
#ifndef STUB_MICRO_INTERPRETER_H_
#define STUB_MICRO_INTERPRETER_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "golden.h"
#include "tensorflow/lite/schema/schema_generated.h"

#ifdef STUB_NEW
#define STUB_BEGIN namespace tflite { namespace micro {
#define STUB_END } }
#else
#define STUB_BEGIN namespace tflite {
#define STUB_END }
#define STUB_STATUS  // the C API's names are global there
enum TfLiteStatus { kTfLiteOk = 0, kTfLiteError = 1 };
#endif

#define TFLITE_SCHEMA_VERSION (3)

STUB_BEGIN
#ifndef STUB_STATUS
enum TfLiteStatus { kTfLiteOk = 0, kTfLiteError = 1 };
#endif

struct TfLiteTensor {
  union {
    std::uint8_t* uint8;
    std::int8_t* int8;
  } data;
  std::size_t bytes;
};

class MicroOpResolver {};

class MicroInterpreter {
 public:
  MicroInterpreter(const Model*, const MicroOpResolver&, std::uint8_t* arena, std::size_t) {
    input_.data.uint8 = arena;
    output_.data.int8 = reinterpret_cast<std::int8_t*>(arena + MODEL_IMAGE_BYTES);
    input_.bytes = MODEL_IMAGE_BYTES;
    output_.bytes = MODEL_LABEL_COUNT;
  }
  TfLiteStatus AllocateTensors() { return kTfLiteOk; }
  std::size_t arena_used_bytes() const { return input_.bytes + output_.bytes; }
  TfLiteTensor* input(std::size_t) { return &input_; }
  TfLiteTensor* output(std::size_t) { return &output_; }
  TfLiteStatus Invoke() {
    for (int i = 0; i < GOLDEN_COUNT; ++i) {
      if (std::memcmp(input_.data.uint8, golden_images[i], MODEL_IMAGE_BYTES) != 0) continue;
      std::memcpy(output_.data.int8, golden_outputs[i], MODEL_LABEL_COUNT);
#ifdef STUB_WRONG
      output_.data.int8[MODEL_LABEL_COUNT - 1] ^= i == 0 ? 1 : 0;
#endif
      return kTfLiteOk;
    }
    return kTfLiteError;
  }

 private:
  TfLiteTensor input_, output_;
};
STUB_END

#endif  // STUB_MICRO_INTERPRETER_H_
