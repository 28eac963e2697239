/* The sum of two tensors. Both are brought to a common scale with 20 bits more, and their sum back to the output's. */
#include "kernel.h"
#include "fixed_point.h"

#define MORE ((int32_t)1 << 20)

ALWAYS_INLINE void add(
    const int8_t *first, int first_zero, int32_t first_multiplier, int first_shift,
    const int8_t *second, int second_zero, int32_t second_multiplier, int second_shift,
    int8_t *output, int size, int output_zero, int32_t multiplier, int shift, int low, int high
) {
    for (int i = 0; i < size; i++) {
        const int32_t a = scaled((first[i] - first_zero) * MORE, first_multiplier, first_shift);
        const int32_t b = scaled((second[i] - second_zero) * MORE, second_multiplier, second_shift);
        output[i] = clamped(scaled(a + b, multiplier, shift) + output_zero, low, high);
    }
}
