// The few calls that Swift cannot make itself: variadic system calls, GNU extensions, resolver macros, fork and exec
// in one go.
#ifndef CLINUX_H
#define CLINUX_H

/* files.c */

/// O_TMPFILE and O_PATH, which Swift's Glibc does not show.
extern const int pouch_o_tmpfile;
extern const int pouch_o_path;

/// openat(2) without its variadic last argument.
int pouch_openat(int directory, const char *path, int flags, unsigned mode);

/// renameat2(2) with RENAME_NOREPLACE.
int pouch_rename_noreplace(int from, const char *old_path, int to, const char *new_path);

/// fallocate(2) in its default mode.
int pouch_fallocate(int file, long long offset, long long length);

/// Names the calling thread, for ps and gdb; at most 15 characters.
void pouch_name_thread(const char *name);

#endif
