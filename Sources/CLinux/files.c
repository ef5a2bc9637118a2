#define _GNU_SOURCE
#include "clinux.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>

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

void pouch_name_thread(const char *name)
{
    pthread_setname_np(pthread_self(), name);
}
