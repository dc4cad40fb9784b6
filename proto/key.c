/* SPDX-License-Identifier: ISC */
#include "key.h"

#include <arpa/inet.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>

#define URL_SCHEME "tryst://"

int key_from_secret(const uint8_t secret[KEY_SIZE], struct key_pair *out)
{
    struct key_pair pair;

    memcpy(pair.secret, secret, KEY_SIZE);
    int result = crypto_scalarmult_base(pair.public, pair.secret);
    if (result == 0 && key_is_zero(pair.public))
        result = -1;
    if (result == 0)
        *out = pair;
    sodium_memzero(&pair, sizeof(pair));
    return result == 0 ? 0 : -1;
}

void key_generate(const struct rng *rng, struct key_pair *out)
{
    uint8_t secret[KEY_SIZE];

    do {
        rng_fill(rng, secret, sizeof(secret));
        secret[0] &= 248;
        secret[31] = (uint8_t)((secret[31] & 127) | 64);
    } while (key_from_secret(secret, out));
    sodium_memzero(secret, sizeof(secret));
}

bool key_equal(const uint8_t a[KEY_SIZE], const uint8_t b[KEY_SIZE])
{
    return sodium_memcmp(a, b, KEY_SIZE) == 0;
}

bool key_is_zero(const uint8_t key[KEY_SIZE])
{
    return sodium_is_zero(key, KEY_SIZE) == 1;
}

const char *key_format(const uint8_t key[KEY_SIZE], char out[KEY_TEXT_SIZE])
{
    return sodium_bin2base64(out, KEY_TEXT_SIZE, key, KEY_SIZE, sodium_base64_VARIANT_ORIGINAL);
}

/* Only the one canonical spelling passes: libsodium refuses trailing bits and stray characters. */
static int parse_variant(const char *text, size_t len, int variant, uint8_t out[KEY_SIZE])
{
    size_t size = 0;

    if (sodium_base642bin(out, KEY_SIZE, text, len, NULL, &size, NULL, variant) != 0)
        return -1;
    return size == KEY_SIZE ? 0 : -1;
}

static int parse_key(const char *text, size_t len, uint8_t out[KEY_SIZE])
{
    static const int padded[] = {sodium_base64_VARIANT_ORIGINAL, sodium_base64_VARIANT_URLSAFE};
    static const int bare[] = {sodium_base64_VARIANT_ORIGINAL_NO_PADDING,
                               sodium_base64_VARIANT_URLSAFE_NO_PADDING};
    const int *variants = len == 44 ? padded : bare;
    uint8_t key[KEY_SIZE];
    unsigned high = 0;
    int result = -1;

    if (len != 43 && len != 44)
        return -1;
    /* libsodium 1.0.18 takes some characters beyond ASCII for '+' and '/'. */
    for (size_t i = 0; i < len; i++)
        high |= (unsigned char)text[i];
    if (high & 0x80)
        return -1;
    for (int i = 0; i < 2 && result; i++)
        result = parse_variant(text, len, variants[i], key);
    if (result == 0)
        memcpy(out, key, KEY_SIZE);
    sodium_memzero(key, sizeof(key));
    return result;
}

int key_parse(const char *text, uint8_t out[KEY_SIZE])
{
    return parse_key(text, strnlen(text, KEY_TEXT_SIZE), out);
}

static bool is_letter_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

int peer_name_parse(const char *text, char out[PEER_NAME_SIZE])
{
    size_t len = strnlen(text, PEER_NAME_SIZE);
    bool dot = false;

    if (len < 1 || len > PEER_NAME_MAX || !is_letter_or_digit(text[0]))
        return -1;
    for (size_t i = 0; i < len; i++) {
        if (!is_letter_or_digit(text[i]) && !strchr("-_.", text[i]))
            return -1;
        dot = dot || text[i] == '.';
    }
    /* 43 characters of URL-safe base64 look like a key, whether or not they are one. */
    if (len == 43 && !dot)
        return -1;
    for (size_t i = 0; i < len; i++)
        out[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] + ('a' - 'A') : text[i]);
    out[len] = '\0';
    return 0;
}

