/* Files of the computer that emulates this one, by semihosting: a breakpoint asks for an operation.
 *
 * "Semihosting for AArch32 and AArch64", Arm, has the numbers.
 */
#pragma once
#include <stdint.h>

static inline int semihosting(int operation, const void *arguments) {
    register int number __asm__("r0") = operation;
    register const void *block __asm__("r1") = arguments;
    __asm__ volatile("bkpt 0xAB" : "+r"(number) : "r"(block) : "memory");
    return number;
}

/* A handle, or -1; mode 1 is "rb", 5 is "wb". */
static inline int open_file(const char *name, int mode, int length) {
    const uintptr_t arguments[3] = {(uintptr_t)name, (uintptr_t)mode, (uintptr_t)length};
    return semihosting(0x01, arguments);
}

/* The number of bytes that were not read, or not written. */
static inline int read_file(int file, void *bytes, int count) {
    const uintptr_t arguments[3] = {(uintptr_t)file, (uintptr_t)bytes, (uintptr_t)count};
    return semihosting(0x06, arguments);
}

static inline int write_file(int file, const void *bytes, int count) {
    const uintptr_t arguments[3] = {(uintptr_t)file, (uintptr_t)bytes, (uintptr_t)count};
    return semihosting(0x05, arguments);
}

static inline void leave(int failed) {
    semihosting(0x18, (const void *)(uintptr_t)(failed ? 0x20023 : 0x20026));
}
