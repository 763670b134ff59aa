/* disklog.so: LD_PRELOAD shim that writes down, in one ordered log, all that a process does to the files below one directory, and
 * that can make the disk refuse and the clock jump.
 *   DISKLOG_ROOT=DIR      what is written down: everything below it; paths are absolute
 *   DISKLOG_LOG=FILE      appended to, one record per write(2); others may append records of their own (marks)
 *   DISKLOG_CONTROL=FILE  `struct control`, shared with whoever steers; zeros: nothing special
 * A record is a `struct head`, the path, the data. Operations that failed are not in the log, but for syncs. A sync is two records: its
 * beginning and its end, since what is written between them may be on the disk or not. Nothing is really synced: no power fails here.
 * Only the process that was started with it is watched, none of its children.
 * cc -O2 -shared -fPIC -o disklog.so disklog.c -lpthread
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { WRITES = 1, SYNCS = 2, NAMES = 4, HALF_FIRST = 8 };

struct control {
    int64_t kill_in;       /* SIGKILL when so many more changes were made; 0: never */
    int64_t refuse;        /* which operations fail: the bits above */
    int64_t refuse_errno;
    int64_t refuse_in;     /* so many of them still work */
    int64_t refuse_times;  /* then so many fail; -1: all */
    int64_t refused;       /* how many did */
    int64_t seen;          /* how many of those that may fail came by */
    int64_t sync_us;       /* how long a sync takes */
    int64_t clock_seconds; /* added to the time of day */
};

struct head {
    uint8_t kind, pad;
    uint16_t path_octets;
    int32_t fd;
    int64_t offset;
    uint32_t data_octets, pid;
};

static struct control no_control, *control = &no_control;
static char root[512];
static size_t root_octets;
static int log_fd = -1;
static pid_t owner;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
#define FDS 65536
static struct { uint8_t ours, appends; } table[FDS];

