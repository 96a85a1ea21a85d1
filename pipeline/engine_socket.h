/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* engine.sock: the process that runs the engine of a library answers others on the same machine,
 * that have the library open without it, what only it knows.
 *
 *     question    one line, up to 16 KiB with its end: a word and arguments
 *     answer      lines "key value...", the last one "end"; keys that are not known are skipped,
 *                 so that both sides may be of different versions
 *
 * Happy path: a thread of its own accepts one connection after another, reads the question, lets
 * `answer` write, sends and closes. The socket's file has mode 0600, and who asks must be the same
 * user or root. Whoever holds engine.lock owns the file: it removes what a crash left.
 *
 * Failure modes: who asks and then hangs, or sends byte by byte, or no line, is dropped after a
 * second, at most two, and delays others by no more. Without a socket (its folder forbids one) the
 * engine runs all the same and nobody can ask it; nobody to ask is ENOTFOUND, an answer that does
 * not come EBUSY. */

#ifndef SL_ENGINE_SOCKET_H
#define SL_ENGINE_SOCKET_H

#include <pthread.h>

#include "base/bytes.h"
#include "base/status.h"

#define SL_ENGINE_QUESTION_SIZE_MAX 16384u
#define SL_ENGINE_ANSWER_SIZE_MAX ((size_t)256 * 1024)

/* Writes the answer to the question (NUL-terminated, without its line end) but for the line "end".
 * On the socket's thread. */
typedef void (*sl_engine_answer)(void *ctx, const char *question, struct sl_buf *out);

struct sl_engine_socket {
    int listening; /* -1: not started */
    int stop;      /* an eventfd */
    int dir;       /* of the library; borrowed */
    sl_engine_answer answer;
    void *ctx;
    const struct sl_allocator *alloc; /* borrowed for life */
    pthread_t thread;
};

/* Starts to answer in the directory `dir` (a descriptor, borrowed for life); the caller holds
 * engine.lock. Errors: EIO (the text says why), ENOMEM. */
enum syncline_status sl_engine_socket_start(struct sl_engine_socket *server, int dir,
                                            const struct sl_allocator *alloc,
                                            sl_engine_answer answer, void *ctx,
                                            struct sl_error *err);
/* Returns when an answer under way has been given; removes the file. A second time it does nothing,
 * nor where it was not started. */
void sl_engine_socket_stop(struct sl_engine_socket *server);

/* Asks the engine of the library in the directory `dir`, a descriptor; `answer` receives the lines,
 * and a NUL behind them. Blocks up to 2 s. Errors: ENOTFOUND (no engine there), EBUSY (it does not
 * answer), EPROTO (what came is no answer), ENOMEM. */
enum syncline_status sl_engine_ask(int dir, const char *question, struct sl_buf *answer,
                                   struct sl_error *err);

#endif
