/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <ev.h>
#include <fcntl.h>
#include <grp.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/reason.h"
#include "server/admin.h"
#include "server/admin_spec.h"
#include "server/log.h"

/* The daemon behind the socket: so many peers, and a note of what it was told to do. */
struct daemon {
    size_t peers, sessions, nats;
    size_t looked_at; /* rows given out */
    char did[128];
    bool refuses;
    uint64_t ticket;      /* of the reload that waits for its answer */
    const char *reloaded; /* that answer */
};

struct fixture {
    struct ev_loop *loop;
    struct ev_async news;
    struct daemon daemon;
    struct store *store;
    struct admin *admin;
    char directory[64], path[96], database[96];
};

static char err[512];

static void fill_key(uint8_t key[KEY_SIZE], size_t n)
{
    memset(key, 0, KEY_SIZE);
    memcpy(key, &n, sizeof(n));
    key[31] = 1;
}

static void fake_status(void *user, struct view_status *out)
{
    struct daemon *d = user;

    memset(out, 0, sizeof(*out));
    snprintf(out->version, sizeof(out->version), "1.2.3");
    snprintf(out->url, sizeof(out->url), "tryst://KEY@host");
    out->started = 1764494130000000;
    out->peers = d->peers;
}

static bool fake_peer(void *user, size_t index, struct view_peer *out)
{
    struct daemon *d = user;

    if (index >= d->peers)
        return false;
    d->looked_at++;
    memset(out, 0, sizeof(*out));
    fill_key(out->key, index);
    snprintf(out->name, sizeof(out->name), "peer-%zu", index);
    memset(out->agent, 0xff, sizeof(out->agent) - 1); /* not UTF-8 */
    out->rtt_us = -1;
    out->since = 1764494130000000;
    out->observed = (struct endpoint){.family = 4, .port = 4000, .address = {192, 0, 2}};
    out->observed.address[3] = (uint8_t)index;
    out->listening = index % 2 == 0;
    return true;
}

static bool fake_session(void *user, size_t index, struct view_session *out)
{
    struct daemon *d = user;

    if (index >= d->sessions)
        return false;
    memset(out, 0, sizeof(*out));
    memset(out->id, (int)index, sizeof(out->id));
    fill_key(out->requester, index);
    fill_key(out->target, index + 1);
    snprintf(out->state, sizeof(out->state), "punching");
    out->chance = index % 2 ? -1 : 0.5;
    return true;
}

static bool fake_nat(void *user, size_t index, struct view_nat *out)
{
    struct daemon *d = user;

    if (index >= d->nats)
        return false;
    memset(out, 0, sizeof(*out));
    out->address.family = 4;
    out->address.address[0] = 192;
    out->address.address[3] = (uint8_t)index;
    out->nat.mapping = index % 2 ? NAT_APDM : NAT_EIM;
    out->nat.allocation = index % 2 ? NAT_COUNTER : NAT_PRESERVE;
    return true;
}

static size_t fake_metrics(void *user, char *out, size_t size)
{
    (void)user;
    return (size_t)snprintf(out, size, "# TYPE tryst_peers gauge\ntryst_peers 3\n");
}

static int fake_do(struct daemon *d, const char *what, const char *whom, char *e, size_t size)
{
    snprintf(d->did, sizeof(d->did), "%s %s", what, whom);
    if (d->refuses)
        snprintf(e, size, "no \"%s\"", whom);
    return d->refuses ? -1 : 0;
}

static int fake_invite(void *user, const char *name, int64_t ttl, char url[SERVER_URL_SIZE + 64],
                       char *e, size_t size)
{
    char what[32];

    snprintf(what, sizeof(what), "invite %lld", (long long)ttl);
    snprintf(url, SERVER_URL_SIZE + 64, "tryst://KEY@host TOKEN");
    return fake_do(user, what, name, e, size);
}

static int fake_decision(struct daemon *d, const char *what, struct admin_decision *o, char *e,
                         size_t size)
{
    char with[64];

    snprintf(with, sizeof(with), "%s %lld%s%s%s%s", what, (long long)o->ttl_seconds,
             o->kick ? " kick" : "", o->force ? " force" : "", o->reason ? " " : "",
             o->reason ? o->reason : "");
    (void)access_parse("192.0.2.0/24", &o->entry.subject);
    o->entry.expires = o->ttl_seconds * 1000000;
    o->closed = 2;
    return fake_do(d, with, o->subject, e, size);
}

static int fake_allow(void *user, struct admin_decision *o, char *e, size_t size)
{
    return fake_decision(user, "allow", o, e, size);
}

static int fake_deny(void *user, struct admin_decision *o, char *e, size_t size)
{
    return fake_decision(user, "deny", o, e, size);
}

static int fake_ban(void *user, struct admin_decision *o, char *e, size_t size)
{
    return fake_decision(user, "ban", o, e, size);
}

static int fake_unban(void *user, struct admin_decision *o, char *e, size_t size)
{
    return fake_decision(user, "unban", o, e, size);
}

static int fake_revoke(void *user, const char *id, struct row_invite *out, char *e, size_t size)
{
    memset(out->token_hash, 0xab, sizeof(out->token_hash));
    return fake_do(user, "revoke", id, e, size);
}

static int fake_release(void *user, struct admin_naming *n, char *e, size_t size)
{
    return fake_do(user, "release", n->name, e, size);
}

static int fake_transfer(void *user, struct admin_naming *n, char *e, size_t size)
{
    char what[80];

    snprintf(what, sizeof(what), "transfer %s", n->name);
    return fake_do(user, what, n->to, e, size);
}

/* Bans of 10.0.0.0/8 to 10.0.0.0/32, one of each length. */
static bool fake_banned(void *user, size_t index, struct view_access *out)
{
    char text[32];

    (void)user;
    memset(out, 0, sizeof(*out));
    snprintf(text, sizeof(text), "10.0.0.0/%zu", index + 8);
    snprintf(out->reason, sizeof(out->reason), "because");
    return index <= 24 && access_parse(text, &out->subject) == ACCESS_PARSED;
}

static bool fake_allowed(void *user, size_t index, struct view_access *out)
{
    uint8_t key[KEY_SIZE];

    (void)user;
    memset(out, 0, sizeof(*out));
    fill_key(key, index);
    out->subject = access_of_key(key);
    snprintf(out->name, sizeof(out->name), "peer-%zu", index);
    return index < 3;
}

static bool fake_open_invite(void *user, size_t index, struct row_invite *out)
{
    (void)user;
    memset(out, 0, sizeof(*out));
    out->token_hash[0] = (uint8_t)index;
    out->created = out->expires = 1764494130000000;
    return index < 5;
}

