/* Products and quotients of numbers with a point, in 32 bits.
 *
 * A shift of a negative number to the right keeps its sign, as on every compiler for such devices.
 */
#pragma once
#include "kernel.h"

/* value * multiplier / 2^31, to the nearest, a tie upwards. */
ALWAYS_INLINE int32_t multiplied(int32_t value, int32_t multiplier) {
    return (int32_t)(((int64_t)value * multiplier + ((int64_t)1 << 30)) >> 31);
}

/* value / 2^bits, to the nearest, a tie away from zero; bits are 0 to 31. */
ALWAYS_INLINE int32_t halved(int32_t value, int bits) {
    const int32_t mask = (int32_t)(((uint32_t)1 << bits) - 1u);
    const int32_t half = (mask >> 1) + (value < 0);
    return (value >> bits) + ((value & mask) > half);
}

/* value * multiplier * 2^(shift - 31), rounded twice; value * 2^shift fits into 32 bits where the shift is to the left. */
ALWAYS_INLINE int32_t scaled(int32_t value, int32_t multiplier, int shift) {
    const int left = shift > 0 ? shift : 0;
    return halved(multiplied(value * ((int32_t)1 << left), multiplier), left - shift);
}
