// Owns: one DNS question and the reading of its answer. Refuses: search lists, caches, choosing among records.
//
// res_nquery is taken apart into its two halves, because it hides the answer of a server that knows no record, and
// with it the difference between a failing server and none, and how long "no" may be kept.

#include "clinux.h"

#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <netinet/in.h>
#include <resolv.h>
#include <stdlib.h>
#include <string.h>

// Records looked at in one section, whatever the packet claims.
enum { MAX_RECORDS = 512 };

// glibc keeps IPv6 servers as allocations in an extension; res_nclose frees as many as it counts.
static void forget_servers(res_state state)
{
    for (int i = 0; i < MAXNS; i++) {
        free(state->_u._ext.nsaddrs[i]);
        state->_u._ext.nsaddrs[i] = NULL;
        state->_u._ext.nssocks[i] = -1;
    }
    state->_u._ext.nscount = 0;
    state->nscount = 0;
}

// Makes `text` the only server of this state.
static int use_server(res_state state, const char *text, uint16_t port)
{
    forget_servers(state);
    struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
        state->nscount = 1;
        state->nsaddr_list[0] = v4;
        return 0;
    }
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    if (inet_pton(AF_INET6, text, &v6.sin6_addr) != 1)
        return -1;
    state->_u._ext.nsaddrs[0] = malloc(sizeof v6);
    if (state->_u._ext.nsaddrs[0] == NULL)
        return -1;
    *state->_u._ext.nsaddrs[0] = v6;
    state->_u._ext.nscount = 1;
    state->nscount = 1;
    state->nsaddr_list[0].sin_family = 0;
    return 0;
}

// When every server failed, res_nsend says -1 and leaves the last datagram where the answer would be.
static enum pouch_dns_status why_none(const unsigned char *answer, const unsigned char *question)
{
    HEADER last, asked;
    memcpy(&last, answer, sizeof last);
    memcpy(&asked, question, sizeof asked);
    int failed = last.id == asked.id && last.qr && last.rcode != ns_r_noerror;
    return failed ? POUCH_DNS_SERVER_FAILURE : POUCH_DNS_NO_ANSWER;
}

static enum pouch_dns_status of_reply_code(const unsigned char *answer)
{
    HEADER header;
    memcpy(&header, answer, sizeof header);
    switch (header.rcode) {
    case ns_r_noerror: return POUCH_DNS_ANSWERED;
    case ns_r_nxdomain: return POUCH_DNS_NO_SUCH_NAME;
    default: return POUCH_DNS_SERVER_FAILURE;
    }
}

static enum pouch_dns_status ask(res_state state, const char *name, uint16_t type, unsigned char *answer,
                                 size_t capacity, size_t *length)
{
    unsigned char question[NS_PACKETSZ];
    int size = res_nmkquery(state, ns_o_query, name, ns_c_in, type, NULL, 0, NULL, question, sizeof question);
    if (size < (int)sizeof(HEADER))
        return POUCH_DNS_BAD_NAME;
    memset(answer, 0, sizeof(HEADER));
    int got = res_nsend(state, question, size, answer, (int)capacity);
    if (got < 0)
        return why_none(answer, question);
    if (got < (int)sizeof(HEADER) || (size_t)got > capacity)
        return POUCH_DNS_MALFORMED;
    enum pouch_dns_status status = of_reply_code(answer);
    if (status != POUCH_DNS_SERVER_FAILURE)
        *length = (size_t)got;
    return status;
}

enum pouch_dns_status pouch_dns_ask(const char *name, uint16_t type, const char *server, uint16_t port,
                                    int timeout_seconds, int attempts, unsigned char *answer, size_t capacity,
                                    size_t *length)
{
    *length = 0;
    if (capacity < NS_PACKETSZ || capacity > POUCH_DNS_ANSWER_SIZE)
        return POUCH_DNS_MALFORMED;
    struct __res_state state;
    memset(&state, 0, sizeof state);
    if (res_ninit(&state) != 0)
        return POUCH_DNS_NO_RESOLVER;
    state.retrans = timeout_seconds;
    state.retry = attempts;
    enum pouch_dns_status status = POUCH_DNS_NO_RESOLVER;
    if (server == NULL || use_server(&state, server, port) == 0)
        status = ask(&state, name, type, answer, capacity, length);
    res_nclose(&state);
    return status;
}

