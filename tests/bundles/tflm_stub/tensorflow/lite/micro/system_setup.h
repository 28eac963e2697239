#ifndef STUB_SYSTEM_SETUP_H_
#define STUB_SYSTEM_SETUP_H_

#include "tensorflow/lite/micro/micro_interpreter.h"

STUB_BEGIN
inline void InitializeTarget() {}
STUB_END

#endif  // STUB_SYSTEM_SETUP_H_