static bool fake_named(void *user, size_t index, struct view_name *out)
{
    (void)user;
    memset(out, 0, sizeof(*out));
    fill_key(out->key, index);
    if (index % 2)
        snprintf(out->name, sizeof(out->name), "peer-%zu", index);
    return index < 6;
}

static int fake_kick(void *user, const char *who, char *e, size_t size)
{
    return fake_do(user, "kick", who, e, size);
}

static int fake_drain(void *user, int64_t seconds, const char *to, char *e, size_t size)
{
    char what[32];

    snprintf(what, sizeof(what), "drain %lld", (long long)seconds);
    return fake_do(user, what, to, e, size);
}

static bool fake_option(void *user, size_t index, struct view_option *out)
{
    static const char *const names[] = {"rounds", "port", "probe"};

    (void)user;
    if (index >= 3)
        return false;
    memset(out, 0, sizeof(*out));
    out->name = names[index];
    snprintf(out->value, sizeof(out->value), "%s", index == 0 ? "3" : "same");
    snprintf(out->standard, sizeof(out->standard), "same");
    snprintf(out->set, sizeof(out->set), "/x.conf:%zu", index);
    snprintf(out->pending, sizeof(out->pending), "%s", index == 1 ? "other" : "");
    out->restart = index == 1;
    return true;
}

/* The answer comes from the loop, later. */
static int fake_reload(void *user, uint64_t ticket, char *e, size_t size)
{
    struct fixture *f = (struct fixture *)(void *)((char *)user - offsetof(struct fixture, daemon));

    f->daemon.ticket = ticket;
    ev_async_send(f->loop, &f->news);
    return fake_do(&f->daemon, "reload", "", e, size);
}

static struct admin_source fake_source(struct daemon *daemon)
{
    return (struct admin_source){
        .user = daemon,
        .status = fake_status,
        .peer = fake_peer,
        .session = fake_session,
        .nat = fake_nat,
        .invite = fake_invite,
        .allow = fake_allow,
        .deny = fake_deny,
        .kick = fake_kick,
        .allowed = fake_allowed,
        .banned = fake_banned,
        .open_invite = fake_open_invite,
        .named = fake_named,
        .revoke = fake_revoke,
        .ban = fake_ban,
        .unban = fake_unban,
        .name_release = fake_release,
        .name_transfer = fake_transfer,
        .metrics = fake_metrics,
        .option = fake_option,
        .reload = fake_reload,
        .drain = fake_drain,
    };
}

/* --- the loop around it --- */

static void on_wake(void *user)
{
    struct fixture *f = user;

    ev_async_send(f->loop, &f->news);
}

static void on_news(struct ev_loop *loop, struct ev_async *watcher, int events)
{
    struct fixture *f = watcher->data;
    uint64_t ticket;
    char *json;

    (void)loop;
    (void)events;
    while (store_next_answer(f->store, &ticket, &json) == 1)
        admin_answers(f->admin, ticket, json);
    if (f->daemon.ticket)
        admin_answers(f->admin, f->daemon.ticket, strdup(f->daemon.reloaded));
    f->daemon.ticket = 0;
}

static void open_admin(struct fixture *f)
{
    struct admin_source source = fake_source(&f->daemon);

    f->admin = admin_open(f->loop, f->path, -1, f->store, &source, err, sizeof(err));
    if (!f->admin)
        fail_msg("%s", err);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    log_open((enum log_level)0);
    f->daemon.reloaded = "{\"ok\":true,\"changed\":[],\"restart_needed\":[\"port\"]}";
    snprintf(f->directory, sizeof(f->directory), "/tmp/tryst-admin-XXXXXX");
    if (!mkdtemp(f->directory))
        fail_msg("no directory for the test");
    snprintf(f->path, sizeof(f->path), "%s/a.sock", f->directory);
    snprintf(f->database, sizeof(f->database), "%s/tryst.db", f->directory);
    f->loop = ev_loop_new(0);
    ev_async_init(&f->news, on_news);
    f->news.data = f;
    ev_async_start(f->loop, &f->news);
    f->store = store_open(f->database, on_wake, f, err, sizeof(err));
    if (!f->store)
        fail_msg("%s", err);
    open_admin(f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char path[128];

    admin_close(f->admin);
    store_close(f->store);
    ev_async_stop(f->loop, &f->news);
    ev_loop_destroy(f->loop);
    unlink(f->database);
    snprintf(path, sizeof(path), "%s.lock", f->database);
    unlink(path);
    unlink(f->path);
    rmdir(f->directory);
    free(f);
    return 0;
}

static void turn(struct fixture *f)
{
    ev_run(f->loop, EVRUN_NOWAIT);
    usleep(200);
}

static int connect_client(struct fixture *f)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

    snprintf(address.sun_path, sizeof(address.sun_path), "%s", f->path);
    assert_true(fd >= 0);
    while (connect(fd, (struct sockaddr *)&address, sizeof(address))) {
        assert_int_equal(errno, EAGAIN); /* the backlog is full */
        turn(f);
    }
    return fd;
}

/* Whatever comes until the daemon closes, or `until` newlines. The caller frees it. */
static char *receive(struct fixture *f, int fd, size_t until)
{
    size_t size = 1 << 16, len = 0, seen = 0;
    char *text = malloc(size);

    assert_non_null(text);
    for (unsigned turns = 0; seen < until; turns++) {
        assert_true(turns < 100000);
        if (len + 1 == size) {
            char *more = realloc(text, size *= 2);
            assert_non_null(more);
            text = more;
        }
        ssize_t n = recv(fd, text + len, size - len - 1, 0);
        if (n == 0 || (n < 0 && errno == ECONNRESET))
            break;
        if (n < 0) {
            assert_int_equal(errno, EAGAIN);
            turn(f);
            continue;
        }
        for (ssize_t i = 0; i < n; i++)
            seen += text[len + (size_t)i] == '\n';
        len += (size_t)n;
    }
    text[len] = '\0';
    return text;
}

static json_t *ask(struct fixture *f, const char *line)
{
    int fd = connect_client(f);
    json_error_t where;

    assert_int_equal(send(fd, line, strlen(line), 0), (ssize_t)strlen(line));
    assert_int_equal(send(fd, "\n", 1, 0), 1);
    char *text = receive(f, fd, 1);
    json_t *answer = json_loads(text, 0, &where);
    if (!answer)
        fail_msg("%s: %s in %.300s", line, where.text, text);
    assert_int_equal(json_integer_value(json_object_get(answer, "schema")), 1);
    assert_true(json_is_boolean(json_object_get(answer, "ok")));
    assert_int_equal(json_is_string(json_object_get(answer, "error")),
                     json_is_false(json_object_get(answer, "ok")));
    close(fd);
    free(text);
    return answer;
}

