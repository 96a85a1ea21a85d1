/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The network of a library: each frame that comes in goes to the stage that takes it, when it is of
 * the member's present link and its turn in the session has come (sl_meet_check). */

#include "pipeline/library_parts.h"

#include <stdio.h>
#include <string.h>

#include "stages/floor.h"
#include "stages/meet.h"
#include "stages/members.h"
#include "stages/roster.h"
#include "stages/stream.h"

/* Nobody is authenticated yet: who knows the library may come. */
static enum syncline_status admit(void *ctx, const struct sl_hello *hello, enum sl_arrival arrival,
                                  struct sl_error *err)
{
    return sl_members_admit(&((struct sl_library *)ctx)->core, hello, arrival, err);
}

/* The link to the member is gone, or another one: what was said on it is. */
static void forget(struct sl_library *library, const struct sl_member_state *member)
{
    sl_compare_forget(&library->compare, member);
    sl_snapshot_give_forget(&library->give, member);
    sl_snapshot_take_forget(&library->take, member);
}

static void ready(void *ctx, struct sl_session *session)
{
    struct sl_core *core = &((struct sl_library *)ctx)->core;
    struct sl_member_state *member = sl_core_member(core, &session->peer.device_id);
    if (sl_members_part(core, session)) {
        return;
    }
    if (member == NULL) {
        sl_session_close(session, SYNCLINE_EREFUSED, "not a member of this library");
        return;
    }
    session->user = member;
    member->session = session;
    sl_meet_begin(core, member);
    forget((struct sl_library *)ctx, member);
    sl_core_progress_members(core);
    sl_host_log_say(&core->host_log, SYNCLINE_LOG_INFO, "device \"%s\" is connected",
                    member->known.name);
}

/* The member at the other end. NULL: of a link that another one has replaced. */
static struct sl_member_state *member_at(const struct sl_session *session)
{
    struct sl_member_state *member = session->user;
    return member != NULL && member->session == session ? member : NULL;
}

/* Is a frame of this type to be looked at? */
static bool takes(const struct sl_member_state *member, enum sl_frame_type type,
                  enum syncline_status *status, struct sl_error *err)
{
    *status = member != NULL ? sl_meet_check(member, type, err) : SYNCLINE_OK;
    return member != NULL && *status == SYNCLINE_OK;
}

static enum syncline_status summary_came(void *ctx, struct sl_session *session,
                                         const uint8_t hash[SL_HASH_SIZE], struct sl_error *err)
{
    struct sl_member_state *member = member_at(session);
    enum syncline_status status;
    if (!takes(member, SL_FRAME_SUMMARY, &status, err)) {
        return status;
    }
    return sl_meet_summary(&((struct sl_library *)ctx)->core, member, hash, err);
}

static enum syncline_status roster_came(void *ctx, struct sl_session *session,
                                        const uint8_t members[SL_HASH_SIZE],
                                        const struct sl_roster_entry *entries, size_t len,
                                        struct sl_error *err)
{
    struct sl_member_state *member = member_at(session);
    enum syncline_status status;
    if (!takes(member, SL_FRAME_ROSTER, &status, err)) {
        return status;
    }
    return sl_meet_roster(&((struct sl_library *)ctx)->core, member, members, entries, len, err);
}

static enum syncline_status vector_came(void *ctx, struct sl_session *session,
                                        const struct sl_vector_entry *entries, size_t len,
                                        struct sl_error *err)
{
    struct sl_member_state *member = member_at(session);
    enum syncline_status status;
    if (!takes(member, SL_FRAME_VECTOR, &status, err)) {
        return status;
    }
    return sl_acknowledge_vector(&((struct sl_library *)ctx)->core, member, entries, len, err);
}

static enum syncline_status segment_came(void *ctx, struct sl_session *session, const uint8_t *data,
                                         size_t len, struct sl_error *err)
{
    struct sl_member_state *member = member_at(session);
    enum syncline_status status;
    if (!takes(member, SL_FRAME_SEGMENT, &status, err)) {
        return status;
    }
    return sl_verify_segment(&((struct sl_library *)ctx)->verify, member, data, len, err);
}

static enum syncline_status members_came(void *ctx, struct sl_session *session,
                                         const uint8_t *entries, size_t size, struct sl_error *err)
{
    struct sl_member_state *member = member_at(session);
    enum syncline_status status;
    if (!takes(member, SL_FRAME_MEMBERS, &status, err)) {
        return status;
    }
    return sl_members_take(&((struct sl_library *)ctx)->core, member, entries, size, err);
}

static enum syncline_status statement_came(void *ctx, struct sl_session *session,
                                           const struct sl_statement *statement,
                                           const uint8_t *data, size_t size, struct sl_error *err)
{
    struct sl_member_state *member = member_at(session);
    enum syncline_status status;
    if (!takes(member, SL_FRAME_STATEMENT, &status, err)) {
        return status;
    }
    return sl_roster_statement(&((struct sl_library *)ctx)->core, member, statement, data, size,
                               err);
}

static enum syncline_status ask_came(void *ctx, struct sl_session *session,
                                     const struct sl_vector_entry *entry, struct sl_error *err)
{
    struct sl_member_state *member = member_at(session);
    enum syncline_status status;
    if (takes(member, SL_FRAME_ASK, &status, err)) {
        sl_stream_asked(&((struct sl_library *)ctx)->core, member, entry);
    }
    return status;
}

