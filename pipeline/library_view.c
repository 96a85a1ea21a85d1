/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "pipeline/library_view.h"

#include <stdio.h>
#include <string.h>

#include "storage/log_floor.h"
#include "storage/member_held.h"
#include "storage/record_scan.h"
#include "storage/waiting_room.h"

/* Drained outbox rows end here, as sync.db has it. */
static enum syncline_status drained_id(struct sl_peer_log *log, int64_t *id, struct sl_error *err)
{
    struct sl_drained drained = {.complete = true};
    bool found = false;
    enum syncline_status status = sl_drained_newest(log, &found, &drained, err);
    if (status == SYNCLINE_OK) {
        *id = sl_drained_to(&drained);
    }
    return status;
}

/* Sums over the members, and their least; who they are. */
static enum syncline_status read_members(struct sl_peer_log *log, struct syncline_info *info,
                                         struct syncline_uuid members[SL_MEMBER_COUNT_MAX],
                                         struct sl_error *err)
{
    uint64_t acked = UINT64_MAX;
    uint64_t applied = UINT64_MAX;
    while (info->members < SL_MEMBER_COUNT_MAX) {
        struct sl_member member;
        bool found = false;
        enum syncline_status status = sl_member_get(log, info->members, &found, &member, err);
        if (status != SYNCLINE_OK) {
            return status;
        }
        if (!found) {
            break;
        }
        members[info->members++] = member.device;
        info->announced += member.announced_seq;
        acked = member.acked_seq < acked ? member.acked_seq : acked;
        applied = member.applied_seq < applied ? member.applied_seq : applied;
    }
    info->acked_seq = info->members > 0 ? acked : 0;
    info->applied_seq = info->members > 0 ? applied : 0;
    return SYNCLINE_OK;
}

static bool is_one_of(const struct syncline_uuid *device, const struct syncline_uuid *members,
                      size_t len)
{
    bool is = false;
    for (size_t i = 0; i < len; i++) {
        is = is || sl_uuid_equal(&members[i], device);
    }
    return is;
}

static enum syncline_status read_origins(struct sl_view *view, const struct sl_origin *self,
                                         const struct syncline_uuid members[SL_MEMBER_COUNT_MAX],
                                         struct syncline_info *info, struct sl_error *err)
{
    struct sl_log_head head = {.number = 0};
    for (;;) {
        bool found = false;
        enum syncline_status status = sl_peer_log_head(view->log, head.number, &found, &head, err);
        if (status != SYNCLINE_OK || !found) {
            return status;
        }
        if (sl_origin_equal(&head.origin, self)) {
            info->own_seq = head.held_seq;
            continue;
        }
        if (sl_uuid_equal(&head.origin.device, &self->device)) {
            continue; /* of an epoch before this one: nobody announces it */
        }
        info->received += head.held_seq;
        if (!is_one_of(&head.origin.device, members, info->members)) {
            info->announced += head.held_seq; /* of who is out: nobody else says how many */
        }
        uint64_t applied = 0;
        status = sl_library_db_applied_of(&view->rows->ldb, &head.origin, &applied, err);
        if (status != SYNCLINE_OK) {
            return status;
        }
        /* After sync.db was lost there is more in the tables than in the log. */
        info->received_applied += applied < head.held_seq ? applied : head.held_seq;
    }
}

static enum syncline_status read_waiting(const struct sl_view *view, struct syncline_info *info,
                                         struct sl_error *err)
{
    struct sl_waiting_room room;
    uint64_t since_ms = 0;
    sl_waiting_room_init(&room, &view->rows->ldb);
    enum syncline_status status = sl_waiting_room_load(&room, err);
    if (status == SYNCLINE_OK) {
        status = sl_waiting_oldest(&room, &since_ms, err);
    }
    sl_waiting_room_fini(&room);
    info->waiting = room.count.records;
    info->waiting_bytes = room.count.bytes;
    info->waiting_since_ms = (int64_t)since_ms;
    return status;
}

