/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include "thread.h"

#include <signal.h>

int thread_start(pthread_t *thread, void *(*run)(void *user), void *user)
{
    sigset_t all, before;

    /* The mask is inherited: set around the creation, no signal can come in between. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int bad = pthread_create(thread, NULL, run, user);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return bad;
}
