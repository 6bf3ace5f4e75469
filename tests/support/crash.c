/* Kills at the N-th change of a file: loaded with LD_PRELOAD into the program under test and all it starts.
 *
 * Every call that changes a directory or a regular file is a boundary, counted over all processes in a shared
 * file. At boundary CX_CRASH_AT, before the call, CX_CRASH_WHO decides who dies of SIGKILL:
 *
 *   all   the process that makes the call, the program under test and all between them
 *   main  the program under test only; what it started goes on
 *   self  the process that makes the call
 *
 * With CX_CRASH_AT=0 it only counts. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define BOUNDARIES 4096

struct shared {
    int counted;
    int main_process;
    char by_main[BOUNDARIES];
};

static struct shared *shared;
static int crash_at;
static const char *who = "all";

__attribute__((constructor)) static void start(void) {
    const char *path = getenv("CX_CRASH_FILE"), *at = getenv("CX_CRASH_AT"), *dies = getenv("CX_CRASH_WHO");
    if (!path) return;
    int file = open(path, O_RDWR | O_CLOEXEC);
    if (file < 0) return;
    /* Held as long as any process of the tree lives: the test waits for the last of them by locking it. */
    flock(file, LOCK_SH);
    void *map = mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (map == MAP_FAILED) return;
    shared = map;
    crash_at = at ? atoi(at) : 0;
    if (dies) who = dies;
    int none = 0;
    __atomic_compare_exchange_n(&shared->main_process, &none, getpid(), 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

/* The processes above this one up to the program under test: a shell that waits for `mv` makes no call itself. */
static void kill_ancestors(void) {
    int process = getpid();
    char path[64], text[512];
    while (process > 1 && process != shared->main_process) {
        char *end = path;
        const char *head = "/proc/";
        while (*head) *end++ = *head++;
        char digits[16];
        int n = 0;
        for (int rest = process; rest; rest /= 10) digits[n++] = '0' + rest % 10;
        while (n) *end++ = digits[--n];
        memcpy(end, "/stat", 6);
        int file = open(path, O_RDONLY | O_CLOEXEC);
        if (file < 0) return;
        ssize_t got = read(file, text, sizeof text - 1);
        close(file);
        if (got <= 0) return;
        text[got] = 0;
        char *after = strrchr(text, ')');
        if (!after) return;
        process = atoi(after + 4);
        if (process > 1 && process != getpid()) kill(process, SIGKILL);
    }
}

static void boundary(void) {
    if (!shared) return;
    int now = __atomic_add_fetch(&shared->counted, 1, __ATOMIC_SEQ_CST);
    if (now < BOUNDARIES) shared->by_main[now] = getpid() == shared->main_process;
    if (now != crash_at) return;
    if (strcmp(who, "self") != 0) {
        if (strcmp(who, "all") == 0) kill_ancestors();
        kill(shared->main_process, SIGKILL);
    }
    if (strcmp(who, "main") != 0 || getpid() == shared->main_process) {
        kill(getpid(), SIGKILL);
        for (;;) pause();
    }
}

static int is_regular(int fd) {
    struct stat found;
    return fstat(fd, &found) == 0 && S_ISREG(found.st_mode);
}

#define REAL(type, name, ...)                                    \
    static type (*real)(__VA_ARGS__);                            \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

ssize_t write(int fd, const void *bytes, size_t n) {
    REAL(ssize_t, "write", int, const void *, size_t);
    if (shared && is_regular(fd)) boundary();
    return real(fd, bytes, n);
}
ssize_t writev(int fd, const struct iovec *parts, int n) {
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    if (shared && is_regular(fd)) boundary();
    return real(fd, parts, n);
}
int fsync(int fd) {
    REAL(int, "fsync", int);
    boundary();
    return real(fd);
}
int fdatasync(int fd) {
    REAL(int, "fdatasync", int);
    boundary();
    return real(fd);
}
int ftruncate(int fd, off_t n) {
    REAL(int, "ftruncate", int, off_t);
    boundary();
    return real(fd, n);
}
int ftruncate64(int fd, off64_t n) {
    REAL(int, "ftruncate64", int, off64_t);
    boundary();
    return real(fd, n);
}
int rename(const char *from, const char *to) {
    REAL(int, "rename", const char *, const char *);
    boundary();
    return real(from, to);
}
int renameat(int from_dir, const char *from, int to_dir, const char *to) {
    REAL(int, "renameat", int, const char *, int, const char *);
    boundary();
    return real(from_dir, from, to_dir, to);
}
int renameat2(int from_dir, const char *from, int to_dir, const char *to, unsigned flags) {
    REAL(int, "renameat2", int, const char *, int, const char *, unsigned);
    boundary();
    return real(from_dir, from, to_dir, to, flags);
}
int unlink(const char *path) {
    REAL(int, "unlink", const char *);
    boundary();
    return real(path);
}
int unlinkat(int dir, const char *path, int flags) {
    REAL(int, "unlinkat", int, const char *, int);
    boundary();
    return real(dir, path, flags);
}
int mkdir(const char *path, mode_t mode) {
    REAL(int, "mkdir", const char *, mode_t);
    boundary();
    return real(path, mode);
}
int mkdirat(int dir, const char *path, mode_t mode) {
    REAL(int, "mkdirat", int, const char *, mode_t);
    boundary();
    return real(dir, path, mode);
}
int rmdir(const char *path) {
    REAL(int, "rmdir", const char *);
    boundary();
    return real(path);
}
int chmod(const char *path, mode_t mode) {
    REAL(int, "chmod", const char *, mode_t);
    boundary();
    return real(path, mode);
}
int fchmod(int fd, mode_t mode) {
    REAL(int, "fchmod", int, mode_t);
    boundary();
    return real(fd, mode);
}
int fchmodat(int dir, const char *path, mode_t mode, int flags) {
    REAL(int, "fchmodat", int, const char *, mode_t, int);
    boundary();
    return real(dir, path, mode, flags);
}
int fchownat(int dir, const char *path, uid_t user, gid_t group, int flags) {
    REAL(int, "fchownat", int, const char *, uid_t, gid_t, int);
    boundary();
    return real(dir, path, user, group, flags);
}

static mode_t mode_of(int flags, va_list rest) {
    return flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
}

int open(const char *path, int flags, ...) {
    REAL(int, "open", const char *, int, ...);
    va_list rest;
    va_start(rest, flags);
    mode_t mode = mode_of(flags, rest);
    va_end(rest);
    if (flags & O_CREAT) boundary();
    return real(path, flags, mode);
}
int open64(const char *path, int flags, ...) {
    REAL(int, "open64", const char *, int, ...);
    va_list rest;
    va_start(rest, flags);
    mode_t mode = mode_of(flags, rest);
    va_end(rest);
    if (flags & O_CREAT) boundary();
    return real(path, flags, mode);
}
int openat(int dir, const char *path, int flags, ...) {
    REAL(int, "openat", int, const char *, int, ...);
    va_list rest;
    va_start(rest, flags);
    mode_t mode = mode_of(flags, rest);
    va_end(rest);
    if (flags & O_CREAT) boundary();
    return real(dir, path, flags, mode);
}
