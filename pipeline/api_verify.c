/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The public call that compares the tables with those of a member: it carries the questions of
 * stages/comparison there, and the answers back. */

#include <stdio.h>
#include <string.h>

#include "net/frame.h"
#include "pipeline/engine_ask.h"
#include "pipeline/handle.h"
#include "stages/comparison.h"

#define NS_PER_MS ((uint64_t)1000 * 1000)
#define AGAIN_MS 100u /* before the same ranges are asked about again */

struct verify {
    struct syncline *lib;
    const struct syncline_uuid *member;
    char name[SL_NAME_SIZE_MAX + 3]; /* of the member, in quotes */
    int64_t timeout_ms;
    uint64_t started_ns;
    struct sl_engine_way way;
    syncline_difference_fn fn;
    void *ctx;
    struct syncline_verified verified;
    struct sl_buf question;
    struct sl_buf answer;
};

static uint64_t now_ns(const struct verify *verify)
{
    return verify->lib->env.mono_ns(verify->lib->env.ctx);
}

static bool is_time_over(const struct verify *verify)
{
    return verify->timeout_ms >= 0 &&
           now_ns(verify) - verify->started_ns >= (uint64_t)verify->timeout_ms * NS_PER_MS;
}

static enum syncline_status check_open(const struct verify *verify, struct sl_error *err)
{
    return atomic_load(&verify->lib->closing)
               ? sl_fail(err, SYNCLINE_ECLOSED, "the handle is being closed")
               : SYNCLINE_OK;
}

/* As sl_go_on_fn: this device's own reading ends in time, too. */
static enum syncline_status go_on(void *ctx, struct sl_error *err)
{
    const struct verify *verify = ctx;
    enum syncline_status status = check_open(verify, err);
    if (status == SYNCLINE_OK && is_time_over(verify)) {
        status = sl_fail(err, SYNCLINE_TIMEOUT, "the time is over while records are compared");
    }
    return status;
}

/* As sl_difference_fn. */
static bool tell(void *ctx, enum syncline_difference_kind kind, const struct sl_model *model,
                 const struct syncline_uuid *uuid)
{
    const struct verify *verify = ctx;
    struct syncline_difference difference = {
        .size = sizeof(difference), .kind = kind, .model = model->name, .uuid = *uuid};
    return verify->fn(verify->ctx, &difference);
}

/* ---- One question and its answer ---- */

/* Another comparison may be under way: they take turns. */
static enum syncline_status post(struct verify *verify, struct sl_error *err)
{
    for (;;) {
        enum syncline_status status =
            sl_engine_way_post(&verify->way, verify->member, &verify->question, err);
        if (status != SYNCLINE_EBUSY) {
            return status;
        }
        status = check_open(verify, err);
        if (status != SYNCLINE_OK) {
            return status;
        }
        if (is_time_over(verify)) {
            struct sl_error why = *err;
            return sl_fail(err, SYNCLINE_TIMEOUT, "the time is over: %s", why.text);
        }
        sl_handle_wait_a_little(verify->lib);
    }
}

static enum syncline_status wait_for_answer(struct verify *verify, uint64_t id,
                                            struct sl_error *err)
{
    for (;;) {
        enum syncline_status status = sl_engine_way_take(&verify->way, id, &verify->answer, err);
        if (status != SYNCLINE_AGAIN) {
            return status;
        }
        status = check_open(verify, err);
        if (status == SYNCLINE_OK && is_time_over(verify)) {
            status = sl_fail(err, SYNCLINE_TIMEOUT, "%s has not answered in time", verify->name);
        }
        if (status == SYNCLINE_OK) {
            status = sl_library_health(verify->lib->library, err);
        }
        if (status != SYNCLINE_OK) {
            sl_engine_way_drop(&verify->way, id);
            return status;
        }
        sl_handle_wait_a_little(verify->lib);
    }
}

static enum syncline_status exchange(struct verify *verify, uint64_t id, struct sl_error *err)
{
    enum syncline_status status = post(verify, err);
    if (status == SYNCLINE_OK) {
        status = wait_for_answer(verify, id, err);
    }
    if (status == SYNCLINE_OK) {
        verify->verified.round_trips++;
        verify->verified.bytes_sent += verify->question.len + SL_FRAME_HEADER_SIZE;
        verify->verified.bytes_received += verify->answer.len + SL_FRAME_HEADER_SIZE;
    }
    return status;
}

/* ---- All of it ---- */

static enum syncline_status not_comparable(const struct verify *verify,
                                           const struct sl_comparison *comparison,
                                           struct sl_error *err)
{
    return sl_fail(
        err, SYNCLINE_AGAIN, "not comparable with %s yet:%s%s%s%s", verify->name,
        comparison->ours.pending ? " changes of this device are on their way into its log" : "",
        comparison->theirs.pending ? comparison->ours.pending ? ", and" : "" : "",
        comparison->theirs.pending ? " changes of that one are on their way into its log" : "",
        comparison->ours.pending || comparison->theirs.pending
            ? ""
            : " the two have not applied the same changes");
}

