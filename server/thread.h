/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#ifndef TRYST_THREAD_H
#define TRYST_THREAD_H

#include <pthread.h>

/*
 * Starts a thread that takes no signals: those are the loop's business. Returns 0 or an errno, as
 * pthread_create() does.
 */
int thread_start(pthread_t *thread, void *(*run)(void *user), void *user);

#endif
