/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include "admin_spec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "nearest.h"
#include "show.h"

#define NUMBER_MOST 1000000

const struct admin_spec admin_specs[ADMIN_COMMANDS] = {
#define COMMAND(symbol, right, name, usage, help)                                                  \
    {                                                                                              \
        ADMIN_##right, name, usage, help,                                                          \
        {
#define ARG(kind, name, help) {ADMIN_##kind, name, help},
#define END                                                                                        \
    {                                                                                              \
        ADMIN_ARG_NONE, NULL, NULL                                                                 \
    }                                                                                              \
    }                                                                                              \
    }                                                                                              \
    ,
#include "admin.def"
#undef COMMAND
#undef ARG
#undef END
};

const struct admin_spec *admin_spec_find(const char *name, char *err, size_t err_size)
{
    const char *names[ADMIN_COMMANDS];

    for (size_t i = 0; i < ADMIN_COMMANDS; i++) {
        if (strcmp(admin_specs[i].name, name) == 0)
            return &admin_specs[i];
        names[i] = admin_specs[i].name;
    }
    const char *near = nearest(name, names, ADMIN_COMMANDS);
    if (near)
        snprintf(err, err_size, "unknown command '%.64s'; did you mean '%s'?", name, near);
    else
        snprintf(err, err_size, "unknown command '%.64s'; 'help' lists them", name);
    return NULL;
}

static const struct admin_arg *find_arg(const struct admin_spec *spec, const char *name)
{
    for (const struct admin_arg *a = spec->args; a->kind != ADMIN_ARG_NONE; a++)
        if (strcmp(a->name, name) == 0)
            return a;
    return NULL;
}

static void unknown_arg(const struct admin_spec *spec, const char *name, const char *dashes,
                        char *err, size_t err_size)
{
    const char *names[ADMIN_ARGS_MAX];
    size_t count = 0;

    for (const struct admin_arg *a = spec->args; a->kind != ADMIN_ARG_NONE; a++)
        if (!*dashes || a->kind == ADMIN_FLAG || a->kind == ADMIN_TEXT || a->kind == ADMIN_NUMBER)
            names[count++] = a->name;
    const char *near = nearest(name, names, count);
    if (near)
        snprintf(err, err_size, "'%s' takes no %s%.64s; did you mean %s%s?", spec->name, dashes,
                 name, dashes, near);
    else
        snprintf(err, err_size, "'%s' takes no %s%.64s; usage: %s%s%s", spec->name, dashes, name,
                 spec->name, *spec->usage ? " " : "", spec->usage);
}

static int check_number(const struct admin_arg *arg, const json_t *v, char *err, size_t err_size)
{
    json_int_t n = json_integer_value(v);

    if (json_is_integer(v) && n >= 1 && n <= NUMBER_MOST)
        return 0;
    snprintf(err, err_size, "%s must be a number from 1 to %d", arg->name, NUMBER_MOST);
    return -1;
}

static int check_arg(const struct admin_arg *arg, const json_t *v, char *err, size_t err_size)
{
    if (arg->kind == ADMIN_NUMBER)
        return check_number(arg, v, err, err_size);
    if (arg->kind == ADMIN_FLAG ? json_is_boolean(v) : json_is_string(v))
        return 0;
    snprintf(err, err_size, "%s must be %s", arg->name,
             arg->kind == ADMIN_FLAG ? "true or false" : "a text");
    return -1;
}

int admin_args_check(const struct admin_spec *spec, const json_t *args, char *err, size_t err_size)
{
    const char *name;
    json_t *v;

    if (args && !json_is_object(args)) {
        snprintf(err, err_size, "\"args\" must be an object");
        return -1;
    }
    json_object_foreach((json_t *)(uintptr_t)args, name, v)
    {
        const struct admin_arg *arg = find_arg(spec, name);
        if (!arg) {
            unknown_arg(spec, name, "", err, err_size);
            return -1;
        }
        if (check_arg(arg, v, err, err_size))
            return -1;
    }
    for (const struct admin_arg *a = spec->args; a->kind != ADMIN_ARG_NONE; a++) {
        if (a->kind != ADMIN_NEEDED || json_object_get(args, a->name))
            continue;
        snprintf(err, err_size, "'%s' needs %s; usage: %s %s", spec->name, a->help, spec->name,
                 spec->usage);
        return -1;
    }
    return 0;
}

static json_t *value_of(const struct admin_arg *arg, const char *text)
{
    char *end;

    if (arg->kind != ADMIN_NUMBER)
        return show_text(text);
    long n = strtol(text, &end, 10);
    /* What is no number goes on as text, and is refused as such. */
    return *text && !*end ? json_integer(n) : show_text(text);
}

/* "--name", "--name VALUE" or "--name=VALUE". Returns how many words it took, 0 with err. */
static size_t parse_option(const struct admin_spec *spec, json_t *args, char *const *words,
                           size_t count, char *err, size_t err_size)
{
    char name[32];
    const char *word = words[0] + 2, *equals = strchr(word, '=');
    const char *value = equals ? equals + 1 : NULL;

    snprintf(name, sizeof(name), "%.*s", equals ? (int)(equals - word) & 31 : 31, word);
    const struct admin_arg *arg = find_arg(spec, name);
    if (!arg || arg->kind == ADMIN_WORD || arg->kind == ADMIN_NEEDED) {
        unknown_arg(spec, name, "--", err, err_size);
        return 0;
    }
    if (arg->kind == ADMIN_FLAG && value) {
        snprintf(err, err_size, "--%s takes no value", name);
        return 0;
    }
    if (arg->kind == ADMIN_FLAG) {
        json_object_set_new(args, name, json_true());
        return 1;
    }
    if (!value && count < 2) {
        snprintf(err, err_size, "--%s needs a value: %s", name, arg->help);
        return 0;
    }
    json_object_set_new(args, name, value_of(arg, value ? value : words[1]));
    return value ? 1 : 2;
}

static int parse_word(const struct admin_spec *spec, json_t *args, const char *word, char *err,
                      size_t err_size)
{
    for (const struct admin_arg *a = spec->args; a->kind != ADMIN_ARG_NONE; a++) {
        if ((a->kind != ADMIN_WORD && a->kind != ADMIN_NEEDED) || json_object_get(args, a->name))
            continue;
        json_object_set_new(args, a->name, show_text(word));
        return 0;
    }
    snprintf(err, err_size, "'%.64s' is one word too many; usage: %s%s%s", word, spec->name,
             *spec->usage ? " " : "", spec->usage);
    return -1;
}

json_t *admin_args_parse(const struct admin_spec *spec, char *const *words, size_t count, char *err,
                         size_t err_size)
{
    json_t *args = json_object();
    bool bare = false; /* "--" makes the rest bare words */

    for (size_t i = 0; args && i < count;) {
        size_t took = 1;
        if (!bare && strcmp(words[i], "--") == 0)
            bare = true;
        else if (!bare && strncmp(words[i], "--", 2) == 0)
            took = parse_option(spec, args, words + i, count - i, err, err_size);
        else if (parse_word(spec, args, words[i], err, err_size))
            took = 0;
        i += took;
        if (took == 0) {
            json_decref(args);
            return NULL;
        }
    }
    if (args && admin_args_check(spec, args, err, err_size)) {
        json_decref(args);
        return NULL;
    }
    if (!args)
        snprintf(err, err_size, "not enough memory");
    return args;
}
