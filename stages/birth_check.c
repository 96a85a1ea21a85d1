/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/birth_check.h"

#include <string.h>

void sl_birth_check_init(struct sl_birth_check *check, struct sl_core *core,
                         struct sl_peer_log *log)
{
    memset(check, 0, sizeof(*check));
    check->core = core;
    check->log = log;
}

void sl_birth_check_fini(struct sl_birth_check *check)
{
    if (check->is_ready) {
        sl_decoded_fini(&check->decoded);
        check->is_ready = false;
    }
}

/* Its number in the log; 0: there is nothing of it. */
static enum syncline_status find_origin(struct sl_peer_log *log, const struct sl_origin *origin,
                                        int64_t *number, struct sl_error *err)
{
    struct sl_log_head head = {0};
    bool found = true;
    *number = 0;
    while (*number == 0) {
        enum syncline_status status = sl_peer_log_head(log, head.number, &found, &head, err);
        if (status != SYNCLINE_OK || !found) {
            return status;
        }
        *number = sl_origin_equal(&head.origin, origin) ? head.number : 0;
    }
    return SYNCLINE_OK;
}

/* Decodes the segment of a birth, if it is not the last one; *found = false: it is not there. */
static enum syncline_status load(struct sl_birth_check *check, const struct sl_birth *birth,
                                 bool *found, struct sl_error *err)
{
    struct sl_peer_log *log = check->log;
    const struct sl_segment *held = &check->decoded.segment;
    *found = check->number != 0 && sl_origin_equal(&held->origin, &birth->origin) &&
             birth->seq >= held->first_seq && birth->seq <= sl_segment_last_seq(held);
    if (*found) {
        return SYNCLINE_OK;
    }
    int64_t number = 0;
    const uint8_t *data = NULL;
    size_t size = 0;
    enum syncline_status status = find_origin(log, &birth->origin, &number, err);
    if (status != SYNCLINE_OK || number == 0) {
        return status;
    }
    if (!check->is_ready) {
        status = sl_decoded_init(&check->decoded, check->core->env->alloc, err);
        check->is_ready = status == SYNCLINE_OK;
    }
    if (status == SYNCLINE_OK) {
        status = sl_peer_log_segment(log, number, birth->seq, found, &data, &size, err);
    }
    if (status == SYNCLINE_EPRUNED) {
        status = sl_peer_log_births(log, number, birth->seq, found, &data, &size, err);
    }
    check->number = 0;
    if (status == SYNCLINE_OK && *found) {
        check->loads++;
        status = sl_decode(&check->decoded, data, size, err);
        check->number = status == SYNCLINE_OK ? number : 0;
    }
    sl_peer_log_done(log);
    return status;
}

enum syncline_status sl_birth_check_change(struct sl_birth_check *check,
                                           const struct sl_birth *change,
                                           const struct sl_group **group, uint32_t *i,
                                           struct sl_error *err)
{
    bool found = false;
    enum syncline_status status = load(check, change, &found, err);
    *group = NULL;
    if (status != SYNCLINE_OK || !found) {
        return status;
    }
    uint64_t seq = check->decoded.segment.first_seq;
    for (uint32_t g = 0; g < check->decoded.group_count; g++) {
        const struct sl_group *at = &check->decoded.groups[g];
        if (change->seq - seq < at->n) {
            *group = at;
            *i = (uint32_t)(change->seq - seq);
            return SYNCLINE_OK;
        }
        seq += at->n;
    }
    return SYNCLINE_OK;
}

enum syncline_status sl_birth_check_is(struct sl_birth_check *check, const struct sl_model *model,
                                       const struct syncline_uuid *uuid,
                                       const struct sl_birth *birth, bool *is, struct sl_error *err)
{
    const struct sl_group *group = NULL;
    uint32_t i = 0;
    enum syncline_status status = sl_birth_check_change(check, birth, &group, &i, err);
    *is = status != SYNCLINE_OK || group == NULL ||
          (group->change == SYNCLINE_INSERT && group->model_len == strlen(model->name) &&
           memcmp(group->model, model->name, group->model_len) == 0 &&
           sl_uuid_equal(&group->uuids[i], uuid));
    return status;
}
