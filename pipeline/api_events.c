/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The public calls for events, and their thread.
 *
 *     subscribe ----> list <---- unsubscribe
 *                      |
 *     thread:  next event of stages/follow -> each subscription in the list, in turn -> next ...
 *              nothing to tell: sleep until the engine moves
 *
 * The first subscription opens the follower and starts the thread; both last until the handle is
 * closed. While nobody subscribes the thread sleeps and nothing is followed; the first to come then
 * says where to go on (`seek`). What a subscription need not be told because it came before it, its
 * own `since` says. A subscription that ends while its function runs is freed by whoever sees it
 * last: the thread, if its own function ended it, else the caller, who has waited. */

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "pipeline/handle.h"
#include "stages/follow.h"

#define NS_PER_MS 1000000L
#define SLEEP_MS 1000 /* the engine wakes us; this is for what it does not see */
#define POLL_MS 50    /* between two looks where another process runs the engine */
#define RETRY_MS 100  /* after a failure of the database, or without memory */

struct subscription {
    struct subscription *next; /* with a higher id */
    uint64_t id;
    syncline_event_fn fn;
    void *ctx;
    uint32_t kinds;
    bool json;
    struct sl_follow_point since;
    bool ended_itself; /* from its own function: freed when that returns */
};

struct sl_events {
    struct syncline *lib;
    atomic_bool stop;
    pthread_mutex_t lock; /* guards the rest; not held while a function runs or the thread sleeps */
    pthread_cond_t moved; /* a subscription came, or a function has returned, or stop */
    bool started;     /* the thread runs, and `follow` is open: from the first subscription on */
    pthread_t thread; /* then */
    struct sl_follow follow; /* the thread's */
    struct subscription *first;
    uint64_t last_id;
    struct subscription *running; /* its function runs; it may have left the list */
    struct sl_follow_point seek;  /* where to go on, if that was set */
    bool seeks;
};

/* ---- The list: all under the lock ---- */

static void free_subscription(struct sl_events *events, struct subscription *subscription)
{
    sl_follow_point_fini(&subscription->since, events->lib->env.alloc);
    sl_free(events->lib->env.alloc, subscription);
}

/* Is the log held back for what subscribers were not told? Before it is looked where it stands. */
static void hold_log(struct sl_events *events, bool holds)
{
    struct sl_core *core = sl_library_core(events->lib->library);
    (void)(holds ? atomic_fetch_add(&core->followers, 1) : atomic_fetch_sub(&core->followers, 1));
    atomic_fetch_add_explicit(&core->told, 1, memory_order_release);
}

/* The first with a higher id. */
static struct subscription *after(const struct sl_events *events, uint64_t id)
{
    struct subscription *at = events->first;
    while (at != NULL && at->id <= id) {
        at = at->next;
    }
    return at;
}

static void append(struct sl_events *events, struct subscription *subscription)
{
    struct subscription **at = &events->first;
    while (*at != NULL) {
        at = &(*at)->next;
    }
    *at = subscription;
}

/* Takes it out; NULL: it is not there. */
static struct subscription *take_out(struct sl_events *events, uint64_t id)
{
    struct subscription **at = &events->first;
    while (*at != NULL && (*at)->id != id) {
        at = &(*at)->next;
    }
    struct subscription *found = *at;
    if (found != NULL) {
        *at = found->next;
        if (events->first == NULL) {
            hold_log(events, false);
        }
    }
    return found;
}

/* ---- The thread ---- */

static bool on_own_thread(const struct sl_events *events)
{
    return events->started && pthread_equal(events->thread, pthread_self()) != 0;
}

static bool is_stopping(struct sl_events *events)
{
    return atomic_load_explicit(&events->stop, memory_order_acquire);
}

/* Calls one function, without the lock meanwhile. */
static void call(struct sl_events *events, struct subscription *subscription,
                 const struct syncline_event *event)
{
    struct syncline_event given = *event;
    if (!subscription->json) {
        given.json = NULL;
        given.json_len = 0;
    }
    events->running = subscription;
    (void)pthread_mutex_unlock(&events->lock);
    subscription->fn(subscription->ctx, &given);
    (void)pthread_mutex_lock(&events->lock);
    events->running = NULL;
    if (subscription->ended_itself) {
        free_subscription(events, subscription);
    }
    (void)pthread_cond_broadcast(&events->moved);
}

/* To those who were there when the event was read. Under the lock, but while they are called. */
static void deliver(struct sl_events *events, const struct sl_follow_event *event)
{
    uint64_t newest = events->last_id;
    uint64_t id = 0;
    for (struct subscription *at = after(events, id);
         at != NULL && at->id <= newest && !is_stopping(events); at = after(events, id)) {
        id = at->id;
        if ((at->kinds & (uint32_t)event->event.kind) != 0 &&
            sl_follow_is_after(event, &at->since)) {
            call(events, at, &event->event);
        }
    }
}

