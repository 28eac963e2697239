/* Blocks in plain C: pixels in fours, of 16-bit values, which compilers multiply and add by vectors. */
#pragma once
#include "kernel.h"
#include "rows.h"

ALWAYS_INLINE void widen(const int8_t *input, window_t *window, int count) {
    for (int i = 0; i < count; i++) {
        window[i] = input[i];
    }
}

ALWAYS_INLINE void fill(int value, window_t *window, int count) {
    for (int i = 0; i < count; i++) {
        window[i] = (int16_t)value;
    }
}

/* Sums [pixel][channel] of four windows, or of one, with the weights of a block of channels. */
ALWAYS_INLINE void multiply(
    const window_t *windows, int depth, const int8_t *weights, int pixels, int block, int32_t *sums
) {
    for (int channel = 0; channel < block; channel++) {
        const int8_t *const row = weights + channel * depth;
        int32_t a = 0, b = 0, c = 0, d = 0;
        for (int i = 0; i < depth; i++) {
            const int16_t weight = row[i];
            a += windows[i] * weight;
            if (pixels == 4) {
                b += windows[depth + i] * weight;
                c += windows[2 * depth + i] * weight;
                d += windows[3 * depth + i] * weight;
            }
        }
        sums[channel] = a;
        if (pixels == 4) {
            sums[block + channel] = b;
            sums[2 * block + channel] = c;
            sums[3 * block + channel] = d;
        }
    }
}
