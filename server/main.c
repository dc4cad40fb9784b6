/* SPDX-License-Identifier: ISC */
/* trystd: options, the order of start, exit status. Everything else is libtrystd. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conf.h"
#include "dispatch.h"
#include "log.h"
#include "proto/keyfile.h"
#include "service.h"

enum { EXIT_USAGE = 1, EXIT_CANNOT_START = 2 };

struct trystd {
    struct conf_source source;
    struct conf conf; /* in force */
    struct loop loop;
    struct net net;
    struct dispatch dispatch;
    struct key_pair keys[2]; /* the present one, and the one before it */
    unsigned key_count;
    struct service service;
    struct ev_signal term, interrupt, hangup;
    bool stopping; /* a signal said so */
};

static const char usage[] =
    "usage: trystd [options]            run the rendezvous daemon in the foreground\n"
    "       trystd [options] keygen     make the server's key, print its public half\n"
    "       trystd [options] rotate-key make a new one, and accept the old one beside it\n"
    "\n"
    "  -c, --config FILE          configuration file (default: none, every option has a default)\n"
    "      --state-dir DIR        key and database\n"
    "      --admin-socket PATH    where trystctl reaches the daemon\n"
    "      --listen ADDRESS       listen there only; may be repeated\n"
    "      --port N               TCP port; at least three; may be repeated\n"
    "      --registration MODE    open, allowlist or invite\n"
    "      --public-host HOST     what the server URL says\n"
    "      --log-level LEVEL      error, warning, notice, info or debug\n"
    "      --check-config         check the configuration, and end\n"
    "      --print-config         print the configuration in force, and end\n"
    "      --version, --help\n"
    "\n"
    "trystd(8) says more; trystd.conf(5) describes every option.\n";

enum { OPT_CHECK = 256, OPT_PRINT, OPT_VERSION, OPT_SET };

/* The long options that set an option of the same name. */
static const struct option long_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"check-config", no_argument, NULL, OPT_CHECK},
    {"print-config", no_argument, NULL, OPT_PRINT},
    {"version", no_argument, NULL, OPT_VERSION},
    {"help", no_argument, NULL, 'h'},
    {"state-dir", required_argument, NULL, OPT_SET},
    {"admin-socket", required_argument, NULL, OPT_SET},
    {"listen", required_argument, NULL, OPT_SET},
    {"port", required_argument, NULL, OPT_SET},
    {"registration", required_argument, NULL, OPT_SET},
    {"public-host", required_argument, NULL, OPT_SET},
    {"log-level", required_argument, NULL, OPT_SET},
    {NULL, 0, NULL, 0},
};

struct command {
    bool check, print, keygen, rotate;
};

static int complain(const char *text)
{
    fprintf(stderr, "trystd: %s\n", text);
    return EXIT_USAGE;
}

/* Kept by reference: a reload reads it all again. */
static int keep_option(struct conf_source *source, const char *name, const char *text)
{
    if (source->count == CONF_COMMANDS_MAX)
        return complain("too many options; a file, named with -c, takes more");
    source->set[source->count].name = name;
    source->set[source->count++].text = text;
    return 0;
}

/* Returns 0, -1 to end with success, or an exit status. */
static int read_options(int argc, char **argv, struct conf_source *source, struct command *command)
{
    char err[512];
    int option, index;
    while ((option = getopt_long(argc, argv, "c:h", long_options, &index)) != -1) {
        switch (option) {
        case 'c':
            source->path = optarg;
            break;
        case OPT_CHECK:
            command->check = true;
            break;
        case OPT_PRINT:
            command->print = true;
            break;
        case OPT_VERSION:
            puts("trystd " PACKAGE_VERSION);
            return -1;
        case 'h':
            fputs(usage, stdout);
            return -1;
        case OPT_SET:
            if (keep_option(source, long_options[index].name, optarg) != 0)
                return EXIT_USAGE;
            break;
        default:
            fputs("Try 'trystd --help'.\n", stderr);
            return EXIT_USAGE;
        }
    }
    if (optind < argc) {
        command->keygen = strcmp(argv[optind], "keygen") == 0;
        command->rotate = strcmp(argv[optind], "rotate-key") == 0;
        optind += command->keygen || command->rotate;
    }
    if (optind < argc) {
        snprintf(err, sizeof(err), "unexpected argument '%s'; try 'trystd --help'", argv[optind]);
        return complain(err);
    }
    return 0;
}

static int read_conf(int argc, char **argv, struct trystd *t, struct command *command)
{
    char err[CONF_ERROR_SIZE];
    int status = read_options(argc, argv, &t->source, command);
    if (status == 0 && conf_load(&t->source, &t->conf, err, sizeof(err)) != 0)
        return complain(err);
    return status;
}

