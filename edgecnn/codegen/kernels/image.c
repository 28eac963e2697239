/* The image as int8: 128 less than its bytes. The two may be the same memory. */
#include "kernel.h"

ALWAYS_INLINE void load_image(const uint8_t *image, int8_t *output, int size) {
    for (int i = 0; i < size; i++) {
        output[i] = (int8_t)((int)image[i] - 128);
    }
}