/* Waits for somebody to tell something. Under the lock. */
static void await_subscriber(struct sl_events *events)
{
    while (events->first == NULL && !is_stopping(events)) {
        (void)pthread_cond_wait(&events->moved, &events->lock);
    }
    if (events->seeks) {
        sl_follow_seek(&events->follow, &events->seek);
        events->seeks = false;
    }
}

static bool wants_json(const struct sl_events *events)
{
    const struct subscription *at = events->first;
    while (at != NULL && !at->json) {
        at = at->next;
    }
    return at != NULL;
}

/* Sleeps until the engine has moved since `moves`, or for some time. */
static void await_engine(struct sl_events *events, uint64_t moves, long ms)
{
    struct sl_progress *progress = &sl_library_core(events->lib->library)->progress;
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (until.tv_nsec + ms * NS_PER_MS) / (1000 * NS_PER_MS);
    until.tv_nsec = (until.tv_nsec + ms * NS_PER_MS) % (1000 * NS_PER_MS);
    int code = 0;
    (void)pthread_mutex_lock(&progress->lock);
    while (progress->moves == moves && code == 0 && !is_stopping(events)) {
        code = pthread_cond_timedwait(&progress->moved, &progress->lock, &until);
    }
    (void)pthread_mutex_unlock(&progress->lock);
}

static uint64_t count_moves(struct sl_events *events)
{
    struct sl_progress *progress = &sl_library_core(events->lib->library)->progress;
    (void)pthread_mutex_lock(&progress->lock);
    uint64_t moves = progress->moves;
    (void)pthread_mutex_unlock(&progress->lock);
    return moves;
}

static void *run(void *ctx)
{
    struct sl_events *events = ctx;
    long idle_ms = events->lib->has_worker ? SLEEP_MS : POLL_MS;
    (void)pthread_mutex_lock(&events->lock);
    for (await_subscriber(events); !is_stopping(events); await_subscriber(events)) {
        struct sl_follow_event event;
        struct sl_error err;
        bool found = false;
        uint64_t moves = count_moves(events);
        enum syncline_status status =
            sl_follow_next(&events->follow, wants_json(events), &found, &event, &err);
        if (status == SYNCLINE_OK && found) {
            deliver(events, &event);
            continue;
        }
        (void)pthread_mutex_unlock(&events->lock);
        await_engine(events, moves, status == SYNCLINE_OK ? idle_ms : RETRY_MS);
        (void)pthread_mutex_lock(&events->lock);
    }
    (void)pthread_mutex_unlock(&events->lock);
    return NULL;
}

/* ---- Life ---- */

enum syncline_status sl_events_new(struct syncline *lib, struct sl_error *err)
{
    struct sl_events *events = sl_calloc(lib->env.alloc, 1, sizeof(*events));
    if (events == NULL) {
        goto err_no_memory;
    }
    events->lib = lib;
    atomic_init(&events->stop, false);
    if (pthread_mutex_init(&events->lock, NULL) != 0) {
        goto err_free;
    }
    if (pthread_cond_init(&events->moved, NULL) != 0) {
        goto err_destroy_lock;
    }
    lib->events = events;
    return SYNCLINE_OK;

err_destroy_lock:
    (void)pthread_mutex_destroy(&events->lock);
err_free:
    sl_free(lib->env.alloc, events);
err_no_memory:
    return sl_fail(err, SYNCLINE_ENOMEM, "no memory for subscribers");
}

void sl_events_free(struct syncline *lib)
{
    struct sl_events *events = lib->events;
    if (events == NULL) {
        return;
    }
    if (events->started) {
        (void)pthread_mutex_lock(&events->lock);
        atomic_store_explicit(&events->stop, true, memory_order_release);
        (void)pthread_cond_broadcast(&events->moved);
        (void)pthread_mutex_unlock(&events->lock);
        sl_core_progress_wake(sl_library_core(lib->library));
        (void)pthread_join(events->thread, NULL);
        sl_follow_close(&events->follow);
    }
    while (events->first != NULL) {
        free_subscription(events, take_out(events, events->first->id));
    }
    sl_follow_point_fini(&events->seek, lib->env.alloc);
    (void)pthread_cond_destroy(&events->moved);
    (void)pthread_mutex_destroy(&events->lock);
    sl_free(lib->env.alloc, events);
    lib->events = NULL;
}

