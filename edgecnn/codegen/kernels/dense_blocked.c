/* Dense layer by blocks of outputs; weights lie as in convolution_blocked.c. */
#include "blocks.h"

ALWAYS_INLINE void dense(
    const int8_t *input, int depth,
    int8_t *output, int outputs, int output_zero, int low, int high,
    const int8_t *weights, const int32_t *bias, const multiplier_t *multipliers, const int8_t *shifts,
    window_t *window, int32_t *sums, int block
) {
    const int length = padded(depth);
    widen(input, window, depth);
    fill(0, window + depth, length - depth);
    for (int c = 0; c < outputs; c += block) {
        const int wanted = outputs % block == 0 || outputs - c > block ? block : outputs - c;
        multiply(window, length, weights + c * length, 1, block, sums);
        write_block(
            sums, 1, block, wanted, output + c, output_zero, low, high, bias + c, multipliers + c, shifts + c, 1
        );
    }
}
