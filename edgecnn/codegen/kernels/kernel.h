/* What all kernels share. They are inlined into calls with literal sizes, so that the compiler unrolls and folds. */
#pragma once
#include <stdint.h>

#if defined(__GNUC__)
#define ALWAYS_INLINE static inline __attribute__((always_inline))
#else
#define ALWAYS_INLINE static inline
#endif

ALWAYS_INLINE int8_t clamped(int32_t value, int low, int high) {
    return (int8_t)(value < low ? low : value > high ? high : value);
}