static void check_error(struct fixture *f, const char *line, const char *holds)
{
    json_t *answer = ask(f, line);
    const char *error = json_string_value(json_object_get(answer, "error"));

    if (!error || !strstr(error, holds))
        fail_msg("%s: '%s' does not say '%s'", line, error ? error : "(good)", holds);
    json_decref(answer);
}

static size_t check_list(struct fixture *f, const char *line, const char *name, bool more)
{
    json_t *answer = ask(f, line);
    const json_t *list = json_object_get(answer, name);

    if (!json_is_array(list))
        fail_msg("%s: %s", line, json_string_value(json_object_get(answer, "error")));
    assert_int_equal(json_is_true(json_object_get(answer, "more")), more);
    size_t n = json_array_size(list);
    json_decref(answer);
    return n;
}

/* --- tests --- */

static void test_status(void **state)
{
    struct fixture *f = *state;
    struct stat st;

    f->daemon.peers = 7;
    json_t *answer = ask(f, "status");
    assert_int_equal(json_integer_value(json_object_get(answer, "peers")), 7);
    assert_string_equal(json_string_value(json_object_get(answer, "started")),
                        "2025-11-30T09:15:30.000Z");
    assert_true(json_is_false(json_object_get(json_object_get(answer, "store"), "degraded")));
    json_decref(answer);
    answer = ask(f, "{\"command\": \"url\"}");
    assert_string_equal(json_string_value(json_object_get(answer, "url")), "tryst://KEY@host");
    json_decref(answer);
    answer = ask(f, "metrics");
    assert_string_equal(json_string_value(json_object_get(answer, "text")),
                        "# TYPE tryst_peers gauge\ntryst_peers 3\n");
    json_decref(answer);
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0660);
}

