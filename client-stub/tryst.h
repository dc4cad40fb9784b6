/* SPDX-License-Identifier: ISC */
#ifndef TRYST_H
#define TRYST_H

/*
 * libtryst: one direct TCP connection to a peer behind a NAT.
 *
 * A context holds one identity and one control channel to one server. It may be used by one thread
 * at a time; any number of contexts may exist. The library has no global state, starts no threads,
 * installs no signal handlers and prints nothing. Every descriptor it opens is close-on-exec. After
 * fork() a context belongs to one of the two processes; the other may only close the descriptors by
 * exec.
 *
 * Functions that can fail return 0 (or what they say) on success and a negative reason code on
 * failure: -TRYST_PEER_OFFLINE and so on; tryst_strerror() explains either sign. A NULL handle is
 * never accepted unless said so. Strings are NUL-terminated UTF-8. Keys are 32 bytes (X25519), or
 * 44 characters of standard base64 where they are text.
 *
 * Two layers. The blocking one: tryst_connect() and tryst_accept(). Under it the non-blocking core:
 * one descriptor, tryst_fd(), that becomes readable when tryst_process() has work;
 * tryst_next_event() then hands out what happened.
 */

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define TRYST_API __attribute__((visibility("default")))
#else
#define TRYST_API
#endif

#define TRYST_VERSION_MAJOR 0
#define TRYST_VERSION_MINOR 1
#define TRYST_VERSION_PATCH 0

#define TRYST_KEY_SIZE           32
#define TRYST_KEY_TEXT_SIZE      45 /* base64 and terminator */
#define TRYST_SESSION_ID_SIZE    16
#define TRYST_ENDPOINT_TEXT_SIZE 56

/* Reason codes: the same numbers in the library, the wire protocol, the server's store and its
 * admin output. */
enum tryst_reason {
    TRYST_OK = 0,
    TRYST_SERVER_UNREACHABLE = 1,
    TRYST_SERVER_KEY = 2,
    TRYST_PROTOCOL = 3,
    TRYST_VERSION = 4,
    TRYST_NOT_REGISTERED = 5,
    TRYST_INVITE = 6,
    TRYST_NAME_TAKEN = 7,
    TRYST_BANNED = 8,
    TRYST_BUSY = 9,
    TRYST_SERVER_LOST = 10,
    TRYST_DRAINING = 11,
    TRYST_REPLACED = 12,
    TRYST_LIMIT = 13,
    TRYST_PEER_UNKNOWN = 30,
    TRYST_PEER_OFFLINE = 31,
    TRYST_DECLINED = 32,
    TRYST_PEER_KEY = 33,
    TRYST_PEER_LOST = 34,
    TRYST_SELF = 35,
    TRYST_NO_ANSWER = 36,
    TRYST_BOTH_RANDOM = 50,
    TRYST_NO_COMMON_FAMILY = 51,
    TRYST_NO_OBSERVATION = 52,
    TRYST_UNPREDICTABLE = 53,
    TRYST_MISSED = 54,
    TRYST_REFUSED = 55,
    TRYST_STRANGER = 56,
    TRYST_NO_HAIRPIN = 57,
    TRYST_PUNCH_TIMEOUT = 58,
    TRYST_LOCAL_SOCKET = 59,
    TRYST_NO_PROOF = 60,
    TRYST_POOLING = 61,
    TRYST_CANCELLED = 70,
    TRYST_ABORTED = 71,
    TRYST_TIMEOUT = 72,
    TRYST_INTERNAL = 73,
    /* library only, never on the wire */
    TRYST_INVALID = 100, /* an argument is out of range or malformed */
    TRYST_STATE = 101,   /* not possible in this state (a setter after start, say) */
    TRYST_NO_MEMORY = 102,
    TRYST_NO_KEY = 103,    /* no identity was set */
    TRYST_NO_SERVER = 104, /* no server was set */
    TRYST_RESOLVE = 105,   /* the server's name has no address */
    TRYST_UNSUPPORTED = 106
};

struct tryst_context;  /* one identity, one server, one control channel */
struct tryst_listener; /* the wish to be reached */
struct tryst_request;  /* one session, outgoing or incoming, or one check, until its final event */
struct tryst_event;    /* something that happened */
struct tryst_report;   /* all that is known about one session */
struct tryst_record;   /* encryption for the bytes of one connection */
struct tryst_outlook;  /* what a connection would come to: the answer to a check */
struct tryst_prospect; /* of it: against one peer, or one kind of peers */
struct tryst_nat;      /* of it: what is known about one NAT, in one address family */

