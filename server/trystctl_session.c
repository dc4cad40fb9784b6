/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "span.h"
#include "trystctl.h"

/* One session as a story: who, behind what, what was planned, when, what came of it, what to do. */

#define INDENT 2

/* Both sides of a plan's array of two; "" or 0 where it is not like that. */
static const json_t *side(const json_t *o, const char *name, size_t i)
{
    return json_array_get(json_object_get(o, name), i);
}

/* Keys stand in full under "Who"; elsewhere their beginning will do. */
static const char *who(const json_t *peer)
{
    const char *name = ctl_text(peer, "name");

    return *name ? name : ctl_format("%.8s", ctl_text(peer, "key"));
}

const char *ctl_nat(const json_t *nat)
{
    const char *summary = ctl_text(nat, "summary");

    if (!*summary || (strcmp(ctl_text(nat, "mapping"), "unknown") == 0 && !ctl_int(nat, "samples")))
        return "nothing was known of its NAT";
    return ctl_format("%s (confidence %" PRId64 "%%, %s)", summary, ctl_int(nat, "confidence"),
                      ctl_count(ctl_int(nat, "samples"), "observation"));
}

static void tell_head(const json_t *s)
{
    const char *state = ctl_text(s, "state");
    const json_t *reason = json_object_get(s, "reason");
    bool good = strcmp(state, "connected") == 0, active = strcmp(state, "active") == 0;
    enum ctl_colour colour = good ? CTL_GREEN : active ? CTL_YELLOW : CTL_RED;

    printf("%sSession %s%s\n", ctl_colour(CTL_BOLD), ctl_text(s, "id"), ctl_colour(CTL_PLAIN));
    ctl_say("%s asked for %s on %s", who(json_object_get(s, "requester")),
            who(json_object_get(s, "target")), ctl_text(s, "started"));
    if (ctl_style.tty)
        ctl_say(" (%s)", ctl_when(s, "started"));
    ctl_say(".");
    ctl_paragraph_end(0);
    fputs(ctl_colour(colour), stdout);
    if (active)
        ctl_say("It is under way.");
    else if (good)
        ctl_say("They connected after %s.", ctl_span(ctl_int(s, "took_us")));
    else
        ctl_say("It failed %s: %s.",
                ctl_int(s, "took_us") ? ctl_format("after %s", ctl_span(ctl_int(s, "took_us")))
                                      : "at once",
                ctl_text(reason, "text"));
    ctl_paragraph_end(0);
    fputs(ctl_colour(CTL_PLAIN), stdout);
}

static void tell_peer(const json_t *p, const char *role, bool planned)
{
    ctl_say("%s, %s", role, *ctl_text(p, "name") ? ctl_text(p, "name") : "a peer without a name");
    ctl_say(", key %s", ctl_text(p, "key"));
    if (ctl_has(p, "public"))
        ctl_say(", %s at %s", planned ? "expected" : "seen", ctl_text(p, "public"));
    ctl_say(": %s.", ctl_nat(json_object_get(p, "nat")));
    ctl_paragraph_end(INDENT);
}

/* --- prediction and plan --- */

/* What a shape of nat.h means for the ports of one side. */
static const char *shape_words(const char *shape)
{
    static const char *const words[][2] = {
        {"fixed", "one known port"},
        {"shared", "one port for all SYNs"},
        {"counter", "ports counted on from the last one"},
        {"block", "any port of a block"},
        {"random", "any port"},
        {"none", "no prediction"},
    };

    for (size_t i = 0; i < COUNT(words); i++)
        if (strcmp(shape, words[i][0]) == 0)
            return words[i][1];
    return shape;
}

static void tell_side_plan(const json_t *f, const json_t *peer, size_t i)
{
    const char *shape = json_string_value(side(f, "shapes", i));
    int64_t syns = json_integer_value(side(f, "syns", i));
    int64_t sockets = json_integer_value(side(f, "sockets", i));
    int64_t port = json_integer_value(side(f, "ports", i));

    ctl_say(" %s was expected to get %s", who(peer), shape_words(shape ? shape : "?"));
    if (port > 0)
        ctl_say(" (%s%" PRId64 ")", shape && strcmp(shape, "fixed") == 0 ? "" : "after ", port);
    ctl_say(" and to send %s from %s%s", ctl_count(syns, "SYN"), ctl_count(sockets, "socket"),
            i == 0 ? ";" : ".");
}

static void tell_families(const json_t *s, const json_t *round)
{
    const json_t *families = json_object_get(round, "families");

    for (size_t i = 0; i < json_array_size(families); i++) {
        const json_t *f = json_array_get(families, i);
        ctl_say(" IPv%" PRId64 ":", ctl_int(f, "family"));
        tell_side_plan(f, json_object_get(s, "requester"), 0);
        tell_side_plan(f, json_object_get(s, "target"), 1);
    }
}

