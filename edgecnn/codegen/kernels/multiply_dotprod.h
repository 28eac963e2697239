/* Blocks with the dot products of AArch64: four inputs times four weights at once, added in 32 bits. */
#pragma once
#if !defined(__ARM_FEATURE_DOTPROD)
#error "This file is for AArch64 with dot products: compile it with -march=armv8.2-a+dotprod"
#endif
#include <arm_neon.h>
#include <string.h>
#include "kernel.h"
#include "unroll.h"

#define GROUP 4
typedef int8_t window_t;

ALWAYS_INLINE void widen(const int8_t *input, window_t *window, int count) {
    memcpy(window, input, (size_t)count);
}

ALWAYS_INLINE void fill(int value, window_t *window, int count) {
    for (int i = 0; i < count; i++) {
        window[i] = (int8_t)value;
    }
}

/* Sums [pixel][channel] of windows times a block of weights, four channels a register. */
ALWAYS_INLINE void multiply(
    const window_t *windows, int depth, const int8_t *weights, int pixels, int block, int32_t *sums
) {
    int32x4_t sum[16];
    const int registers = block / 4;
    UNROLL
    for (int i = 0; i < pixels * registers; i++) {
        sum[i] = vdupq_n_s32(0);
    }
    for (int at = 0; at < depth; at += GROUP) {
        int8x16_t weight[16];
        UNROLL
        for (int i = 0; i < registers; i++) {
            weight[i] = vld1q_s8(weights + at * block + 16 * i);
        }
        UNROLL
        for (int pixel = 0; pixel < pixels; pixel++) {
            int32_t group;
            memcpy(&group, windows + pixel * depth + at, sizeof group);
            const int8x16_t value = vreinterpretq_s8_s32(vdupq_n_s32(group));
            UNROLL
            for (int i = 0; i < registers; i++) {
                sum[pixel * registers + i] = vdotq_s32(sum[pixel * registers + i], value, weight[i]);
            }
        }
    }
    UNROLL
    for (int i = 0; i < pixels * registers; i++) {
        vst1q_s32(sums + 4 * i, sum[i]);
    }
}
