/* Dense layer: four outputs at a time, so that each input is read once for them. A sum begins as in convolution.c. */
#include "kernel.h"
#include "multiply_add.h"
#include "rows.h"
#include "padded.h"
#include "rounding.h"

ALWAYS_INLINE void dense(
    const int8_t *input, int depth,
    int8_t *output, int outputs, int output_zero, int low, int high,
    const int8_t *weights, const int32_t *bias, const multiplier_t *multipliers, const int8_t *shifts,
    window_t *window, int32_t *sums_of_window, int block
) {
    (void)window, (void)sums_of_window, (void)block; /* of dense_blocked.c */
    for (int c = 0; c < outputs; c += 4) {
        const int8_t *rows[4];
        int32_t sums[4];
        for (int i = 0; i < 4; i++) { /* the last output again where there are no four left */
            const int channel = c + i < outputs ? c + i : outputs - 1;
            rows[i] = weights + channel * padded(depth);
            sums[i] = bias[channel];
        }
        multiply_add(input, rows, 0, depth, sums);
        for (int i = 0; i < 4 && c + i < outputs; i++) {
            output[c + i] = clamped(rounded_dense(sums[i], multipliers[c + i], shifts[c + i]) + output_zero, low, high);
        }
    }
}
