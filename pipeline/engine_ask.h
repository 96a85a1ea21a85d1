/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Questions about ranges (base/range_ask.h) carried to a member and back, for a thread that
 * compares: by the engine of this process, or by that of another one, asked through engine.sock.
 * There a question to a member is two questions to the engine, so that no answer is long in coming:
 *
 *     ask DEVICE QUESTION      32 hexadecimal digits, Base64
 *         asked                it is on its way
 *     answer ID                16 hexadecimal digits: of the question
 *         wait                 nothing has come yet: ask again
 *         answer ANSWER        Base64
 *     either
 *         refused STATUS TEXT  a number of enum syncline_status; nothing is under way
 *
 * `drop ID` has no answer: who asked does not want to know any more.
 *
 * And words for the membership log, which only the engine can say:
 *
 *     leave                    this device leaves
 *     revoke DEVICE            32 hexadecimal digits
 *         said                 it is durable
 *     either
 *         refused STATUS TEXT */

#ifndef SL_ENGINE_ASK_H
#define SL_ENGINE_ASK_H

#include "base/bytes.h"
#include "base/membership_entry.h"
#include "pipeline/library_view.h"

/* ---- The engine's side ---- */

/* Writes the answer to such a question. false: it is none. On the socket's thread. */
bool sl_engine_ask_answer(struct sl_library *library, const char *question, struct sl_buf *out);

/* ---- Who asks; any thread ---- */

/* Where questions go: the engine in this process, or the one that answers in a directory. */
struct sl_engine_way {
    struct sl_library *library;
    bool is_here;                     /* this process runs the engine */
    int dir;                          /* else: of the library */
    const struct sl_allocator *alloc; /* borrowed */
};

/* The last two errors are of who is not there: EREFUSED (nobody runs the engine), EBUSY (it does
 * not answer). Both, but for that, as sl_inquiry_post and sl_inquiry_take, and EPROTO. */
enum syncline_status sl_engine_way_post(const struct sl_engine_way *way,
                                        const struct syncline_uuid *member,
                                        const struct sl_buf *question, struct sl_error *err);
enum syncline_status sl_engine_way_take(const struct sl_engine_way *way, uint64_t id,
                                        struct sl_buf *answer, struct sl_error *err);
void sl_engine_way_drop(const struct sl_engine_way *way, uint64_t id);
/* As sl_members_ask (stages/members_ask.h), and EREFUSED: nobody runs the engine. */
enum syncline_status sl_engine_way_say(const struct sl_engine_way *way,
                                       enum sl_membership_kind kind,
                                       const struct syncline_uuid *device, struct sl_error *err);

#endif