static enum syncline_status floor_came(void *ctx, struct sl_session *session,
                                       const struct sl_segment *segment,
                                       const uint8_t end[SL_SEGMENT_END_SIZE], struct sl_error *err)
{
    struct sl_library *library = ctx;
    struct sl_member_state *member = member_at(session);
    enum syncline_status status;
    if (!takes(member, SL_FRAME_FLOOR, &status, err)) {
        return status;
    }
    (void)sl_log_hold_run(
        &library->log_hold); /* where the log ends is judged: all that came counts */
    return sl_floor_came(&library->core, member, segment, end, err);
}

static enum syncline_status query_came(void *ctx, struct sl_session *session, const uint8_t *data,
                                       size_t len, struct sl_error *err)
{
    struct sl_member_state *member = member_at(session);
    enum syncline_status status;
    if (!takes(member, SL_FRAME_QUERY, &status, err)) {
        return status;
    }
    return sl_compare_ask(&((struct sl_library *)ctx)->compare, member, data, len, err);
}

static enum syncline_status answer_came(void *ctx, struct sl_session *session, const uint8_t *data,
                                        size_t len, struct sl_error *err)
{
    struct sl_member_state *member = member_at(session);
    enum syncline_status status;
    if (!takes(member, SL_FRAME_ANSWER, &status, err)) {
        return status;
    }
    return sl_compare_answer(&((struct sl_library *)ctx)->compare, member, data, len, err);
}

static enum syncline_status snapshot_ask_came(void *ctx, struct sl_session *session,
                                              const uint8_t *data, size_t len, struct sl_error *err)
{
    struct sl_member_state *member = member_at(session);
    enum syncline_status status;
    if (!takes(member, SL_FRAME_SNAPSHOT_ASK, &status, err)) {
        return status;
    }
    return sl_snapshot_give_ask(&((struct sl_library *)ctx)->give, member, data, len, err);
}

static enum syncline_status snapshot_cut_came(void *ctx, struct sl_session *session,
                                              const uint8_t *data, size_t len, struct sl_error *err)
{
    struct sl_member_state *member = member_at(session);
    enum syncline_status status;
    if (!takes(member, SL_FRAME_SNAPSHOT_CUT, &status, err)) {
        return status;
    }
    return sl_snapshot_take_cut(&((struct sl_library *)ctx)->take, member, data, len, err);
}

static enum syncline_status snapshot_page_came(void *ctx, struct sl_session *session,
                                               const uint8_t *data, size_t len,
                                               struct sl_error *err)
{
    struct sl_member_state *member = member_at(session);
    enum syncline_status status;
    if (!takes(member, SL_FRAME_SNAPSHOT_PAGE, &status, err)) {
        return status;
    }
    return sl_snapshot_take_page(&((struct sl_library *)ctx)->take, member, data, len, err);
}

static void session_closed(void *ctx, struct sl_session *session)
{
    struct sl_core *core = &((struct sl_library *)ctx)->core;
    struct sl_member_state *member = member_at(session);
    if (member != NULL) {
        member->session = NULL;
        sl_meet_end(core, member);
        forget((struct sl_library *)ctx, member);
        sl_host_log_say(&core->host_log, SYNCLINE_LOG_INFO,
                        "device \"%s\" is not connected any more", member->known.name);
    }
    sl_core_progress_members(core);
}

static void notice(void *ctx, enum syncline_status status, const char *text)
{
    struct sl_core *core = &((struct sl_library *)ctx)->core;
    /* Who cannot be reached is away, which is nothing worth keeping. */
    if (sl_core_notice(core, status, text) && status != SYNCLINE_ENET) {
        struct sl_event event = {.code = SYNCLINE_CODE_LINK_REFUSED, .status = status};
        (void)snprintf(event.text, sizeof(event.text), "%s", text);
        sl_core_event(core, &event);
    }
}

static const struct sl_network_events network_events = {.admit = admit,
                                                        .ready = ready,
                                                        .vector = vector_came,
                                                        .segment = segment_came,
                                                        .members = members_came,
                                                        .summary = summary_came,
                                                        .roster = roster_came,
                                                        .statement = statement_came,
                                                        .ask = ask_came,
                                                        .floor = floor_came,
                                                        .query = query_came,
                                                        .answer = answer_came,
                                                        .snapshot_ask = snapshot_ask_came,
                                                        .snapshot_cut = snapshot_cut_came,
                                                        .snapshot_page = snapshot_page_came,
                                                        .closed = session_closed,
                                                        .notice = notice};

enum syncline_status sl_library_open_network(struct sl_library *library,
                                             const struct sl_library_config *config,
                                             struct sl_error *err)
{
    struct sl_core *core = &library->core;
    if (config->transport == NULL) {
        return SYNCLINE_OK;
    }
    struct sl_hello self = {.library_id = core->who.library_id,
                            .device_id = library->identity.device_id};
    memcpy(self.public_key, library->identity.public_key, sizeof(self.public_key));
    (void)snprintf(self.device_name, sizeof(self.device_name), "%s", core->who.device_name);
    enum syncline_status status =
        sl_network_new(core->env, config->transport, &self, core->who.library_name, &network_events,
                       library, &core->network);
    if (status != SYNCLINE_OK) {
        return sl_fail(err, status, "no memory for the network");
    }
    sl_network_set_redial_max(
        core->network, (uint32_t)sl_settings_number(&core->settings, SL_SETTING_RECONNECT_MAX_MS));
    if (atomic_load(&core->own_standing) == SL_STANDING_REVOKED) {
        sl_network_stop_dialling(core->network);
    }
    if (config->listen != NULL) {
        status = sl_network_listen(core->network, config->listen, library->bound, err);
    }
    for (size_t i = 0; i < config->peers_count && status == SYNCLINE_OK; i++) {
        status = sl_network_add_peer(core->network, config->peers[i], err);
    }
    return status;
}
