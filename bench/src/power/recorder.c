// Stands between a gateway and the C library (LD_PRELOAD) and does one of two things with the folder under test.
//
// ECOWIRE_POWER_LOG and ECOWIRE_POWER_ROOT: every change of a file or folder below the root is written into the log, in
// order, and a sync is a line of it and nothing more; recording.rs makes of it what a disk may hold after a power cut.
// ECOWIRE_POWER_UNSYNCED: the syncs that the ledger adds to sled, and only those, are left out: sled as it is documented.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char *root, *unsynced;
static int log_fd = -1;
static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void begin(void) {
  const char *log = getenv("ECOWIRE_POWER_LOG");
  unsynced = getenv("ECOWIRE_POWER_UNSYNCED");
  if (log) {
    root = getenv("ECOWIRE_POWER_ROOT");
    log_fd = REAL(open)(log, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (!root || log_fd < 0) abort();
  }
}

static int below(const char *path, const char *folder) {
  size_t length = folder ? strlen(folder) : 0;
  return length && !strncmp(path, folder, length) && (path[length] == '/' || !path[length]);
}

static int path_of(int fd, char *path) {
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, PATH_MAX - 1);
  if (length < 0) return 0;
  path[length] = 0;
  return 1;
}

static int recorded(int fd) {
  char path[PATH_MAX];
  return log_fd >= 0 && path_of(fd, path) && below(path, root);
}

static uint64_t inode(int fd) {
  struct stat status;
  return fstat(fd, &status) ? 0 : status.st_ino;
}

// kind | u64 inode | u64 number | u64 length | bytes, in one write. A log that cannot be written makes the run worthless.
static void record(char kind, uint64_t node, uint64_t number, const void *bytes, uint64_t length) {
  char *line = malloc(25 + length);
  if (!line) abort();
  line[0] = kind;
  memcpy(line + 1, &node, 8);
  memcpy(line + 9, &number, 8);
  memcpy(line + 17, &length, 8);
  memcpy(line + 25, bytes, length);
  if (REAL(write)(log_fd, line, 25 + length) != (ssize_t)(25 + length)) abort();
  free(line);
}

static int open_recorded(const char *path, int flags, mode_t mode) {
  int is_ours = log_fd >= 0 && below(path, root);
  struct stat status;
  pthread_mutex_lock(&order);
  int is_new = is_ours && (flags & O_CREAT) && stat(path, &status);
  int fd = REAL(open)(path, flags, mode);
  if (is_ours && fd >= 0) {
    if (is_new) record('C', inode(fd), 0, path, strlen(path));
    else if (flags & O_TRUNC) record('T', inode(fd), 0, "", 0);
  }
  pthread_mutex_unlock(&order);
  return fd;
}

int open(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return open_recorded(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return open_recorded(path, flags | O_LARGEFILE, mode);
}

static ssize_t write_recorded(int fd, const void *bytes, size_t length, off_t at) {
  if (!recorded(fd)) return at < 0 ? REAL(write)(fd, bytes, length) : REAL(pwrite)(fd, bytes, length, at);
  pthread_mutex_lock(&order);
  ssize_t done = at < 0 ? REAL(write)(fd, bytes, length) : REAL(pwrite)(fd, bytes, length, at);
  if (done > 0) record('W', inode(fd), at < 0 ? lseek(fd, 0, SEEK_CUR) - done : at, bytes, done);
  pthread_mutex_unlock(&order);
  return done;
}

ssize_t write(int fd, const void *bytes, size_t length) { return write_recorded(fd, bytes, length, -1); }
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t at) { return write_recorded(fd, bytes, length, at); }
ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) { return write_recorded(fd, bytes, length, at); }

static int truncate_recorded(int fd, off_t length) {
  pthread_mutex_lock(&order);
  int done = REAL(ftruncate)(fd, length);
  if (!done && recorded(fd)) record('T', inode(fd), length, "", 0);
  pthread_mutex_unlock(&order);
  return done;
}

int ftruncate(int fd, off_t length) { return truncate_recorded(fd, length); }
int ftruncate64(int fd, off64_t length) { return truncate_recorded(fd, length); }

int mkdir(const char *path, mode_t mode) {
  pthread_mutex_lock(&order);
  int done = REAL(mkdir)(path, mode);
  if (!done && log_fd >= 0 && below(path, root)) record('M', 0, 0, path, strlen(path));
  pthread_mutex_unlock(&order);
  return done;
}

int unlink(const char *path) {
  pthread_mutex_lock(&order);
  int done = REAL(unlink)(path);
  if (!done && log_fd >= 0 && below(path, root)) record('U', 0, 0, path, strlen(path));
  pthread_mutex_unlock(&order);
  return done;
}

int rename(const char *from, const char *to) {
  pthread_mutex_lock(&order);
  int done = REAL(rename)(from, to);
  if (!done && log_fd >= 0 && below(to, root)) {
    char both[2 * PATH_MAX];
    int length = snprintf(both, sizeof both, "%s%c%s", from, 0, to);
    record('R', 0, 0, both, length);
  }
  pthread_mutex_unlock(&order);
  return done;
}

static int is_folder(int fd) {
  struct stat status;
  return !fstat(fd, &status) && S_ISDIR(status.st_mode);
}

static int ends(const char *path, const char *end) {
  size_t length = strlen(path), wanted = strlen(end);
  return length >= wanted && !strcmp(path + length - wanted, end);
}

// Of sled's own syncs none is an fdatasync of `db`, and none touches `conf` or a folder.
static int left_out(int fd, int is_data) {
  char path[PATH_MAX];
  if (!unsynced || !path_of(fd, path) || !below(path, unsynced)) return 0;
  if (is_data) return ends(path, "/sled/db");
  return ends(path, "/sled/conf") || (is_folder(fd) && !ends(path, "/keys"));
}

static int sync_recorded(int fd, int is_data) {
  if (left_out(fd, is_data)) return 0;
  if (!recorded(fd)) return is_data ? REAL(fdatasync)(fd) : REAL(fsync)(fd);
  pthread_mutex_lock(&order);
  char path[PATH_MAX];
  if (!is_folder(fd)) record('S', inode(fd), 0, "", 0);
  else if (path_of(fd, path)) record('D', 0, 0, path, strlen(path));
  pthread_mutex_unlock(&order);
  return 0;
}

int fsync(int fd) { return sync_recorded(fd, 0); }
int fdatasync(int fd) { return sync_recorded(fd, 1); }
