/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "span.h"
#include "trystctl.h"

struct ctl_style ctl_style;

static size_t terminal_width(void)
{
    struct winsize size;
    const char *columns = getenv("COLUMNS");
    long n = columns ? strtol(columns, NULL, 10) : 0;

    if (n > 0 && n < 10000)
        return (size_t)n;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        return size.ws_col;
    return 80;
}

void ctl_style_init(void)
{
    const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    ctl_style.now = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
    ctl_style.tty = isatty(STDOUT_FILENO);
    ctl_style.width = ctl_style.tty ? terminal_width() : 0;
    ctl_style.colour =
        ctl_style.tty && !(no_color && *no_color) && !(term && !strcmp(term, "dumb"));
}

const char *ctl_colour(enum ctl_colour colour)
{
    static const char *const sequences[] = {"\033[0m",  "\033[1m",  "\033[2m",
                                            "\033[31m", "\033[32m", "\033[33m"};

    return ctl_style.colour ? sequences[colour] : "";
}

void ctl_complain(const char *format, ...)
{
    va_list args;

    fputs("trystctl: ", stderr);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

const char *ctl_text(const json_t *o, const char *name)
{
    const char *text = json_string_value(json_object_get(o, name));

    return text ? text : "";
}

int64_t ctl_int(const json_t *o, const char *name)
{
    return json_integer_value(json_object_get(o, name));
}

double ctl_real(const json_t *o, const char *name)
{
    return json_number_value(json_object_get(o, name));
}

bool ctl_has(const json_t *o, const char *name)
{
    const json_t *v = json_object_get(o, name);

    return v && !json_is_null(v);
}

bool ctl_true(const json_t *o, const char *name)
{
    return json_is_true(json_object_get(o, name));
}

const char *ctl_names(const json_t *o, const char *name)
{
    const char *names = "";
    const json_t *item;
    size_t i;

    json_array_foreach(json_object_get(o, name), i, item) names =
        ctl_format("%s%s%s", names, i ? ", " : "", json_string_value(item));
    return names;
}

const char *ctl_format(const char *format, ...)
{
    static char texts[16][512];
    static unsigned next;
    char *out = texts[next++ % 16];
    va_list args;

    va_start(args, format);
    vsnprintf(out, sizeof(texts[0]), format, args);
    va_end(args);
    return out;
}

const char *ctl_count(int64_t n, const char *word)
{
    return ctl_format("%" PRId64 " %s%s", n, word, n == 1 ? "" : "s");
}

const char *ctl_when(const json_t *o, const char *name)
{
    const char *text = ctl_text(o, name);
    int64_t then;

    if (!*text)
        return "-";
    if (!ctl_style.tty || moment_parse(text, ctl_style.now, &then))
        return text;
    int64_t s = (ctl_style.now - then) / 1000000;
    if (s < -1)
        return text;
    if (s < 2)
        return "just now";
    if (s < 120)
        return ctl_format("%" PRId64 " s ago", s);
    if (s < 2 * 3600)
        return ctl_format("%" PRId64 " min ago", s / 60);
    if (s < 2 * 86400)
        return ctl_format("%" PRId64 " h ago", s / 3600);
    if (s < 60 * 86400)
        return ctl_format("%" PRId64 " days ago", s / 86400);
    return ctl_format("%.10s", text);
}

const char *ctl_span(int64_t us)
{
    int64_t size = us < 0 ? -us : us;

    if (size < 1000)
        return ctl_format("%" PRId64 " us", us);
    if (size < 100000)
        return ctl_format("%.1f ms", (double)us / 1e3);
    if (size < 1000000)
        return ctl_format("%.0f ms", (double)us / 1e3);
    if (size < 120000000)
        return ctl_format("%.1f s", (double)us / 1e6);
    if (size < (int64_t)2 * 3600 * 1000000)
        return ctl_format("%" PRId64 " min", us / 60000000);
    if (size < (int64_t)48 * 3600 * 1000000)
        return ctl_format("%" PRId64 " h", us / 3600000000);
    return ctl_format("%" PRId64 " days", us / 86400000000);
}

const char *ctl_bytes(int64_t bytes)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    double n = (double)bytes;
    unsigned unit = 0;

    for (; n >= 1024 && unit < 4; n /= 1024)
        unit++;
    return ctl_format(unit ? "%.1f %s" : "%.0f %s", n, units[unit]);
}

const char *ctl_short(const char *text, size_t len)
{
    if (!ctl_style.tty || strlen(text) <= len)
        return text;
    return ctl_format("%.*s", (int)len, text);
}

const char *ctl_who(const json_t *peer)
{
    const char *name = ctl_text(peer, "name");

    return *name ? name : ctl_short(ctl_text(peer, "key"), 8);
}

/* --- tables --- */

struct cell {
    char *text;
    enum ctl_colour colour;
};

struct ctl_table {
    const struct ctl_column *columns;
    size_t count;
    struct cell *cells;
    size_t used, size;
    size_t widths[CTL_COLUMNS];
    bool hidden[CTL_COLUMNS];
};

struct ctl_table *ctl_table(const struct ctl_column *columns, size_t count)
{
    struct ctl_table *t = calloc(1, sizeof(*t));

    if (!t || count > CTL_COLUMNS) {
        fputs("trystctl: not enough memory\n", stderr);
        exit(1);
    }
    t->columns = columns;
    t->count = count;
    for (size_t i = 0; i < count; i++)
        ctl_cell(t, CTL_BOLD, columns[i].head);
    return t;
}

