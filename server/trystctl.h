/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#ifndef TRYST_TRYSTCTL_H
#define TRYST_TRYSTCTL_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * trystctl in parts: trystctl.c (command line), trystctl_socket.c (the way to the daemon),
 * trystctl_text.c (words and tables), trystctl_list.c (status and lists), trystctl_session.c (the
 * story of a session), trystctl_limit.c (limits), trystctl_nat.c (one NAT), trystctl_conf.c (the
 * configuration), trystctl_store.c (check and backup), trystctl_watch.c (live events),
 * trystctl_access.c (who may use the server).
 */

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* How stdout wants it. */
struct ctl_style {
    bool tty;
    bool colour;
    size_t width; /* of the terminal; 0: no limit */
    int64_t now;  /* microseconds since 1970 */
};
extern struct ctl_style ctl_style;
void ctl_style_init(void);

/* --- trystctl_socket.c --- */

/* A connection, and what has come of it: the line in hand begins at `begin`, and there is no end of
 * a line before `looked`. */
struct ctl_lines {
    int fd;
    char *bytes;
    size_t begin, looked, len, size;
};
/* Connects and sends the request. 0, or -1 after a complaint. */
int ctl_open(struct ctl_lines *l, const char *path, const json_t *request);
void ctl_close(struct ctl_lines *l);
/* The next line without its end; good until the next call. NULL: the daemon has gone. */
char *ctl_line(struct ctl_lines *l);
/* The same, of what is there already: NULL for none. */
char *ctl_line_there(struct ctl_lines *l);
/* Receives what there is, waiting for it if need be. 0, or -1: the daemon has gone. */
int ctl_receive(struct ctl_lines *l);

/* --- trystctl_text.c --- */

/* "trystctl: ..." on stderr. */
void ctl_complain(const char *format, ...) __attribute__((format(printf, 1, 2)));

enum ctl_colour { CTL_PLAIN, CTL_BOLD, CTL_DIM, CTL_RED, CTL_GREEN, CTL_YELLOW };
/* The sequence that starts a colour (CTL_PLAIN: ends it); "" where there are no colours. */
const char *ctl_colour(enum ctl_colour colour);

/* Members of an object, however it came: a missing or odd one reads as "", 0 or false. */
const char *ctl_text(const json_t *o, const char *name);
int64_t ctl_int(const json_t *o, const char *name);
double ctl_real(const json_t *o, const char *name);
bool ctl_has(const json_t *o, const char *name); /* there, and not null */
bool ctl_true(const json_t *o, const char *name);

/* The texts of a list, "a, b"; "" for none. */
const char *ctl_names(const json_t *o, const char *name);

/* Texts come out of one of a few static buffers: good until a dozen more calls. */
const char *ctl_format(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* "1 row", "2 rows" */
const char *ctl_count(int64_t n, const char *word);
/* A moment of an answer: relative on a terminal ("3 min ago"), as it is elsewhere; "-" for none. */
const char *ctl_when(const json_t *o, const char *name);
/* "1.2 ms", "3.4 s", "4 min" */
const char *ctl_span(int64_t us);
/* "12.3 MiB" */
const char *ctl_bytes(int64_t bytes);
/* Shortened on a terminal: the beginning tells keys and ids apart. */
const char *ctl_short(const char *text, size_t len);
/* Name, or else the key. */
const char *ctl_who(const json_t *peer);

/*
 * A table whose columns fit the terminal: what is flexible is shortened a little, then columns are
 * left out (the one with the greatest `spare` first, 0 never), then what is flexible is shortened
 * further.
 */
#define CTL_COLUMNS 12
struct ctl_column {
    const char *head;
    bool right;
    bool flexible;
    unsigned spare;
};
struct ctl_table;
struct ctl_table *ctl_table(const struct ctl_column *columns, size_t count);
/* The next cell, from left to right; control characters are left out. */
void ctl_cell(struct ctl_table *t, enum ctl_colour colour, const char *text);
/* Prints and frees it. */
void ctl_table_end(struct ctl_table *t);

/* What a list cannot show all of, and how to. */
void ctl_print_more(const json_t *answer, const char *how);
/* Whether a list is empty; said on a terminal only. */
bool ctl_print_none(const json_t *list, const char *what);

/* Adds to a paragraph; ctl_paragraph_end wraps and prints it, each line after `indent` blanks. */
void ctl_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void ctl_paragraph_end(size_t indent);
/* Prints what was said as the rest of a line, however long. */
void ctl_line_end(void);
void ctl_heading(const char *text);

/* --- printing answers --- */

void ctl_print_status(const json_t *answer);
void ctl_print_peers(const json_t *answer);
void ctl_print_sessions(const json_t *answer);
void ctl_print_nats(const json_t *answer);
void ctl_print_invite(const json_t *answer);
void ctl_print_invites(const json_t *answer);
void ctl_print_access(const json_t *answer);
void ctl_print_bans(const json_t *answer);
void ctl_print_ban(const json_t *answer);
void ctl_print_names(const json_t *answer);
void ctl_print_name(const json_t *answer);
/* What there is to know about a change that went well. */
void ctl_print_notes(const json_t *answer);
void ctl_print_session(const json_t *answer);
void ctl_print_nat(const json_t *answer);
void ctl_print_config(const json_t *answer);
void ctl_print_reload(const json_t *answer);
void ctl_print_stats(const json_t *answer);
void ctl_print_check_store(const json_t *answer);
void ctl_print_backup(const json_t *answer);
void ctl_print_limits(const json_t *answer);
void ctl_print_help(const json_t *answer);
/* Prints events until a signal or a closed stdout ends it: 0. -1: the daemon has ended. */
int ctl_watch(struct ctl_lines *l, bool json);
/* "endpoint-independent mapping, ... (confidence 90%, 12 observations)" */
const char *ctl_nat(const json_t *nat);

#endif