/* ---- general ---- */

/* The version of the library in use, "0.1.0"; static. */
TRYST_API const char *tryst_version(void);
/* What happened, one clause; static. Takes a reason code with either sign. */
TRYST_API const char *tryst_strerror(int reason);
/* What a person can do about it; may be "". */
TRYST_API const char *tryst_advice(int reason);
/* A stable word for scripts ("peer-offline"). */
TRYST_API const char *tryst_reason_name(int reason);

/* A fresh secret key. Returns 0, or -TRYST_INTERNAL without a source of randomness. */
TRYST_API int tryst_keygen(uint8_t secret[TRYST_KEY_SIZE]);
TRYST_API int tryst_public_key(const uint8_t secret[TRYST_KEY_SIZE],
                               uint8_t public_key[TRYST_KEY_SIZE]);
TRYST_API void tryst_key_to_text(const uint8_t key[TRYST_KEY_SIZE], char text[TRYST_KEY_TEXT_SIZE]);
/* Accepts standard and URL-safe base64. -TRYST_INVALID for anything else. */
TRYST_API int tryst_key_from_text(const char *text, uint8_t key[TRYST_KEY_SIZE]);

/* ---- hooks ---- */

enum tryst_log_level {
    TRYST_LOG_ERROR = 3,
    TRYST_LOG_WARNING = 4,
    TRYST_LOG_INFO = 6,
    TRYST_LOG_DEBUG = 7
};
typedef void (*tryst_log_fn)(void *user, int level, const char *text);
/* Nanoseconds of a monotonic clock. The default, CLOCK_MONOTONIC, is the only one that tryst_fd()'s
 * timer follows. */
typedef int64_t (*tryst_clock_fn)(void *user);
typedef void (*tryst_random_fn)(void *user, void *out, size_t len);
/* Called for each socket before it is bound or used, e.g. to set a mark or a device. Non-zero
 * refuses the socket. */
typedef int (*tryst_socket_fn)(void *user, int fd);
/*
 * Turns the server's host name into addresses without blocking: fills up to `cap` numeric addresses
 * (TRYST_ENDPOINT_TEXT_SIZE bytes each, no port) and returns how many; 0: not found.
 */
typedef int (*tryst_resolve_fn)(void *user, const char *host,
                                char (*addresses)[TRYST_ENDPOINT_TEXT_SIZE], int cap);

struct tryst_allocator {
    void *(*alloc)(void *user, size_t size); /* as malloc */
    void *(*resize)(void *user, void *p, size_t size);
    void (*release)(void *user, void *p);
    void *user;
};

/* ---- context ---- */

/* NULL without memory. `allocator` may be NULL; it is copied. */
TRYST_API struct tryst_context *tryst_new(const struct tryst_allocator *allocator);
/* Closes everything; every handle and every undelivered event of the context ends with it. NULL is
 * fine. */
TRYST_API void tryst_free(struct tryst_context *ctx);

/* Setters come before tryst_start(); later they return -TRYST_STATE. Arguments are copied. */
TRYST_API int tryst_set_server(struct tryst_context *ctx,
                               const char *url); /* tryst://KEY@HOST[:PORT] */
TRYST_API int tryst_set_key(struct tryst_context *ctx, const uint8_t secret[TRYST_KEY_SIZE]);
TRYST_API int tryst_set_name(struct tryst_context *ctx, const char *name); /* peer name to claim */
TRYST_API int tryst_set_invite(struct tryst_context *ctx, const char *token); /* one-time token */
TRYST_API int tryst_set_agent(struct tryst_context *ctx,
                              const char *program); /* "name/version", for the operator */
TRYST_API int tryst_set_budget(struct tryst_context *ctx,
                               unsigned syns); /* SYNs a round, 1..512; default 64 */
/* Consent to hundreds of SYNs a round where nothing less helps (default 0). */
TRYST_API int tryst_set_birthday(struct tryst_context *ctx, int consent);
/* Whether to give up when the server cannot be reached at the first try (default 1), or to go on
 * trying. */
