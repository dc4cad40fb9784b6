/* SPDX-License-Identifier: ISC */
#include "endpoint.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

struct endpoint endpoint_none(void)
{
    return (struct endpoint){.family = 0};
}

bool endpoint_is_none(const struct endpoint *e)
{
    return e->family == 0;
}

bool endpoint_same_address(const struct endpoint *a, const struct endpoint *b)
{
    return a->family == b->family && memcmp(a->address, b->address, sizeof(a->address)) == 0;
}

bool endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
    return endpoint_same_address(a, b) && a->port == b->port;
}

struct endpoint endpoint_with_port(struct endpoint e, uint16_t port)
{
    e.port = port;
    return e;
}

static struct endpoint from_v4(const void *address, uint16_t port)
{
    struct endpoint e = {.family = 4, .port = port};

    memcpy(e.address, address, 4);
    return e;
}

static struct endpoint from_v6(const uint8_t address[16], uint16_t port)
{
    struct endpoint e = {.family = 6, .port = port};

    if (memcmp(address, mapped_prefix, sizeof(mapped_prefix)) == 0)
        return from_v4(address + sizeof(mapped_prefix), port);
    memcpy(e.address, address, 16);
    return e;
}

const char *endpoint_format_address(const struct endpoint *e, char out[ENDPOINT_TEXT_SIZE])
{
    if (e->family == 4)
        inet_ntop(AF_INET, e->address, out, ENDPOINT_TEXT_SIZE);
    else if (e->family == 6)
        inet_ntop(AF_INET6, e->address, out, ENDPOINT_TEXT_SIZE);
    else
        memcpy(out, "none", sizeof("none"));
    return out;
}

const char *endpoint_format(const struct endpoint *e, char out[ENDPOINT_TEXT_SIZE])
{
    char address[INET6_ADDRSTRLEN];

    if (e->family == 4) {
        inet_ntop(AF_INET, e->address, address, sizeof(address));
        snprintf(out, ENDPOINT_TEXT_SIZE, "%s:%u", address, (unsigned)e->port);
    } else if (e->family == 6) {
        inet_ntop(AF_INET6, e->address, address, sizeof(address));
        snprintf(out, ENDPOINT_TEXT_SIZE, "[%s]:%u", address, (unsigned)e->port);
    } else {
        memcpy(out, "none", sizeof("none"));
    }
    return out;
}

/* Decimal digits only, no sign, no leading zero, at most 65535. Returns -1 for anything else. */
static int parse_port(const char *text)
{
    int port = 0;

    if (text[0] == '\0' || (text[0] == '0' && text[1] != '\0'))
        return -1;
    for (; *text; text++) {
        if (*text < '0' || *text > '9')
            return -1;
        port = port * 10 + (*text - '0');
        if (port > 65535)
            return -1;
    }
    return port;
}

static int parse_address(const char *text, size_t len, uint16_t port, struct endpoint *out)
{
    char address[INET6_ADDRSTRLEN];
    uint8_t bytes[16];

    if (len >= sizeof(address))
        return -1;
    memcpy(address, text, len);
    address[len] = '\0';
    if (inet_pton(AF_INET, address, bytes) == 1)
        *out = from_v4(bytes, port);
    else if (inet_pton(AF_INET6, address, bytes) == 1)
        *out = from_v6(bytes, port);
    else
        return -1;
    return 0;
}

int endpoint_parse(const char *text, uint16_t default_port, struct endpoint *out)
{
    const char *start = text, *end, *colon = strrchr(text, ':');
    int port = default_port ? default_port : -1;

    if (text[0] == '[') {
        start++;
        end = strchr(text, ']');
        if (!end || memchr(start, ':', (size_t)(end - start)) == NULL)
            return -1;
        if (end[1] == ':')
            port = parse_port(end + 2);
        else if (end[1] != '\0')
            return -1;
    } else if (colon && strchr(text, ':') == colon) {
        end = colon;
        port = parse_port(colon + 1);
    } else {
        /* No colon, or several: an address without a port. */
        end = text + strlen(text);
    }
    if (port < 0)
        return -1;
    return parse_address(start, (size_t)(end - start), (uint16_t)port, out);
}

