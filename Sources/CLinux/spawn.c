// Owns: starting a process with exactly the descriptors, signals and identity asked for, and a few Linux calls that
// Swift has no words for. Refuses: deciding any of it; no memory is allocated and no setting is read here.

#define _GNU_SOURCE
#include "clinux.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

// Everything from here to run_child runs between fork and execve: only calls that are safe in a signal handler.

static _Noreturn void give_up(int report, int step, int error)
{
    struct pouch_spawn_failure failure = { step, error };
    const char *bytes = (const char *)&failure;
    size_t left = sizeof failure;
    // The pipe is empty and holds more than eight bytes: nothing but EINTR can interrupt this.
    while (left > 0) {
        ssize_t written = write(report, bytes, left);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) break;
        bytes += written;
        left -= (size_t)written;
    }
    _exit(127);
}

static void write_pid(char *digits)
{
    char reversed[12];
    size_t count = 0;
    for (unsigned long pid = (unsigned long)getpid(); count < 11; pid /= 10) {
        reversed[count++] = (char)('0' + pid % 10);
        if (pid < 10) break;
    }
    for (size_t i = 0; i < count; i++) digits[i] = reversed[count - 1 - i];
    digits[count] = '\0';
}

static int all_close_on_exec(void)
{
#ifdef SYS_close_range
    if (syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC) == 0) return 0;
#endif
    // Kernels before 5.11 and strict sandboxes: one call a descriptor, bounded by the limit on open files.
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0) return -1;
    rlim_t end = limit.rlim_cur > 1048576 ? 1048576 : limit.rlim_cur;
    for (int fd = 3; (rlim_t)fd < end; fd++) {
        if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0 && errno != EBADF) return -1;
    }
    return 0;
}

// Copies go above every number in use first, so that no dup2 overwrites a descriptor that is still to be copied.
static void place_descriptors(const struct pouch_spawn_request *request, int *report)
{
    int copies[POUCH_SPAWN_PAIRS];
    int above = 3;
    for (size_t i = 0; i < request->pairs; i++) {
        if (request->to[i] >= above) above = request->to[i] + 1;
    }
    int moved = fcntl(*report, F_DUPFD_CLOEXEC, above);
    if (moved < 0) give_up(*report, POUCH_STEP_DESCRIPTORS, errno);
    *report = moved;
    for (size_t i = 0; i < request->pairs; i++) {
        copies[i] = fcntl(request->from[i], F_DUPFD_CLOEXEC, above);
        if (copies[i] < 0) give_up(*report, POUCH_STEP_DESCRIPTORS, errno);
    }
    if (all_close_on_exec() < 0) give_up(*report, POUCH_STEP_DESCRIPTORS, errno);
    for (size_t i = 0; i < request->pairs; i++) {
        if (dup2(copies[i], request->to[i]) < 0) give_up(*report, POUCH_STEP_DESCRIPTORS, errno);
    }
}

static void reset_signals(int report)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = SIG_DFL;
    for (int number = 1; number < _NSIG; number++) {
        // EINVAL: SIGKILL, SIGSTOP and the two that the C library keeps for itself.
        if (sigaction(number, &action, NULL) < 0 && errno != EINVAL) give_up(report, POUCH_STEP_SIGNALS, errno);
    }
    sigset_t none;
    sigemptyset(&none);
    if (sigprocmask(SIG_SETMASK, &none, NULL) < 0) give_up(report, POUCH_STEP_SIGNALS, errno);
}

// Groups first, uid last: each step needs the rights that the last one gives away.
static void become(const struct pouch_spawn_request *request, int report)
{
    uid_t uid = request->uid, real_uid, effective_uid, saved_uid;
    gid_t gid = request->gid, real_gid, effective_gid, saved_gid;
    if (setgroups(request->group_count, request->groups) < 0) give_up(report, POUCH_STEP_GROUPS, errno);
    if (setresgid(gid, gid, gid) < 0) give_up(report, POUCH_STEP_GID, errno);
    if (setresuid(uid, uid, uid) < 0) give_up(report, POUCH_STEP_UID, errno);
    if (getresuid(&real_uid, &effective_uid, &saved_uid) < 0) give_up(report, POUCH_STEP_VERIFY, errno);
    if (getresgid(&real_gid, &effective_gid, &saved_gid) < 0) give_up(report, POUCH_STEP_VERIFY, errno);
    if (real_uid != uid || effective_uid != uid || saved_uid != uid) give_up(report, POUCH_STEP_VERIFY, EPERM);
    if (real_gid != gid || effective_gid != gid || saved_gid != gid) give_up(report, POUCH_STEP_VERIFY, EPERM);
    if (uid != 0 && setuid(0) == 0) give_up(report, POUCH_STEP_VERIFY, EPERM);
}