/* ---- start ---- */

/* Makes a directory and what leads to it; 0700, for it holds a secret key. */
static int make_directory(const char *path, mode_t mode)
{
    char part[CONF_TEXT_SIZE];
    snprintf(part, sizeof(part), "%s", path);
    for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(part, 0755) != 0 && errno != EEXIST)
            return -1;
        *slash = '/';
    }
    return mkdir(part, mode) != 0 && errno != EEXIST ? -1 : 0;
}

static void parent_of(const char *path, char parent[CONF_TEXT_SIZE])
{
    snprintf(parent, CONF_TEXT_SIZE, "%s", path);
    char *slash = strrchr(parent, '/');
    if (slash)
        *(slash == parent ? slash + 1 : slash) = '\0';
    else
        snprintf(parent, CONF_TEXT_SIZE, ".");
}

struct key_paths {
    char key[CONF_TEXT_SIZE + 8], old[CONF_TEXT_SIZE + 8], next[CONF_TEXT_SIZE + 8];
};

static struct key_paths key_paths(const struct trystd *t)
{
    struct key_paths p;
    snprintf(p.key, sizeof(p.key), "%s/key", t->conf.state_dir);
    snprintf(p.old, sizeof(p.old), "%s/key.old", t->conf.state_dir);
    snprintf(p.next, sizeof(p.next), "%s/key.new", t->conf.state_dir);
    return p;
}

static int load_key(struct trystd *t, int *made)
{
    char err[512];
    struct rng rng = rng_system();
    struct key_paths p = key_paths(t);
    if (make_directory(t->conf.state_dir, 0700) != 0) {
        log_error("cannot make the state directory %s: %s", t->conf.state_dir, strerror(errno));
        return -1;
    }
    if (keyfile_load_or_create(p.key, &rng, &t->keys[0], made, err, sizeof(err)) != 0 ||
        (access(p.old, F_OK) == 0 && keyfile_load(p.old, &t->keys[1], err, sizeof(err)) != 0)) {
        log_error("%s", err);
        return -1;
    }
    t->key_count = access(p.old, F_OK) == 0 ? 2 : 1;
    return 0;
}

static int keygen(struct trystd *t)
{
    char text[KEY_TEXT_SIZE];
    int made = 0;
    if (load_key(t, &made) != 0)
        return EXIT_CANNOT_START;
    if (!made)
        fprintf(stderr, "trystd: %s/key is there already, and stays as it is\n", t->conf.state_dir);
    puts(key_format(t->keys[0].public, text));
    return EXIT_SUCCESS;
}

/* There is a key at every moment: the old one gets a second name before the new one takes its. */
static int rotate_key(struct trystd *t)
{
    char text[KEY_TEXT_SIZE], err[512];
    struct rng rng = rng_system();
    struct key_paths p = key_paths(t);
    int made = 0;
    if (load_key(t, &made) != 0)
        return EXIT_CANNOT_START;
    if (t->key_count > 1) {
        fprintf(stderr, "trystd: %s is still accepted; remove it before the next change\n", p.old);
        return EXIT_USAGE;
    }
    key_generate(&rng, &t->keys[1]);
    (void)unlink(p.next); /* of a change that was cut short */
    if (keyfile_create(p.next, &t->keys[1], err, sizeof(err)) != 0) {
        log_error("%s", err);
        return EXIT_CANNOT_START;
    }
    if (link(p.key, p.old) != 0 || rename(p.next, p.key) != 0) {
        log_error("cannot put %s in the place of %s: %s", p.next, p.key, strerror(errno));
        return EXIT_CANNOT_START;
    }
    fprintf(stderr,
            "trystd: restart the daemon; who joined before is let in by the old key, until %s is\n"
            "removed and the daemon restarted once more ('trystctl status' tells who needs it)\n",
            p.old);
    puts(key_format(t->keys[1].public, text));
    return EXIT_SUCCESS;
}

/* As many descriptors as the system lets us have: what limits connections goes by that. */
static void raise_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* ---- stop ---- */

static void stop(struct ev_loop *loop, struct ev_signal *signal, int events)
{
    struct trystd *t = signal->data;
    (void)loop;
    (void)events;
    if (t->stopping)
        loop_end(&t->loop); /* said twice: now */
    else
        dispatch_drain(&t->dispatch, t->conf.drain_timeout, NULL);
    t->stopping = true;
}