TRYST_API int tryst_set_fail_fast(struct tryst_context *ctx, int yes);
TRYST_API int tryst_set_log(struct tryst_context *ctx, int most, tryst_log_fn fn, void *user);
TRYST_API int tryst_set_clock(struct tryst_context *ctx, tryst_clock_fn fn, void *user);
TRYST_API int tryst_set_random(struct tryst_context *ctx, tryst_random_fn fn, void *user);
TRYST_API int tryst_set_socket_hook(struct tryst_context *ctx, tryst_socket_fn fn, void *user);
TRYST_API int tryst_set_resolver(struct tryst_context *ctx, tryst_resolve_fn fn, void *user);

/*
 * Resolves the server's name with getaddrinfo(), which may block. Needed before tryst_start() where
 * the URL has a host name and no resolver is set; a numeric address needs nothing.
 */
TRYST_API int tryst_resolve(struct tryst_context *ctx);

/* Begins to connect to the server; does not block. The context reconnects by itself with jittered
 * back-off. */
TRYST_API int tryst_start(struct tryst_context *ctx);

/* The context's own public key. */
TRYST_API int tryst_own_key(const struct tryst_context *ctx, uint8_t key[TRYST_KEY_SIZE]);
/* The name the server bound to it, "" if none yet; valid until the next call on ctx. */
TRYST_API const char *tryst_own_name(const struct tryst_context *ctx);

/* ---- blocking ---- */

/*
 * Connects to a peer by name or key. Returns 0 and a connected, proven, blocking TCP socket that
 * the caller owns. `timeout_ms` covers everything (0: the default, 20 s). `report`, unless NULL,
 * receives a report to be freed with tryst_report_free(), on success and on failure. Calls
 * tryst_resolve() and tryst_start() where that has not been done.
 */
TRYST_API int tryst_connect(struct tryst_context *ctx, const char *peer, int timeout_ms, int *fd,
                            struct tryst_report **report);
/* Waits for the next session of an accepted peer that succeeds. timeout_ms -1: for ever. Sessions
 * that fail are logged and skipped. */
TRYST_API int tryst_accept(struct tryst_listener *listener, int timeout_ms, int *fd,
                           struct tryst_report **report);

/*
 * What a connection would come to, before trying; nobody sends a SYN. With `peer` NULL this NAT is
 * surveyed, and weighed against kinds of peers. Else the server asks the peer, whose policy must
 * allow this side as for a connection, and weighs the two NATs. Returns 0 and an outlook, to be
 * freed with tryst_outlook_free(), when there is an answer, however bad. Times and calls as in
 * tryst_connect().
 */
TRYST_API int tryst_check(struct tryst_context *ctx, const char *peer, int timeout_ms,
                          struct tryst_outlook **outlook);

/* ---- listening ---- */

/*
 * One per context. May come before or after tryst_start(), but before is better: later, the context
 * has to come back to the server on a new connection. NULL: there is one already, or no memory.
 */
TRYST_API struct tryst_listener *tryst_listen(struct tryst_context *ctx);
/* Peers that are accepted without asking. Nobody is, at first. Others raise TRYST_EVENT_INCOMING.
 */
TRYST_API int tryst_listener_allow_key(struct tryst_listener *listener,
                                       const uint8_t key[TRYST_KEY_SIZE]);
TRYST_API int tryst_listener_allow_all(struct tryst_listener *listener, int yes);
/* Non-zero: peers that are not allowed are declined at once, without an event (the default in
 * tryst_accept()). */
TRYST_API int tryst_listener_decline_others(struct tryst_listener *listener, int yes);
/* Whether this side can do without the record layer (default 0); see tryst_report_plain(). */
TRYST_API int tryst_listener_set_plain(struct tryst_listener *listener, int yes);
TRYST_API void tryst_listener_free(struct tryst_listener *listener);

/* ---- non-blocking core ---- */

/* One descriptor for the life of the context: readable when tryst_process() should be called.
 * -TRYST_UNSUPPORTED where there is no epoll. */
TRYST_API int tryst_fd(struct tryst_context *ctx);
/* The portable way: the descriptors to poll now (returns their number, which may exceed cap), and
 * how long. */
struct pollfd;
TRYST_API int tryst_pollfds(struct tryst_context *ctx, struct pollfd *fds, int cap);
/* Milliseconds until tryst_process() must be called, rounded down; -1: no deadline. */
TRYST_API int tryst_timeout(struct tryst_context *ctx);
/*
 * Does whatever is due; never blocks, except that within the last millisecond before a punch it
 * waits for the exact moment. Returns 0, or the reason why the context has stopped for good.
 */
TRYST_API int tryst_process(struct tryst_context *ctx);
/* Polls and processes until an event is ready or the time is over. Returns 1 with an event ready, 0
 * after the time, or a negative reason. */