__attribute__((constructor)) static void begin(void)
{
    const char *dir = getenv("DISKLOG_ROOT"), *log = getenv("DISKLOG_LOG"), *steer = getenv("DISKLOG_CONTROL");
    unsetenv("LD_PRELOAD");
    if (!dir || strlen(dir) >= sizeof root - 1) return;
    if (steer) {
        int fd = syscall(SYS_openat, AT_FDCWD, steer, O_RDWR | O_CLOEXEC, 0);
        void *at = fd < 0 ? MAP_FAILED : mmap(0, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        if (at != MAP_FAILED) control = at;
        if (fd >= 0) syscall(SYS_close, fd);
    }
    int fd = log ? syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (fd >= 0) {
        /* out of the way of programs that close low numbers */
        log_fd = fcntl(fd, F_DUPFD_CLOEXEC, 900);
        syscall(SYS_close, fd);
    }
    strcpy(root, dir);
    root_octets = strlen(root);
    owner = syscall(SYS_getpid);
}

/* A child between fork and exec may share our memory: it is not watched. */
static int watched(void) { return root_octets && syscall(SYS_getpid) == owner; }
static int below(const char *path)
{
    return path && !strncmp(path, root, root_octets) && (path[root_octets] == '/' || !path[root_octets]);
}
static int ours(int fd) { return fd >= 0 && fd < FDS && table[fd].ours && watched(); }

static void note(char kind, int fd, int64_t offset, const char *path, const void *data, size_t octets)
{
    int saved = errno;
    struct head head = { kind, 0, path ? strlen(path) : 0, fd, offset, octets, owner };
    struct iovec parts[3] = { { &head, sizeof head }, { (void *)path, head.path_octets }, { (void *)data, octets } };
    if (log_fd >= 0 && syscall(SYS_writev, log_fd, parts, 3) < 0) abort();
    if (kind != 'O' && kind != 'B' && control->kill_in > 0 && --control->kill_in == 0) kill(owner, SIGKILL);
    errno = saved;
}

/* Whether an operation is to fail; errno is set. With the lock held. */
static int refused(int kind)
{
    if (!(control->refuse & kind)) return 0;
    control->seen++;
    if (control->refuse_in > 0) { control->refuse_in--; return 0; }
    if (control->refuse_times == 0) return 0;
    if (control->refuse_times > 0) control->refuse_times--;
    control->refused++;
    errno = control->refuse_errno;
    return 1;
}

/* --- files --- */

static int opened(int dir, const char *path, int flags, mode_t mode)
{
    if (!watched() || !below(path)) return syscall(SYS_openat, dir, path, flags, mode);
    pthread_mutex_lock(&lock);
    int fd = -1;
    if (!(flags & (O_CREAT | O_TRUNC)) || !refused(NAMES)) fd = syscall(SYS_openat, dir, path, flags, mode);
    if (fd >= 0 && fd < FDS) {
        table[fd].ours = 1;
        table[fd].appends = !!(flags & O_APPEND);
        note('O', fd, flags, path, 0, 0);
    }
    pthread_mutex_unlock(&lock);
    return fd;
}
#define MODE mode_t mode = 0; if (flags & (O_CREAT | O_TMPFILE)) { va_list list; va_start(list, flags); mode = va_arg(list, mode_t); va_end(list); }
int open(const char *path, int flags, ...) { MODE return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE return opened(AT_FDCWD, path, flags, mode); }
int openat(int dir, const char *path, int flags, ...) { MODE return opened(dir, path, flags, mode); }
int openat64(int dir, const char *path, int flags, ...) { MODE return opened(dir, path, flags, mode); }
int __open_2(const char *path, int flags) { return opened(AT_FDCWD, path, flags, 0); }
int __open64_2(const char *path, int flags) { return opened(AT_FDCWD, path, flags, 0); }
int creat(const char *path, mode_t mode) { return opened(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return creat(path, mode); }

int close(int fd)
{
    if (!ours(fd)) return syscall(SYS_close, fd);
    pthread_mutex_lock(&lock);
    table[fd].ours = 0;
    int done = syscall(SYS_close, fd);
    pthread_mutex_unlock(&lock);
    return done;
}

/* `at` -1: where the file stands */
static ssize_t put(int fd, const struct iovec *parts, int count, int64_t at)
{
    pthread_mutex_lock(&lock);
    ssize_t done = 0;
    struct iovec half = { parts[0].iov_base, parts[0].iov_len / 2 };
    if (refused(WRITES)) {
        done = -1;
        if (control->refuse & HALF_FIRST && half.iov_len) { parts = &half; count = 1; done = 0; }
    }
    if (done == 0) {
        int64_t offset = at;
        if (at < 0 && table[fd].appends) { struct stat now; offset = syscall(SYS_fstat, fd, &now) ? 0 : now.st_size; }
        else if (at < 0) offset = syscall(SYS_lseek, fd, 0, SEEK_CUR);
        done = at < 0 ? syscall(SYS_writev, fd, parts, count) : syscall(SYS_pwritev, fd, parts, count, at, 0);
        for (ssize_t left = done; left > 0; parts++) {
            size_t octets = (size_t)left < parts->iov_len ? (size_t)left : parts->iov_len;
            note('W', fd, offset, 0, parts->iov_base, octets);
            offset += octets;
            left -= octets;
        }
    }
    pthread_mutex_unlock(&lock);
    return done;
}
#define ONE struct iovec part = { (void *)data, octets };
ssize_t write(int fd, const void *data, size_t octets)
{
    if (!ours(fd)) return syscall(SYS_write, fd, data, octets);
    ONE return put(fd, &part, 1, -1);
}
ssize_t pwrite(int fd, const void *data, size_t octets, off_t at)
{
    if (!ours(fd)) return syscall(SYS_pwrite64, fd, data, octets, at);
    ONE return put(fd, &part, 1, at);
}
ssize_t pwrite64(int fd, const void *data, size_t octets, off64_t at) { return pwrite(fd, data, octets, at); }
ssize_t writev(int fd, const struct iovec *parts, int count)
{
    return ours(fd) ? put(fd, parts, count, -1) : syscall(SYS_writev, fd, parts, count);
}
ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
    return ours(fd) ? put(fd, parts, count, at) : syscall(SYS_pwritev, fd, parts, count, at, 0);
}
ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at) { return pwritev(fd, parts, count, at); }