/* What a NAT does with a SYN that nobody waits for. */
static const char *refusal_words(const char *refusal)
{
    if (strcmp(refusal, "silence") == 0)
        return "dropped";
    if (strcmp(refusal, "rst") == 0)
        return "reset";
    if (strcmp(refusal, "icmp") == 0)
        return "answered with ICMP";
    return "(not known)";
}

/* What one side said of a round. */
static void tell_told(const json_t *peer, const json_t *told)
{
    if (!told || json_is_null(told)) {
        ctl_say(" %s did not report it.", who(peer));
        return;
    }
    ctl_say(" %s reports: %s after %s", who(peer),
            ctl_text(json_object_get(told, "reason"), "text"),
            ctl_count(ctl_int(told, "syns"), "SYN"));
    if (ctl_int(told, "refusals"))
        ctl_say(", %" PRId64 " of them refused", ctl_int(told, "refusals"));
    if (ctl_int(told, "syns"))
        ctl_say(", the first %s off its start", ctl_span(ctl_int(told, "late_us")));
    ctl_say(".");
}

static void tell_round(const json_t *s, const json_t *round, size_t number)
{
    const char *first = json_string_value(side(round, "refusal", 0));
    const char *second = json_string_value(side(round, "refusal", 1));

    ctl_say("Round %" PRId64,
            ctl_has(round, "round") ? ctl_int(round, "round") : (int64_t)number + 1);
    if (ctl_has(round, "chance"))
        ctl_say(", stated chance %.1f%%", ctl_real(round, "chance") * 100);
    ctl_say(".");
    tell_families(s, round);
    if (first && second)
        ctl_say(" A stray SYN is %s by the requester's NAT, %s by the target's.",
                refusal_words(first), refusal_words(second));
    ctl_paragraph_end(INDENT);
    const json_t *results = json_object_get(json_object_get(s, "plan"), "results");
    const json_t *told = json_array_get(results, number);
    if (!told)
        return;
    ctl_say("What came of it:");
    tell_told(json_object_get(s, "requester"), json_array_get(told, 0));
    tell_told(json_object_get(s, "target"), json_array_get(told, 1));
    ctl_paragraph_end(2 * INDENT);
}

static void tell_plan(const json_t *s)
{
    const json_t *plan = json_object_get(s, "plan");
    const json_t *rounds = json_object_get(plan, "rounds");

    ctl_heading("What was predicted and planned, and what came of it");
    if (json_array_size(rounds) == 0)
        ctl_say("There was no plan.");
    if (json_is_string(plan))
        ctl_say(" As recorded: %s", json_string_value(plan));
    ctl_paragraph_end(INDENT);
    for (size_t i = 0; i < json_array_size(rounds); i++)
        tell_round(s, json_array_get(rounds, i), i);
}

/* --- time --- */

static void tell_steps(const json_t *s)
{
    static const struct {
        const char *name, *words;
    } steps[] = {
        {"accepted_us", "the target accepted"},
        {"prepared_us", "both sides were surveyed and observed"},
        {"punched_us", "the plan was sent"},
    };
    const char *comma = "After the request, ";
    bool any = false;

    for (size_t i = 0; i < COUNT(steps); i++) {
        int64_t us = ctl_int(s, steps[i].name);
        if (us == 0)
            continue;
        ctl_say("%s%s at %s", comma, steps[i].words, ctl_span(us));
        comma = ", ";
        any = true;
    }
    ctl_say(any ? "." : "Nothing happened after the request.");
    ctl_paragraph_end(INDENT);
}

static void tell_punch(const json_t *s)
{
    const json_t *a = json_object_get(s, "requester"), *b = json_object_get(s, "target");

    if (!ctl_has(s, "punch"))
        return;
    ctl_say("The punch time%s was %s.", ctl_int(s, "rounds") > 1 ? " of the last round" : "",
            ctl_text(s, "punch"));
    if (ctl_int(a, "syns") && ctl_int(b, "syns"))
        ctl_say(" First SYNs left %s and %s after their sides' own starts, %s apart.",
                ctl_span(ctl_int(a, "late_us")), ctl_span(ctl_int(b, "late_us")),
                ctl_span(llabs(ctl_int(s, "skew_us"))));
    ctl_say(" Clocks were known to %s and %s.", ctl_span(ctl_int(a, "clock_bound_us")),
            ctl_span(ctl_int(b, "clock_bound_us")));
    ctl_paragraph_end(INDENT);
}

/* --- outcome --- */

/* The address part of "192.0.2.1:4000" or "[2001:db8::1]:4000". */
static const char *address_of(const json_t *peer)
{
    const char *text = ctl_text(peer, "public"), *colon = strrchr(text, ':');
    size_t len = colon ? (size_t)(colon - text) : 0;

    if (len > 2 && text[0] == '[')
        return ctl_format("%.*s", (int)len - 2, text + 1);
    return len ? ctl_format("%.*s", (int)len, text) : "ADDRESS";
}

/* What the operator can look at or change, by the names of reasons; "" where it is not his to act.
 */