static void test_errors(void **state)
{
    static const struct {
        const char *line, *holds;
    } rows[] = {
        {"peeers", "did you mean 'peers'?"},
        {"xyzzy", "'help'"},
        {"{", "not JSON"},
        {"{}", "\"command\""},
        {"{\"command\": 7}", "\"command\""},
        {"{\"command\": \"peers\", \"command\": \"peers\"}", "not JSON"},
        {"{\"command\": \"peers\", \"args\": []}", "must be an object"},
        {"{\"command\": \"peers\", \"args\": {\"lmit\": 3}}", "did you mean limit?"},
        {"{\"command\": \"peers\", \"args\": {\"limit\": \"3\"}}", "number from 1"},
        {"{\"command\": \"peers\", \"args\": {\"limit\": 0}}", "number from 1"},
        {"{\"command\": \"peers\", \"args\": {\"limit\": 99999999999999999999}}", "not JSON"},
        {"{\"command\": \"peers\", \"args\": {\"all\": 1}}", "true or false"},
        {"{\"command\": \"peers\", \"args\": {\"peer\": {}}}", "a text"},
        {"{\"command\": \"session\"}", "needs"},
        {"peers --lmit 3", "did you mean --limit?"},
        {"peers --limit", "needs a value"},
        {"peers --limit -3", "number from 1"},
        {"peers --limit 3x", "number from 1"},
        {"peers --all=1", "takes no value"},
        {"peers --peer=x", "takes no --peer"},
        {"peers a b", "one word too many"},
        {"peers ?!", "neither a key nor a name"},
        {"status now", "one word too many"},
        {"session", "needs"},
        {"session xyz", "hexadecimal"},
        {"session 000102030405060708090a0b0c0d0e0f0", "hexadecimal digits"},
        {"session 00", "no session"},
        {"sessions --since yesterday", "is no time"},
        {"sessions --active --failed", "one outcome"},
        {"sessions --outcome active --reason missed", "no reason yet"},
        {"sessions --outcome perhaps", "active, connected and failed"},
        {"sessions --reason mised", "did you mean 'missed'?"},
        {"sessions --reason xyzzy", "is none"},
        {"sessions --until soon", "is no time"},
        {"peers --since soon", "is no time"},
        {"peers --address here", "not an address"},
        {"peers --listening home", "alone"},
        {"peers --all --listening", "does not go with --all"},
        {"nats --mapping eif", "none, eim, adm, apdm"},
        {"nats --allocation counting", "preserve, offset"},
        {"nats --all 192.0.2.1", "alone"},
        {"stats --since soon", "is no time"},
        {"sessions --peer nobody", "no peer is known"},
        {"nats 1.2.3", "not an address"},
        {"nats 198.51.100.9", "nothing is known"},
        {"invite --ttl soon", "no length of time"},
        {"drain --timeout 2h", "no length of time up to 1h"},
        {"drain --timeout now", "no length of time up to 1h"},
        {"invite --ttl 1ms", "no length of time"},
        {"invite --name a/b", "no peer name"},
        {"log-level loud", "no level"},
        {"a b c d e f g h i j k l m n o p q r s t u v w x y z 1 2 3 4 5 6 7 8 9", "more than"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        check_error(f, rows[i].line, rows[i].holds);
}

/* Every command of the table can be asked for, and no answer breaks the format. */
static void test_table(void **state)
{
    struct fixture *f = *state;
    char line[128];

    for (size_t i = 0; i < ADMIN_COMMANDS; i++) {
        const struct admin_arg *a = admin_specs[i].args;
        bool needed = false;
        for (; a->kind != ADMIN_ARG_NONE; a++)
            needed |= a->kind == ADMIN_NEEDED;
        snprintf(line, sizeof(line), "%s%s", admin_specs[i].name, needed ? " 00" : "");
        json_decref(ask(f, line));
    }
    assert_int_equal(check_list(f, "help", "commands", false), ADMIN_COMMANDS);
}

static void test_lists(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(check_list(f, "peers", "peers", false), 0);
    f->daemon.peers = 250;
    f->daemon.sessions = 40;
    f->daemon.nats = 3;
    assert_int_equal(check_list(f, "peers", "peers", true), 100);
    assert_int_equal(check_list(f, "peers --limit 250", "peers", false), 250);
    assert_int_equal(check_list(f, "peers --limit=249", "peers", true), 249);
    assert_int_equal(check_list(f, "{\"command\":\"peers\",\"args\":{\"limit\":1}}", "peers", true),
                     1);
    assert_int_equal(check_list(f, "peers PEER-249", "peers", false), 1);
    assert_int_equal(check_list(f, "sessions --active", "sessions", false), 40);
    assert_int_equal(check_list(f, "nats", "nats", false), 3);
    check_error(f, "peers peer-250", "no peer is known");
}

/* A line, as it comes. The caller drops it. */
static json_t *next_line(struct fixture *f, int fd)
{
    char line[4096];
    size_t len = 0;
    json_error_t where;

    for (unsigned turns = 0; len == 0 || line[len - 1] != '\n';) {
        ssize_t n = recv(fd, line + len, 1, 0);
        assert_true(n > 0 || (n < 0 && errno == EAGAIN));
        assert_true(len + 1 < sizeof(line) && turns < 100000);
        len += n > 0;
        turns += n < 0;
        if (n < 0)
            turn(f);
    }
    json_t *o = json_loadb(line, len, 0, &where);
    if (!o)
        fail_msg("%s in %.*s", where.text, (int)len, line);
    assert_int_equal(json_integer_value(json_object_get(o, "schema")), 1);
    return o;
}

static int start_watch(struct fixture *f, const char *line)
{
    int fd = connect_client(f);

    assert_int_equal(send(fd, line, strlen(line), 0), (ssize_t)strlen(line));
    json_t *o = next_line(f, fd);
    assert_true(json_is_true(json_object_get(o, "ok")));
    json_decref(o);
    return fd;
}

static void check_event(struct fixture *f, int fd, const char *kind, int number)
{
    json_t *o = next_line(f, fd);

    assert_string_equal(json_string_value(json_object_get(o, "kind")), kind);
    assert_true(json_is_string(json_object_get(o, "time")));
    assert_int_equal(json_integer_value(json_object_get(o, "number")), number);
    json_decref(o);
}

static void publish(struct fixture *f, const char *kind, const char *role, int number)
{
    uint8_t key[KEY_SIZE];
    char text[KEY_TEXT_SIZE];

    fill_key(key, (size_t)number);
    admin_publish(f->admin, kind,
                  json_pack("{s:i, s:{s:s, s:s}}", "number", number, role, "key",
                            key_format(key, text), "name", number % 2 ? "odd" : "even"));
}

static void check_count(struct fixture *f, const char *line, const char *list, size_t count)
{
    json_t *answer = ask(f, line);

    if (json_array_size(json_object_get(answer, list)) != count)
        fail_msg("%s: %zu, not %zu", line, json_array_size(json_object_get(answer, list)), count);
    json_decref(answer);
}

static void put_session(struct fixture *f, uint8_t number, uint8_t reason, uint8_t allocation)
{
    struct row row = {.kind = ROW_SESSION};
    struct row_session *s = &row.session;

    s->id[0] = number;
    fill_key(s->requester, 1);
    fill_key(s->target, 2);
    s->started = 1764494130000000 + number * 1000000LL;
    s->finished = s->started + 500000;
    s->reason = reason;
    s->family = reason == REASON_OK ? 4 : 0;
    s->nat[0] = (struct nat_summary){.mapping = NAT_APDM, .allocation = allocation};
    s->nat[1] = (struct nat_summary){.mapping = NAT_EIM, .allocation = NAT_PRESERVE};
    assert_true(store_put(f->store, &row) > 0);
    while (store_pending(f->store))
        usleep(100);
}

static void test_filters(void **state)
{
    struct fixture *f = *state;

    put_session(f, 1, REASON_OK, NAT_COUNTER);
    put_session(f, 2, REASON_MISSED, NAT_RANDOM);
    put_session(f, 3, REASON_PEER_OFFLINE, NAT_RANDOM);
    check_count(f, "sessions", "sessions", 3);
    check_count(f, "sessions --outcome connected", "sessions", 1);
    check_count(f, "sessions --outcome failed", "sessions", 2);
    check_count(f, "sessions --reason missed", "sessions", 1);
    check_count(f, "sessions --reason ok", "sessions", 1);
    check_count(f, "sessions --reason busy", "sessions", 0);
    check_count(f, "sessions --reason missed --outcome connected", "sessions", 0);
    check_count(f, "sessions --since 2025-11-30T09:15:32 --outcome failed", "sessions", 2);
    check_count(f, "sessions --until 2025-11-30T09:15:33", "sessions", 2);
    f->daemon.peers = 10;
    f->daemon.nats = 4;
    f->daemon.sessions = 4;
    check_count(f, "sessions --active --since 1h", "sessions", 0); /* they began in 1970 */
    check_count(f, "sessions --active --until 1h", "sessions", 4);
    check_count(f, "peers --listening", "peers", 5);
    check_count(f, "peers --address 192.0.2.3", "peers", 1);
    check_count(f, "peers --address 192.0.2.3 --listening", "peers", 0);
    check_count(f, "peers --since 1h", "peers", 0);
    check_count(f, "peers --until 1h", "peers", 10);
    check_count(f, "nats --mapping eim", "nats", 2);
    check_count(f, "nats --mapping eim --allocation counter", "nats", 0);
    check_count(f, "nats --mapping apdm --allocation counter", "nats", 2);
}

static void test_stored_lists(void **state)
{
    struct fixture *f = *state;
    struct row row = {.kind = ROW_PEER};

    fill_key(row.peer.key, 7);
    row.peer.first_seen = row.peer.last_seen = 1764494130000000;
    row.peer.observed = (struct endpoint){.family = 4, .port = 4000, .address = {192, 0, 2, 7}};
    assert_true(store_put(f->store, &row) > 0);
    fill_key(row.peer.key, 8);
    assert_int_equal(endpoint_parse("[2001:db8::7]:4000", 0, &row.peer.observed), 0);
    assert_true(store_put(f->store, &row) > 0);
    row.kind = ROW_PROFILE;
    memset(&row.profile, 0, sizeof(row.profile));
    profile_init(&row.profile.profile);
    row.profile.address = (struct endpoint){.family = 4, .address = {192, 0, 2, 7}};
    row.profile.profile.nat.mapping = NAT_APDM;
    row.profile.profile.nat.allocation = NAT_BLOCK;
    assert_true(store_put(f->store, &row) > 0);
    while (store_pending(f->store))
        usleep(100);
    check_count(f, "peers --all", "peers", 2);
    check_count(f, "peers --all --address 192.0.2.7", "peers", 1);
    check_count(f, "peers --all --address 192.0.2.70", "peers", 0);
    check_count(f, "peers --all --address 2001:db8::7", "peers", 1);
    check_count(f, "peers --all --since 2025-11-30T09:15:30", "peers", 2);
    check_count(f, "peers --all --until 2025-11-30T09:15:30", "peers", 0);
    check_count(f, "nats --all", "nats", 1);
    check_count(f, "nats --all --allocation block", "nats", 1);
    check_count(f, "nats --all --mapping eim", "nats", 0);
}

static void test_stats(void **state)
{
    struct fixture *f = *state;

    for (uint8_t i = 0; i < 3; i++)
        put_session(f, i, REASON_OK, NAT_COUNTER);
    put_session(f, 3, REASON_MISSED, NAT_COUNTER);
    put_session(f, 4, REASON_PEER_OFFLINE, NAT_RANDOM);
    put_session(f, 5, REASON_PEER_OFFLINE, NAT_RANDOM);
    json_t *answer = ask(f, "stats"), *stored = json_object_get(answer, "stored");
    assert_true(json_is_object(json_object_get(answer, "since_start")));
    assert_int_equal(json_integer_value(json_object_get(stored, "sessions")), 6);
    assert_int_equal(json_integer_value(json_object_get(stored, "connected")), 3);
    assert_int_equal(json_integer_value(json_object_get(stored, "failed")), 3);
    assert_int_equal(json_integer_value(json_object_get(stored, "ipv4")), 3);
    json_t *first = json_array_get(json_object_get(stored, "reasons"), 0);
    assert_int_equal(json_array_size(json_object_get(stored, "reasons")), 2);
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(first, "reason"), "name")),
        "peer-offline");
    assert_int_equal(json_integer_value(json_object_get(first, "sessions")), 2);
    first = json_array_get(json_object_get(stored, "nats"), 0);
    assert_string_equal(json_string_value(json_array_get(json_object_get(first, "nats"), 0)),
                        "counter");
    assert_int_equal(json_integer_value(json_object_get(first, "sessions")), 4);
    assert_int_equal(json_integer_value(json_object_get(first, "connected")), 3);
    json_decref(answer);
    answer = ask(f, "stats --since 2025-11-30T09:15:33 --until 2025-11-30T09:15:34");
    stored = json_object_get(answer, "stored");
    assert_int_equal(json_integer_value(json_object_get(stored, "sessions")), 1);
    json_decref(answer);
}

