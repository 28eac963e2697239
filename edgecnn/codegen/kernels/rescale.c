/* Each value in another scale or range. */
#include "kernel.h"
#include "fixed_point.h"

ALWAYS_INLINE void rescale(
    const int8_t *input, int zero, int8_t *output, int size, int output_zero, int32_t multiplier, int shift, int low,
    int high
) {
    for (int i = 0; i < size; i++) {
        output[i] = clamped(scaled(input[i] - zero, multiplier, shift) + output_zero, low, high);
    }
}
