/* Blocks with AVX2: products in 16 bits, pairs of them added in 32 bits, so that no sum saturates. */
#pragma once
#if !defined(__AVX2__)
#error "This file is for x86 with AVX2: compile it with -mavx2, or with -march=native on such a machine"
#endif
#include <immintrin.h>
#include <string.h>
#include "kernel.h"
#include "unroll.h"

#define GROUP 4
typedef int16_t window_t;

ALWAYS_INLINE void widen(const int8_t *input, window_t *window, int count) {
    int i = 0;
    for (; i + 8 <= count; i += 8) {
        const __m128i bytes = _mm_loadl_epi64((const __m128i *)(const void *)(input + i));
        const __m128i wide = _mm_cvtepu8_epi16(_mm_xor_si128(bytes, _mm_set1_epi8(-128)));
        _mm_storeu_si128((__m128i *)(void *)(window + i), wide);
    }
    for (; i < count; i++) {
        window[i] = (int16_t)(input[i] + 128);
    }
}

ALWAYS_INLINE void fill(int value, window_t *window, int count) {
    for (int i = 0; i < count; i++) {
        window[i] = (int16_t)(value + 128);
    }
}

/* Sums [2 or 1 pixels][16 channels], four inputs at once; a register holds two sums of each of four channels. */
ALWAYS_INLINE void multiply_16(
    const window_t *windows, int depth, const int8_t *weights, int step, int pixels, int32_t *sums, int next
) {
    __m256i sum[8];
    UNROLL
    for (int i = 0; i < 4 * pixels; i++) {
        sum[i] = _mm256_setzero_si256();
    }
    for (int at = 0; at < depth; at += GROUP) {
        __m256i value[2];
        UNROLL
        for (int pixel = 0; pixel < pixels; pixel++) {
            int64_t group;
            memcpy(&group, windows + pixel * depth + at, sizeof group);
            value[pixel] = _mm256_set1_epi64x(group);
        }
        UNROLL
        for (int i = 0; i < 4; i++) {
            const __m128i four = _mm_loadu_si128((const __m128i *)(const void *)(weights + at * step + 16 * i));
            const __m256i weight = _mm256_cvtepi8_epi16(four);
            UNROLL
            for (int pixel = 0; pixel < pixels; pixel++) {
                const __m256i products = _mm256_madd_epi16(value[pixel], weight);
                sum[4 * pixel + i] = _mm256_add_epi32(sum[4 * pixel + i], products);
            }
        }
    }
    UNROLL
    for (int i = 0; i < 2 * pixels; i++) {
        const __m256i pairs = _mm256_hadd_epi32(sum[2 * i], sum[2 * i + 1]);
        const __m256i ordered = _mm256_permute4x64_epi64(pairs, 0xD8);
        _mm256_storeu_si256((__m256i *)(void *)(sums + i / 2 * next + i % 2 * 8), ordered);
    }
}

/* Sums [pixel][channel] of windows times a block of weights. */
ALWAYS_INLINE void multiply(
    const window_t *windows, int depth, const int8_t *weights, int pixels, int block, int32_t *sums
) {
    const int together = pixels % 2 == 0 ? 2 : 1;
    for (int pixel = 0; pixel < pixels; pixel += together) {
        for (int c = 0; c < block; c += 16) {
            multiply_16(
                windows + pixel * depth, depth, weights + c * GROUP, block, together, sums + pixel * block + c, block
            );
        }
    }
}
