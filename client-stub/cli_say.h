/* SPDX-License-Identifier: ISC */
#ifndef TRYST_CLI_SAY_H
#define TRYST_CLI_SAY_H

#include <stdbool.h>

/*
 * All that tryst says on standard error. Each call writes whole lines at once, without the control
 * characters that a name or a text from afar might hold. A live line, if one is drawn, is erased
 * first.
 */
enum say_level { SAY_QUIET = -1, SAY_NORMAL = 0, SAY_STEPS = 1, SAY_DEBUG = 2 };

void cli_say_setup(int level);
int cli_say_level(void);
/* Whether a live line makes sense: steps are wanted, and standard error is a terminal that may be
 * drawn on. */
bool cli_say_can_live(void);

/* "tryst: ...", always. */
void cli_say_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Below an error: what to do about it, indented; nothing for an empty text. */
void cli_say_advice(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* "tryst: ...", unless -q. */
void cli_say_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* A step as it happens, with -v. */
void cli_say_step(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The library's log. */
void cli_say_log(void *unused, int level, const char *text);
/* Draws the text, cut to the terminal's width, in place of the one before; NULL erases it. */
void cli_say_live(const char *text);

#endif