/* A DNS name or a dotted quad; what exactly it is, the resolver finds out. */
static bool is_host_name(const char *host, size_t len)
{
    if (len == 0 || len >= HOST_SIZE || !is_letter_or_digit(host[0]))
        return false;
    for (size_t i = 0; i < len; i++)
        if (!is_letter_or_digit(host[i]) && !strchr("-_.", host[i]))
            return false;
    return true;
}

static const char *parse_port(const char *text, uint16_t *port)
{
    unsigned value = 0;
    size_t digits = strspn(text, "0123456789");

    if (digits == 0 || digits > 5 || text[0] == '0' || text[digits] != '\0')
        return "the port of a server URL is a number from 1 to 65535";
    for (size_t i = 0; i < digits; i++)
        value = value * 10 + (unsigned)(text[i] - '0');
    if (value > 65535)
        return "the port of a server URL is a number from 1 to 65535";
    *port = (uint16_t)value;
    return NULL;
}

static const char *parse_host(const char *text, struct server_url *url)
{
    size_t len = strcspn(text, ":");
    const char *rest = text + len;

    if (text[0] == '[') {
        struct in6_addr address;
        const char *end = strchr(text, ']');
        len = end ? (size_t)(end - text - 1) : 0;
        if (len == 0 || len >= HOST_SIZE)
            return "the IPv6 address in a server URL stands in [brackets]";
        memcpy(url->host, text + 1, len);
        url->host[len] = '\0';
        if (inet_pton(AF_INET6, url->host, &address) != 1)
            return "what stands in [brackets] in a server URL must be an IPv6 address";
        rest = end + 1;
        if (*rest != '\0' && *rest != ':')
            return "a server URL ends after its port";
    } else {
        if (!is_host_name(text, len))
            return "a server URL names a host after '@': tryst://KEY@HOST:PORT";
        memcpy(url->host, text, len);
        url->host[len] = '\0';
        if (strchr(rest + (*rest == ':'), ':'))
            return "the IPv6 address in a server URL stands in [brackets]";
    }
    url->port = SERVER_PORT_DEFAULT;
    return *rest == ':' ? parse_port(rest + 1, &url->port) : NULL;
}

const char *server_url_parse(const char *text, struct server_url *out)
{
    struct server_url url;
    char host[SERVER_URL_SIZE];

    memset(&url, 0, sizeof(url));
    if (strncmp(text, URL_SCHEME, strlen(URL_SCHEME)) != 0)
        return "a server URL begins with tryst://";
    text += strlen(URL_SCHEME);
    const char *at = strchr(text, '@');
    if (!at)
        return "the server's key is missing from its URL: tryst://KEY@HOST:PORT";
    if (parse_key(text, (size_t)(at - text), url.key) || key_is_zero(url.key))
        return "what stands before '@' in a server URL must be the server's key in base64";

    /* People copy URLs with a slash at the end. */
    size_t len = strlen(at + 1);
    if (len > 0 && at[len] == '/')
        len--;
    if (len >= sizeof(host))
        return "the server URL is too long";
    memcpy(host, at + 1, len);
    host[len] = '\0';
    const char *wrong = parse_host(host, &url);
    if (!wrong)
        *out = url;
    return wrong;
}

const char *server_url_format(const struct server_url *url, char out[SERVER_URL_SIZE])
{
    char key[KEY_TEXT_SIZE];
    bool v6 = strchr(url->host, ':') != NULL;

    sodium_bin2base64(key, sizeof(key), url->key, KEY_SIZE,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    snprintf(out, SERVER_URL_SIZE, URL_SCHEME "%s@%s%s%s:%u", key, v6 ? "[" : "", url->host,
             v6 ? "]" : "", (unsigned)url->port);
    return out;
}