/* --- who may do what --- */

struct person {
    gid_t gid, extra;
};

/* Asks as somebody else would, from a process of his own. NULL: could not connect. */
static char *ask_as(struct fixture *f, struct person who, const char *line)
{
    int ends[2], status;

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fflush(NULL), 0);
    pid_t child = fork();
    if (child == 0) {
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        char answer[2048];
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        memcpy(address.sun_path, f->path, sizeof(f->path));
        if (setgroups(1, &who.extra) || setgid(who.gid) || setuid(64999) ||
            connect(fd, (struct sockaddr *)&address, sizeof(address)))
            _exit(1);
        (void)!send(fd, line, strlen(line), MSG_NOSIGNAL);
        ssize_t n = recv(fd, answer, sizeof(answer), 0);
        _exit(n > 0 && write(ends[1], answer, (size_t)n) == n ? 0 : 2);
    }
    close(ends[1]);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    while (waitpid(child, &status, WNOHANG) == 0)
        turn(f);
    char *text = calloc(1, 2049);
    ssize_t n = read(ends[0], text, 2048);
    close(ends[0]);
    if (n > 0)
        return text;
    free(text);
    return NULL;
}

static void check_as(struct fixture *f, struct person who, const char *line, const char *holds)
{
    char *text = ask_as(f, who, line);

    if (!text || !strstr(text, holds))
        fail_msg("gid %u, %u: %s: '%s' does not hold '%s'", who.gid, who.extra, line,
                 text ? text : "(nothing)", holds);
    free(text);
}

static void test_groups(void **state)
{
    struct fixture *f = *state;
    struct person operators = {64001, 64009}, extra_operator = {64009, 64001};
    struct person reader = {64002, 64009}, extra_reader = {64009, 64002}, both = {64002, 64001};
    struct person stranger = {64009, 64008}, file_group = {64007, 64009};

    if (geteuid() != 0)
        skip(); /* nobody else can be anybody else */
    assert_int_equal(chmod(f->directory, 0755), 0);
    assert_int_equal(chown(f->path, (uid_t)-1, 64007), 0);
    assert_null(ask_as(f, stranger, "status\n")); /* the file's mode keeps him out */
    check_as(f, file_group, "kick x\n", "\"ok\":true");
    assert_int_equal(admin_set_groups(f->admin, "64001", "64002", err, sizeof(err)), 0);
    check_as(f, operators, "kick x\n", "\"ok\":true");
    check_as(f, extra_operator, "log-level info\n", "\"ok\":true");
    check_as(f, both, "kick x\n", "\"ok\":true");
    check_as(f, reader, "status\n", "\"ok\":true");
    check_as(f, extra_reader, "peers\n", "\"ok\":true");
    check_as(f, reader, "watch\n", "\"watching\":true");
    check_as(f, reader, "log-level\n", "\"level\"");
    f->daemon.did[0] = '\0';
    check_as(f, reader, "kick x\n", "takes a member of the group '64001'");
    check_as(f, extra_reader, "{\"command\":\"kick\",\"args\":{\"peer\":\"x\"}}\n", "\"ok\":false");
    check_as(f, reader, "log-level debug\n", "you may only look");
    assert_string_equal(f->daemon.did, "");
    check_as(f, stranger, "status\n", "the group '64001' or of the group '64002'");
    check_as(f, file_group, "status\n", "\"ok\":false"); /* a group was named instead */
    assert_int_equal(admin_set_groups(f->admin, "", "64002", err, sizeof(err)), 0);
    check_as(f, file_group, "kick x\n", "\"ok\":true");
    check_as(f, reader, "kick x\n", "socket file's group");
    assert_int_equal(admin_set_groups(f->admin, "no such group", "", err, sizeof(err)), -1);
    assert_non_null(strstr(err, "admin-group: there is no group"));
    assert_int_equal(admin_set_groups(f->admin, "", "12x", err, sizeof(err)), -1);
    assert_non_null(strstr(err, "readonly-group: there is no group"));
    assert_int_equal(admin_set_groups(f->admin, "root", "", err, sizeof(err)), 0);
}

static void test_watch(void **state)
{
    struct fixture *f = *state;
    uint8_t key[KEY_SIZE];
    char text[KEY_TEXT_SIZE], line[128];

    assert_false(admin_watched(f->admin));
    assert_false(admin_watched(NULL));
    publish(f, "registered", "peer", 0); /* nobody is there: no harm */
    admin_publish(NULL, "registered", json_object());
    check_error(f, "watch --kind sesion", "did you mean 'session");
    check_error(f, "watch --kind xyzzy", "no events");
    check_error(f, "watch --peer ?!", "neither a key nor a name");
    int all = start_watch(f, "watch\n"), sessions = start_watch(f, "watch --kind session\n");
    int odd = start_watch(f, "{\"command\":\"watch\",\"args\":{\"peer\":\"odd\"}}\n");
    fill_key(key, 4);
    snprintf(line, sizeof(line), "watch --kind left --peer %s\n", key_format(key, text));
    int four = start_watch(f, line);
    assert_true(admin_watched(f->admin));
    publish(f, "registered", "peer", 1);
    publish(f, "session-started", "requester", 2);
    publish(f, "session-finished", "target", 3);
    publish(f, "registered", "peer", 4);
    publish(f, "left", "peer", 4);
    check_event(f, all, "registered", 1);
    check_event(f, all, "session-started", 2);
    check_event(f, all, "session-finished", 3);
    check_event(f, all, "registered", 4);
    check_event(f, all, "left", 4);
    check_event(f, sessions, "session-started", 2);
    check_event(f, sessions, "session-finished", 3);
    check_event(f, odd, "registered", 1);
    check_event(f, odd, "session-finished", 3);
    check_event(f, four, "left", 4);
    close(sessions);
    close(odd);
    close(four);
    /* netcat's input ends, and it still listens. */
    shutdown(all, SHUT_WR);
    for (unsigned i = 0; i < 20; i++)
        turn(f);
    assert_true(admin_watched(f->admin));
    publish(f, "registered", "peer", 5);
    check_event(f, all, "registered", 5);
    close(all);
    for (unsigned i = 0; i < 1000 && admin_watched(f->admin); i++) {
        publish(f, "registered", "peer", 6); /* what cannot be sent shows that it is gone */
        turn(f);
    }
    assert_false(admin_watched(f->admin));
}

