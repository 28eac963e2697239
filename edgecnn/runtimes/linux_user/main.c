/* Runs the model on the images of its input, and writes the outputs; MODEL_HEADER, RUN and the sizes are given on the
 * command line. */
#include MODEL_HEADER
#include <stdio.h>

int main(void) {
    static uint8_t image[IMAGE_BYTES], arena[ARENA_BYTES];
    int8_t output[LABEL_COUNT];
    while (fread(image, 1, sizeof image, stdin) == sizeof image) {
        if (RUN(image, output, arena) || fwrite(output, 1, sizeof output, stdout) != sizeof output) {
            return 1;
        }
    }
    return 0;
}