int endpoint_from_sockaddr(const struct sockaddr *sa, struct endpoint *out)
{
    /* Copies, because sa need not be aligned for the larger types. */
    if (sa->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, sa, sizeof(in));
        *out = from_v4(&in.sin_addr, ntohs(in.sin_port));
        return 0;
    }
    if (sa->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, sa, sizeof(in6));
        *out = from_v6(in6.sin6_addr.s6_addr, ntohs(in6.sin6_port));
        return 0;
    }
    return -1;
}

socklen_t endpoint_to_sockaddr(const struct endpoint *e, struct sockaddr_storage *out)
{
    memset(out, 0, sizeof(*out));
    if (e->family == 4) {
        struct sockaddr_in *in = (struct sockaddr_in *)out;
        in->sin_family = AF_INET;
        in->sin_port = htons(e->port);
        memcpy(&in->sin_addr, e->address, 4);
        return sizeof(*in);
    }
    if (e->family == 6) {
        struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;
        in6->sin6_family = AF_INET6;
        in6->sin6_port = htons(e->port);
        memcpy(&in6->sin6_addr, e->address, 16);
        return sizeof(*in6);
    }
    return 0;
}

enum scope { SCOPE_UNUSABLE, SCOPE_LOOPBACK, SCOPE_PRIVATE, SCOPE_GLOBAL };

struct block {
    uint32_t network;
    unsigned bits;
    enum scope scope;
};

/* RFC 6890 and its registry, less the documentation ranges, which laboratories use as public. */
static const struct block v4_blocks[] = {
    {0x00000000, 8, SCOPE_UNUSABLE},  /* "this" network */
    {0x0a000000, 8, SCOPE_PRIVATE},   /* 10/8 */
    {0x64400000, 10, SCOPE_UNUSABLE}, /* 100.64/10, between a carrier's NAT and its customers */
    {0x7f000000, 8, SCOPE_LOOPBACK},  /* 127/8 */
    {0xa9fe0000, 16, SCOPE_UNUSABLE}, /* 169.254/16, link-local */
    {0xac100000, 12, SCOPE_PRIVATE},  /* 172.16/12 */
    {0xc0000000, 24, SCOPE_UNUSABLE}, /* 192.0.0/24, protocol assignments */
    {0xc0a80000, 16, SCOPE_PRIVATE},  /* 192.168/16 */
    {0xc6120000, 15, SCOPE_UNUSABLE}, /* 198.18/15, benchmarks; made-up addresses of proxies */
    {0xe0000000, 3, SCOPE_UNUSABLE},  /* multicast, reserved, broadcast */
};

static enum scope v4_scope(const uint8_t a[4])
{
    uint32_t address = (uint32_t)a[0] << 24 | (uint32_t)a[1] << 16 | (uint32_t)a[2] << 8 | a[3];

    for (size_t i = 0; i < sizeof(v4_blocks) / sizeof(v4_blocks[0]); i++)
        if ((address ^ v4_blocks[i].network) >> (32 - v4_blocks[i].bits) == 0)
            return v4_blocks[i].scope;
    return SCOPE_GLOBAL;
}

static enum scope v6_scope(const uint8_t a[16])
{
    static const uint8_t loopback[16] = {[15] = 1};

    if (memcmp(a, loopback, sizeof(loopback)) == 0)
        return SCOPE_LOOPBACK;
    if ((a[0] & 0xfe) == 0xfc)
        return SCOPE_PRIVATE; /* fc00::/7, unique local */
    if ((a[0] & 0xe0) == 0x20)
        return SCOPE_GLOBAL; /* 2000::/3, all that is assigned for global unicast */
    return SCOPE_UNUSABLE;
}

static enum scope endpoint_scope(const struct endpoint *e)
{
    if (e->family == 4)
        return v4_scope(e->address);
    if (e->family == 6)
        return v6_scope(e->address);
    return SCOPE_UNUSABLE;
}

bool endpoint_is_global(const struct endpoint *e)
{
    return endpoint_scope(e) == SCOPE_GLOBAL;
}

bool endpoint_is_loopback(const struct endpoint *e)
{
    return endpoint_scope(e) == SCOPE_LOOPBACK;
}

bool endpoint_is_host_candidate(const struct endpoint *e)
{
    enum scope scope = endpoint_scope(e);

    return scope == SCOPE_PRIVATE || scope == SCOPE_GLOBAL;
}