TRYST_API int tryst_wait(struct tryst_context *ctx, int timeout_ms);

/*
 * An outgoing session. Starts at once, or as soon as the control channel stands. flags below. NULL
 * without memory or when `peer` is neither a name nor a key. The handle is valid until its final
 * event has been freed.
 */
#define TRYST_REQUEST_PLAIN 0x1 /* this side can do without the record layer */
TRYST_API struct tryst_request *tryst_request(struct tryst_context *ctx, const char *peer,
                                              int timeout_ms, unsigned flags);
/*
 * A check, as in tryst_check(). Its final event is TRYST_EVENT_CHECKED when there is an answer.
 * NULL as in tryst_request().
 */
TRYST_API struct tryst_request *tryst_check_request(struct tryst_context *ctx, const char *peer,
                                                    int timeout_ms);
/*
 * The key that `peer`, a name, must have (pinned at an earlier contact). Right after
 * tryst_request() the server knows it, too; until a plan is here it is at least checked on this
 * side. -TRYST_INVALID: another key was pinned before.
 */
TRYST_API int tryst_request_pin(struct tryst_request *req, const uint8_t key[TRYST_KEY_SIZE]);
/* Answers TRYST_EVENT_INCOMING. An incoming check (see tryst_report_check()) ends with that. */
TRYST_API int tryst_request_accept(struct tryst_request *req, unsigned flags);
TRYST_API int tryst_request_reject(struct tryst_request *req, const char *text);
/* The final event still comes, with TRYST_CANCELLED unless another outcome was there first. */
TRYST_API int tryst_cancel(struct tryst_request *req);
TRYST_API void tryst_request_set_user(struct tryst_request *req, void *user);
TRYST_API void *tryst_request_user(const struct tryst_request *req);
/* What is known so far; belongs to the request. */
TRYST_API const struct tryst_report *tryst_request_report(const struct tryst_request *req);

/* ---- events ---- */

enum tryst_event_type {
    TRYST_EVENT_REGISTERED = 1, /* the control channel stands; no request */
    TRYST_EVENT_DISCONNECTED,   /* it does not; tryst_event_reason() says why; will reconnect unless
                                   tryst_process() fails */
    TRYST_EVENT_SURVEYED,       /* a survey of this NAT was answered; no request */
    TRYST_EVENT_INCOMING,       /* a peer wants a session: accept or reject */
    TRYST_EVENT_INVITED,        /* incoming, accepted by policy */
    TRYST_EVENT_PREPARED,       /* anchors observed */
    TRYST_EVENT_PUNCHING,       /* a plan is here: report has NATs, chance, start */
    TRYST_EVENT_OPENED,         /* a TCP connection stands, proof is under way */
    TRYST_EVENT_ROUND_LOST,     /* this round met nobody; another may follow */
    TRYST_EVENT_ESTABLISHED,    /* final: proven and selected */
    TRYST_EVENT_FAILED,         /* final */
    TRYST_EVENT_CHECKED,        /* final: a check was answered; the event has the outlook */
    TRYST_EVENT_ASKED           /* an accepted peer has checked; no request; the text says who */
};
/*
 * The next event, NULL when there is none. The caller frees it, also after tryst_free(). Each
 * request gets exactly one final event; freeing that ends the request's handle.
 */
TRYST_API struct tryst_event *tryst_next_event(struct tryst_context *ctx);
TRYST_API void tryst_event_free(struct tryst_event *ev);
TRYST_API enum tryst_event_type tryst_event_type(const struct tryst_event *ev);
TRYST_API const char *tryst_event_type_name(enum tryst_event_type type);
TRYST_API struct tryst_request *tryst_event_request(const struct tryst_event *ev); /* may be NULL */
TRYST_API int tryst_event_reason(const struct tryst_event *ev); /* 0 or a positive reason code */
TRYST_API const char *tryst_event_text(const struct tryst_event *ev); /* detail, may be "" */
/* ESTABLISHED only: the socket (non-blocking), now the caller's; -1 if taken already. Untaken, it
 * is closed with the event. */
TRYST_API int tryst_event_take_fd(struct tryst_event *ev);
/* Final events: the report, now the caller's; NULL if taken. */
TRYST_API struct tryst_report *tryst_event_take_report(struct tryst_event *ev);