/* Memory is bounded, nobody waits, and what is lost is counted to the last event. */
static void test_slow_watcher(void **state)
{
    enum { EVENTS = 6000 };
    struct fixture *f = *state;
    int fd = start_watch(f, "watch\n"), number = 0;
    long long got = 0, lost = 0;

    for (int i = 0; i < EVENTS; i++) {
        publish(f, "registered", "peer", i);
        if (i % 100 == 0)
            turn(f);
    }
    while (got + lost < EVENTS) {
        json_t *o = next_line(f, fd);
        if (strcmp(json_string_value(json_object_get(o, "kind")), "lost") == 0) {
            lost += json_integer_value(json_object_get(o, "events"));
            number += (int)json_integer_value(json_object_get(o, "events"));
        } else {
            assert_int_equal(json_integer_value(json_object_get(o, "number")), number++);
            got++;
        }
        json_decref(o);
    }
    assert_true(got > 100 && lost > 100);
    publish(f, "registered", "peer", EVENTS);
    check_event(f, fd, "registered", EVENTS);
    close(fd);
}

static void test_watchers_are_few(void **state)
{
    struct fixture *f = *state;
    int fds[16];

    for (size_t i = 0; i < 16; i++)
        fds[i] = start_watch(f, "watch\n");
    check_error(f, "watch", "watch already");
    json_decref(ask(f, "status"));
    for (size_t i = 0; i < 16; i++)
        close(fds[i]);
}

static void put_row(struct fixture *f, const struct row *row)
{
    uint64_t number = store_put(f->store, row);

    assert_true(number > 0);
    while (store_committed(f->store) < number)
        usleep(100);
}

/* Who is not connected is looked up in the store; a NAT's history joins what the loop knows. */
static void test_store_behind(void **state)
{
    struct fixture *f = *state;
    struct row row;

    memset(&row, 0, sizeof(row));
    row.kind = ROW_PEER;
    fill_key(row.peer.key, 5);
    snprintf(row.peer.name, sizeof(row.peer.name), "away");
    put_row(f, &row);
    json_t *answer = ask(f, "peers away");
    json_t *peer = json_array_get(json_object_get(answer, "peers"), 0);
    assert_string_equal(json_string_value(json_object_get(peer, "name")), "away");
    assert_null(json_object_get(peer, "online"));
    json_decref(answer);
    assert_int_equal(check_list(f, "peers --all", "peers", false), 1);

    memset(&row, 0, sizeof(row));
    row.kind = ROW_OBSERVATION;
    row.observation.at = 1764494130000000;
    assert_int_equal(endpoint_parse("192.0.0.1:777", 0, &row.observation.observation.observed), 0);
    put_row(f, &row);
    answer = ask(f, "nats 192.0.0.1");
    assert_null(json_object_get(answer, "nats"));
    assert_int_equal(json_array_size(json_object_get(answer, "observations")), 1);
    json_decref(answer);
    f->daemon.nats = 3;
    answer = ask(f, "nats 192.0.0.1");
    assert_int_equal(json_array_size(json_object_get(answer, "nats")), 1);
    assert_int_equal(json_array_size(json_object_get(answer, "observations")), 1);
    json_decref(answer);
    answer = ask(f, "nats 192.0.0.2");
    assert_int_equal(json_array_size(json_object_get(answer, "nats")), 1);
    assert_int_equal(json_array_size(json_object_get(answer, "observations")), 0);
    json_decref(answer);

    memset(&row, 0, sizeof(row));
    row.kind = ROW_SESSION;
    memset(row.session.id, 0xab, sizeof(row.session.id));
    row.session.started = 1764494130000000;
    row.session.finished = row.session.started + 1;
    row.session.reason = REASON_MISSED;
    put_row(f, &row);
    assert_int_equal(check_list(f, "session ABAB", "sessions", false), 1);
    assert_int_equal(check_list(f, "sessions --failed --until 2025-12-01", "sessions", false), 1);
    assert_int_equal(
        check_list(f, "sessions --since 2025-12-01 --until 2025-12-02", "sessions", false), 0);
}

static void test_commands(void **state)
{
    static const struct {
        const char *line, *did;
    } rows[] = {
        {"invite", "invite 0 "},
        {"invite --name Bob --ttl 12h", "invite 43200 bob"},
        {"revoke abcd", "revoke abcd"},
        {"allow KEY", "allow 0 KEY"},
        {"allow --ttl 2h KEY", "allow 7200 KEY"},
        {"deny KEY", "deny 0 KEY"},
        {"deny KEY --kick", "deny 0 kick KEY"},
        {"ban home", "ban 0  home"},
        {"ban 192.0.2.0/24 --ttl 1d --reason scans --force", "ban 86400 force scans 192.0.2.0/24"},
        {"unban 192.0.2.0/24", "unban 0 192.0.2.0/24"},
        {"name release home", "release home"},
        {"name transfer home laptop", "transfer home laptop"},
        {"drain", "drain -1 "},
        {"drain --timeout 0s --to tryst://KEY@host", "drain 0 tryst://KEY@host"},
        {"{\"command\":\"kick\",\"args\":{\"peer\":\"who am i\"}}", "kick who am i"},
    };
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_t *answer = ask(f, rows[i].line);
        assert_true(json_is_true(json_object_get(answer, "ok")));
        assert_string_equal(f->daemon.did, rows[i].did);
        json_decref(answer);
    }
    f->daemon.refuses = true;
    check_error(f, "kick bob", "no \"bob\"");
    check_error(f, "ban bob", "no \"bob\"");
    check_error(f, "ban bob --ttl 0s", "ttl: '0s'");
    check_error(f, "ban bob --ttl 999999999999999d", "ttl: ");
    check_error(f, "{\"command\":\"allow\",\"args\":{\"key\":\"x\",\"ttl\":\"\"}}", "ttl: ''");
    check_error(f,
                "ban bob --reason 0123456789012345678901234567890123456789012345678901234567890123"
                "45678901234567890123456789012345",
                "longer than 95 bytes");
    check_error(f, "name take bob", "released or transferred");
    check_error(f, "name release bob anna", "names nobody");
    check_error(f, "name transfer bob", "to whom?");
    json_decref(ask(f, "log-level debug"));
    assert_int_equal(log_get_level(), LOG_LEVEL_DEBUG);
    log_set_level((enum log_level)0);
}