/* Characters, not bytes; close enough to columns for what tables hold. */
static size_t width_of(const char *text)
{
    size_t n = 0;

    for (; *text; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

/* Peers choose some of these texts: nothing in them may move the cursor. */
static char *clean(const char *text)
{
    char *out = malloc(strlen(text) + 1), *at = out;

    for (; out && *text; text++) {
        unsigned char c = (unsigned char)*text;
        bool c1 = c == 0xc2 && (unsigned char)text[1] >= 0x80 && (unsigned char)text[1] < 0xa0;
        if (c1)
            text++;
        else if (c >= 0x20 && c != 0x7f)
            *at++ = (char)c;
    }
    if (out)
        *at = '\0';
    return out;
}

void ctl_cell(struct ctl_table *t, enum ctl_colour colour, const char *text)
{
    if (t->used == t->size) {
        size_t size = t->size ? t->size * 2 : 64;
        struct cell *cells = realloc(t->cells, size * sizeof(*cells));
        if (!cells)
            return;
        t->cells = cells;
        t->size = size;
    }
    struct cell *c = &t->cells[t->used];
    c->text = clean(text);
    c->colour = colour;
    size_t column = t->used++ % t->count, width = c->text ? width_of(c->text) : 0;
    if (width > t->widths[column])
        t->widths[column] = width;
}

static size_t total_width(const struct ctl_table *t)
{
    size_t total = 0;

    for (size_t i = 0; i < t->count; i++)
        total += t->hidden[i] ? 0 : t->widths[i] + (i ? 2 : 0);
    return total;
}

/* Takes width from the widest flexible column, one by one, down to `least`. */
static void squeeze(struct ctl_table *t, size_t least)
{
    while (total_width(t) > ctl_style.width) {
        size_t widest = t->count;
        for (size_t i = 0; i < t->count; i++)
            if (t->columns[i].flexible && !t->hidden[i] && t->widths[i] > least &&
                (widest == t->count || t->widths[i] > t->widths[widest]))
                widest = i;
        if (widest == t->count)
            return;
        t->widths[widest]--;
    }
}

static void leave_out(struct ctl_table *t)
{
    while (total_width(t) > ctl_style.width) {
        size_t most = t->count;
        for (size_t i = 0; i < t->count; i++)
            if (t->columns[i].spare > 0 && !t->hidden[i] &&
                (most == t->count || t->columns[i].spare > t->columns[most].spare))
                most = i;
        if (most == t->count)
            return;
        t->hidden[most] = true;
    }
}

static void fit(struct ctl_table *t)
{
    if (ctl_style.width == 0)
        return;
    squeeze(t, 12);
    leave_out(t);
    squeeze(t, 6);
}

static void print_cell(const struct ctl_table *t, const struct cell *c, size_t column)
{
    const char *text = c->text ? c->text : "", *end = text;
    size_t width = t->widths[column], have = width_of(text), shown = 0;
    bool cut = have > width, last = column + 1 == t->count;

    for (; *end; end++) { /* a character's later bytes go with its first */
        if (((unsigned char)*end & 0xc0) == 0x80)
            continue;
        if (shown == width - cut)
            break;
        shown++;
    }
    fputs(column ? "  " : "", stdout);
    if (t->columns[column].right)
        printf("%*s", (int)(width - (cut ? width : have)), "");
    if (c->colour)
        fputs(ctl_colour(c->colour), stdout);
    printf("%.*s%s", (int)(end - text), text, cut ? "~" : "");
    if (c->colour)
        fputs(ctl_colour(CTL_PLAIN), stdout);
    if (!t->columns[column].right && !last && !cut)
        printf("%*s", (int)(width - have), "");
}

void ctl_table_end(struct ctl_table *t)
{
    fit(t);
    for (size_t i = 0; i < t->used; i++) {
        if (!t->hidden[i % t->count])
            print_cell(t, &t->cells[i], i % t->count);
        if (i % t->count == t->count - 1)
            putchar('\n');
        free(t->cells[i].text);
    }
    free(t->cells);
    free(t);
}

/* --- paragraphs --- */

static char paragraph[8192];
static size_t paragraph_len;

void ctl_say(const char *format, ...)
{
    va_list args;
    size_t left = sizeof(paragraph) - paragraph_len;

    va_start(args, format);
    int n = vsnprintf(paragraph + paragraph_len, left, format, args);
    va_end(args);
    if (n > 0)
        paragraph_len += (size_t)n < left ? (size_t)n : left - 1;
}

void ctl_paragraph_end(size_t indent)
{
    size_t most = ctl_style.width == 0 ? 80 : ctl_style.width < 100 ? ctl_style.width : 100;
    size_t column = 0;
    char *text = clean(paragraph), *rest = NULL;

    for (char *word = text ? strtok_r(text, " ", &rest) : NULL; word;
         word = strtok_r(NULL, " ", &rest)) {
        size_t width = width_of(word);
        if (column > 0 && column + 1 + width > most) {
            putchar('\n');
            column = 0;
        }
        if (column == 0) {
            printf("%*s%s", (int)indent, "", word);
            column = indent + width;
        } else {
            printf(" %s", word);
            column += 1 + width;
        }
    }
    if (column > 0)
        putchar('\n');
    free(text);
    paragraph[0] = '\0';
    paragraph_len = 0;
}

void ctl_line_end(void)
{
    char *text = clean(paragraph);

    puts(text ? text : "");
    free(text);
    paragraph[0] = '\0';
    paragraph_len = 0;
}

void ctl_heading(const char *text)
{
    printf("\n%s%s%s\n", ctl_colour(CTL_BOLD), text, ctl_colour(CTL_PLAIN));
}
