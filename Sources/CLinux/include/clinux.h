// The few calls that Swift cannot make itself: variadic system calls, resolver macros, fork and exec in one go.
#ifndef CLINUX_H
#define CLINUX_H

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

enum { POUCH_DNS_A = 1, POUCH_DNS_CNAME = 5, POUCH_DNS_MX = 15, POUCH_DNS_AAAA = 28 };
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