// Reads a name inside rdata; it must end where the rdata ends.
static int read_target(const ns_msg *message, const ns_rr *rr, size_t offset, char *target)
{
    if (ns_rr_rdlen(*rr) <= offset)
        return -1;
    const unsigned char *name = ns_rr_rdata(*rr) + offset;
    int used = dn_expand(ns_msg_base(*message), ns_msg_end(*message), name, target, POUCH_DNS_NAME_SIZE);
    return used >= 0 && (size_t)used + offset == ns_rr_rdlen(*rr) ? 0 : -1;
}

// 1: a record that we know; 0: another kind; -1: damaged.
static int read_record(const ns_msg *message, const ns_rr *rr, pouch_dns_record *record)
{
    memset(record, 0, sizeof *record);
    record->type = ns_rr_type(*rr);
    record->ttl = ns_rr_ttl(*rr);
    strncpy(record->owner, ns_rr_name(*rr), sizeof record->owner - 1);
    if (strcmp(record->owner, ".") == 0)
        record->owner[0] = 0;
    if (ns_rr_class(*rr) != ns_c_in)
        return 0;
    size_t length = ns_rr_rdlen(*rr);
    switch (record->type) {
    case POUCH_DNS_A:
    case POUCH_DNS_AAAA:
        if (length != (record->type == POUCH_DNS_A ? 4 : 16))
            return -1;
        memcpy(record->address, ns_rr_rdata(*rr), length);
        return 1;
    case POUCH_DNS_CNAME:
    case POUCH_DNS_PTR:
        return read_target(message, rr, 0, record->target) == 0 ? 1 : -1;
    case POUCH_DNS_MX:
        if (length < 3)
            return -1;
        record->preference = (uint16_t)ns_get16(ns_rr_rdata(*rr));
        return read_target(message, rr, 2, record->target) == 0 ? 1 : -1;
    default:
        return 0;
    }
}

// RFC 2308 §5: the smaller of the SOA record's own TTL and its last field.
static uint32_t read_negative_ttl(ns_msg *message)
{
    int total = ns_msg_count(*message, ns_s_ns);
    for (int i = 0; i < total && i < MAX_RECORDS; i++) {
        ns_rr rr;
        if (ns_parserr(message, ns_s_ns, i, &rr) != 0)
            return 0;
        if (ns_rr_type(rr) != ns_t_soa || ns_rr_rdlen(rr) < 22)
            continue;
        uint32_t minimum = (uint32_t)ns_get32(ns_rr_rdata(rr) + ns_rr_rdlen(rr) - 4);
        return minimum < ns_rr_ttl(rr) ? minimum : ns_rr_ttl(rr);
    }
    return 0;
}

enum pouch_dns_status pouch_dns_read(const unsigned char *packet, size_t length, pouch_dns_record *records,
                                     size_t capacity, size_t *count, uint32_t *negative_ttl)
{
    *count = 0;
    *negative_ttl = 0;
    ns_msg message;
    if (length < sizeof(HEADER) || length > POUCH_DNS_ANSWER_SIZE || ns_initparse(packet, (int)length, &message) != 0)
        return POUCH_DNS_MALFORMED;
    int total = ns_msg_count(message, ns_s_an);
    for (int i = 0; i < total && i < MAX_RECORDS && *count < capacity; i++) {
        ns_rr rr;
        if (ns_parserr(&message, ns_s_an, i, &rr) != 0)
            return POUCH_DNS_MALFORMED;
        int known = read_record(&message, &rr, &records[*count]);
        if (known < 0)
            return POUCH_DNS_MALFORMED;
        *count += (size_t)known;
    }
    *negative_ttl = read_negative_ttl(&message);
    return of_reply_code(packet);
}
