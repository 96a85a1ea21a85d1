/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/hold.h"

#include <string.h>

#include "stages/clock.h"
#include "stages/fk_localize.h"
#include "storage/event_table.h"
#include "storage/waiting_room.h"

#define EVENTS_AT_ONCE 16u

static void say(struct sl_hold *hold, const char *text)
{
    hold->is_held = true;
    (void)sqlite3_snprintf(sizeof(hold->why), hold->why, "%s", text);
}

/* Is it about the segment, and not about this moment? */
static bool is_about_the_segment(enum syncline_status status)
{
    return status == SYNCLINE_EPROTO || status == SYNCLINE_EUNSUPPORTED ||
           status == SYNCLINE_EFORMAT || status == SYNCLINE_ECORRUPT || status == SYNCLINE_EPRUNED;
}

static enum syncline_status check_groups(const struct sl_hold_look *look, struct sl_hold *hold,
                                         struct sl_error *err)
{
    struct sl_decoded *decoded = look->decoded;
    enum syncline_status status = SYNCLINE_OK;
    for (uint32_t g = 0; g < decoded->group_count && status == SYNCLINE_OK; g++) {
        const struct sl_group *group = &decoded->groups[g];
        const struct sl_model *model =
            sl_model_find_name(&look->core->models, group->model, group->model_len);
        struct sl_localized localized;
        if (model == NULL) {
            hold->is_held = true;
            (void)sqlite3_snprintf(sizeof(hold->why), hold->why,
                                   "there are changes of model '%.*s' among them, which is not "
                                   "known here: open the library with it",
                                   (int)group->model_len, group->model);
            return SYNCLINE_OK;
        }
        status = sl_localize_group(&localized, model, group, &decoded->arena, err);
    }
    return status;
}

/* The segment that is to be applied next, as apply looks at it. */
static enum syncline_status check_segment(const struct sl_hold_look *look,
                                          const struct sl_log_head *head, struct sl_hold *hold,
                                          struct sl_error *err)
{
    enum syncline_status status =
        sl_decode_from_log(look->decoded, look->log, head->number, hold->first_seq, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    const struct sl_segment *segment = &look->decoded->segment;
    hold->first_ms = sl_hlc_ms(segment->first_hlc);
    uint64_t beyond_ms = sl_clock_beyond_ms(look->core, segment->last_hlc);
    if (beyond_ms > 0) {
        hold->is_held = true;
        (void)sqlite3_snprintf(
            sizeof(hold->why), hold->why,
            "they are from a clock that is %llu s ahead of this device's, and are applied when "
            "their time comes: set the clocks right",
            (unsigned long long)((beyond_ms + sl_core_max_drift_ms(look->core)) / 1000));
        return SYNCLINE_OK;
    }
    return check_groups(look, hold, err);
}

static enum syncline_status check_room(const struct sl_hold_look *look, struct sl_hold *hold,
                                       struct sl_error *err)
{
    struct sl_waiting_room room;
    sl_waiting_room_init(&room, look->ldb);
    enum syncline_status status = sl_waiting_room_load(&room, err);
    sl_waiting_room_fini(&room);
    if (status == SYNCLINE_OK && room.count.records >= look->core->waiting_max) {
        say(hold, "too many records wait for others which have not come");
    }
    return status;
}

/* What the engine told last of that device: that it is held, and since when? */
static enum syncline_status read_events(const struct sl_hold_look *look,
                                        const struct syncline_uuid *device, struct sl_hold *hold,
                                        struct sl_error *err)
{
    const struct sl_allocator *alloc = look->core->env->alloc;
    struct sl_event *events = sl_calloc(alloc, EVENTS_AT_ONCE, sizeof(*events));
    char text[SYNCLINE_WHY_SIZE] = "";
    int64_t after = 0;
    size_t len = EVENTS_AT_ONCE;
    enum syncline_status status = SYNCLINE_OK;
    if (events == NULL) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory for events");
    }
    while (status == SYNCLINE_OK && len == EVENTS_AT_ONCE) {
        status = sl_event_after(look->log, after, events, EVENTS_AT_ONCE, &len, err);
        for (size_t i = 0; i < len && status == SYNCLINE_OK; i++) {
            const struct sl_event *event = &events[i];
            bool is_held =
                event->code == SYNCLINE_CODE_HELD || event->code == SYNCLINE_CODE_CLOCK_HELD;
            after = event->number;
            if (sl_uuid_equal(&event->device, device) &&
                (is_held || event->code == SYNCLINE_CODE_CLOCK_RELEASED)) {
                hold->since_ms = is_held ? event->at_ms : 0;
                (void)sqlite3_snprintf(sizeof(text), text, "%s", is_held ? event->text : "");
            }
        }
    }
    sl_free(alloc, events);
    /* One that is older than the changes was about others. */
    if (status == SYNCLINE_OK && !hold->is_held && text[0] != '\0' &&
        hold->since_ms >= hold->first_ms) {
        say(hold, text);
    }
    return status;
}

static enum syncline_status check_unapplied(const struct sl_hold_look *look,
                                            const struct sl_log_head *head, struct sl_hold *hold,
                                            struct sl_error *err)
{
    struct sl_error why = {.text = ""};
    enum syncline_status status = check_segment(look, head, hold, &why);
    if (is_about_the_segment(status)) {
        say(hold, why.text);
        status = SYNCLINE_OK;
    } else if (status != SYNCLINE_OK) {
        *err = why;
    }
    if (status == SYNCLINE_OK && !hold->is_held) {
        status = check_room(look, hold, err);
    }
    return status == SYNCLINE_OK ? read_events(look, &head->origin.device, hold, err) : status;
}

enum syncline_status sl_hold_find(const struct sl_hold_look *look, const struct sl_log_head *head,
                                  struct sl_hold *hold, struct sl_error *err)
{
    uint64_t applied = 0;
    *hold = (struct sl_hold){.changes = 0};
    if (sl_origin_equal(&head->origin, &look->core->self)) {
        return SYNCLINE_OK;
    }
    enum syncline_status status = sl_library_db_applied_of(look->ldb, &head->origin, &applied, err);
    if (status == SYNCLINE_OK && applied < head->held_seq) {
        hold->changes = head->held_seq - applied;
        hold->first_seq = applied + 1;
        status = check_unapplied(look, head, hold, err);
    }
    if (status == SYNCLINE_OK && !hold->is_held) {
        status = sl_fork_find(look->log, head->number, &hold->is_split, &hold->since_ms, err);
    }
    if (status == SYNCLINE_OK && hold->is_split) {
        (void)sqlite3_snprintf(
            sizeof(hold->why), hold->why,
            "its log has split, as after it was restored or copied: after change "
            "%llu nothing more is taken of it",
            (unsigned long long)head->held_seq);
    }
    return status;
}