int ftruncate(int fd, off_t octets)
{
    if (!ours(fd)) return syscall(SYS_ftruncate, fd, octets);
    pthread_mutex_lock(&lock);
    int done = refused(NAMES) ? -1 : syscall(SYS_ftruncate, fd, octets);
    if (!done) note('T', fd, octets, 0, 0, 0);
    pthread_mutex_unlock(&lock);
    return done;
}
int ftruncate64(int fd, off64_t octets) { return ftruncate(fd, octets); }
int truncate(const char *path, off_t octets)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    int done = ftruncate(fd, octets), saved = errno;
    close(fd);
    errno = saved;
    return done;
}
int truncate64(const char *path, off64_t octets) { return truncate(path, octets); }

/* Nothing here relies on it; callers write zeros instead. */
int fallocate(int fd, int mode, off_t at, off_t octets)
{
    if (!ours(fd)) return syscall(SYS_fallocate, fd, mode, at, octets);
    errno = EOPNOTSUPP;
    return -1;
}
int fallocate64(int fd, int mode, off64_t at, off64_t octets) { return fallocate(fd, mode, at, octets); }
int posix_fallocate(int fd, off_t at, off_t octets)
{
    if (!ours(fd)) return syscall(SYS_fallocate, fd, 0, at, octets) ? errno : 0;
    return EOPNOTSUPP;
}
int posix_fallocate64(int fd, off64_t at, off64_t octets) { return posix_fallocate(fd, at, octets); }

static int synced(int fd)
{
    pthread_mutex_lock(&lock);
    note('B', fd, 0, 0, 0, 0);
    pthread_mutex_unlock(&lock);
    struct timespec wait = { control->sync_us / 1000000, control->sync_us % 1000000 * 1000 };
    nanosleep(&wait, 0);
    pthread_mutex_lock(&lock);
    int failed = refused(SYNCS);
    note(failed ? 'E' : 'S', fd, 0, 0, 0, 0);
    pthread_mutex_unlock(&lock);
    return failed ? -1 : 0;
}
int fsync(int fd) { return ours(fd) ? synced(fd) : syscall(SYS_fsync, fd); }
int fdatasync(int fd) { return ours(fd) ? synced(fd) : syscall(SYS_fdatasync, fd); }

/* --- names --- */

static int changed(char kind, const char *path, const char *other, long call, mode_t mode)
{
    pthread_mutex_lock(&lock);
    int done = -1;
    if (!refused(NAMES)) switch (call) {
    case SYS_renameat2: done = syscall(SYS_renameat2, AT_FDCWD, path, AT_FDCWD, other, 0); break;
    case SYS_linkat: done = syscall(SYS_linkat, AT_FDCWD, path, AT_FDCWD, other, 0); break;
    case SYS_mkdirat: done = syscall(SYS_mkdirat, AT_FDCWD, path, mode); break;
    default: done = syscall(SYS_unlinkat, AT_FDCWD, path, kind == 'D' ? AT_REMOVEDIR : 0);
    }
    if (!done) note(kind, -1, 0, path, other, other ? strlen(other) : 0);
    pthread_mutex_unlock(&lock);
    return done;
}
int unlink(const char *path)
{
    if (!watched() || !below(path)) return syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    return changed('U', path, 0, SYS_unlinkat, 0);
}
int rmdir(const char *path)
{
    if (!watched() || !below(path)) return syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR);
    return changed('D', path, 0, SYS_unlinkat, 0);
}
int mkdir(const char *path, mode_t mode)
{
    if (!watched() || !below(path)) return syscall(SYS_mkdirat, AT_FDCWD, path, mode);
    return changed('K', path, 0, SYS_mkdirat, mode);
}
int rename(const char *path, const char *other)
{
    if (!watched() || !below(path)) return syscall(SYS_renameat2, AT_FDCWD, path, AT_FDCWD, other, 0);
    return changed('R', path, other, SYS_renameat2, 0);
}
int link(const char *path, const char *other)
{
    if (!watched() || !below(path)) return syscall(SYS_linkat, AT_FDCWD, path, AT_FDCWD, other, 0);
    return changed('L', path, other, SYS_linkat, 0);
}

/* --- the clock --- */

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int done = syscall(SYS_clock_gettime, clock, now);
    if (!done && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) now->tv_sec += control->clock_seconds;
    return done;
}
time_t time(time_t *out)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (out) *out = now.tv_sec;
    return now.tv_sec;
}
int gettimeofday(struct timeval *now, void *zone)
{
    struct timespec precise;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &precise);
    now->tv_sec = precise.tv_sec;
    now->tv_usec = precise.tv_nsec / 1000;
    return 0;
}
