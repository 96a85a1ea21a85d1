/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/inquiry.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/range_ask.h"

#define LEFT_NS ((uint64_t)10 * 1000 * 1000 * 1000) /* who is silent for so long has gone away */

/* The arrows of the drawing. */
static const bool arrows[SL_INQUIRY_STATE_END][SL_INQUIRY_STATE_END] = {
    [SL_INQUIRY_FREE] = {[SL_INQUIRY_POSTED] = true},
    [SL_INQUIRY_POSTED] =
        {[SL_INQUIRY_SENT] = true, [SL_INQUIRY_LOST] = true, [SL_INQUIRY_FREE] = true},
    [SL_INQUIRY_SENT] =
        {[SL_INQUIRY_ANSWERED] = true, [SL_INQUIRY_LOST] = true, [SL_INQUIRY_FREE] = true},
    [SL_INQUIRY_ANSWERED] = {[SL_INQUIRY_FREE] = true},
    [SL_INQUIRY_LOST] = {[SL_INQUIRY_FREE] = true},
};

static void enter(struct sl_inquiry *inquiry, enum sl_inquiry_state state)
{
    bool is_drawn = arrows[inquiry->state][state];
    assert(is_drawn);
    (void)is_drawn; /* a release build asserts nothing */
    inquiry->state = state;
    if (state == SL_INQUIRY_FREE || state == SL_INQUIRY_LOST) {
        sl_buf_fini(&inquiry->bytes);
    }
}

__attribute__((format(printf, 3, 4))) static void
lose(struct sl_inquiry *inquiry, enum syncline_status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(inquiry->error.text, sizeof(inquiry->error.text), format, args);
    va_end(args);
    inquiry->status = status;
    enter(inquiry, SL_INQUIRY_LOST);
}

enum syncline_status sl_inquiry_init(struct sl_inquiry *inquiry, const struct sl_core *core,
                                     struct sl_error *err)
{
    *inquiry = (struct sl_inquiry){.state = SL_INQUIRY_FREE};
    sl_buf_init(&inquiry->bytes, core->env->alloc);
    if (pthread_mutex_init(&inquiry->lock, NULL) != 0) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory for locks");
    }
    inquiry->ready = true;
    return SYNCLINE_OK;
}

void sl_inquiry_fini(struct sl_inquiry *inquiry)
{
    if (inquiry->ready) {
        sl_buf_fini(&inquiry->bytes);
        (void)pthread_mutex_destroy(&inquiry->lock);
        inquiry->ready = false;
    }
}

/* ---- Who asks ---- */

static enum syncline_status post(struct sl_inquiry *inquiry, const struct sl_core *core,
                                 const struct syncline_uuid *member, uint64_t id, const void *data,
                                 size_t len, struct sl_error *err)
{
    uint64_t now_ns = core->env->mono_ns(core->env->ctx);
    if (inquiry->state != SL_INQUIRY_FREE && now_ns - inquiry->touched_ns < LEFT_NS) {
        return sl_fail(err, SYNCLINE_EBUSY, "another comparison is under way");
    }
    if (inquiry->state != SL_INQUIRY_FREE) {
        enter(inquiry, SL_INQUIRY_FREE);
    }
    sl_buf_bytes(&inquiry->bytes, data, len);
    if (inquiry->bytes.failed) {
        sl_buf_fini(&inquiry->bytes);
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory for a question");
    }
    inquiry->id = id;
    inquiry->member = *member;
    inquiry->touched_ns = now_ns;
    enter(inquiry, SL_INQUIRY_POSTED);
    return SYNCLINE_OK;
}

enum syncline_status sl_inquiry_post(struct sl_inquiry *inquiry, const struct sl_core *core,
                                     const struct syncline_uuid *member, const void *data,
                                     size_t len, struct sl_error *err)
{
    struct sl_range_ask ask;
    enum syncline_status status = sl_range_ask_get(data, len, &ask, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)pthread_mutex_lock(&inquiry->lock);
    status = post(inquiry, core, member, ask.id, data, len, err);
    (void)pthread_mutex_unlock(&inquiry->lock);
    return status;
}

static enum syncline_status take(struct sl_inquiry *inquiry, struct sl_buf *answer,
                                 struct sl_error *err)
{
    if (inquiry->state == SL_INQUIRY_LOST) {
        *err = inquiry->error;
        enter(inquiry, SL_INQUIRY_FREE);
        return inquiry->status;
    }
    if (inquiry->state != SL_INQUIRY_ANSWERED) {
        return SYNCLINE_AGAIN;
    }
    sl_buf_clear(answer);
    sl_buf_bytes(answer, inquiry->bytes.data, inquiry->bytes.len);
    enter(inquiry, SL_INQUIRY_FREE);
    return answer->failed ? sl_fail(err, SYNCLINE_ENOMEM, "no memory for an answer") : SYNCLINE_OK;
}