static void test_reload(void **state)
{
    struct fixture *f = *state;

    json_t *answer = ask(f, "reload");
    assert_int_equal(json_array_size(json_object_get(answer, "restart_needed")), 1);
    assert_string_equal(f->daemon.did, "reload ");
    json_decref(answer);
    f->daemon.reloaded = "{\"ok\":false,\"error\":\"x.conf:3: no\"}";
    check_error(f, "reload", "x.conf:3: no");
    f->daemon.refuses = true;
    check_error(f, "reload", "no \"\"");
}

static void check_option(struct fixture *f, const char *line, const char *name, const char *effect)
{
    json_t *answer = ask(f, line), *row = json_array_get(json_object_get(answer, "options"), 0);

    assert_int_equal(json_array_size(json_object_get(answer, "options")), 1);
    assert_string_equal(json_string_value(json_object_get(row, "name")), name);
    assert_string_equal(json_string_value(json_object_get(row, "takes_effect")), effect);
    json_decref(answer);
}

static void test_config(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(check_list(f, "config", "options", false), 3);
    /* Another value than the default, or another one to come. */
    assert_int_equal(check_list(f, "config --changed", "options", false), 2);
    check_option(f, "config probe", "probe", "reload");
    check_option(f, "config --changed port", "port", "restart");
    assert_int_equal(check_list(f, "config --changed probe", "options", false), 0);
    check_error(f, "config prot", "did you mean 'port'?");
}

/* What a decision came to is told, and whether it is stored. */
static void test_decision(void **state)
{
    struct fixture *f = *state;
    json_t *answer = ask(f, "ban 192.0.2.0/24 --ttl 1h");

    assert_string_equal(json_string_value(json_object_get(answer, "subject")), "192.0.2.0/24");
    assert_string_equal(json_string_value(json_object_get(answer, "expires")),
                        "1970-01-01T01:00:00.000Z");
    assert_int_equal(json_integer_value(json_object_get(answer, "closed")), 2);
    assert_true(json_is_true(json_object_get(answer, "stored")));
    json_decref(answer);
}

static void test_access_lists(void **state)
{
    struct fixture *f = *state;

    assert_int_equal(check_list(f, "bans", "bans", false), 25);
    assert_int_equal(check_list(f, "bans --limit 7", "bans", true), 7);
    /* What covers it, and what it covers. */
    assert_int_equal(check_list(f, "bans 10.0.0.0", "bans", false), 25);
    assert_int_equal(check_list(f, "bans 10.0.0.0/30", "bans", false), 25);
    assert_int_equal(check_list(f, "bans 10.128.0.1", "bans", false), 1);
    assert_int_equal(check_list(f, "bans 11.0.0.0/8", "bans", false), 0);
    assert_int_equal(check_list(f, "bans 0.0.0.0/0", "bans", false), 25);
    assert_int_equal(check_list(f, "access", "access", false), 3);
    assert_int_equal(check_list(f, "access peer-1", "access", false), 1);
    assert_int_equal(check_list(f, "access --limit 1", "access", true), 1);
    assert_int_equal(check_list(f, "names", "names", false), 3);
    assert_int_equal(check_list(f, "names peer-3", "names", false), 1);
    assert_int_equal(check_list(f, "invites --limit 4", "invites", true), 4);
    assert_int_equal(check_list(f, "invites --all", "invites", false), 0);
    check_error(f, "bans a,b", "neither a key nor a name");
}

static size_t lines(const char *text)
{
    size_t n = 0;

    for (; *text; text++)
        n += *text == '\n';
    return n;
}

/* As netcat does it: several lines at once, the last one without an end, and then a half-close.
 */
static void test_netcat(void **state)
{
    static const char text[] = "status\r\n\n  \nsessions\npeers --limit 3\nnats 192.0.2.77\nurl";
    struct fixture *f = *state;
    int fd = connect_client(f);

    f->daemon.peers = 10;
    assert_int_equal(send(fd, text, sizeof(text) - 1, 0), (ssize_t)sizeof(text) - 1);
    assert_int_equal(shutdown(fd, SHUT_WR), 0);
    char *out = receive(f, fd, SIZE_MAX);
    assert_int_equal(lines(out), 5);
    /* In the order of the questions. */
    const char *status = strstr(out, "\"version\""), *sessions = strstr(out, "\"sessions\":[");
    const char *peers = strstr(out, "\"peers\":["), *nats = strstr(out, "nothing is known");
    const char *url = strstr(out, "{\"schema\":1,\"ok\":true,\"url\":");
    assert_true(status && status < sessions && sessions < peers && peers < nats && nats < url);
    free(out);
    close(fd);
}

static void test_bytewise(void **state)
{
    static const char text[] = "{\"command\":\"url\"}\n";
    struct fixture *f = *state;
    int fd = connect_client(f);

    for (size_t i = 0; i < sizeof(text) - 1; i++) {
        assert_int_equal(send(fd, text + i, 1, 0), 1);
        turn(f);
    }
    char *out = receive(f, fd, 1);
    assert_non_null(strstr(out, "tryst://KEY@host"));
    free(out);
    close(fd);
}

