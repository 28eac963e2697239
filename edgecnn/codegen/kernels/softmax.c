/* Probabilities over the channels of each pixel, in steps of 1/256, in integers.
 *
 * Numbers have a point: Q0 has 31 bits behind it, Q5 26 (differences to the largest value), Q12 19 (their sum).
 */
#include "fixed_point.h"

#define ONE INT32_MAX /* in Q0 */

/* value * 2^bits, at most what 32 bits hold. */
ALWAYS_INLINE int32_t doubled(int32_t value, int bits) {
    const int64_t wide = (int64_t)value * ((int64_t)1 << bits);
    return wide > INT32_MAX ? INT32_MAX : wide < INT32_MIN ? INT32_MIN : (int32_t)wide;
}

/* exp(value) in Q0 of a value in Q5 that is not positive: a series within a quarter, and a factor for each bit above. */
ALWAYS_INLINE int32_t exponential(int32_t value) {
    static const int32_t factors[7] = {1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242};
    const int32_t quarter = (int32_t)1 << 24, eighth = 1895147668 /* exp(-1/8) */, third = 715827883;
    const int32_t rest = (value & (quarter - 1)) - quarter, whole = rest - value;
    const int32_t x = doubled(rest, 5) + ((int32_t)1 << 28);
    const int32_t square = multiplied(x, x), cube = multiplied(square, x), fourth = multiplied(square, square);
    const int32_t series = halved(multiplied(halved(fourth, 2) + cube, third) + square, 1);
    int32_t result = eighth + multiplied(eighth, x + series);
    for (int i = 0; i < 7; i++) {
        if (whole & ((int32_t)1 << (24 + i))) {
            result = multiplied(result, factors[i]);
        }
    }
    return value == 0 ? ONE : result;
}

/* 1 / (1 + value) in Q0 of a value in Q0 from 0 to 1, by three steps of Newton and Raphson in Q2. */
ALWAYS_INLINE int32_t reciprocal(int32_t value) {
    const int32_t half = (int32_t)(((int64_t)value + ONE + 1) / 2);
    int32_t x = 1515870810 /* 48/17 */ + multiplied(half, -1010580540 /* -32/17 */);
    for (int i = 0; i < 3; i++) {
        x += doubled(multiplied(x, ((int32_t)1 << 29) - multiplied(half, x)), 2);
    }
    return doubled(x, 1);
}

ALWAYS_INLINE int32_t exponential_of(int32_t difference, int32_t multiplier, int shift) {
    return exponential(multiplied(difference * ((int32_t)1 << shift), multiplier));
}

ALWAYS_INLINE void softmax(
    const int8_t *input, int pixels, int channels, int8_t *output, int32_t multiplier, int shift, int least_difference
) {
    for (int p = 0; p < pixels; p++, input += channels, output += channels) {
        int largest = -128, over = 0;
        int32_t sum = 0;
        for (int c = 0; c < channels; c++) {
            largest = input[c] > largest ? input[c] : largest;
        }
        for (int c = 0; c < channels; c++) {
            if (input[c] - largest >= least_difference) {
                sum += halved(exponential_of(input[c] - largest, multiplier, shift), 12);
            }
        }
        while (!((uint32_t)sum << over & (uint32_t)1 << 31)) {
            over++;
        }
        const int32_t factor = reciprocal((int32_t)(((uint32_t)sum << over) - ((uint32_t)1 << 31)));
        for (int c = 0; c < channels; c++) {
            int32_t value = 0;
            if (input[c] - largest >= least_difference) {
                value = halved(multiplied(factor, exponential_of(input[c] - largest, multiplier, shift)), 12 - over + 23);
            }
            output[c] = clamped(value - 128, -128, 127);
        }
    }
}
