/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The public handle, for the files that make up the public calls: pipeline/api_*.c. */

#ifndef SL_HANDLE_H
#define SL_HANDLE_H

#include <sys/types.h>

#include "base/settings.h"
#include "base/struct_take.h"
#include "net/transport.h"
#include "pipeline/engine_lock.h"
#include "pipeline/engine_socket.h"
#include "pipeline/engine_view.h"
#include "pipeline/library_view.h"
#include "pipeline/mark_file.h"
#include "pipeline/worker.h"

struct sl_events; /* subscriptions and their thread: pipeline/api_events.c */

/* What a thread's last call on the handle said, which failed. */
struct sl_said {
    pid_t thread;    /* by the kernel's number, which is not soon used again; 0: a free place */
    uint64_t number; /* counts up: the least is the oldest */
    struct sl_error error;
};
#define SL_SAID_COUNT_MAX 16u /* texts kept, one a thread */

struct syncline {
    struct sl_allocator alloc; /* the host's, or the C library's */
    struct sl_env env;         /* the real world with that allocator */
    pid_t pid;                 /* of the process that opened it */
    uint64_t opened_ns;        /* by the monotonic clock */
    struct sl_library *library;
    struct sl_transport *transport; /* NULL in the capture role */
    struct sl_engine_lock lock;
    struct sl_mark_file mark;       /* in the engine's role */
    struct sl_mark_keeper keeper;   /* of it */
    int dir;                        /* descriptor of the library's directory */
    struct sl_engine_socket socket; /* answers others, while this handle runs the engine */
    pthread_mutex_t asked_lock;
    struct sl_engine_view asked; /* under asked_lock: what the engine's process said last */
    uint64_t asked_until_ns;     /* under asked_lock: so long it is good */
    struct sl_worker worker;
    bool has_worker;
    atomic_bool closing; /* set once; captures are refused, and waiting ends, from then on */
    atomic_uint running; /* captures and flushes on their way */
    pthread_mutex_t error_lock;
    struct sl_said said[SL_SAID_COUNT_MAX]; /* under error_lock; by threads */
    uint64_t said_number;                   /* under error_lock; of the text kept last */
    atomic_uint said_count; /* threads with a text; changed under error_lock. A thread finds its own
                               text counted, whatever it sees of others */
    struct sl_settings settings; /* constant */
    struct sl_events *events;
};

/* EINVAL (NULL) or EFORK, else OK. */
enum syncline_status sl_handle_check(const struct syncline *lib);
/* Ends a call on a handle: if it failed its text is kept there for the calling thread, else that of
 * an earlier call is forgotten. Any thread. */
enum syncline_status sl_handle_keep(struct syncline *lib, enum syncline_status status,
                                    const struct sl_error *err);

/* EINVAL unless a struct that is to be filled was given, with its size, which comes first. */
static inline enum syncline_status sl_handle_check_out(const size_t *size, struct sl_error *err)
{
    if (size == NULL || *size < 2 * sizeof(size_t)) {
        return sl_fail(err, SYNCLINE_EINVAL, "start from the struct's _INIT");
    }
    return SYNCLINE_OK;
}
#define SL_TICKET_FIRST_SIZE SL_SIZE_UP_TO(struct syncline_ticket, epoch)
/* Was it made by its _INIT, so that a call may fill it? */
static inline bool sl_ticket_has_room(const struct syncline_ticket *ticket)
{
    return ticket->size >= SL_TICKET_FIRST_SIZE && ticket->size <= SL_STRUCT_SIZE_MAX;
}
/* Copies what the caller's version of a struct has room for; its size, which comes first, stays. */
void sl_handle_give(void *out, size_t out_size, const void *from, size_t from_size);
/* EINVAL unless it is one of them. */
enum syncline_status sl_handle_check_level(enum syncline_level level, struct sl_error *err);

