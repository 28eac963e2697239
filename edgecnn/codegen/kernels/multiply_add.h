#pragma once
#include "kernel.h"

/* Add the products of `count` inputs with the weights of four channels to their sums. */
ALWAYS_INLINE void multiply_add(const int8_t *input, const int8_t *const weights[4], int at, int count, int32_t sums[4]) {
    const int8_t *const first = weights[0] + at, *const second = weights[1] + at;
    const int8_t *const third = weights[2] + at, *const fourth = weights[3] + at;
    int32_t a = sums[0], b = sums[1], c = sums[2], d = sums[3];
    for (int i = 0; i < count; i++) {
        const int32_t value = input[i];
        a += value * first[i];
        b += value * second[i];
        c += value * third[i];
        d += value * fourth[i];
    }
    sums[0] = a;
    sums[1] = b;
    sums[2] = c;
    sums[3] = d;
}