/* Waits before ranges whose content is on its way are asked about again. */
static enum syncline_status pause(const struct verify *verify,
                                  const struct sl_comparison *comparison, struct sl_error *err)
{
    uint64_t until_ns = now_ns(verify) + AGAIN_MS * NS_PER_MS;
    while (now_ns(verify) < until_ns) {
        if (is_time_over(verify)) {
            return not_comparable(verify, comparison, err);
        }
        enum syncline_status status = check_open(verify, err);
        if (status != SYNCLINE_OK) {
            return status;
        }
        sl_handle_wait_a_little(verify->lib);
    }
    return SYNCLINE_OK;
}

static enum syncline_status ask_all(struct verify *verify, struct sl_comparison *comparison,
                                    struct sl_error *err)
{
    bool is_any = true;
    enum syncline_status status = SYNCLINE_OK;
    while (status == SYNCLINE_OK) {
        status = sl_comparison_ask(comparison, &verify->question, &is_any, err);
        if (status != SYNCLINE_OK || !is_any) {
            break;
        }
        status = exchange(verify, comparison->id, err);
        if (status == SYNCLINE_OK) {
            status = sl_comparison_take(comparison, verify->answer.data, verify->answer.len, err);
        }
        if (status == SYNCLINE_OK && comparison->again) {
            status = pause(verify, comparison, err);
        }
    }
    verify->verified.complete = status == SYNCLINE_OK && !comparison->stopped;
    return status;
}

static enum syncline_status compare(struct verify *verify, struct sl_error *err)
{
    struct sl_comparison comparison;
    struct sl_core *core = sl_library_core(verify->lib->library);
    const char *sync_db = NULL;
    const char *library_db = NULL;
    sl_library_paths(verify->lib->library, &sync_db, &library_db);
    enum syncline_status status =
        sl_comparison_open(&comparison, core, library_db, sync_db, tell, go_on, verify, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = ask_all(verify, &comparison, err);
    struct syncline_verified *verified = &verify->verified;
    verified->models = core->models.count - comparison.models_unknown;
    verified->records = comparison.records;
    verified->differences = comparison.differences;
    verified->set_aside_here = comparison.ours.aside;
    verified->set_aside_there = comparison.theirs.aside;
    verified->waiting_here = comparison.ours.waiting;
    verified->waiting_there = comparison.theirs.waiting;
    sl_comparison_close(&comparison);
    return status;
}

/* The member's name, if there is such a member. */
static enum syncline_status find_member(struct verify *verify, struct sl_error *err)
{
    for (size_t i = 0;; i++) {
        struct syncline_member member;
        enum syncline_status status = sl_library_member(verify->lib->library, i, &member, err);
        if (status == SYNCLINE_ENOTFOUND) {
            return sl_fail(err, SYNCLINE_ENOTFOUND, "no other member has this device id");
        }
        if (status != SYNCLINE_OK) {
            return status;
        }
        if (sl_uuid_equal(&member.device_id, verify->member)) {
            (void)snprintf(verify->name, sizeof(verify->name), "\"%s\"", member.name);
            return SYNCLINE_OK;
        }
    }
}

static enum syncline_status check_arguments(const struct verify *verify,
                                            const struct syncline_verified *verified,
                                            struct sl_error *err)
{
    if (verify->member == NULL || verify->fn == NULL) {
        return sl_fail(err, SYNCLINE_EINVAL, "member or fn is NULL");
    }
    return verified != NULL ? sl_handle_check_out(&verified->size, err) : SYNCLINE_OK;
}

enum syncline_status syncline_verify(struct syncline *lib, const struct syncline_uuid *member,
                                     int64_t timeout_ms, syncline_difference_fn fn, void *ctx,
                                     struct syncline_verified *verified)
{
    enum syncline_status status = sl_handle_check(lib);
    if (status != SYNCLINE_OK) {
        return status;
    }
    struct sl_error err = {.text = ""};
    if (!sl_handle_enter(lib, &err)) {
        return sl_handle_keep(lib, SYNCLINE_ECLOSED, &err);
    }
    struct verify verify = {.lib = lib,
                            .member = member,
                            .timeout_ms = timeout_ms,
                            .fn = fn,
                            .ctx = ctx,
                            .way = {.library = lib->library,
                                    .is_here = lib->has_worker,
                                    .dir = lib->dir,
                                    .alloc = lib->env.alloc},
                            .verified = SYNCLINE_VERIFIED_INIT};
    verify.started_ns = now_ns(&verify);
    sl_buf_init(&verify.question, lib->env.alloc);
    sl_buf_init(&verify.answer, lib->env.alloc);
    status = check_arguments(&verify, verified, &err);
    bool may_give = status == SYNCLINE_OK && verified != NULL;
    if (status == SYNCLINE_OK) {
        status = find_member(&verify, &err);
    }
    if (status == SYNCLINE_OK) {
        status = compare(&verify, &err);
    }
    if (may_give) {
        sl_handle_give(verified, verified->size, &verify.verified, sizeof(verify.verified));
    }
    sl_buf_fini(&verify.question);
    sl_buf_fini(&verify.answer);
    status = sl_handle_keep(lib, status, &err);
    sl_handle_leave(lib);
    return status;
}
