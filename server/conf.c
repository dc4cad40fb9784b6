/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include "conf.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "conf_table.h"
#include "span.h"

/* Sets one option (see conf_table.h for the rows). Each kind has a setter: 0, or -1 with a
 * sentence. */
struct setting {
    struct conf *conf;
    const struct conf_row *row;
    enum conf_origin origin;
    char *err;
    size_t err_size;
};

static void *field_of(struct conf *c, const struct conf_row *row)
{
    return (char *)c + row->offset;
}

__attribute__((format(printf, 2, 3))) static int wrong(const struct setting *s, const char *format,
                                                       ...)
{
    va_list args;
    int n = snprintf(s->err, s->err_size, "option '%s': ", s->row->name);

    if (n > 0 && (size_t)n < s->err_size) {
        va_start(args, format);
        vsnprintf(s->err + n, s->err_size - (size_t)n, format, args);
        va_end(args);
    }
    return -1;
}

static int set_int(const struct setting *s, const char *text)
{
    const struct conf_row *row = s->row;
    char *end;

    /* strtoll would also take blanks and a plus sign. */
    if (text[0] < '0' || text[0] > '9')
        return wrong(s, "'%.64s' is not a whole number; %" PRId64 " to %" PRId64 " would be right",
                     text, row->least, row->most);
    long long n = strtoll(text, &end, 10);
    if (*end)
        return wrong(s, "'%.64s' is not a whole number; %" PRId64 " to %" PRId64 " would be right",
                     text, row->least, row->most);
    if (n < row->least || n > row->most)
        return wrong(s, "%.64s is out of range; %" PRId64 " to %" PRId64 " would be right", text,
                     row->least, row->most);
    *(int64_t *)field_of(s->conf, row) = n;
    return 0;
}

/* `unit` is the field's unit in milliseconds. */
static int set_span(const struct setting *s, const char *text, int64_t unit)
{
    const struct conf_row *row = s->row;
    char least[SPAN_TEXT_SIZE], most[SPAN_TEXT_SIZE];
    int64_t ms = 0;
    /* A bare zero is the same in every unit. */
    int bad = strcmp(text, "0") == 0 ? 0 : span_parse(text, &ms);

    span_format(row->least * unit, least);
    span_format(row->most * unit, most);
    if (bad == -1)
        return wrong(s,
                     "'%.64s' is not a number with a unit (ms, s, min, h, d); %s to %s would be"
                     " right",
                     text, least, most);
    if (bad || ms < row->least * unit || ms > row->most * unit)
        return wrong(s, "%.64s is out of range; %s to %s would be right", text, least, most);
    if (ms % unit)
        return wrong(s, "%.64s is not a whole number of seconds; 1s, for one, would be right",
                     text);
    *(int64_t *)field_of(s->conf, row) = ms / unit;
    return 0;
}

static int set_bool(const struct setting *s, const char *text)
{
    static const char *const words[] = {"no", "yes", "false", "true", "off", "on"};

    for (unsigned i = 0; i < 6; i++) {
        if (strcmp(text, words[i]) != 0)
            continue;
        *(bool *)field_of(s->conf, s->row) = i & 1;
        return 0;
    }
    return wrong(s, "'%.64s' is neither; yes or no would be right", text);
}

bool conf_text_is_plain(const char *text)
{
    for (; *text; text++)
        if ((unsigned char)*text < 0x20 || *text == 0x7f)
            return false;
    return true;
}

static int set_text(const struct setting *s, const char *text)
{
    if (!conf_text_is_plain(text))
        return wrong(s, "control characters are not allowed; text in one line would be right");
    if (strlen(text) >= CONF_TEXT_SIZE)
        return wrong(s, "too long; %d characters at most would be right", CONF_TEXT_SIZE - 1);
    const char *sentence = conf_row_judge(s->row, text);
    if (sentence)
        return wrong(s, "'%.64s' %s", text, sentence);
    memset(field_of(s->conf, s->row), 0, CONF_TEXT_SIZE);
    memcpy(field_of(s->conf, s->row), text, strlen(text));
    return 0;
}

static int set_choice(const struct setting *s, const char *text)
{
    const char *word = s->row->words;
    size_t len = strlen(text);

    for (int i = 0; len > 0; i++) {
        size_t word_len = strcspn(word, "|");
        if (word_len == len && strncmp(word, text, len) == 0) {
            *(int *)field_of(s->conf, s->row) = i;
            return 0;
        }
        if (!word[word_len])
            break;
        word += word_len + 1;
    }
    return wrong(s, "'%.64s' is none of its words; one of %s would be right", text, s->row->words);
}

