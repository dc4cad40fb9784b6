/* SPDX-License-Identifier: ISC */
#ifndef TRYST_FAKE_PLAY_H
#define TRYST_FAKE_PLAY_H

#include "tests/fake_server.h"

/*
 * A fake server that plays along: registers whoever comes, surveys them, introduces every requester
 * to the peer that listens, and sends each pair a plan for one round over loopback. Checks are
 * answered. One session or check at a time.
 */
struct fake_play {
    struct fake_server server;
    unsigned registered;
    unsigned results; /* RESULT messages that said ok */
    uint32_t request;
    bool check; /* the request is one for the chance alone */
    bool has_target;
    uint8_t target[KEY_SIZE];
    uint8_t requester[KEY_SIZE];
    uint8_t session[MSG_ID_SIZE];
    struct endpoint at[2];
};

/* Runs the server and its contexts once, and answers what has come. */
void fake_play(struct fake_play *p);

#endif
