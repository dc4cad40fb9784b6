/* SPDX-License-Identifier: ISC */
#include "loop.h"

#include <time.h>

tick loop_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (tick)t.tv_sec * TICK_S + t.tv_nsec;
}

static void woken(struct ev_loop *ev, struct ev_check *check, int events)
{
    struct loop *loop = check->data;
    (void)ev;
    (void)events;
    loop->now = loop_clock();
}

static void sleeping(struct ev_loop *ev, struct ev_prepare *prepare, int events)
{
    struct loop *loop = prepare->data;
    (void)ev;
    (void)events;
    tick busy = loop_clock() - loop->now;
    histogram_observe(&loop->busy, busy);
    loop->busy_worst = tick_max(loop->busy_worst, busy);
}

int loop_open(struct loop *loop)
{
    loop->ev = ev_loop_new(EVFLAG_AUTO);
    if (!loop->ev)
        return -1;
    loop->now = loop_clock();
    loop->busy = (struct histogram){0};
    loop->busy_worst = 0;
    ev_check_init(&loop->woken, woken);
    ev_prepare_init(&loop->sleeping, sleeping);
    loop->woken.data = loop->sleeping.data = loop;
    /* Before every other callback of a wake-up, and after every one of them. */
    ev_set_priority(&loop->woken, EV_MAXPRI);
    ev_set_priority(&loop->sleeping, EV_MINPRI);
    ev_check_start(loop->ev, &loop->woken);
    ev_prepare_start(loop->ev, &loop->sleeping);
    return 0;
}

void loop_run(struct loop *loop)
{
    /* What came before the loop ran (opening the store) is not its lag. */
    loop->now = loop_clock();
    ev_run(loop->ev, 0);
}

void loop_end(struct loop *loop)
{
    ev_break(loop->ev, EVBREAK_ALL);
}

void loop_close(struct loop *loop)
{
    ev_check_stop(loop->ev, &loop->woken);
    ev_prepare_stop(loop->ev, &loop->sleeping);
    ev_loop_destroy(loop->ev);
    loop->ev = NULL;
}
