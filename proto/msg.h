/* SPDX-License-Identifier: ISC */
#ifndef TRYST_MSG_H
#define TRYST_MSG_H

#include <stddef.h>
#include <stdint.h>

#include "endpoint.h"
#include "nat.h"
#include "tick.h"

/*
 * The messages of PROTOCOL.md as C values. msg.def holds them all; this header turns the table into
 * types.
 */

#define MSG_VERSION  1
#define MSG_PROLOGUE "tryst/1" /* of the control channel's handshake */

#define MSG_TEXT_SIZE     256
#define MSG_ID_SIZE       16
#define MSG_SECRET_SIZE   32
#define MSG_TAG_SIZE      16
#define MSG_ENDPOINTS_MAX 8
#define MSG_STEPS_MAX     64
#define MSG_VOLLEYS_MAX   32
#define MSG_NATS_MAX      4
#define MSG_PROSPECTS_MAX 32

#define REGISTER_LISTEN       0x0001
#define REGISTER_CONTROL_PORT 0x0002 /* can punch from its control channel's own port */

#define SESSION_BIRTHDAY 0x0001 /* consents to hundreds of SYNs in a round */
#define SESSION_PLAIN    0x0002 /* wants no record layer; the server only passes it on */
#define SESSION_CHECK    0x0004 /* asks for the chance alone: nobody sends a SYN */

/* Both peers come from one public address, and their private ones would be tried as well. */
#define CHECKED_SAME_ADDRESS 0x0001

enum { ROLE_REQUESTER = 0, ROLE_TARGET = 1 };
enum { RESULT_CONNECTED = 0, RESULT_ACCEPTED = 1 };

/* The socket number that stands for the local port of the control channel, in its own family. */
#define SOCKET_CONTROL 0xffff

/*
 * One observation connection. Sockets are numbered per family; number n stands for one local port,
 * bound on first use to a fresh port and kept for as long as the survey or session lasts. In a
 * survey, the sockets of one family are bound together before the first step, in ascending order of
 * their ports.
 */
struct step {
    uint16_t socket;
    uint8_t flags;
    uint32_t pause_us;      /* after the step before it has ended (or started, with STEP_BURST) */
    struct endpoint server; /* address all zero: the one that the control channel was dialled at */
};
#define STEP_BURST  0x01 /* does not wait for the step before it */
#define STEP_KEEP   0x02 /* stays open until the survey (the session) is over */
#define STEP_LISTEN 0x04 /* the client listens on the socket's port too, for the filtering test */
/*
 * Nothing is said on this connection: the server, which does not listen there, sends a SYN the
 * other way at the same time, and SURVEYED says whether it came in.
 */
#define STEP_CROSS 0x08

/* What came of it: SURVEYED's `crossing`. */
enum { CROSSING_UNKNOWN, CROSSING_CAME_IN, CROSSING_KEPT_OUT };

/*
 * A run of SYNs: number i of `count` leaves socket `socket + i * socket_step` for port `remote.port
 * + i * port_step` (modulo 2^16) at `offset_us + i * spacing_us` after the start; offset may be
 * negative.
 */
struct volley {
    uint16_t socket;
    int16_t socket_step;
    struct endpoint remote;
    int16_t port_step;
    uint16_t count;
    int32_t offset_us;
    uint32_t spacing_us;
};

/* A peer's NAT in one family; the port is 0. */
struct nat_at {
    struct endpoint address;
    struct nat_summary nat;
};

/* What a session with some peer would come to. */
struct prospect {
    uint8_t kind;           /* enum peer_kind, or 0: the peer that was asked about */
    uint8_t family;         /* 4 or 6: over which it is likelier; 0: neither */
    uint8_t reason;         /* REASON_OK, or why no round would be tried */
    uint32_t chance;        /* that the first round meets, in millionths */
    uint32_t birthday;      /* the same if both sides consented to hundreds of SYNs a round */
    struct nat_summary nat; /* the other side's, in that family */
};

struct endpoints {
    uint8_t count;
    struct endpoint at[MSG_ENDPOINTS_MAX];
};

struct steps {
    uint8_t count;
    struct step at[MSG_STEPS_MAX];
};

struct volleys {
    uint8_t count;
    struct volley at[MSG_VOLLEYS_MAX];
};

