/* The mean over height and width, in a scale of its own; the multiplier holds the division by the number of pixels. */
#include "kernel.h"
#include "rounding.h"

ALWAYS_INLINE void mean(
    const int8_t *input, int pixels, int channels, int zero,
    int8_t *output, int offset, int low, int high, multiplier_t multiplier, int shift
) {
    for (int c = 0; c < channels; c++) {
        int32_t sum = -(int32_t)pixels * zero;
        for (int i = 0; i < pixels; i++) {
            sum += input[i * channels + c];
        }
        output[c] = clamped(rounded(sum, multiplier, shift) + offset, low, high);
    }
}
