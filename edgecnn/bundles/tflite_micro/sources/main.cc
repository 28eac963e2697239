// Runs the golden images through TFLite Micro and compares every output with what is expected, to the bit.
// Exit code 0: all are equal. To classify your own image, do what the loop does with pixels of yours.

#include <cstdint>
#include <cstdio>
#include <cstring>

#include "contract.h"
#include "golden.h"
#include "model.h"
#include "op_resolver.h"
#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/system_setup.h"
#include "tensorflow/lite/schema/schema_generated.h"

namespace {

alignas(16) std::uint8_t arena[MODEL_ARENA_BYTES];

int Fail(const char* what) {
  std::printf("FAIL: %s\n", what);
  return 1;
}

int Best(const std::int8_t* scores) {
  int best = 0;
  for (int i = 1; i < MODEL_LABEL_COUNT; ++i) {
    if (scores[i] > scores[best]) best = i;
  }
  return best;
}

}  // namespace

int main() {
  edgecnn::InitializeTarget();
  const auto* model = tflite::GetModel(model_data);
  if (model->version() != TFLITE_SCHEMA_VERSION) return Fail("the model is of another schema version");

  edgecnn::OpResolver resolver;
  if (!edgecnn::AddOperators(resolver)) return Fail("an operator could not be added");
  edgecnn::MicroInterpreter interpreter(model, resolver, arena, sizeof(arena));
  if (!edgecnn::Ok(interpreter.AllocateTensors())) return Fail("the arena is too small, or an operator is refused");
  std::printf("arena: %u of %u bytes used\n", static_cast<unsigned>(interpreter.arena_used_bytes()),
              static_cast<unsigned>(sizeof(arena)));

  auto* input = interpreter.input(0);
  const auto* output = interpreter.output(0);
  if (input->bytes != MODEL_IMAGE_BYTES || output->bytes != MODEL_LABEL_COUNT) return Fail("another model's contract");

  int different = 0;
  for (int i = 0; i < GOLDEN_COUNT; ++i) {
    std::memcpy(input->data.uint8, golden_images[i], MODEL_IMAGE_BYTES);
    if (!edgecnn::Ok(interpreter.Invoke())) return Fail("Invoke");
    const std::int8_t* scores = output->data.int8;
    const bool same = std::memcmp(scores, golden_outputs[i], MODEL_LABEL_COUNT) == 0;
    std::printf("image %d: %s%s\n", i, model_labels[Best(scores)], same ? "" : "  DIFFERENT");
    different += same ? 0 : 1;
  }
  std::printf("%s\n", different == 0 ? "PASS" : "FAIL");
  return different == 0 ? 0 : 1;
}
