/* Runs the model on the images in a file, and writes outputs and the ticks that each image took into others.
 *
 * MODEL_HEADER, RUN and the sizes are given on the command line.
 */
#include MODEL_HEADER
#include "host_files.h"

#define TICKS_CONTROL (*(volatile uint32_t *)0xE000E010u) /* SysTick, counting down with the processor's clock */
#define TICKS_RELOAD (*(volatile uint32_t *)0xE000E014u)
#define TICKS (*(volatile uint32_t *)0xE000E018u)
#define ACCESS_CONTROL (*(volatile uint32_t *)0xE000ED88u)
#define MOST_TICKS 0xFFFFFFu

extern uint32_t stack_top;
static uint8_t arena[ARENA_BYTES];

/* An empty loop of two instructions a round: what a tick is worth. */
static uint32_t ticks_of_loop(uint32_t rounds) {
    const uint32_t begun = TICKS;
    __asm__ volatile(".syntax unified\n1: subs %0, #1\n bne 1b" : "+l"(rounds) : : "cc");
    return (begun - TICKS) & MOST_TICKS;
}

static int run_images(int images, int outputs, int ticks) {
    int8_t output[LABEL_COUNT];
    uint8_t *const image = arena + IMAGE_OFFSET;
    while (read_file(images, image, IMAGE_BYTES) == 0) {
        const uint32_t begun = TICKS;
        if (RUN(image, output, arena)) {
            return 1;
        }
        const uint32_t taken = (begun - TICKS) & MOST_TICKS;
        if (write_file(outputs, output, LABEL_COUNT) || write_file(ticks, &taken, sizeof taken)) {
            return 1;
        }
    }
    return 0;
}

void reset(void) {
#if __ARM_ARCH >= 7
    ACCESS_CONTROL |= 0xFu << 20; /* floating point and vectors */
    __asm__ volatile("dsb\n isb");
#endif
    TICKS_RELOAD = MOST_TICKS;
    TICKS = 0;
    TICKS_CONTROL = 5;
    const int images = open_file("images", 1, 6), outputs = open_file("outputs", 5, 7), ticks = open_file("ticks", 5, 5);
    const uint32_t loop = ticks_of_loop(LOOP_ROUNDS);
    const int failed = images < 0 || outputs < 0 || ticks < 0 || write_file(ticks, &loop, sizeof loop);
    leave(failed || run_images(images, outputs, ticks));
    for (;;) {
    }
}

static void fault(void) {
    leave(1);
    for (;;) {
    }
}

__attribute__((section(".vectors"), used)) static const void *const vectors[] = {
    &stack_top, (const void *)reset, (const void *)fault, (const void *)fault, (const void *)fault, (const void *)fault,
};

/* What a compiler may call even without a library. */
void *memcpy(void *to, const void *from, __SIZE_TYPE__ count) {
    uint8_t *a = to;
    const uint8_t *b = from;
    while (count--) {
        *a++ = *b++;
    }
    return to;
}

void *memset(void *to, int value, __SIZE_TYPE__ count) {
    uint8_t *a = to;
    while (count--) {
        *a++ = (uint8_t)value;
    }
    return to;
}