static int add_item(const struct setting *s, struct conf_list *list, const char *text)
{
    const char *sentence = conf_row_judge(s->row, text);

    if (strlen(text) >= CONF_ITEM_SIZE || !conf_text_is_plain(text))
        return wrong(s, "'%.64s' is too long or has control characters", text);
    if (sentence)
        return wrong(s, "'%.64s' %s", text, sentence);
    for (unsigned i = 0; i < list->count; i++)
        if (strcmp(list->at[i], text) == 0)
            return wrong(s, "%s stands there twice; once would be right", text);
    if (list->count == CONF_LIST_MAX)
        return wrong(s, "more than %d entries; that many at most would be right", CONF_LIST_MAX);
    snprintf(list->at[list->count++], CONF_ITEM_SIZE, "%s", text);
    return 0;
}

/* One or more items, separated by blanks or commas. */
static int set_list(const struct setting *s, const char *text)
{
    struct conf_list *list = field_of(s->conf, s->row);
    char item[CONF_ITEM_SIZE + 1];

    if (s->conf->place[s->row->option].origin != s->origin)
        memset(list, 0, sizeof(*list));
    for (;;) {
        text += strspn(text, " ,");
        size_t len = strcspn(text, " ,");
        if (len == 0)
            return 0;
        snprintf(item, sizeof(item), "%.*s", (int)(len > INT32_MAX ? INT32_MAX : len), text);
        if (add_item(s, list, item))
            return -1;
        text += len;
    }
}

int conf_row_set(struct conf *c, const struct conf_row *row, enum conf_origin origin,
                 const char *text, char *err, size_t err_size)
{
    struct setting s = {c, row, origin, err, err_size};
    int bad = -1;

    switch (row->kind) {
    case CONF_K_INT:
        bad = set_int(&s, text);
        break;
    case CONF_K_MSEC:
        bad = set_span(&s, text, 1);
        break;
    case CONF_K_SEC:
        bad = set_span(&s, text, 1000);
        break;
    case CONF_K_BOOL:
        bad = set_bool(&s, text);
        break;
    case CONF_K_TEXT:
        bad = set_text(&s, text);
        break;
    case CONF_K_CHOICE:
        bad = set_choice(&s, text);
        break;
    case CONF_K_LIST:
        bad = set_list(&s, text);
        break;
    }
    if (!bad)
        c->place[row->option] = (struct conf_place){.origin = (uint8_t)origin};
    return bad;
}

void conf_init_defaults(struct conf *c)
{
    char err[64];

    memset(c, 0, sizeof(*c));
    for (unsigned i = 0; i < CONF_OPTIONS; i++)
        (void)conf_row_set(c, &conf_rows[i], CONF_DEFAULT, conf_rows[i].text, err, sizeof(err));
}

int conf_set(struct conf *c, const char *name, const char *text, char *err, size_t err_size)
{
    const struct conf_row *row = conf_row_find(name);

    if (!row) {
        conf_row_unknown(name, err, err_size);
        return -1;
    }
    struct conf trial = *c;
    if (conf_row_set(&trial, row, CONF_COMMAND, text, err, err_size))
        return -1;
    *c = trial;
    return 0;
}

int conf_row_check(const struct conf *c, const struct conf_row *row, char *err, size_t err_size)
{
    /* Only reads through it. */
    struct setting s = {(struct conf *)(uintptr_t)c, row, CONF_DEFAULT, err, err_size};

    if (row->kind != CONF_K_LIST || row->most == 0)
        return 0;
    const struct conf_list *list = field_of(s.conf, row);
    if (list->count < row->least || list->count > row->most)
        return wrong(&s, "%u entries; %" PRId64 " to %" PRId64 " would be right", list->count,
                     row->least, row->most);
    return 0;
}

int conf_check(const struct conf *c, char *err, size_t err_size)
{
    for (unsigned i = 0; i < CONF_OPTIONS; i++)
        if (conf_row_check(c, &conf_rows[i], err, err_size))
            return -1;
    return 0;
}

const char *conf_word(enum conf_option option, int index)
{
    static _Thread_local char out[32];
    const char *word = conf_rows[option].words;

    for (; word && index > 0; index--) {
        word = strchr(word, '|');
        word = word ? word + 1 : NULL;
    }
    snprintf(out, sizeof(out), "%.*s", word ? (int)strcspn(word, "|") : 1, word ? word : "?");
    return out;
}

int conf_find(const char *name, char *err, size_t err_size)
{
    if (conf_row_find(name))
        return 0;
    conf_row_unknown(name, err, err_size);
    return -1;
}

