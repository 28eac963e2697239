/* The sum of two tensors as XNNPACK has it: each less its zero point and times a multiplier, and one shift, a tie upwards. */
#include "kernel.h"

ALWAYS_INLINE void add_once(
    const int8_t *first, int first_zero, int32_t first_multiplier,
    const int8_t *second, int second_zero, int32_t second_multiplier,
    int8_t *output, int size, int output_zero, int shift, int low, int high
) {
    const int32_t half = (int32_t)1 << (shift - 1);
    for (int i = 0; i < size; i++) {
        const int32_t a = (first[i] - first_zero) * first_multiplier;
        const int32_t b = (second[i] - second_zero) * second_multiplier;
        output[i] = clamped(((a + b + half) >> shift) + output_zero, low, high);
    }
}