/* Asks the other process that runs the engine; blocks up to 2 s. false: nobody runs one, or it does
 * not answer; all is zero then. An answer is good for 50 ms, so that calls made in a row agree, and
 * one who did not answer is not asked again for a second. Any thread. */
bool sl_handle_ask_engine(struct syncline *lib, struct sl_engine_view *view);
/* As syncline_info, which fills it whole: pipeline/api_view.c. */
enum syncline_status sl_handle_info(struct syncline *lib, struct syncline_info *info,
                                    struct sl_error *err);
/* Is the library of this mark a copy, whose original is there, too? Blocks on the disk. Errors:
 * ECLONED. pipeline/api_open.c */
enum syncline_status sl_handle_check_alone(const struct sl_mark_file *mark, struct sl_error *err);
/* As syncline_remove, the text in `err`: pipeline/api_remove.c. */
enum syncline_status sl_library_remove(const struct sl_env *env, const char *dir,
                                       struct sl_error *err);

/* ---- Settings: pipeline/api_settings.c ---- */

/* The values for a handle on the library in `dir`, from all layers. Blocks on the disk. Errors:
 * EINVAL, EIO, ENOMEM. */
enum syncline_status sl_settings_take_all(struct sl_settings *settings,
                                          const struct sl_allocator *alloc, const char *dir,
                                          const struct syncline_options *options,
                                          struct sl_error *err);
/* The last layer alone: what the options say goes over what is there. Errors: EINVAL. */
enum syncline_status sl_settings_take_call(struct sl_settings *settings,
                                           const struct syncline_options *options,
                                           struct sl_error *err);
/* Where a value comes from, for people: "syncline.conf:3". */
void sl_settings_where(const struct sl_settings *settings, enum sl_setting_id id, char *out,
                       size_t size);
/* The addresses to dial, one string each in `text`; returns how many. */
size_t sl_settings_peers(const struct sl_settings *settings, char text[SL_PEERS_SIZE],
                         const char *peers[SL_LINK_COUNT_MAX]);

/* ---- Waiting: pipeline/api_wait.c ---- */

/* Is what is waited for there? If not, the text says what is left. */
typedef enum syncline_status (*sl_reached_fn)(struct syncline *lib, void *ctx, bool *reached,
                                              struct sl_error *err);

/* Asks again and again, sleeping in between; TIMEOUT when timeout_ms are over, with what stands in
 * the way, if the engine knows. Ends with ECLOSED when the handle is closed, but for the closer. */
enum syncline_status sl_handle_wait(struct syncline *lib, sl_reached_fn reached, void *ctx,
                                    int64_t timeout_ms, bool closer, struct sl_error *err);
/* As syncline_flush, whose text is in `err`. */
enum syncline_status sl_handle_flush(struct syncline *lib, enum syncline_level level,
                                     int64_t timeout_ms, bool closer, struct syncline_left *left,
                                     struct sl_error *err);
/* Sleeps until the engine has moved, or some milliseconds. */
void sl_handle_wait_a_little(struct syncline *lib);
/* Around a call that closing waits for. false, with the error: the handle is being closed, and the
 * call is not to be made. */
bool sl_handle_enter(struct syncline *lib, struct sl_error *err);
void sl_handle_leave(struct syncline *lib);
/* Lets nobody in any more, and returns when all who were in have left. */
void sl_handle_shut(struct syncline *lib);
/* After a capture outside a transaction: waits while the engine is far behind, as block_ms says.
 * AGAIN: it still is. */
enum syncline_status sl_handle_hold_back(struct syncline *lib, struct sl_error *err);

/* ---- Events: pipeline/api_events.c ---- */

/* Makes lib->events, without a thread. Errors: ENOMEM. */
enum syncline_status sl_events_new(struct syncline *lib, struct sl_error *err);
/* Ends every subscription and the thread; waits for the function that runs. NULL is allowed. */
void sl_events_free(struct syncline *lib);
/* Is the caller a subscriber's function? */
bool sl_events_is_own_thread(struct syncline *lib);

#endif