const char *conf_name(enum conf_option option)
{
    return conf_rows[option].name;
}

/* In double quotes libconfuse knows \" and \\, and replaces ${NAME} by the environment's. */
static void print_quoted(FILE *out, const char *text)
{
    putc('"', out);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\' || *text == '$')
            putc('\\', out);
        putc(*text, out);
    }
    putc('"', out);
}

static void print_list(FILE *out, const struct conf_list *list)
{
    const char *comma = "";

    putc('{', out);
    for (unsigned i = 0; i < list->count; i++, comma = ", ") {
        fputs(comma, out);
        print_quoted(out, list->at[i]);
    }
    putc('}', out);
}

static void print_value(FILE *out, const struct conf_row *row, const void *field)
{
    char span[SPAN_TEXT_SIZE];

    switch (row->kind) {
    case CONF_K_INT:
        fprintf(out, "%" PRId64, *(const int64_t *)field);
        break;
    case CONF_K_MSEC:
        fputs(span_format(*(const int64_t *)field, span), out);
        break;
    case CONF_K_SEC:
        fputs(span_format(*(const int64_t *)field * 1000, span), out);
        break;
    case CONF_K_BOOL:
        fputs(*(const bool *)field ? "yes" : "no", out);
        break;
    case CONF_K_TEXT:
        print_quoted(out, field);
        break;
    case CONF_K_CHOICE:
        fputs(conf_word(row->option, *(const int *)field), out);
        break;
    case CONF_K_LIST:
        print_list(out, field);
        break;
    }
}

const char *conf_value(const struct conf *c, enum conf_option option, char out[CONF_VALUE_SIZE])
{
    FILE *file = fmemopen(out, CONF_VALUE_SIZE - 1, "w");

    out[0] = out[CONF_VALUE_SIZE - 1] = '\0';
    if (!file)
        return out;
    print_value(file, &conf_rows[option], (const char *)c + conf_rows[option].offset);
    fclose(file);
    return out;
}

const char *conf_where(const struct conf *c, enum conf_option option, char out[CONF_WHERE_SIZE])
{
    const struct conf_place *place = &c->place[option];

    if (place->origin == CONF_FILE && !place->line)
        snprintf(out, CONF_WHERE_SIZE, "%s", c->files[place->file]);
    else if (place->origin == CONF_FILE)
        snprintf(out, CONF_WHERE_SIZE, "%s:%d", c->files[place->file], place->line);
    else
        snprintf(out, CONF_WHERE_SIZE, "%s",
                 place->origin == CONF_COMMAND ? "command line" : "default");
    return out;
}

bool conf_same(const struct conf *a, const struct conf *b, enum conf_option option)
{
    const struct conf_row *row = &conf_rows[option];

    /* What a text or a list does not use is zero. */
    return memcmp((const char *)a + row->offset, (const char *)b + row->offset, row->size) == 0;
}

void conf_take(struct conf *c, const struct conf *fresh)
{
    struct conf old = *c;

    *c = *fresh;
    for (unsigned i = 0; i < CONF_OPTIONS; i++)
        if (conf_needs_restart(conf_rows[i].option))
            memcpy(field_of(c, &conf_rows[i]), (const char *)&old + conf_rows[i].offset,
                   conf_rows[i].size);
}

bool conf_needs_restart(enum conf_option option)
{
    return conf_rows[option].when == CONF_RESTART;
}

static void print_place(FILE *out, const struct conf *c, enum conf_option option)
{
    char value[CONF_VALUE_SIZE], where[CONF_WHERE_SIZE];
    struct conf defaults;

    conf_init_defaults(&defaults);
    fprintf(out, "# default %s; set by: %s; takes effect at a %s\n",
            conf_value(&defaults, option, value), conf_where(c, option, where),
            conf_needs_restart(option) ? "restart" : "reload");
}

static void print_option(FILE *out, const struct conf *c, const struct conf_row *row)
{
    fprintf(out, "%s = ", row->name);
    /* What was included stands here. */
    if (row->option == CONF_OPTION_include)
        fputs("{}", out);
    else
        print_value(out, row, (const char *)c + row->offset);
    fputs("\n", out);
}

void conf_print(FILE *out, const struct conf *c, bool places)
{
    for (unsigned i = 0; places && i < c->file_count; i++)
        fprintf(out, "# read: %s\n", c->files[i]);
    for (unsigned i = 0; i < CONF_OPTIONS; i++) {
        fprintf(out, "# %s\n", conf_rows[i].help);
        if (places)
            print_place(out, c, conf_rows[i].option);
        print_option(out, c, &conf_rows[i]);
    }
}
