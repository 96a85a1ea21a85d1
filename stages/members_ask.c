/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/members_ask.h"

#include <time.h>

#include "stages/members.h"

#define MS_PER_S 1000u
#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S (MS_PER_S * NS_PER_MS)

/* By the clock that the condition goes by, which is the environment's. */
static struct timespec deadline(const struct sl_core *core)
{
    uint64_t at_ns = core->env->mono_ns(core->env->ctx) + SL_MEMBERS_ASK_MS * NS_PER_MS;
    return (struct timespec){.tv_sec = (time_t)(at_ns / NS_PER_S),
                             .tv_nsec = (long)(at_ns % NS_PER_S)};
}

/* Waits, under the lock, while the state is that. false: the time is over, or the engine is dead.
 */
static bool wait_while(struct sl_core *core, enum sl_members_ask_state state,
                       const struct timespec *until)
{
    struct sl_progress *progress = &core->progress;
    int code = 0;
    while (core->members_ask.state == state && code == 0 && progress->health == SYNCLINE_OK) {
        code = pthread_cond_timedwait(&progress->moved, &progress->lock, until);
    }
    return core->members_ask.state != state;
}

/* Under the lock. */
static enum syncline_status ask(struct sl_core *core, enum sl_membership_kind kind,
                                const struct syncline_uuid *device, struct sl_error *err)
{
    struct sl_members_ask *slot = &core->members_ask;
    struct timespec until = deadline(core);
    while (slot->state != SL_MEMBERS_ASK_FREE) {
        if (!wait_while(core, slot->state, &until)) {
            return SYNCLINE_EBUSY;
        }
    }
    *slot = (struct sl_members_ask){.state = SL_MEMBERS_ASK_POSTED, .kind = kind};
    if (device != NULL) {
        slot->device = *device;
    }
    if (core->network != NULL) {
        sl_network_wake(core->network);
    }
    if (!wait_while(core, SL_MEMBERS_ASK_POSTED, &until)) {
        slot->state = SL_MEMBERS_ASK_FREE; /* nobody has begun with it: nobody will */
        return SYNCLINE_EBUSY;
    }
    while (slot->state == SL_MEMBERS_ASK_TAKEN) {
        (void)pthread_cond_wait(&core->progress.moved, &core->progress.lock);
    }
    enum syncline_status status = slot->status;
    *err = slot->err;
    slot->state = SL_MEMBERS_ASK_FREE;
    (void)pthread_cond_broadcast(&core->progress.moved);
    return status;
}

enum syncline_status sl_members_ask(struct sl_core *core, enum sl_membership_kind kind,
                                    const struct syncline_uuid *device, struct sl_error *err)
{
    struct sl_progress *progress = &core->progress;
    struct sl_error text = {.text = ""};
    (void)pthread_mutex_lock(&progress->lock);
    enum syncline_status status = ask(core, kind, device, &text);
    bool is_dead = status == SYNCLINE_EBUSY && progress->health != SYNCLINE_OK;
    if (is_dead) {
        status = progress->health;
        text = progress->notice;
    }
    (void)pthread_mutex_unlock(&progress->lock);
    if (status == SYNCLINE_EBUSY && text.text[0] == '\0') {
        return sl_fail(err, status, "the engine has not come to it within %u s; try again",
                       SL_MEMBERS_ASK_MS / MS_PER_S);
    }
    *err = text;
    return status;
}

bool sl_members_run(struct sl_core *core)
{
    struct sl_progress *progress = &core->progress;
    struct sl_members_ask *slot = &core->members_ask;
    struct sl_error err = {.text = ""};
    (void)pthread_mutex_lock(&progress->lock);
    bool posted = slot->state == SL_MEMBERS_ASK_POSTED;
    slot->state = posted ? SL_MEMBERS_ASK_TAKEN : slot->state;
    enum sl_membership_kind kind = slot->kind;
    struct syncline_uuid device = slot->device;
    (void)pthread_mutex_unlock(&progress->lock);
    if (!posted) {
        return false;
    }
    enum syncline_status status = kind == SL_MEMBERSHIP_LEAVE
                                      ? sl_members_leave(core, &err)
                                      : sl_members_revoke(core, &device, &err);
    (void)pthread_mutex_lock(&progress->lock);
    slot->state = SL_MEMBERS_ASK_ANSWERED;
    slot->status = status;
    slot->err = err;
    (void)pthread_mutex_unlock(&progress->lock);
    sl_core_progress_wake(core);
    return true;
}