/* CHECKED only: the outlook, now the caller's; NULL if taken, and where this peer was asked. */
TRYST_API struct tryst_outlook *tryst_event_take_outlook(struct tryst_event *ev);

/* ---- report ---- */

enum tryst_stage {
    TRYST_STAGE_START = 0,  /* request made */
    TRYST_STAGE_REGISTERED, /* control channel stands */
    TRYST_STAGE_REQUESTED,  /* introduction asked for (requester), invitation received (target) */
    TRYST_STAGE_PREPARED,   /* anchors observed, where any were needed */
    TRYST_STAGE_PLANNED,    /* plan received */
    TRYST_STAGE_PUNCHED,    /* first SYN left */
    TRYST_STAGE_OPENED,     /* first TCP connection */
    TRYST_STAGE_PROVEN,     /* peer proven and connection selected */
    TRYST_STAGE_COUNT
};
TRYST_API const char *tryst_stage_name(enum tryst_stage stage);

TRYST_API int tryst_report_reason(const struct tryst_report *r);
TRYST_API const char *
tryst_report_text(const struct tryst_report *r); /* full sentence, with advice */
TRYST_API enum tryst_stage tryst_report_stage(const struct tryst_report *r);
/* Microseconds from TRYST_STAGE_START to a stage, -1 if it was not reached. */
TRYST_API int64_t tryst_report_time(const struct tryst_report *r, enum tryst_stage stage);
TRYST_API int tryst_report_incoming(const struct tryst_report *r);
/* Whether it is about a check, and not about a session. */
TRYST_API int tryst_report_check(const struct tryst_report *r);
TRYST_API int tryst_report_peer_key(const struct tryst_report *r,
                                    uint8_t key[TRYST_KEY_SIZE]); /* -TRYST_STATE: not known yet */
TRYST_API const char *tryst_report_peer_name(const struct tryst_report *r);
TRYST_API int tryst_report_session_id(const struct tryst_report *r,
                                      uint8_t id[TRYST_SESSION_ID_SIZE]);
TRYST_API const char *
tryst_report_local_nat(const struct tryst_report *r); /* in words; "" until planned */
TRYST_API const char *tryst_report_remote_nat(const struct tryst_report *r);
TRYST_API double tryst_report_chance(const struct tryst_report *r); /* 0..1, -1 until planned */
TRYST_API int tryst_report_rounds(const struct tryst_report *r);
TRYST_API int tryst_report_syns(const struct tryst_report *r);
TRYST_API int tryst_report_refusals(const struct tryst_report *r);
TRYST_API int64_t tryst_report_late(
    const struct tryst_report *r); /* microseconds by which the first SYN missed its moment */
TRYST_API int64_t tryst_report_start_in(
    const struct tryst_report
        *r); /* microseconds until the punch time, negative: since; 0 until planned */
TRYST_API int tryst_report_family(const struct tryst_report *r); /* 4, 6, or 0 */
TRYST_API const char *tryst_report_local_endpoint(const struct tryst_report *r);
TRYST_API const char *tryst_report_remote_endpoint(const struct tryst_report *r);
/* Whether both sides said that they can do without the record layer. */
TRYST_API int tryst_report_plain(const struct tryst_report *r);
/* A 32-byte key that only the two peers share, bound to this connection and to `label`.
 * -TRYST_STATE unless established. */
TRYST_API int tryst_report_export(const struct tryst_report *r, const char *label, uint8_t key[32]);
/* The report as one JSON object. Returns the length it has (as snprintf). */
TRYST_API int tryst_report_json(const struct tryst_report *r, char *out, size_t size);
TRYST_API void tryst_report_free(struct tryst_report *r);

/* ---- outlook ---- */

/* The peer that the check was about; -TRYST_STATE: it was about kinds of peers. */
TRYST_API int tryst_outlook_peer_key(const struct tryst_outlook *o, uint8_t key[TRYST_KEY_SIZE]);
/* How many rounds a session has at most. The chances are those of the first one. */
TRYST_API int tryst_outlook_rounds(const struct tryst_outlook *o);
/* Whether both peers come from one public address: their private ones would be tried as well, and
 * no chance speaks of that. */