static const char *operator_advice(const json_t *s, const char *reason)
{
    const json_t *a = json_object_get(s, "requester"), *b = json_object_get(s, "target");
    static const char *const nats[] = {"missed",   "unpredictable", "both-random",
                                       "stranger", "refused",       "pooling"};

    for (size_t i = 0; i < COUNT(nats); i++)
        if (strcmp(reason, nats[i]) == 0)
            return ctl_format("'trystctl nats %s' and 'trystctl nats %s' show what both NATs did"
                              " before, and how sure the server is of them",
                              address_of(a), address_of(b));
    if (strcmp(reason, "peer-offline") == 0 || strcmp(reason, "no-answer") == 0)
        return ctl_format("'trystctl peers %s' says when it was last seen, and from where", who(b));
    if (strcmp(reason, "declined") == 0)
        return "nothing: whom a peer accepts is its own choice";
    if (strcmp(reason, "peer-key") == 0)
        return ctl_format("'trystctl peers %s' shows the key that has the name now", who(b));
    if (strcmp(reason, "peer-lost") == 0)
        return "look in the log for why the peer's connection ended around that time";
    if (strcmp(reason, "limit") == 0 || strcmp(reason, "busy") == 0)
        return "'trystctl status' shows what is turned away; the limits are in trystd.conf(5)";
    if (strcmp(reason, "no-observation") == 0)
        return "check that the firewall before the server lets all of its ports through, and that"
               " 'trystctl status' lists the addresses that peers can reach";
    if (strcmp(reason, "punch-timeout") == 0 || strcmp(reason, "timeout") == 0)
        return "if it happens often, raise session-timeout in trystd.conf(5)";
    if (strcmp(reason, "aborted") == 0)
        return "look in the log for why the daemon ended; 'trystctl drain' lets sessions end first";
    if (strcmp(reason, "no-hairpin") == 0)
        return "nothing on the server: their common NAT is in the way";
    return "";
}

static void tell_side_result(const json_t *p)
{
    int64_t syns = ctl_int(p, "syns"), refusals = ctl_int(p, "refusals");

    if (syns == 0 && !ctl_has(p, "met")) {
        ctl_say("%s reported nothing.", who(p));
        ctl_paragraph_end(INDENT);
        return;
    }
    ctl_say("%s sent %s", who(p), ctl_count(syns, "SYN"));
    if (refusals > 0)
        ctl_say(", %" PRId64 " of them refused", refusals);
    if (ctl_has(p, "met")) {
        ctl_say(", and was met at %s", ctl_text(p, "met"));
        if (ctl_has(p, "public") && strcmp(ctl_text(p, "met"), ctl_text(p, "public")) == 0)
            ctl_say(" as predicted");
    }
    if (ctl_int(p, "elapsed_us"))
        ctl_say(", with proof %s after the start", ctl_span(ctl_int(p, "elapsed_us")));
    ctl_say(".");
    ctl_paragraph_end(INDENT);
}

static void tell_outcome(const json_t *s)
{
    const json_t *reason = json_object_get(s, "reason");
    int64_t family = ctl_int(s, "family"), rounds = ctl_int(s, "rounds");
    const char *advice = ctl_text(reason, "advice");

    ctl_heading("What happened");
    if (rounds > 0) {
        ctl_say("%s", ctl_count(rounds, "round"));
        if (family)
            ctl_say("; the connection is IPv%" PRId64, family);
        ctl_say(".");
        ctl_paragraph_end(INDENT);
        tell_side_result(json_object_get(s, "requester"));
        tell_side_result(json_object_get(s, "target"));
    }
    if (ctl_has(s, "reason")) {
        ctl_say("Outcome: %s (%s, %" PRId64 ")", ctl_text(reason, "text"), ctl_text(reason, "name"),
                ctl_int(reason, "number"));
        if (ctl_has(s, "detail"))
            ctl_say(": %s", ctl_text(s, "detail"));
        ctl_say(".");
        ctl_paragraph_end(INDENT);
    }
    const char *operators = operator_advice(s, ctl_text(reason, "name"));
    if (!*advice && !*operators)
        return;
    ctl_heading("What to do");
    if (*advice) {
        ctl_say("The user: %s.", advice);
        ctl_paragraph_end(INDENT);
    }
    if (*operators) {
        ctl_say("The operator: %s.", operators);
        ctl_paragraph_end(INDENT);
    }
}

void ctl_print_session(const json_t *answer)
{
    const json_t *s = json_array_get(json_object_get(answer, "sessions"), 0);

    if (!s)
        return;
    tell_head(s);
    ctl_heading("Who");
    tell_peer(json_object_get(s, "requester"), "The requester", ctl_has(s, "punch"));
    tell_peer(json_object_get(s, "target"), "The target", ctl_has(s, "punch"));
    tell_plan(s);
    ctl_heading("When");
    tell_steps(s);
    tell_punch(s);
    tell_outcome(s);
}
