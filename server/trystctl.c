/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include "trystctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "admin_spec.h"
#include "conf.h"

#ifndef PACKAGE_VERSION
#define PACKAGE_VERSION "unknown"
#endif

/* The command line, and the one request that it becomes. */

enum { STATUS_OK, STATUS_USAGE, STATUS_UNREACHABLE, STATUS_REFUSED };

#define ANSWER_MOST ((size_t)256 << 20)
#define WORDS_MAX   64

struct invocation {
    bool json, help, version;
    const char *socket;
    char *words[WORDS_MAX];
    size_t count;
};

struct reply {
    char *bytes;
    size_t len, size;
};

__attribute__((format(printf, 1, 2))) static void complain(const char *format, ...)
{
    va_list args;

    fputs("trystctl: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

static const char *default_socket(void)
{
    static struct conf conf;

    conf_init_defaults(&conf);
    return conf.admin_socket;
}

/* --- help --- */

static const char *usage_of(const struct admin_spec *spec)
{
    return ctl_format("%s%s%s", spec->name, *spec->usage ? " " : "", spec->usage);
}

static void print_help(void)
{
    puts("usage: trystctl [--json] [--admin-socket PATH] COMMAND [ARGUMENT...]\n\n"
         "Asks a running trystd.\n");
    for (size_t i = 0; i < ADMIN_COMMANDS; i++)
        printf("  %s\n      %s\n", usage_of(&admin_specs[i]), admin_specs[i].help);
    printf("\n  --json               print the daemon's answer as it is, one line of JSON\n"
           "  --admin-socket PATH  where the daemon listens (default %s)\n"
           "  --help, --version    also 'trystctl COMMAND --help'\n\n"
           "Exit status: 0 done, 1 wrong usage, 2 daemon not reachable, 3 the daemon refused.\n"
           "trystctl(1) says more.\n",
           default_socket());
}

static void print_command_help(const struct admin_spec *spec)
{
    printf("usage: trystctl %s\n\n%s\n", usage_of(spec), spec->help);
    for (const struct admin_arg *a = spec->args; a->kind != ADMIN_ARG_NONE; a++) {
        bool word = a->kind == ADMIN_WORD || a->kind == ADMIN_NEEDED;
        printf("%s  %-12s %s\n", a == spec->args ? "\n" : "",
               ctl_format("%s%s", word ? "" : "--", a->name), a->help);
    }
}

/* --- the command line --- */

/* Options of trystctl itself may stand anywhere before "--". Returns 0, or -1 after a complaint. */
static int parse_words(int argc, char **argv, struct invocation *in)
{
    bool bare = false;

    in->socket = default_socket();
    for (int i = 1; i < argc; i++) {
        const char *w = argv[i];
        if (!bare && strcmp(w, "--json") == 0) {
            in->json = true;
        } else if (!bare && (strcmp(w, "--help") == 0 || strcmp(w, "-h") == 0)) {
            in->help = true;
        } else if (!bare && strcmp(w, "--version") == 0) {
            in->version = true;
        } else if (!bare && strncmp(w, "--admin-socket=", 15) == 0) {
            in->socket = w + 15;
        } else if (!bare && strcmp(w, "--admin-socket") == 0) {
            if (++i == argc) {
                complain("--admin-socket needs a path");
                return -1;
            }
            in->socket = argv[i];
        } else if (in->count == WORDS_MAX) {
            complain("more than %d words", WORDS_MAX);
            return -1;
        } else {
            bare |= strcmp(w, "--") == 0;
            in->words[in->count++] = argv[i];
        }
    }
    if (in->count > 0 && in->words[0][0] == '-') {
        complain("there is no option %s; try 'trystctl --help'", in->words[0]);
        return -1;
    }
    return 0;
}

/* --- the socket --- */

static int unreachable(const char *path)
{
    if (errno == EACCES || errno == EPERM)
        complain(
            "%s: permission denied; run it as root, as the daemon's user, or as a member of the"
            " socket's group",
            path);
    else if (errno == ENOENT || errno == ECONNREFUSED)
        complain("no trystd answers at %s; start it ('systemctl start trystd'), or name its socket"
                 " with --admin-socket",
                 path);
    else
        complain("%s: %s", path, strerror(errno));
    return -1;
}

static int open_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    if (strlen(path) >= sizeof(address.sun_path)) {
        complain("%s: the path is too long for a socket", path);
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path) + 1);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address))) {
        unreachable(path);
        if (fd >= 0)
            close(fd);
        return -1;
    }
    return fd;
}

static int send_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        bytes += n;
        len -= (size_t)n;
    }
    return 0;
}

static int grow(struct reply *r)
{
    if (r->len + 1 < r->size)
        return 0;
    size_t size = r->size ? r->size * 2 : 16384;
    char *bytes = size <= ANSWER_MOST ? realloc(r->bytes, size) : NULL;
    if (!bytes)
        return -1;
    r->bytes = bytes;
    r->size = size;
    return 0;
}