struct nats {
    uint8_t count;
    struct nat_at at[MSG_NATS_MAX];
};

struct prospects {
    uint8_t count;
    struct prospect at[MSG_PROSPECTS_MAX];
};

/* clang-format off */
#define MSG_C_U8(name) uint8_t name
#define MSG_C_REASON(name) uint8_t name
#define MSG_C_U16(name) uint16_t name
#define MSG_C_U32(name) uint32_t name
#define MSG_C_I32(name) int32_t name
#define MSG_C_I64(name) int64_t name
#define MSG_C_KEY(name) uint8_t name[32]
#define MSG_C_ID(name) uint8_t name[MSG_ID_SIZE]
#define MSG_C_SECRET(name) uint8_t name[MSG_SECRET_SIZE]
#define MSG_C_TAG(name) uint8_t name[MSG_TAG_SIZE]
#define MSG_C_TEXT(name) char name[MSG_TEXT_SIZE]
#define MSG_C_HIDDEN(name) char name[MSG_TEXT_SIZE]
#define MSG_C_ENDPOINT(name) struct endpoint name
#define MSG_C_NAT(name) struct nat_summary name
#define MSG_C_ENDPOINTS(name) struct endpoints name
#define MSG_C_STEPS(name) struct steps name
#define MSG_C_VOLLEYS(name) struct volleys name
#define MSG_C_NATS(name) struct nats name
#define MSG_C_PROSPECTS(name) struct prospects name

/* struct msg_register, struct msg_registered, ... */
#define MESSAGE(type, NAME, name) struct msg_##name {
#define FIELD(KIND, name) MSG_C_##KIND(name);
#define END(name) };
#include "msg.def"
#undef MESSAGE
#undef FIELD
#undef END

enum msg_type {
#define MESSAGE(type, NAME, name) MSG_##NAME = (type),
#define FIELD(KIND, name)
#define END(name)
#include "msg.def"
#undef MESSAGE
#undef FIELD
#undef END
};

/* Any one message. Some kilobytes: lives on the stack of whoever handles it, never in a table. */
struct msg {
    uint8_t type;
    union {
#define MESSAGE(type, NAME, name) struct msg_##name name##_;
#define FIELD(KIND, name)
#define END(name)
#include "msg.def"
#undef MESSAGE
#undef FIELD
#undef END
    };
};
/* clang-format on */

/* The first body byte of a connection's first frame says what the connection is for. */
#define HELLO_CONTROL     1 /* followed by Noise IK message 1 */
#define HELLO_OBSERVATION 2 /* followed by an OBSERVE message, type byte included */
#define HELLO_PEER        3 /* on a punched connection: Noise KK message 1 */

/*
 * Type byte and fields into out. Returns the length, or -1: no such type, a list or text beyond its
 * limit, no room. A message encoded from valid fields never exceeds FRAME_PLAIN_MAX.
 */
int msg_encode(const struct msg *m, uint8_t *out, size_t size);

/*
 * Returns 0; MSG_UNKNOWN_TYPE, with m->type set, for a type this version does not know;
 * MSG_MALFORMED for a field that is cut off in its middle or out of range. Missing trailing fields
 * are zero, unknown trailing bytes are skipped.
 */
#define MSG_MALFORMED    (-1)
#define MSG_UNKNOWN_TYPE (-2)
int msg_decode(const uint8_t *in, size_t len, struct msg *m);

/* "PUNCH"; "?" for an unknown type. */
const char *msg_name(unsigned type);

/*
 * Field by field, secrets as "(secret)", for logs and for the protocol document's test. Returns
 * out.
 */
const char *msg_describe(const struct msg *m, char *out, size_t size);

/*
 * The tags of the observation connection: the first 16 bytes of BLAKE2b-256, keyed with the
 * survey's secret, over the encoded message up to its tag. msg_tag fills m->observe_.tag or
 * m->observed_.tag; msg_tag_verify returns 0 if it is genuine.
 */
int msg_tag(struct msg *m, const uint8_t secret[MSG_SECRET_SIZE]);
int msg_tag_verify(const struct msg *m, const uint8_t secret[MSG_SECRET_SIZE]);

/* The i-th SYN of a volley. */
struct syn {
    uint16_t socket;
    struct endpoint remote;
    tick offset;
};
struct syn volley_syn(const struct volley *v, unsigned i);

#endif