TRYST_API int tryst_outlook_same_address(const struct tryst_outlook *o);
/* This side's NATs, one per address family; number 0 to count - 1, NULL beyond. */
TRYST_API int tryst_outlook_nats(const struct tryst_outlook *o);
TRYST_API const struct tryst_nat *tryst_outlook_nat(const struct tryst_outlook *o, int i);
/* The prospects: one for each kind of peers, or one for the peer. NULL beyond. */
TRYST_API int tryst_outlook_prospects(const struct tryst_outlook *o);
TRYST_API const struct tryst_prospect *tryst_outlook_prospect(const struct tryst_outlook *o, int i);
/* The outlook as one JSON object. Returns the length it has (as snprintf). */
TRYST_API int tryst_outlook_json(const struct tryst_outlook *o, char *out, size_t size);
/* NULL is fine. */
TRYST_API void tryst_outlook_free(struct tryst_outlook *o);

/* A stable word for the kind of peers ("home-rst"); "peer" for the one that was asked about. */
TRYST_API const char *tryst_prospect_kind(const struct tryst_prospect *p);
/* The kind, or the peer's NAT, in plain words. */
TRYST_API const char *tryst_prospect_words(const struct tryst_prospect *p);
TRYST_API int tryst_prospect_family(const struct tryst_prospect *p); /* 4 or 6; 0: neither */
/* 0, or the reason for which a connection would not even be tried. */
TRYST_API int tryst_prospect_reason(const struct tryst_prospect *p);
/* That the first round meets, 0..1, with the consent and the budgets as they are ... */
TRYST_API double tryst_prospect_chance(const struct tryst_prospect *p);
/* ... and if both sides consented to hundreds of SYNs a round (tryst_set_birthday()). */
TRYST_API double tryst_prospect_birthday(const struct tryst_prospect *p);
/* The chance in a word: "sure" from 0.95, "likely" from 0.75, "even" from 0.40, "poor", or "no"
 * where there is a reason. */
TRYST_API const char *tryst_prospect_level(const struct tryst_prospect *p);
/* The other side's NAT. */
TRYST_API const struct tryst_nat *tryst_prospect_nat(const struct tryst_prospect *p);

TRYST_API int tryst_nat_family(const struct tryst_nat *n);
TRYST_API const char *tryst_nat_address(const struct tryst_nat *n); /* "" where it is not told */
TRYST_API const char *tryst_nat_words(const struct tryst_nat *n);   /* in plain words */
/* Stable words: "eim", "apdf", "preserve", "silence", "paired" and so on; "unknown". */
TRYST_API const char *tryst_nat_mapping(const struct tryst_nat *n);
TRYST_API const char *tryst_nat_filtering(const struct tryst_nat *n);
TRYST_API const char *tryst_nat_allocation(const struct tryst_nat *n);
TRYST_API const char *tryst_nat_refusal(const struct tryst_nat *n);
TRYST_API const char *tryst_nat_pooling(const struct tryst_nat *n);
TRYST_API int tryst_nat_confidence(const struct tryst_nat *n); /* percent */
TRYST_API unsigned long
tryst_nat_samples(const struct tryst_nat *n); /* observations behind all this */
/* Ports per new mapping (counter), or from the local to the public port (offset). */
TRYST_API long tryst_nat_delta(const struct tryst_nat *n);
TRYST_API double tryst_nat_drift(const struct tryst_nat *n); /* ports that others take a second */
/* The block that ports come from; -TRYST_STATE: there is none. */
TRYST_API int tryst_nat_block(const struct tryst_nat *n, unsigned *low, unsigned *high);

/* ---- record layer ---- */

#define TRYST_RECORD_HEADER    2
#define TRYST_RECORD_OVERHEAD  18 /* header and tag */
#define TRYST_RECORD_PLAIN_MAX 65519

/* The connection's ciphers, once; NULL if taken or not established. Freed by the caller. */
TRYST_API struct tryst_record *tryst_report_take_record(struct tryst_report *r);
/* Seals len (0..TRYST_RECORD_PLAIN_MAX) bytes into out[len + TRYST_RECORD_OVERHEAD]; returns the
 * size. len 0 says: no more in this direction. */
TRYST_API int tryst_record_seal(struct tryst_record *rec, const void *plain, size_t len, void *out);
/*
 * Opens the record at the start of in. Returns > 0: the bytes consumed, with *plain_len bytes in
 * out (which may be `in` itself; 0 bytes: the other side has ended its direction); 0: more bytes
 * are needed; negative: not genuine, close the connection.
 */
TRYST_API int tryst_record_open(struct tryst_record *rec, const void *in, size_t len, void *out,
                                size_t *plain_len);
TRYST_API void tryst_record_free(struct tryst_record *rec);

#ifdef __cplusplus
}
#endif

#endif
