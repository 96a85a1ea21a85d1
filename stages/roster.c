/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/roster.h"

#include <stdio.h>
#include <string.h>

#include "stages/reopen.h"

_Static_assert(SL_MEMBER_COUNT_MAX <= 64, "a set of members is 64 bits");
_Static_assert(SL_KEY_SIZE == SL_LOG_KEY_SIZE, "a key is a key");

static enum syncline_status put(struct sl_core *core, const struct sl_member *known,
                                struct sl_error *err)
{
    (void)pthread_mutex_lock(&core->log_lock);
    enum syncline_status status = sl_core_log_begin(core, err);
    if (status == SYNCLINE_OK) {
        status = sl_member_put(&core->log, known, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_core_log_commit(core, err);
    }
    sl_peer_log_rollback(&core->log);
    (void)pthread_mutex_unlock(&core->log_lock);
    return status;
}

enum syncline_status sl_roster_admit(struct sl_core *core, const struct sl_hello *device,
                                     const struct sl_member_state *by, struct sl_error *err)
{
    if (sl_core_member(core, &device->device_id) != NULL) {
        return SYNCLINE_OK;
    }
    if (core->member_count == SL_MEMBER_COUNT_MAX) {
        return sl_fail(err, SYNCLINE_EREFUSED, "the library has %u members, which is its limit",
                       SL_MEMBER_COUNT_MAX + 1);
    }
    struct sl_member_state member = {.known = {.device = device->device_id}};
    memcpy(member.known.public_key, device->public_key, sizeof(member.known.public_key));
    (void)snprintf(member.known.name, sizeof(member.known.name), "%s", device->device_name);
    if (by != NULL) {
        member.known.introduced_by = by->known.device;
    }
    enum syncline_status status = put(core, &member.known, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    core->members[core->member_count++] = member;
    sl_core_progress_members(core);
    char text[SL_ERROR_SIZE];
    int len = snprintf(text, sizeof(text), "device \"%s\" is a member now", member.known.name);
    if (by != NULL && len > 0) {
        (void)snprintf(text + len, sizeof(text) - (size_t)len, ", introduced by \"%s\"",
                       by->known.name);
    }
    sl_core_news(core, SYNCLINE_CODE_MEMBER_ADDED, &member.known.device, text);
    return SYNCLINE_OK;
}

static size_t index_of(const struct sl_core *core, const struct sl_member_state *member)
{
    return (size_t)(member - core->members);
}

enum syncline_status sl_roster_member(struct sl_core *core, struct sl_member_state *from,
                                      const struct sl_hello *device, struct sl_error *err)
{
    if (sl_uuid_equal(&device->device_id, &core->who.device_id) ||
        sl_uuid_equal(&device->device_id, &from->known.device)) {
        return sl_fail(err, SYNCLINE_EPROTO, "a MEMBER frame about one of the two that are linked");
    }
    struct sl_error why = {.text = ""};
    enum syncline_status status = sl_roster_admit(core, device, from, &why);
    if (status != SYNCLINE_OK) {
        struct sl_error text;
        (void)sl_fail(&text, status, "device \"%s\", introduced by \"%s\", was not admitted: %s",
                      device->device_name, from->known.name, why.text);
        sl_core_notice(core, status, text.text);
        return SYNCLINE_OK;
    }
    from->introduced |= UINT64_C(1) << index_of(core, sl_core_member(core, &device->device_id));
    return SYNCLINE_OK;
}

bool sl_roster_is_told(struct sl_core *core, const struct sl_member_state *member,
                       const struct syncline_uuid *device)
{
    if (sl_uuid_equal(device, &core->who.device_id) ||
        sl_uuid_equal(device, &member->known.device)) {
        return true;
    }
    const struct sl_member_state *author = sl_core_member(core, device);
    return author != NULL && (member->introduced >> index_of(core, author) & 1) != 0;
}

bool sl_roster_tell(struct sl_core *core, struct sl_member_state *member)
{
    bool worked = false;
    for (size_t i = 0; i < core->member_count && member->session != NULL; i++) {
        const struct sl_member *known = &core->members[i].known;
        if (&core->members[i] == member || (member->introduced >> i & 1) != 0) {
            continue;
        }
        struct sl_hello device = {.device_id = known->device};
        memcpy(device.public_key, known->public_key, sizeof(device.public_key));
        (void)snprintf(device.device_name, sizeof(device.device_name), "%s", known->name);
        enum syncline_status status = sl_session_send_member(member->session, &device);
        if (status != SYNCLINE_OK) {
            sl_session_close(member->session, status, "a member could not be introduced");
            return true;
        }
        member->introduced |= UINT64_C(1) << i;
        worked = true;
    }
    return worked;
}