static void reload(struct ev_loop *loop, struct ev_signal *signal, int events)
{
    struct trystd *t = signal->data;
    char err[256];
    (void)loop;
    (void)events;
    if (dispatch_reload(&t->dispatch, 0, err, sizeof(err)) != 0)
        log_warning("%s", err);
}

static void watch_signals(struct trystd *t)
{
    ev_signal_init(&t->term, stop, SIGTERM);
    ev_signal_init(&t->interrupt, stop, SIGINT);
    ev_signal_init(&t->hangup, reload, SIGHUP);
    t->term.data = t->interrupt.data = t->hangup.data = t;
    ev_signal_start(t->loop.ev, &t->hangup);
    ev_signal_start(t->loop.ev, &t->term);
    ev_signal_start(t->loop.ev, &t->interrupt);
}

static void describe(void *user, char text[SERVICE_STATUS_SIZE])
{
    const struct trystd *t = user;
    struct store_health health;
    char url[SERVER_URL_SIZE];
    store_health(t->dispatch.store, &health);
    snprintf(text, SERVICE_STATUS_SIZE, "Serving %s: %u peers, %u sessions under way%s",
             server_url_format(&t->dispatch.url, url), t->dispatch.table.channels.used,
             t->dispatch.sessions.used, health.degraded ? "; the database is degraded" : "");
}

static int run(struct trystd *t)
{
    char database[CONF_TEXT_SIZE + 16], parent[CONF_TEXT_SIZE], err[512], url[SERVER_URL_SIZE];
    struct dispatch_options options = {.loop = &t->loop,
                                       .conf = &t->conf,
                                       .source = &t->source,
                                       .keys = t->keys,
                                       .store_path = database,
                                       .service = &t->service};
    int made = 0;

    if (load_key(t, &made) != 0) {
        service_failed(&t->service, 0, "key and state directory; the log says more");
        return EXIT_CANNOT_START;
    }
    options.key_count = t->key_count;
    parent_of(t->conf.admin_socket, parent);
    if (make_directory(parent, 0755) != 0)
        log_warning("cannot make %s: %s", parent, strerror(errno));
    raise_descriptors();
    snprintf(database, sizeof(database), "%s/tryst.db", t->conf.state_dir);
    if (loop_open(&t->loop) != 0) {
        log_error("no way to wait for events");
        return EXIT_CANNOT_START;
    }
    if (dispatch_open(&t->dispatch, &t->net, &options, err, sizeof(err)) != 0) {
        service_failed(&t->service, errno, err);
        log_error("%s", err);
        loop_close(&t->loop);
        return EXIT_CANNOT_START;
    }
    watch_signals(t);
    service_watch(&t->service, t->loop.ev, describe, t);
    log_notice("trystd %s serves %s on %s%s", PACKAGE_VERSION,
               server_url_format(&t->dispatch.url, url), t->dispatch.listen_text,
               made ? " with a new key" : "");
    service_ready(&t->service);
    loop_run(&t->loop);
    dispatch_close(&t->dispatch);
    service_close(&t->service);
    loop_close(&t->loop);
    log_notice("stopped");
    return EXIT_SUCCESS;
}

/* What the service manager handed over is taken first of all: no descriptor is to be mistaken. */
static int serve(struct trystd *t)
{
    char err[512];
    int status = EXIT_CANNOT_START;
    signal(SIGPIPE, SIG_IGN);
    /* One that comes before the loop can take it: what it asks for has just been read. */
    signal(SIGHUP, SIG_IGN);
    if (service_open(&t->service, err, sizeof(err)) == 0) {
        status = run(t);
    } else {
        log_error("%s", err);
        service_failed(&t->service, EINVAL, err);
    }
    service_close(&t->service);
    return status;
}

int main(int argc, char **argv)
{
    static struct trystd t; /* large, and referred to by address */
    struct command command = {0};
    int status = read_conf(argc, argv, &t, &command);
    if (status != 0)
        return status < 0 ? EXIT_SUCCESS : status;
    if (command.print)
        conf_print(stdout, &t.conf, true);
    if (command.print || command.check)
        return EXIT_SUCCESS;
    if (sodium_init() < 0) {
        fprintf(stderr, "trystd: no source of randomness\n");
        return EXIT_CANNOT_START;
    }
    log_open((enum log_level)(CONF_LOG_LEVEL_FIRST + t.conf.log_level));
    dispatch_configure_log(&t.conf);
    umask(0022); /* what is secret says so itself */
    status = command.keygen ? keygen(&t) : command.rotate ? rotate_key(&t) : serve(&t);
    sodium_memzero(&t.keys, sizeof(t.keys));
    return status;
}