enum syncline_status sl_inquiry_take(struct sl_inquiry *inquiry, const struct sl_core *core,
                                     uint64_t id, struct sl_buf *answer, struct sl_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    (void)pthread_mutex_lock(&inquiry->lock);
    if (inquiry->state == SL_INQUIRY_FREE || inquiry->id != id) {
        status = sl_fail(err, SYNCLINE_ENOTFOUND, "no such question is under way");
    } else {
        inquiry->touched_ns = core->env->mono_ns(core->env->ctx);
        status = take(inquiry, answer, err);
    }
    (void)pthread_mutex_unlock(&inquiry->lock);
    return status;
}

void sl_inquiry_drop(struct sl_inquiry *inquiry, uint64_t id)
{
    (void)pthread_mutex_lock(&inquiry->lock);
    if (inquiry->state != SL_INQUIRY_FREE && inquiry->id == id) {
        enter(inquiry, SL_INQUIRY_FREE);
    }
    (void)pthread_mutex_unlock(&inquiry->lock);
}

/* ---- The network's ---- */

static void send_it(struct sl_inquiry *inquiry, struct sl_core *core)
{
    struct sl_member_state *member = sl_core_member(core, &inquiry->member);
    if (member == NULL) {
        lose(inquiry, SYNCLINE_ENOTFOUND, "no other member has this device id");
        return;
    }
    if (member->session == NULL) {
        lose(inquiry, SYNCLINE_EREFUSED, "device \"%s\" is not connected", member->known.name);
        return;
    }
    if (member->meeting != SL_MEETING_KNOWN) {
        return; /* it may not come before the two have told each other what they have */
    }
    enum syncline_status status =
        sl_session_send_query(member->session, inquiry->bytes.data, inquiry->bytes.len);
    if (status != SYNCLINE_OK) {
        lose(inquiry, SYNCLINE_ENET, "the question to device \"%s\" could not be queued",
             member->known.name);
        return;
    }
    sl_buf_fini(&inquiry->bytes);
    enter(inquiry, SL_INQUIRY_SENT);
}

bool sl_inquiry_send(struct sl_inquiry *inquiry, struct sl_core *core)
{
    bool worked = false;
    bool is_lost = false;
    (void)pthread_mutex_lock(&inquiry->lock);
    if (inquiry->state == SL_INQUIRY_POSTED) {
        send_it(inquiry, core);
        worked = inquiry->state != SL_INQUIRY_POSTED;
        is_lost = inquiry->state == SL_INQUIRY_LOST;
    }
    (void)pthread_mutex_unlock(&inquiry->lock);
    if (is_lost) {
        sl_core_progress_wake(core);
    }
    return worked;
}

static bool is_sent_to(const struct sl_inquiry *inquiry, const struct sl_member_state *member)
{
    return inquiry->state == SL_INQUIRY_SENT &&
           sl_uuid_equal(&inquiry->member, &member->known.device);
}

void sl_inquiry_answered(struct sl_inquiry *inquiry, struct sl_core *core,
                         const struct sl_member_state *member, uint64_t id, const void *data,
                         size_t len)
{
    (void)pthread_mutex_lock(&inquiry->lock);
    bool is_ours = is_sent_to(inquiry, member) && inquiry->id == id;
    if (is_ours) {
        sl_buf_bytes(&inquiry->bytes, data, len);
        if (inquiry->bytes.failed) {
            lose(inquiry, SYNCLINE_ENOMEM, "no memory for an answer");
        } else {
            enter(inquiry, SL_INQUIRY_ANSWERED);
        }
    }
    (void)pthread_mutex_unlock(&inquiry->lock);
    if (is_ours) {
        sl_core_progress_wake(core);
    }
}

void sl_inquiry_lost(struct sl_inquiry *inquiry, struct sl_core *core,
                     const struct sl_member_state *member)
{
    (void)pthread_mutex_lock(&inquiry->lock);
    bool is_ours = is_sent_to(inquiry, member);
    if (is_ours) {
        lose(inquiry, SYNCLINE_ENET, "the connection to device \"%s\" was lost",
             member->known.name);
    }
    (void)pthread_mutex_unlock(&inquiry->lock);
    if (is_ours) {
        sl_core_progress_wake(core);
    }
}
