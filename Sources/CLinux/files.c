#define _GNU_SOURCE
#include "clinux.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

const int pouch_o_tmpfile = O_TMPFILE;
const int pouch_o_path = O_PATH;

int pouch_openat(int directory, const char *path, int flags, unsigned mode)
{
    return openat(directory, path, flags, mode);
}

int pouch_rename_noreplace(int from, const char *old_path, int to, const char *new_path)
{
    return renameat2(from, old_path, to, new_path, RENAME_NOREPLACE);
}

int pouch_fallocate(int file, long long offset, long long length)
{
    return fallocate(file, 0, offset, length);
}

int pouch_sealed_memory(const char *name, const void *bytes, size_t length)
{
    int file = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (file < 0) return -1;
    size_t done = 0;
    while (done < length) {
        ssize_t count = pwrite(file, (const char *)bytes + done, length - done, (off_t)done);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) break;
        done += (size_t)count;
    }
    if (done == length && fchmod(file, 0400) == 0
        && fcntl(file, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE) == 0)
        return file;
    int error = errno;
    close(file);
    errno = error;
    return -1;
}

void pouch_name_thread(const char *name)
{
    pthread_setname_np(pthread_self(), name);
}