static _Noreturn void run_child(const struct pouch_spawn_request *request, int report, pid_t parent)
{
    if (request->group == POUCH_GROUP_NEW && setpgid(0, 0) < 0) give_up(report, POUCH_STEP_GROUP, errno);
    if (request->group == POUCH_SESSION_NEW && setsid() < 0) give_up(report, POUCH_STEP_GROUP, errno);
    place_descriptors(request, &report);
    reset_signals(report);
    if (request->set_identity) become(request, report);
    if (request->directory && chdir(request->directory) < 0) give_up(report, POUCH_STEP_DIRECTORY, errno);
    if (request->death_signal) {
        // After the change of identity, which clears it. The parent may have died before it was set.
        if (prctl(PR_SET_PDEATHSIG, request->death_signal) < 0) give_up(report, POUCH_STEP_DEATH_SIGNAL, errno);
        if (getppid() != parent) give_up(report, POUCH_STEP_DEATH_SIGNAL, ESRCH);
    }
    if (request->pid_digits) write_pid(request->pid_digits);
    execve(request->path, request->argv, request->envp);
    give_up(report, POUCH_STEP_EXEC, errno);
}

static int is_valid(const struct pouch_spawn_request *request)
{
    if (request->pairs > POUCH_SPAWN_PAIRS) return 0;
    for (size_t i = 0; i < request->pairs; i++) {
        if (request->from[i] < 0 || request->to[i] < 0 || request->to[i] > 65535) return 0;
        for (size_t j = 0; j < i; j++) {
            if (request->to[j] == request->to[i]) return 0;
        }
    }
    return 1;
}

static pid_t failed(struct pouch_spawn_failure *failure, int step, int error)
{
    failure->step = step;
    failure->error = error;
    return -1;
}

// Ends at end of file: execve closed the child's side, so the child runs.
static pid_t await_exec(pid_t child, int report, struct pouch_spawn_failure *failure)
{
    struct pouch_spawn_failure told;
    size_t got = 0;
    while (got < sizeof told) {
        ssize_t count = read(report, (char *)&told + got, sizeof told - got);
        if (count < 0 && errno == EINTR) continue;
        if (count <= 0) break;
        got += (size_t)count;
    }
    close(report);
    if (got < sizeof told) return child;
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {}
    return failed(failure, told.step, told.error);
}

pid_t pouch_spawn(const struct pouch_spawn_request *request, struct pouch_spawn_failure *failure)
{
    int report[2];
    sigset_t all, before;
    if (!is_valid(request)) return failed(failure, POUCH_STEP_REQUEST, EINVAL);
    if (pipe2(report, O_CLOEXEC) < 0) return failed(failure, POUCH_STEP_PIPE, errno);
    // No handler of the parent may run in the child before its dispositions are reset.
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    pid_t parent = getpid();
    pid_t child = fork();
    int error = errno;
    if (child == 0) run_child(request, report[1], parent);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(report[1]);
    if (child < 0) {
        close(report[0]);
        return failed(failure, POUCH_STEP_FORK, error);
    }
    return await_exec(child, report[0], failure);
}

pid_t pouch_wait(pid_t pid, int no_wait, int *code, int *signalled)
{
    int status = 0;
    pid_t ended;
    do {
        ended = waitpid(pid, &status, no_wait ? WNOHANG : 0);
    } while (ended < 0 && errno == EINTR);
    *signalled = ended > 0 && WIFSIGNALED(status);
    *code = *signalled ? WTERMSIG(status) : WEXITSTATUS(status);
    return ended;
}

int pouch_signal_descriptor(const int *signals, size_t count)
{
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < count; i++) {
        if (sigaddset(&set, signals[i]) < 0) return -1;
    }
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int pouch_next_signal(int descriptor)
{
    struct signalfd_siginfo info;
    ssize_t count;
    do {
        count = read(descriptor, &info, sizeof info);
    } while (count < 0 && errno == EINTR);
    if (count == (ssize_t)sizeof info) return (int)info.ssi_signo;
    if (count < 0 && errno == EAGAIN) return 0;
    if (count >= 0) errno = EIO;
    return -1;
}

int pouch_peer_credentials(int descriptor, pid_t *pid, uid_t *uid, gid_t *gid)
{
    struct ucred peer;
    socklen_t length = sizeof peer;
    if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &length) < 0) return -1;
    *pid = peer.pid;
    *uid = peer.uid;
    *gid = peer.gid;
    return 0;
}

int pouch_accept(int listener) { return accept4(listener, NULL, NULL, SOCK_CLOEXEC); }

int pouch_make_undumpable(void) { return prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); }

void pouch_set_file_identity(uid_t uid, gid_t gid)
{
    // The group first: with another's uid it could not be taken any more, and the uid first on the way back.
    if (uid == geteuid())
        setfsuid(uid);
    setfsgid(gid);
    setfsuid(uid);
}

int pouch_is_dumpable(void) { return prctl(PR_GET_DUMPABLE, 0, 0, 0, 0); }

char *const *pouch_environment(void) { return environ; }