static void test_bad_lines(void **state)
{
    struct fixture *f = *state;
    char *line = malloc(200000);
    int fd = connect_client(f);

    assert_non_null(line);
    memset(line, 'a', 200000);
    size_t sent = 0;
    for (unsigned i = 0; i < 1000 && sent < 200000; i++) {
        ssize_t n = send(fd, line + sent, 200000 - sent, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            break;
        sent += n > 0 ? (size_t)n : 0;
        turn(f);
    }
    char *out = receive(f, fd, SIZE_MAX);
    assert_int_equal(lines(out), 1);
    assert_non_null(strstr(out, "one line of 65536 bytes at most"));
    free(out);
    close(fd);

    fd = connect_client(f);
    assert_int_equal(send(fd, "status\0x\n", 9, 0), 9);
    out = receive(f, fd, 1);
    assert_non_null(strstr(out, "zero byte"));
    free(out);

    /* Nesting that would overflow a careless parser's stack. */
    memset(line, '[', 60000);
    static const char head[] = {'{', '"', 'a', '"', ':'};
    memcpy(line, head, sizeof(head));
    line[60000] = '\n';
    assert_int_equal(send(fd, line, 60001, 0), 60001);
    out = receive(f, fd, 1);
    assert_non_null(strstr(out, "not JSON"));
    free(out);
    close(fd);
    free(line);
}

/* A list of any length costs a reader that is slow or gone next to nothing. */
static void test_slow_reader(void **state)
{
    struct fixture *f = *state;
    int fd = connect_client(f), small = 4096;

    f->daemon.peers = 100000;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
    assert_int_equal(send(fd, "peers --limit 100000\n", 21, 0), 21);
    for (unsigned i = 0; i < 2000; i++)
        ev_run(f->loop, EVRUN_NOWAIT);
    /* It stopped when the buffers were full, and not at the end. */
    assert_in_range(f->daemon.looked_at, 50, 5000);
    size_t looked_at = f->daemon.looked_at;
    json_decref(ask(f, "status"));
    assert_int_equal(f->daemon.looked_at, looked_at);
    f->daemon.peers = 3000;
    char *out = receive(f, fd, 1);
    json_t *answer = json_loads(out, 0, NULL);
    assert_int_equal(json_array_size(json_object_get(answer, "peers")), 3000);
    json_decref(answer);
    free(out);

    f->daemon.peers = 100000;
    assert_int_equal(send(fd, "peers --limit 100000\n", 21, 0), 21);
    for (unsigned i = 0; i < 100; i++)
        turn(f);
    close(fd);
    for (unsigned i = 0; i < 100; i++)
        turn(f);
    assert_int_equal(check_list(f, "nats", "nats", false), 0);
}

/* Clients that leave while an answer is on its way. */
static void test_leavers(void **state)
{
    struct fixture *f = *state;

    f->daemon.peers = 1000;
    for (unsigned i = 0; i < 100; i++) {
        static const char *const all[] = {"sessions\n", "peers\n", "nats 1.2.3.4\n", "status\n",
                                          "st"};
        const char *line = all[i % 5];
        int fd = connect_client(f);
        assert_int_equal(send(fd, line, strlen(line), 0), (ssize_t)strlen(line));
        if (i % 2)
            turn(f);
        close(fd);
    }
    json_decref(ask(f, "status"));
}

static void test_many_clients(void **state)
{
    struct fixture *f = *state;
    int fds[40];

    for (unsigned i = 0; i < 40; i++) {
        fds[i] = connect_client(f);
        turn(f);
        turn(f);
    }
    for (unsigned i = 0; i < 40; i++) {
        (void)!send(fds[i], "url\n", 4, MSG_NOSIGNAL);
        char *out = receive(f, fds[i], 1);
        assert_non_null(strstr(out, i < 32 ? "tryst://" : "too many admin clients"));
        free(out);
    }
    for (unsigned i = 0; i < 40; i++)
        close(fds[i]);
    for (unsigned i = 0; i < 40; i++)
        turn(f);
    json_decref(ask(f, "status"));
}

static void test_socket_file(void **state)
{
    struct fixture *f = *state;
    struct admin_source source = {0};
    struct stat st;
    char long_path[300];

    /* A live one is left alone. */
    assert_null(admin_open(f->loop, f->path, -1, f->store, &source, err, sizeof(err)));
    assert_non_null(strstr(err, "another trystd"));
    admin_close(f->admin);
    assert_int_equal(stat(f->path, &st), -1);

    /* A stale one is replaced: bound, and nobody listens. */
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", f->path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    close(fd);
    open_admin(f);
    json_decref(ask(f, "status"));
    admin_close(f->admin);

    /* A file is nobody's to remove. */
    fd = open(f->path, O_CREAT | O_WRONLY, 0600);
    close(fd);
    assert_null(admin_open(f->loop, f->path, -1, f->store, &source, err, sizeof(err)));
    assert_non_null(strstr(err, "not a socket"));
    assert_int_equal(unlink(f->path), 0);

    memset(long_path, 'x', sizeof(long_path));
    long_path[sizeof(long_path) - 1] = '\0';
    assert_null(admin_open(f->loop, long_path, -1, f->store, &source, err, sizeof(err)));
    assert_non_null(strstr(err, "longer than"));
    assert_null(
        admin_open(f->loop, "/nonexistent/a.sock", -1, f->store, &source, err, sizeof(err)));
    assert_non_null(strstr(err, "directory is missing"));
    open_admin(f);
}

static void test_handed_over(void **state)
{
    struct fixture *f = *state;
    struct admin_source source = fake_source(&f->daemon);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat st;

    admin_close(f->admin);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", f->path);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 4), 0);
    f->admin = admin_open(f->loop, "/unused", fd, f->store, &source, err, sizeof(err));
    assert_non_null(f->admin);
    json_decref(ask(f, "status"));
    admin_close(f->admin);
    /* The file belongs to whoever made it. */
    assert_int_equal(stat(f->path, &st), 0);
    unlink(f->path);

    int pair[2];
    assert_int_equal(pipe(pair), 0);
    assert_null(admin_open(f->loop, "/unused", pair[0], f->store, &source, err, sizeof(err)));
    close(pair[0]);
    close(pair[1]);
    open_admin(f);
}

static void test_words(void **state)
{
    char *const words[] = {"--failed", "--limit=5", "--peer", "bob", "--since", "2h"};
    char *const dashed[] = {"--", "--name"};
    const struct admin_spec *spec = admin_spec_find("sessions", err, sizeof(err));

    (void)state;
    json_t *args = admin_args_parse(spec, words, 6, err, sizeof(err));
    assert_non_null(args);
    assert_true(json_is_true(json_object_get(args, "failed")));
    assert_int_equal(json_integer_value(json_object_get(args, "limit")), 5);
    assert_string_equal(json_string_value(json_object_get(args, "since")), "2h");
    json_decref(args);
    spec = admin_spec_find("kick", err, sizeof(err));
    args = admin_args_parse(spec, dashed, 2, err, sizeof(err));
    assert_non_null(args);
    assert_string_equal(json_string_value(json_object_get(args, "peer")), "--name");
    json_decref(args);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_status),       TEST(test_errors),
        TEST(test_table),        TEST(test_lists),
        TEST(test_store_behind), TEST(test_commands),
        TEST(test_reload),       TEST(test_config),
        TEST(test_netcat),       TEST(test_decision),
        TEST(test_access_lists), TEST(test_bytewise),
        TEST(test_bad_lines),    TEST(test_filters),
        TEST(test_stored_lists), TEST(test_stats),
        TEST(test_groups),       TEST(test_watch),
        TEST(test_slow_watcher), TEST(test_watchers_are_few),
        TEST(test_slow_reader),  TEST(test_leavers),
        TEST(test_many_clients), TEST(test_socket_file),
        TEST(test_handed_over),  cmocka_unit_test(test_words),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
