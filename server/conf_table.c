/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include "conf_table.h"

#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "nearest.h"
#include "proto/endpoint.h"
#include "proto/key.h"

#ifndef TRYST_STATE_DIR
#define TRYST_STATE_DIR "/var/lib/tryst"
#endif
#ifndef TRYST_RUN_DIR
#define TRYST_RUN_DIR "/run/tryst"
#endif

static const char *check_port(const char *text)
{
    size_t len = strlen(text);

    /* No leading zero, so that two spellings of one port cannot stand in a list. */
    if (len == 0 || len > 5 || strspn(text, "0123456789") != len || text[0] == '0' ||
        strtol(text, NULL, 10) > 65535)
        return "is not a port; 1 to 65535 would be right";
    return NULL;
}

static const char *check_address(const char *text)
{
    struct endpoint e;

    if (endpoint_parse(text, 0, &e) == 0)
        return "has a port; the address alone would be right, ports go into option 'port'";
    if (endpoint_parse(text, 1, &e))
        return "is not a numeric address; 192.0.2.1 or 2001:db8::1, for example, would be right";
    return NULL;
}

static const char *check_host(const char *text)
{
    struct server_url url = {.port = SERVER_PORT_DEFAULT}, back;
    char out[SERVER_URL_SIZE];

    if (!*text)
        return NULL;
    url.key[0] = 1;
    snprintf(url.host, sizeof(url.host), "%s", text);
    /* The judge is the parser that clients will use. */
    if (server_url_parse(server_url_format(&url, out), &back) || strcmp(back.host, text) != 0)
        return "does not fit into a URL; a host name or an address without brackets would be right";
    return NULL;
}

static const char *check_socket(const char *text)
{
    if (!*text)
        return "is empty; the path of a socket would be right";
    if (strlen(text) >= sizeof(((struct sockaddr_un *)0)->sun_path))
        return "is too long for a Unix socket; 107 characters at most would be right";
    return NULL;
}

static const char *check_directory(const char *text)
{
    return *text ? NULL : "is empty; the path of a directory would be right";
}

static const char *check_metrics(const char *text)
{
    struct endpoint e;

    if (!*text)
        return NULL;
#ifndef HAVE_MICROHTTPD
    return "cannot be served: this trystd was built without libmicrohttpd; \"\" would be right";
#endif
    return endpoint_parse(text, 0, &e) == 0 && e.port
               ? NULL
               : "is no address with a port; 127.0.0.1:9382 or [::1]:9382 would be right";
}

static const char *(*const checks[CONF_OPTIONS])(const char *) = {
    [CONF_OPTION_listen] = check_address,      [CONF_OPTION_port] = check_port,
    [CONF_OPTION_public_host] = check_host,    [CONF_OPTION_state_dir] = check_directory,
    [CONF_OPTION_admin_socket] = check_socket, [CONF_OPTION_metrics_listen] = check_metrics,
};

const char *conf_row_judge(const struct conf_row *row, const char *text)
{
    return checks[row->option] ? checks[row->option](text) : NULL;
}

#define RANGE_INT(low, high)       .least = (low), .most = (high)
#define RANGE_MSEC(low, high)      .least = (low), .most = (high)
#define RANGE_SEC(low, high)       .least = (low), .most = (high)
#define RANGE_LIST(low, high)      .least = (low), .most = (high)
#define RANGE_BOOL(low, high)      .words = NULL
#define RANGE_TEXT(low, high)      .words = NULL
#define RANGE_CHOICE(list, unused) .words = (list)

const struct conf_row conf_rows[CONF_OPTIONS] = {
#define OPTION(KIND, word, field, value, low, high, WHEN, what)                                    \
    {.option = CONF_OPTION_##field,                                                                \
     .kind = CONF_K_##KIND,                                                                        \
     .name = (word),                                                                               \
     .offset = offsetof(struct conf, field),                                                       \
     .size = sizeof(((struct conf *)0)->field),                                                    \
     .when = CONF_##WHEN,                                                                          \
     .text = value,                                                                                \
     RANGE_##KIND(low, high),                                                                      \
     .help = (what)},
#include "options.def"
#undef OPTION
};

const struct conf_row *conf_row_find(const char *name)
{
    for (unsigned i = 0; i < CONF_OPTIONS; i++)
        if (strcmp(conf_rows[i].name, name) == 0)
            return &conf_rows[i];
    return NULL;
}

void conf_row_unknown(const char *name, char *err, size_t err_size)
{
    const char *names[CONF_OPTIONS];

    for (unsigned i = 0; i < CONF_OPTIONS; i++)
        names[i] = conf_rows[i].name;
    const char *near = nearest(name, names, CONF_OPTIONS);
    if (near)
        snprintf(err, err_size, "unknown option '%.64s'; did you mean '%s'?", name, near);
    else
        snprintf(err, err_size, "unknown option '%.64s'; trystd.conf(5) lists them all", name);
}
