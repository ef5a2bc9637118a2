// The few calls that Swift cannot make itself: variadic system calls, GNU extensions, resolver macros, fork and exec
// in one go.
#ifndef CLINUX_H
#define CLINUX_H

#include <stddef.h>

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

/// memfd_create(2) with these bytes in it and sealed: nobody changes them, grows or shrinks it again. Close-on-exec, mode
/// 0400, read from its start; -1 with errno.
int pouch_sealed_memory(const char *name, const void *bytes, size_t length);

/// Names the calling thread, for ps and gdb; at most 15 characters.
void pouch_name_thread(const char *name);

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// ---- crc.c --------------------------------------------------------------------------------------------------------

/// Adds the first octets of `data` to the CRC-32 in `*sum`, which is as zlib has it, and returns how many they were: a
/// multiple of 16, or 0 where there are too few or the processor lacks the instructions. zlib does the rest.
size_t pouch_crc32_blocks(uint32_t *sum, const void *data, size_t length);

// ---- spawn.c: processes, signals and the process's own attributes -------------------------------------------------

/* At most so many descriptors are handed to a child besides those it keeps by number. */
#define POUCH_SPAWN_PAIRS 256

enum pouch_spawn_step {
    POUCH_STEP_NONE = 0,
    POUCH_STEP_REQUEST,      /* the request itself is out of range */
    POUCH_STEP_PIPE,         /* the pipe that reports failures */
    POUCH_STEP_FORK,
    POUCH_STEP_GROUP,        /* setpgid, setsid */
    POUCH_STEP_DESCRIPTORS,  /* dup2, close-on-exec */
    POUCH_STEP_SIGNALS,
    POUCH_STEP_GROUPS,       /* setgroups */
    POUCH_STEP_GID,
    POUCH_STEP_UID,
    POUCH_STEP_VERIFY,       /* the kernel says another identity than asked for, or root can be had again */
    POUCH_STEP_DIRECTORY,
    POUCH_STEP_DEATH_SIGNAL,
    POUCH_STEP_EXEC
};

enum pouch_spawn_group { POUCH_GROUP_SAME = 0, POUCH_GROUP_NEW = 1, POUCH_SESSION_NEW = 2 };

struct pouch_spawn_request {
    const char *path;            /* executed as it stands, PATH is not searched */
    char *const *argv;
    char *const *envp;
    char *pid_digits;            /* NULL, or room inside envp for 12 bytes: the child writes its own pid there */
    const int *from;             /* descriptors of the parent ... */
    const int *to;               /* ... and their numbers in the child */
    size_t pairs;
    const char *directory;       /* NULL keeps the parent's */
    int group;                   /* enum pouch_spawn_group */
    int set_identity;            /* 0 keeps the parent's; else groups, gid and uid are set, in that order */
    uid_t uid;
    gid_t gid;
    const gid_t *groups;
    size_t group_count;
    int death_signal;            /* 0, or the signal the child gets when the thread that spawned it ends */
};

struct pouch_spawn_failure {
    int32_t step;                /* enum pouch_spawn_step */
    int32_t error;               /* errno */
};

/* The new process, or -1 with the failure filled in; then no process is left behind. */
pid_t pouch_spawn(const struct pouch_spawn_request *request, struct pouch_spawn_failure *failure);

/* waitpid. Returns the process, 0 when none has ended (no_wait), -1 with errno; *code is an exit status when
   *signalled is 0, else the signal's number. pid -1 means any child. */
pid_t pouch_wait(pid_t pid, int no_wait, int *code, int *signalled);

/* A close-on-exec, non-blocking signalfd over the signals given; -1 with errno. */
int pouch_signal_descriptor(const int *signals, size_t count);
/* The next signal's number, 0 when there is none, -1 with errno. */
int pouch_next_signal(int descriptor);

/* SO_PEERCRED; -1 with errno. */
int pouch_peer_credentials(int descriptor, pid_t *pid, uid_t *uid, gid_t *gid);

/* accept4 with SOCK_CLOEXEC; -1 with errno. */
int pouch_accept(int listener);

/* Neither dumps core nor may be traced by its own user; -1 with errno. */
int pouch_make_undumpable(void);
/* 1 or 0; -1 with errno. */
int pouch_is_dumpable(void);

/* Whose rights the calling thread has on files, and nothing else; root alone may take another's. */
void pouch_set_file_identity(uid_t uid, gid_t gid);

/* The environment of this process; read it before threads start. */
char *const *pouch_environment(void);

// ---- resolver.c: one DNS question at a time through libresolv --------------------------------------------------

#include <stddef.h>
#include <stdint.h>

enum pouch_dns_status {
    POUCH_DNS_ANSWERED = 0,
    POUCH_DNS_NO_SUCH_NAME,
    POUCH_DNS_SERVER_FAILURE,
    POUCH_DNS_NO_ANSWER,
    POUCH_DNS_MALFORMED,
    POUCH_DNS_BAD_NAME,
    POUCH_DNS_NO_RESOLVER,
};

enum { POUCH_DNS_A = 1, POUCH_DNS_CNAME = 5, POUCH_DNS_PTR = 12, POUCH_DNS_MX = 15, POUCH_DNS_AAAA = 28 };
enum { POUCH_DNS_NAME_SIZE = 1026, POUCH_DNS_ANSWER_SIZE = 65536 };

typedef struct {
    uint32_t ttl;
    uint16_t type;
    uint16_t preference;
    // Four bytes for A, sixteen for AAAA.
    uint8_t address[16];
    // Names without final dot, the root as an empty string; bytes outside of printable text escaped as in zone files.
    char owner[POUCH_DNS_NAME_SIZE];
    char target[POUCH_DNS_NAME_SIZE];
} pouch_dns_record;

// Asks for one type of record of exactly this name (no search list) and waits for the answer; safe in any thread.
// server: a numeric address, or NULL for the servers of resolv.conf. The answer's length is left in *length; it is 0
// unless the status is POUCH_DNS_ANSWERED or POUCH_DNS_NO_SUCH_NAME.
enum pouch_dns_status pouch_dns_ask(const char *name, uint16_t type, const char *server, uint16_t port,
                                    int timeout_seconds, int attempts, unsigned char *answer, size_t capacity,
                                    size_t *length);

// Reads the records of the answer section that are A, AAAA, CNAME or MX of class IN, at most capacity of them, and
// the time a negative answer may be kept (RFC 2308; 0 when the packet names none).
enum pouch_dns_status pouch_dns_read(const unsigned char *packet, size_t length, pouch_dns_record *records,
                                     size_t capacity, size_t *count, uint32_t *negative_ttl);

// ---- end of resolver.c -----------------------------------------------------------------------------------------

#endif
