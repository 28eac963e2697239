/* Blocks with AVX-512 VNNI: four inputs times four weights at once, added in 32 bits. */
#pragma once
#include <immintrin.h>
#include <string.h>
#include "kernel.h"
#include "unroll.h"

#define GROUP 4
#define KEEP(value) __asm__("" : "+v"(value)) /* in a register, or it would be loaded again for each pixel */
typedef uint8_t window_t;

ALWAYS_INLINE void widen(const int8_t *input, window_t *window, int count) {
    int i = 0;
    for (; i + 16 <= count; i += 16) {
        const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)(input + i));
        _mm_storeu_si128((__m128i *)(void *)(window + i), _mm_xor_si128(bytes, _mm_set1_epi8(-128)));
    }
    for (; i + 8 <= count; i += 8) {
        uint64_t bytes;
        memcpy(&bytes, input + i, sizeof bytes);
        bytes ^= 0x8080808080808080u;
        memcpy(window + i, &bytes, sizeof bytes);
    }
    for (; i < count; i++) {
        window[i] = (uint8_t)(input[i] + 128);
    }
}

ALWAYS_INLINE void fill(int value, window_t *window, int count) {
    for (int i = 0; i < count; i++) {
        window[i] = (uint8_t)(value + 128);
    }
}

/* Sums [pixel][channel] of windows times a block of weights: 16 channels a register, four inputs at once, in 32 bits. */
ALWAYS_INLINE void multiply(
    const window_t *windows, int depth, const int8_t *weights, int pixels, int block, int32_t *sums
) {
    __m512i sum[16];
    const int registers = block / 16;
    UNROLL
    for (int i = 0; i < pixels * registers; i++) {
        sum[i] = _mm512_setzero_si512();
    }
    for (int at = 0; at < depth; at += GROUP) {
        __m512i weight[4];
        UNROLL
        for (int i = 0; i < registers; i++) {
            weight[i] = _mm512_loadu_si512(weights + at * block + 64 * i);
            KEEP(weight[i]);
        }
        UNROLL
        for (int pixel = 0; pixel < pixels; pixel++) {
            int32_t group;
            memcpy(&group, windows + pixel * depth + at, sizeof group);
            const __m512i value = _mm512_set1_epi32(group);
            UNROLL
            for (int i = 0; i < registers; i++) {
                sum[pixel * registers + i] = _mm512_dpbusd_epi32(sum[pixel * registers + i], value, weight[i]);
            }
        }
    }
    UNROLL
    for (int i = 0; i < pixels * registers; i++) {
        _mm512_storeu_si512(sums + 16 * i, sum[i]);
    }
}