static enum syncline_status read_info(struct sl_view *view, const struct sl_core *core,
                                      struct syncline_info *info, struct sl_error *err)
{
    struct syncline_uuid members[SL_MEMBER_COUNT_MAX];
    enum syncline_status status = read_members(view->log, info, members, err);
    if (status == SYNCLINE_OK) {
        status = read_origins(view, &core->self, members, info, err);
    }
    int64_t drained = 0;
    if (status == SYNCLINE_OK) {
        status = drained_id(view->log, &drained, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_outbox_count_above(&view->rows->ldb, drained, &info->outbox, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_set_aside_count(view->log, &info->set_aside, err);
    }
    if (status == SYNCLINE_OK) {
        status = read_waiting(view, info, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_scan_count(&view->rows->ldb, &core->models, &info->unscanned, err);
    }
    return status;
}

enum syncline_status sl_library_info(struct sl_library *library, struct syncline_info *info,
                                     struct sl_error *err)
{
    struct sl_core *core = sl_library_core(library);
    struct syncline_info read = {.size = sizeof(read),
                                 .library_id = core->who.library_id,
                                 .device_id = core->who.device_id,
                                 .runs_engine = core->engine,
                                 .degraded = atomic_load(&core->degraded) != 0,
                                 .clock_ahead_ms = core->engine ? sl_core_clock_ahead_ms(core) : 0};
    (void)snprintf(read.library_name, sizeof(read.library_name), "%s", core->who.library_name);
    (void)snprintf(read.device_name, sizeof(read.device_name), "%s", core->who.device_name);
    (void)snprintf(read.listen, sizeof(read.listen), "%s", sl_library_bound(library));
    struct sl_view view = sl_library_view_lock(library);
    enum syncline_status status = read_info(&view, core, &read, err);
    sl_library_view_unlock(library);
    if (status == SYNCLINE_OK) {
        status = sl_library_own_standing(library, &read.standing, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    struct sl_progress *progress = &core->progress;
    (void)pthread_mutex_lock(&progress->lock);
    read.links = progress->links;
    read.wire_bytes_sent = progress->counts.bytes_sent;
    read.wire_bytes_received = progress->counts.bytes_received;
    read.segments_sent = progress->segments_sent;
    (void)snprintf(read.notice, sizeof(read.notice), "%s", progress->notice.text);
    (void)pthread_mutex_unlock(&progress->lock);
    *info = read;
    return SYNCLINE_OK;
}

void sl_library_paths(struct sl_library *library, const char **sync_db, const char **library_db)
{
    struct sl_view view = sl_library_view_lock(library);
    *sync_db = sqlite3_db_filename(view.log->db.handle, "main");
    *library_db = sqlite3_db_filename(view.rows->ldb.db.handle, "main");
    sl_library_view_unlock(library); /* the names live as long as the connections */
}

enum syncline_status sl_library_digest(struct sl_library *library,
                                       const struct syncline_model *model, uint64_t *count,
                                       uint8_t hash[SL_HASH_SIZE], struct sl_error *err)
{
    struct sl_core *core = sl_library_core(library);
    const struct sl_model *known = sl_model_find(&core->models, model);
    if (known == NULL) {
        return sl_fail(err, SYNCLINE_EMODEL, "the model was not given when the library was opened");
    }
    struct sl_hasher *hasher = sl_hasher_new(core->env->alloc);
    if (hasher == NULL) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory to hash");
    }
    struct sl_view view = sl_library_view_lock(library);
    enum syncline_status status =
        sl_record_digest(&view.rows->tables[known->index], hasher, count, err);
    sl_library_view_unlock(library);
    if (status == SYNCLINE_OK && !sl_hasher_finish(hasher, hash)) {
        status = sl_fail(err, SYNCLINE_ENOMEM, "no memory to hash");
    }
    sl_hasher_free(hasher);
    return status;
}

static bool is_linked(struct sl_core *core, const struct syncline_uuid *device)
{
    struct sl_progress *progress = &core->progress;
    bool linked = false;
    (void)pthread_mutex_lock(&progress->lock);
    for (size_t i = 0; i < progress->linked_count; i++) {
        linked = linked || sl_uuid_equal(&progress->linked[i], device);
    }
    (void)pthread_mutex_unlock(&progress->lock);
    return linked;
}

/* How far the member is behind this device's log. */
static enum syncline_status read_behind(struct sl_peer_log *log, const struct sl_log_head *own,
                                        struct syncline_member *member, struct sl_error *err)
{
    if (own->held_seq <= member->applied_seq) {
        return SYNCLINE_OK;
    }
    member->behind = own->held_seq - member->applied_seq;
    enum syncline_status status =
        sl_peer_log_size_after(log, own->number, member->applied_seq, &member->behind_bytes, err);
    bool found = false;
    const uint8_t *data = NULL;
    size_t size = 0;
    if (status == SYNCLINE_OK) {
        status = sl_peer_log_segment(log, own->number, member->applied_seq + 1, &found, &data,
                                     &size, err);
    }
    if (status == SYNCLINE_EPRUNED) {
        return SYNCLINE_OK; /* since when, nobody can say any more */
    }
    struct sl_segment segment;
    if (status == SYNCLINE_OK && found) {
        status = sl_segment_parse(&segment, data, size, err);
    }
    if (status == SYNCLINE_OK && found) {
        member->behind_since_ms = (int64_t)sl_hlc_ms(segment.first_hlc);
    }
    sl_peer_log_done(log);
    return status;
}

/* What is here of the member's own changes: one of its logs. */
static enum syncline_status add_log(struct sl_peer_log *log, const struct sl_log_head *head,
                                    struct syncline_member *member, struct sl_error *err)
{
    bool is_split = false;
    uint64_t at_ms = 0;
    enum syncline_status status = sl_fork_find(log, head->number, &is_split, &at_ms, err);
    member->held_seq += head->held_seq;
    if (is_split && (member->split_since_ms == 0 || (int64_t)at_ms < member->split_since_ms)) {
        member->split_since_ms = (int64_t)at_ms;
    }
    return status;
}

static uint32_t clip(uint64_t days)
{
    return days < UINT32_MAX ? (uint32_t)days : UINT32_MAX;
}

/* How long nobody has heard of it, and whether what it lacks is kept. */
static enum syncline_status read_absence(struct sl_peer_log *log, const struct sl_core *core,
                                         const struct syncline_uuid *device,
                                         struct syncline_member *member, struct sl_error *err)
{
    struct sl_contact contact = {.days = 0};
    struct sl_absence absence = {.marked_ms = 0};
    bool found = false;
    uint64_t limit = (uint64_t)sl_settings_number(&core->settings, SL_SETTING_MEMBER_STALE_DAYS);
    enum syncline_status status = sl_contact_get(log, &contact, err);
    if (status == SYNCLINE_OK) {
        status = sl_absence_get(log, device, &found, &absence, err);
    }
    uint64_t days = found && contact.days > absence.heard ? contact.days - absence.heard : 0;
    member->absent_days = clip(days);
    member->away_since_ms = (int64_t)absence.marked_ms;
    member->days_left = absence.marked_ms == 0 && days <= limit ? clip(limit - days + 1) : 0;
    return status;
}

/* The member that holds least of an origin's log, of those that something is kept for. */
static enum syncline_status read_kept_for(struct sl_peer_log *log, int64_t origin,
                                          struct syncline_kept *kept, struct sl_error *err)
{
    struct sl_member member;
    bool found = true;
    bool any = false;
    enum syncline_status status = SYNCLINE_OK;
    for (size_t i = 0; status == SYNCLINE_OK; i++) {
        struct sl_absence absence = {.marked_ms = 0};
        bool is_known = false;
        uint64_t seq = 0;
        status = sl_member_get(log, i, &found, &member, err);
        if (status != SYNCLINE_OK || !found) {
            break;
        }
        status = sl_absence_get(log, &member.device, &is_known, &absence, err);
        if (status == SYNCLINE_OK) {
            status = sl_held_get(log, &member.device, origin, &seq, err);
        }
        bool counts = absence.marked_ms == 0 && member.standing == SL_STANDING_MEMBER;
        if (counts && (!any || seq < kept->kept_for_seq)) {
            kept->kept_for = member.device;
            kept->kept_for_seq = seq;
            any = true;
        }
    }
    return status;
}

enum syncline_status sl_library_kept(struct sl_library *library, size_t index,
                                     struct syncline_kept *kept, struct sl_error *err)
{
    const struct sl_core *core = sl_library_core(library);
    struct sl_log_head head = {.number = 0};
    struct sl_log_kept log_kept = {.segments = 0};
    struct syncline_kept read = {.size = sizeof(read)};
    bool found = true;
    enum syncline_status status = SYNCLINE_OK;
    struct sl_view view = sl_library_view_lock(library);
    for (size_t i = 0; i <= index && status == SYNCLINE_OK && found; i++) {
        status = sl_peer_log_head(view.log, head.number, &found, &head, err);
    }
    if (status == SYNCLINE_OK && found) {
        status = sl_log_kept(view.log, head.number, &log_kept, err);
    }
    bool prunes = sl_settings_number(&core->settings, SL_SETTING_LOG_PRUNE) != 0;
    if (status == SYNCLINE_OK && found && prunes) {
        status = read_kept_for(view.log, head.number, &read, err);
    }
    sl_library_view_unlock(library);
    if (status != SYNCLINE_OK) {
        return status;
    }
    if (!found) {
        return sl_fail(err, SYNCLINE_ENOTFOUND, "there is no log %zu", index);
    }
    read.device_id = head.origin.device;
    read.epoch = head.origin.epoch;
    read.floor_seq = log_kept.floor_seq;
    read.held_seq = head.held_seq;
    read.segments = log_kept.segments;
    read.bytes = log_kept.bytes;
    *kept = read;
    return SYNCLINE_OK;
}

enum syncline_status sl_library_member(struct sl_library *library, size_t index,
                                       struct syncline_member *member, struct sl_error *err)
{
    struct sl_core *core = sl_library_core(library);
    struct sl_member known;
    bool found = false;
    struct syncline_member read = {.size = sizeof(read)};
    struct sl_view view = sl_library_view_lock(library);
    enum syncline_status status = sl_member_get(view.log, index, &found, &known, err);
    if (status == SYNCLINE_OK && found) {
        status = read_absence(view.log, core, &known.device, &read, err);
    }
    struct sl_log_head head = {.number = 0};
    bool more = found;
    while (status == SYNCLINE_OK && more) {
        status = sl_peer_log_head(view.log, head.number, &more, &head, err);
        if (status == SYNCLINE_OK && more && sl_uuid_equal(&head.origin.device, &known.device)) {
            status = add_log(view.log, &head, &read, err);
        }
        if (status == SYNCLINE_OK && more && sl_origin_equal(&head.origin, &core->self)) {
            read.applied_seq = known.applied_seq;
            status = read_behind(view.log, &head, &read, err);
        }
    }
    sl_library_view_unlock(library);
    if (status != SYNCLINE_OK) {
        return status;
    }
    if (!found) {
        return sl_fail(err, SYNCLINE_ENOTFOUND, "there is no member %zu", index);
    }
    read.device_id = known.device;
    (void)snprintf(read.name, sizeof(read.name), "%s", known.name);
    read.linked = is_linked(core, &known.device);
    read.acked_seq = known.acked_seq;
    read.applied_seq = known.applied_seq;
    read.own_seq = known.announced_seq;
    read.introduced_by = known.introduced_by;
    *member = read;
    return SYNCLINE_OK;
}

enum syncline_status sl_library_set_aside(struct sl_library *library, size_t index,
                                          struct syncline_set_aside *record, struct sl_error *err)
{
    struct sl_set_aside known;
    bool found = false;
    struct sl_view view = sl_library_view_lock(library);
    enum syncline_status status = sl_set_aside_get(view.log, index, &found, &known, err);
    sl_library_view_unlock(library);
    if (status != SYNCLINE_OK) {
        return status;
    }
    if (!found) {
        return sl_fail(err, SYNCLINE_ENOTFOUND, "there is no record %zu set aside", index);
    }
    struct syncline_set_aside read = {.size = sizeof(read), .uuid = known.uuid};
    (void)snprintf(read.model, sizeof(read.model), "%s", known.model);
    (void)snprintf(read.reason, sizeof(read.reason), "%s", known.reason);
    *record = read;
    return SYNCLINE_OK;
}

/* ---- Waiting ---- */

enum syncline_status sl_library_target(struct sl_library *library, struct sl_target *target,
                                       struct sl_error *err)
{
    struct sl_view view = sl_library_view_lock(library);
    enum syncline_status status = sl_outbox_max(&view.rows->ldb, &target->outbox_id, err);
    sl_library_view_unlock(library);
    return status;
}

/* The members, as sync.db has them: what was sent to them is only known where it is sent. */
static enum syncline_status standing_members(struct sl_peer_log *log, struct sl_standing *standing,
                                             struct sl_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    while (status == SYNCLINE_OK && standing->members < SL_MEMBER_COUNT_MAX) {
        struct sl_member member;
        bool found = false;
        status = sl_member_get(log, standing->members, &found, &member, err);
        if (status != SYNCLINE_OK || !found) {
            break;
        }
        standing->member[standing->members++] =
            (struct sl_member_progress){.device = member.device,
                                        .sent_seq = member.acked_seq,
                                        .acked_seq = member.acked_seq,
                                        .applied_seq = member.applied_seq};
    }
    return status;
}

/* The drained row first: what it says is in the log is in the log that is read after it. */
static enum syncline_status standing_in_files(struct sl_peer_log *log, const struct sl_origin *self,
                                              struct sl_standing *standing, struct sl_error *err)
{
    bool found = false;
    enum syncline_status status = sl_drained_newest(log, &found, &standing->drained, err);
    struct sl_log_head head = {.number = 0};
    do {
        if (status == SYNCLINE_OK) {
            status = sl_peer_log_head(log, head.number, &found, &head, err);
        }
        if (status == SYNCLINE_OK && found && sl_origin_equal(&head.origin, self)) {
            standing->own_seq = head.held_seq;
        }
    } while (status == SYNCLINE_OK && found);
    return status == SYNCLINE_OK ? standing_members(log, standing, err) : status;
}

enum syncline_status sl_library_standing(struct sl_library *library, struct sl_standing *standing,
                                         struct sl_error *err)
{
    struct sl_core *core = sl_library_core(library);
    *standing = (struct sl_standing){.drained = {.complete = true}};
    if (!core->engine) {
        struct sl_view view = sl_library_view_lock(library);
        enum syncline_status status = standing_in_files(view.log, &core->self, standing, err);
        sl_library_view_unlock(library);
        return status;
    }
    struct sl_progress *progress = &core->progress;
    (void)pthread_mutex_lock(&progress->lock);
    standing->drained = progress->drained;
    standing->own_seq = progress->own_seq;
    for (uint32_t i = 0; i < progress->members; i++) {
        if (!progress->member[i].is_out) {
            standing->member[standing->members++] = progress->member[i];
        }
    }
    (void)pthread_mutex_unlock(&progress->lock);
    return SYNCLINE_OK;
}

/* How far the changes have come with one member. */
static uint64_t seq_at(const struct sl_member_progress *member, enum syncline_level level)
{
    return level == SYNCLINE_LEVEL_SENT    ? member->sent_seq
           : level == SYNCLINE_LEVEL_ACKED ? member->acked_seq
                                           : member->applied_seq;
}

static const struct sl_member_progress *member_named(const struct sl_standing *standing,
                                                     const struct syncline_uuid *device)
{
    for (uint32_t i = 0; i < standing->members; i++) {
        if (sl_uuid_equal(&standing->member[i].device, device)) {
            return &standing->member[i];
        }
    }
    return NULL;
}

enum syncline_status sl_standing_seq(const struct sl_standing *standing, enum syncline_level level,
                                     const struct syncline_who *who, uint64_t *seq,
                                     struct sl_error *err)
{
    if (standing->members == 0) {
        return sl_fail(err, SYNCLINE_EREFUSED,
                       "the library has no other member that changes could go to");
    }
    if (who != NULL && who->whose == SYNCLINE_WHO_MEMBER) {
        const struct sl_member_progress *member = member_named(standing, &who->device_id);
        if (member == NULL) {
            return sl_fail(err, SYNCLINE_ENOTFOUND, "no other member has this device id");
        }
        *seq = seq_at(member, level);
        return SYNCLINE_OK;
    }
    uint64_t least = UINT64_MAX;
    uint64_t most = 0;
    for (uint32_t i = 0; i < standing->members; i++) {
        uint64_t at = seq_at(&standing->member[i], level);
        least = at < least ? at : least;
        most = at > most ? at : most;
    }
    *seq = who != NULL && who->whose == SYNCLINE_WHO_ANY ? most : least;
    return SYNCLINE_OK;
}

/* Rows older than the library were committed before any call, too: first they are to be in the
 * outbox, which the scan writes in the transaction that says so. */
static enum syncline_status target_scanned(struct sl_library *library, struct sl_target *target,
                                           struct sl_error *err)
{
    if (target->scanned) {
        return SYNCLINE_OK;
    }
    struct sl_core *core = sl_library_core(library);
    struct sl_view view = sl_library_view_lock(library);
    bool waited = target->waits_for_scan;
    enum syncline_status status =
        sl_scan_is_done(&view.rows->ldb, &core->models, &target->scanned, err);
    target->waits_for_scan = waited || !target->scanned;
    if (status == SYNCLINE_OK && target->scanned && waited) {
        status = sl_outbox_max(&view.rows->ldb, &target->outbox_id, err);
    }
    sl_library_view_unlock(library);
    return status;
}

enum syncline_status sl_library_reached(struct sl_library *library, struct sl_target *target,
                                        enum syncline_level level, const struct syncline_who *who,
                                        bool *reached, struct sl_error *err)
{
    struct sl_standing standing;
    *reached = level == SYNCLINE_LEVEL_QUEUED; /* it is in the outbox, or was */
    if (*reached) {
        return SYNCLINE_OK;
    }
    enum syncline_status status = sl_library_standing(library, &standing, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    uint64_t seq = standing.own_seq;
    if (level >= SYNCLINE_LEVEL_SENT) {
        status = sl_standing_seq(&standing, level, who, &seq, err);
        if (status != SYNCLINE_OK) {
            return status;
        }
    }
    status = target_scanned(library, target, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    if (!target->scanned) {
        (void)sl_fail(err, SYNCLINE_TIMEOUT,
                      "rows that are older than the library are not all taken in yet");
        return SYNCLINE_OK;
    }
    int64_t drained_to = sl_drained_to(&standing.drained);
    if (drained_to < target->outbox_id) {
        (void)sl_fail(err, SYNCLINE_TIMEOUT,
                      "changes are still in the outbox (up to row %lld of %lld are in the log)",
                      (long long)drained_to, (long long)target->outbox_id);
        return SYNCLINE_OK;
    }
    target->own_seq = target->own_seq == 0 ? standing.own_seq : target->own_seq;
    *reached = seq >= target->own_seq;
    if (!*reached) {
        (void)sl_fail(err, SYNCLINE_TIMEOUT, "%llu of %llu changes have come that far",
                      (unsigned long long)seq, (unsigned long long)target->own_seq);
    }
    return SYNCLINE_OK;
}

static uint64_t missing(uint64_t all, uint64_t done)
{
    return all > done ? all - done : 0;
}

enum syncline_status sl_library_left(struct sl_library *library, const struct sl_target *target,
                                     struct syncline_left *left, struct sl_error *err)
{
    struct sl_standing standing;
    enum syncline_status status = sl_library_standing(library, &standing, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    struct syncline_left found = {.size = sizeof(found)};
    struct sl_view view = sl_library_view_lock(library);
    status = sl_outbox_count_between(&view.rows->ldb, sl_drained_to(&standing.drained),
                                     target->outbox_id, &found.outbox, err);
    if (status == SYNCLINE_OK) {
        status = sl_scan_count(&view.rows->ldb, &sl_library_core(library)->models, &found.unscanned,
                               err);
    }
    sl_library_view_unlock(library);
    if (status != SYNCLINE_OK) {
        return status;
    }
    if (!standing.drained.complete && standing.drained.id <= target->outbox_id) {
        found.outbox = missing(found.outbox, standing.drained.changes);
    }
    uint64_t seq = target->own_seq > 0 ? target->own_seq : standing.own_seq;
    uint64_t sent = seq;
    uint64_t acked = seq;
    uint64_t applied = seq;
    (void)sl_standing_seq(&standing, SYNCLINE_LEVEL_SENT, NULL, &sent, NULL);
    (void)sl_standing_seq(&standing, SYNCLINE_LEVEL_ACKED, NULL, &acked, NULL);
    (void)sl_standing_seq(&standing, SYNCLINE_LEVEL_APPLIED, NULL, &applied, NULL);
    found.unsent = missing(seq, sent);
    found.unacked = missing(seq, acked);
    found.unapplied = missing(seq, applied); /* all 0 without other members */
    *left = found;
    return SYNCLINE_OK;
}