/* One line, without its end, terminated. 0 or -1. */
static int receive_line(int fd, struct reply *r)
{
    for (;;) {
        if (grow(r))
            return -1;
        ssize_t n = recv(fd, r->bytes + r->len, r->size - r->len - 1, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        char *end = memchr(r->bytes + r->len, '\n', (size_t)n);
        r->len += (size_t)n;
        if (end) {
            *end = '\0';
            return 0;
        }
    }
}

/* The answer's line to one request. Returns 0, or -1 after a complaint. */
static int ask(const char *path, json_t *request, struct reply *r)
{
    char *text = json_dumps(request, JSON_COMPACT);
    int fd = text ? open_socket(path) : -1, bad = -1;

    if (fd >= 0) {
        /* A refusal may come before the request is out. */
        (void)(send_all(fd, text, strlen(text)) || send_all(fd, "\n", 1));
        bad = receive_line(fd, r);
        if (bad)
            complain("%s: the daemon ended the connection without an answer", path);
        close(fd);
    }
    free(text);
    return bad;
}

/* --- answers --- */

static void print_url(const json_t *answer)
{
    puts(ctl_text(answer, "url"));
}

static void print_level(const json_t *answer)
{
    puts(ctl_text(answer, "level"));
}

static void print_nats(const json_t *answer)
{
    if (ctl_has(answer, "observations"))
        ctl_print_nat(answer);
    else
        ctl_print_nats(answer);
}

/* What has nothing to say says nothing. */
static void (*const printers[ADMIN_COMMANDS])(const json_t *) = {
    [ADMIN_STATUS] = ctl_print_status,
    [ADMIN_PEERS] = ctl_print_peers,
    [ADMIN_SESSIONS] = ctl_print_sessions,
    [ADMIN_SESSION] = ctl_print_session,
    [ADMIN_NATS] = print_nats,
    [ADMIN_URL] = print_url,
    [ADMIN_INVITE] = print_url,
    [ADMIN_LOG_LEVEL] = print_level,
    [ADMIN_HELP] = ctl_print_help,
};

static int print_answer(const struct invocation *in, const struct admin_spec *spec,
                        const char *line)
{
    json_error_t where;
    json_t *answer = json_loads(line, 0, &where);
    int status = STATUS_OK;

    if (!json_is_object(answer)) {
        complain("the daemon's answer is not JSON: %s", where.text);
        status = STATUS_REFUSED;
    } else if (in->json) {
        puts(line);
        status = ctl_true(answer, "ok") ? STATUS_OK : STATUS_REFUSED;
    } else if (!ctl_true(answer, "ok")) {
        complain("%s", ctl_text(answer, "error"));
        status = STATUS_REFUSED;
    } else if (ctl_int(answer, "schema") != ADMIN_SCHEMA) {
        complain("the daemon answers with schema %d, this trystctl knows %d; use --json, or the"
                 " trystctl of the same version",
                 (int)ctl_int(answer, "schema"), ADMIN_SCHEMA);
        status = STATUS_REFUSED;
    } else if (printers[spec - admin_specs]) {
        printers[spec - admin_specs](answer);
    }
    json_decref(answer);
    return status;
}

static int run(const struct invocation *in)
{
    char err[256];
    struct reply reply = {0};
    const struct admin_spec *spec = admin_spec_find(in->words[0], err, sizeof(err));

    if (!spec) {
        complain("%s", err);
        return STATUS_USAGE;
    }
    if (in->help) {
        print_command_help(spec);
        return STATUS_OK;
    }
    json_t *args = admin_args_parse(spec, in->words + 1, in->count - 1, err, sizeof(err));
    if (!args) {
        complain("%s", err);
        return STATUS_USAGE;
    }
    json_t *request = json_pack("{s:s, s:o}", "command", spec->name, "args", args);
    int status = STATUS_UNREACHABLE;
    if (request && ask(in->socket, request, &reply) == 0)
        status = print_answer(in, spec, reply.bytes);
    json_decref(request);
    free(reply.bytes);
    return status;
}

int main(int argc, char **argv)
{
    struct invocation in = {0};

    ctl_style_init();
    if (parse_words(argc, argv, &in))
        return STATUS_USAGE;
    if (in.version) {
        puts("trystctl " PACKAGE_VERSION);
        return STATUS_OK;
    }
    if (in.count == 0 && in.help) {
        print_help();
        return STATUS_OK;
    }
    if (in.count == 0) {
        complain("which command? 'trystctl --help' lists them");
        return STATUS_USAGE;
    }
    int status = run(&in);
    /* A full disk or a closed pipe behind stdout is no success. */
    if (fflush(stdout) && status == STATUS_OK && errno != EPIPE)
        status = STATUS_REFUSED;
    return status;
}