bool sl_events_is_own_thread(struct syncline *lib)
{
    struct sl_events *events = lib->events;
    (void)pthread_mutex_lock(&events->lock);
    bool own = on_own_thread(events);
    (void)pthread_mutex_unlock(&events->lock);
    return own;
}

static enum syncline_status open_follow(struct syncline *lib, struct sl_follow *follow,
                                        struct sl_error *err)
{
    const char *sync_db = NULL;
    const char *library_db = NULL;
    sl_library_paths(lib->library, &sync_db, &library_db);
    return sl_follow_open(follow, sl_library_core(lib->library), sync_db, library_db, err);
}

/* Under the lock. Signals are the host's: all are blocked in the thread. */
static enum syncline_status start(struct sl_events *events, struct sl_error *err)
{
    enum syncline_status status = open_follow(events->lib, &events->follow, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    events->follow.holds = true;
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    int code = pthread_create(&events->thread, NULL, run, events);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (code != 0) {
        sl_follow_close(&events->follow);
        return sl_fail(err, SYNCLINE_ENOMEM, "no thread could be made for subscribers");
    }
    (void)pthread_setname_np(events->thread, "sl-events");
    events->started = true;
    return SYNCLINE_OK;
}

/* ---- The calls ---- */

static enum syncline_status check_options(const struct syncline_subscribe_options *given,
                                          struct syncline_subscribe_options *options,
                                          struct sl_error *err)
{
    const uint32_t all = SYNCLINE_EVENT_STATE_CHANGE | SYNCLINE_EVENT_STATE_CHANGE_BATCH |
                         SYNCLINE_EVENT_SHARED_CHANGE | SYNCLINE_EVENT_ERROR;
    enum syncline_status status = SYNCLINE_OK;
    memset(options, 0, sizeof(*options));
    if (given != NULL) {
        status = sl_struct_take(options, sizeof(*options), given, given->size,
                                SL_SIZE_UP_TO(struct syncline_subscribe_options, kinds),
                                "SYNCLINE_SUBSCRIBE_OPTIONS_INIT", err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    if ((options->kinds & ~all) != 0) {
        return sl_fail(err, SYNCLINE_EINVAL, "kinds 0x%x: there are no such events",
                       options->kinds & ~all);
    }
    options->kinds = options->kinds == 0 ? all : options->kinds;
    return SYNCLINE_OK;
}

/* Where things stand; the follower goes on from there if it follows nobody else. Under the lock. */
static enum syncline_status begin(struct sl_events *events, struct subscription *subscription,
                                  struct sl_error *err)
{
    struct sl_core *core = sl_library_core(events->lib->library);
    struct sl_follow_point now = {0};
    if (events->first == NULL) {
        hold_log(events, true);
    }
    struct sl_view view = sl_library_view_lock(events->lib->library);
    enum syncline_status status =
        sl_follow_now(core, view.log, &view.rows->ldb, &subscription->since, err);
    if (status == SYNCLINE_OK && events->first == NULL) {
        status = sl_follow_now(core, view.log, &view.rows->ldb, &now, err);
    }
    sl_library_view_unlock(events->lib->library);
    if (status == SYNCLINE_OK && !events->started) {
        status = start(events, err);
    }
    if (status != SYNCLINE_OK) {
        sl_follow_point_fini(&now, events->lib->env.alloc);
        if (events->first == NULL) {
            hold_log(events, false);
        }
        return status;
    }
    if (events->first == NULL) {
        sl_follow_point_fini(&events->seek, events->lib->env.alloc);
        events->seek = now;
        events->seeks = true;
    }
    return SYNCLINE_OK;
}

static enum syncline_status subscribe(struct syncline *lib, syncline_event_fn fn, void *ctx,
                                      const struct syncline_subscribe_options *options,
                                      uint64_t *id, struct sl_error *err)
{
    struct sl_events *events = lib->events;
    struct subscription *made = sl_calloc(lib->env.alloc, 1, sizeof(*made));
    if (made == NULL) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory for a subscription");
    }
    made->fn = fn;
    made->ctx = ctx;
    made->kinds = options->kinds;
    made->json = options->json;
    (void)pthread_mutex_lock(&events->lock);
    enum syncline_status status = begin(events, made, err);
    if (status == SYNCLINE_OK) {
        made->id = ++events->last_id;
        *id = made->id;
        append(events, made);
        (void)pthread_cond_broadcast(&events->moved);
    } else {
        free_subscription(events, made);
    }
    (void)pthread_mutex_unlock(&events->lock);
    return status;
}

enum syncline_status syncline_subscribe(struct syncline *lib, syncline_event_fn fn, void *ctx,
                                        const struct syncline_subscribe_options *given,
                                        uint64_t *subscription)
{
    enum syncline_status status = sl_handle_check(lib);
    if (status != SYNCLINE_OK) {
        return status;
    }
    struct sl_error err = {.text = ""};
    struct syncline_subscribe_options options;
    if (!sl_handle_enter(lib, &err)) {
        return sl_handle_keep(lib, SYNCLINE_ECLOSED, &err);
    }
    status = check_options(given, &options, &err);
    if (status == SYNCLINE_OK && (fn == NULL || subscription == NULL)) {
        status = sl_fail(&err, SYNCLINE_EINVAL, "fn or subscription is NULL");
    }
    if (status == SYNCLINE_OK) {
        status = subscribe(lib, fn, ctx, &options, subscription, &err);
    }
    status = sl_handle_keep(lib, status, &err);
    sl_handle_leave(lib);
    return status;
}

/* Who is called by the function that runs does not wait for it. */
static void end(struct sl_events *events, struct subscription *ended)
{
    if (events->running == ended && on_own_thread(events)) {
        ended->ended_itself = true;
        return;
    }
    while (events->running == ended) {
        (void)pthread_cond_wait(&events->moved, &events->lock);
    }
    free_subscription(events, ended);
}

enum syncline_status syncline_unsubscribe(struct syncline *lib, uint64_t subscription)
{
    enum syncline_status status = sl_handle_check(lib);
    if (status != SYNCLINE_OK) {
        return status;
    }
    struct sl_error err = {.text = ""};
    if (!sl_handle_enter(lib, &err)) {
        return sl_handle_keep(lib, SYNCLINE_ECLOSED, &err);
    }
    (void)pthread_mutex_lock(&lib->events->lock);
    struct subscription *ended = take_out(lib->events, subscription);
    if (ended != NULL) {
        end(lib->events, ended);
    } else {
        status = sl_fail(&err, SYNCLINE_ENOTFOUND, "there is no subscription %llu",
                         (unsigned long long)subscription);
    }
    (void)pthread_mutex_unlock(&lib->events->lock);
    status = sl_handle_keep(lib, status, &err);
    sl_handle_leave(lib);
    return status;
}

/* ---- The log as it is ---- */

static uint64_t count_changes(const struct sl_follow_point *point)
{
    uint64_t count = 0;
    for (size_t i = 0; i < point->len; i++) {
        count += point->places[i].seq;
    }
    return count;
}

/* Tells what lies between the beginning of the log and `now`, and no errors of the engine. */
static enum syncline_status read_log(struct sl_follow *follow, const struct sl_follow_point *now,
                                     syncline_event_fn fn, void *ctx,
                                     const struct syncline_subscribe_options *options,
                                     struct sl_error *err)
{
    struct sl_follow_point beginning = {.aside = now->aside, .notices = now->notices};
    uint64_t left = count_changes(now);
    sl_follow_seek(follow, &beginning);
    while (left > 0) {
        struct sl_follow_event event;
        bool found = false;
        enum syncline_status status = sl_follow_next(follow, options->json, &found, &event, err);
        if (status != SYNCLINE_OK || !found) {
            return status;
        }
        bool is_change = event.origin != 0;
        if (sl_follow_is_after(&event, now) && is_change) {
            continue; /* it came while we read */
        }
        left -= is_change ? event.event.record_count : 0;
        if ((options->kinds & event.event.kind) != 0) {
            fn(ctx, &event.event);
        }
    }
    return SYNCLINE_OK;
}

enum syncline_status syncline_log_read(struct syncline *lib, syncline_event_fn fn, void *ctx,
                                       const struct syncline_subscribe_options *given)
{
    enum syncline_status status = sl_handle_check(lib);
    if (status != SYNCLINE_OK) {
        return status;
    }
    struct sl_error err = {.text = ""};
    struct syncline_subscribe_options options;
    if (!sl_handle_enter(lib, &err)) {
        return sl_handle_keep(lib, SYNCLINE_ECLOSED, &err);
    }
    status = check_options(given, &options, &err);
    if (status == SYNCLINE_OK && fn == NULL) {
        status = sl_fail(&err, SYNCLINE_EINVAL, "fn is NULL");
    }
    struct sl_follow follow;
    if (status == SYNCLINE_OK) {
        status = open_follow(lib, &follow, &err);
    }
    if (status == SYNCLINE_OK) {
        struct sl_follow_point now = {0};
        status = sl_follow_now(follow.core, &follow.log, &follow.ldb, &now, &err);
        if (status == SYNCLINE_OK) {
            status = read_log(&follow, &now, fn, ctx, &options, &err);
        }
        sl_follow_point_fini(&now, lib->env.alloc);
        sl_follow_close(&follow);
    }
    status = sl_handle_keep(lib, status, &err);
    sl_handle_leave(lib);
    return status;
}
