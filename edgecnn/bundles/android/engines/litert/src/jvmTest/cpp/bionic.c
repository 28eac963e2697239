/*
 * What LiteRT's shared library for Android takes from Android's C library, on top of Linux's own, on x86-64: the names of
 * version LIBC, most of which have the same parameters there.
 */
#ifdef BIONIC
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define F(name) \
    __asm__(".text\n.globl to_" #name "\n.type to_" #name ", @function\nto_" #name ": jmp " #name "@PLT\n" \
            ".symver to_" #name ", " #name "@LIBC");
#define VERSIONED(mine, name) __asm__(".symver " #mine ", " #name "@LIBC");

F(__cxa_atexit) F(__memmove_chk) F(__open_2) F(__read_chk) F(__stack_chk_fail) F(__vsnprintf_chk) F(abort) F(atan2)
F(atan2f) F(bsearch) F(calloc) F(clock_gettime) F(close) F(closelog) F(cos) F(cosf) F(dl_iterate_phdr) F(dlclose)
F(dlerror) F(dlopen) F(dlsym) F(erfcf) F(exit) F(exp) F(expf) F(expm1f) F(flock) F(fmodf) F(fopen) F(fread) F(free)
F(freelocale) F(frexp) F(fstat) F(fsync) F(getenv) F(getpagesize) F(getuid) F(hypot) F(hypotf) F(ldexp) F(log) F(log1p)
F(logf) F(madvise) F(malloc) F(memalign) F(memchr) F(memcmp) F(memcpy) F(memmove) F(memset) F(mmap) F(mprotect) F(mremap)
F(munmap) F(nanf) F(nanosleep) F(newlocale) F(open) F(openlog) F(posix_memalign) F(pow) F(powf) F(pthread_cond_broadcast)
F(pthread_cond_destroy) F(pthread_cond_init) F(pthread_cond_signal) F(pthread_cond_wait) F(pthread_create)
F(pthread_equal) F(pthread_getspecific) F(pthread_join) F(pthread_key_create) F(pthread_key_delete)
F(pthread_mutex_destroy) F(pthread_mutex_init) F(pthread_mutex_lock) F(pthread_mutex_unlock) F(pthread_once)
F(pthread_rwlock_rdlock) F(pthread_rwlock_unlock) F(pthread_rwlock_wrlock) F(pthread_self) F(pthread_setspecific) F(qsort)
F(read) F(realloc) F(rename) F(sincos) F(sincosf) F(sinf) F(snprintf) F(strcmp) F(strerror) F(strlen) F(strncmp)
F(strncpy) F(strtod) F(strtol) F(strtoll_l) F(strtoull_l) F(syscall) F(syslog) F(tanhf) F(time) F(vasprintf) F(vsnprintf)
F(write)

/* stdin, stdout and stderr lie in an array there; all go to stderr. */
char bionic_files[3][152];
VERSIONED(bionic_files, __sF)

static FILE *file_of(void *file) {
    const ptrdiff_t at = (char *)file - bionic_files[0];
    return at >= 0 && at < (ptrdiff_t)sizeof bionic_files ? stderr : (FILE *)file;
}

int bionic_vfprintf(void *file, const char *format, va_list values) { return vfprintf(file_of(file), format, values); }
VERSIONED(bionic_vfprintf, vfprintf)

int bionic_fprintf(void *file, const char *format, ...) {
    va_list values;
    va_start(values, format);
    const int count = vfprintf(file_of(file), format, values);
    va_end(values);
    return count;
}
VERSIONED(bionic_fprintf, fprintf)

int bionic_fputc(int value, void *file) { return fputc(value, file_of(file)); }
VERSIONED(bionic_fputc, fputc)

size_t bionic_fwrite(const void *data, size_t size, size_t count, void *file) {
    return fwrite(data, size, count, file_of(file));
}
VERSIONED(bionic_fwrite, fwrite)

int bionic_fflush(void *file) { return fflush(file_of(file)); }
VERSIONED(bionic_fflush, fflush)

int bionic_fileno(void *file) { return fileno(file_of(file)); }
VERSIONED(bionic_fileno, fileno)

int bionic_fclose(void *file) { return fclose(file_of(file)); }
VERSIONED(bionic_fclose, fclose)

int *bionic_errno(void) { return &errno; }
VERSIONED(bionic_errno, __errno)

int __xpg_strerror_r(int error, char *text, size_t size);
int bionic_strerror_r(int error, char *text, size_t size) { return __xpg_strerror_r(error, text, size); }
VERSIONED(bionic_strerror_r, strerror_r)

size_t bionic_strlen_chk(const char *text, size_t size) { return strnlen(text, size); }
VERSIONED(bionic_strlen_chk, __strlen_chk)

/* sysconf() has other numbers there; what is asked for beside these, sizes of caches, is said not to be known. */
long bionic_sysconf(int name) {
    switch (name) {
        case 39:
        case 40:
            return sysconf(_SC_PAGESIZE);
        case 96:
            return sysconf(_SC_NPROCESSORS_CONF);
        case 97:
            return sysconf(_SC_NPROCESSORS_ONLN);
        default:
            return 0;
    }
}
VERSIONED(bionic_sysconf, sysconf)

/* A computer has no properties of a device. */
int bionic_property(const char *name, char *value) {
    (void)name;
    *value = '\0';
    return 0;
}
VERSIONED(bionic_property, __system_property_get)

void bionic_abort_message(const char *message) { fprintf(stderr, "%s\n", message); }
VERSIONED(bionic_abort_message, android_set_abort_message)

/* The library is never unloaded. */
void bionic_finalize(void *library) { (void)library; }
VERSIONED(bionic_finalize, __cxa_finalize)

int __android_log_vprint(int priority, const char *tag, const char *format, va_list values) {
    (void)priority;
    fprintf(stderr, "%s: ", tag);
    const int count = vfprintf(stderr, format, values);
    fputc('\n', stderr);
    return count;
}
#endif
