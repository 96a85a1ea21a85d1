/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "stages/members.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stages/reopen.h"
#include "storage/membership_table.h"

_Static_assert(SL_MEMBERSHIP_KEY_SIZE == SL_KEY_SIZE && SL_KEY_SIZE == SL_LOG_KEY_SIZE,
               "a key is a key");
_Static_assert(SL_MEMBERSHIP_SIGNATURE_SIZE == SL_SIGNATURE_SIZE, "a signature is one");
_Static_assert(SL_MEMBER_COUNT_MAX <= 64, "a set of members is 64 bits");

#define REVOKED_TEXT "this device was revoked from the library"
#define LEFT_TEXT "this device has left the library"

/* ---- Saying something ---- */

/* Signs the entry and puts it into buf. */
static enum syncline_status sign(struct sl_hasher *hasher, struct sl_signer *signer,
                                 const struct syncline_uuid *library_id,
                                 const struct sl_membership_word *word, struct sl_buf *buf,
                                 struct sl_error *err)
{
    struct sl_membership_entry entry;
    enum syncline_status status = sl_membership_put(buf, word);
    if (status != SYNCLINE_OK) {
        return sl_fail(err, status, "a membership entry could not be made");
    }
    status = sl_membership_parse(&entry, hasher, library_id, buf->data, buf->len, err);
    if (status == SYNCLINE_OK && sl_sign(signer, entry.hash, sizeof(entry.hash),
                                         buf->data + SL_MEMBERSHIP_SIGNATURE_AT) != SYNCLINE_OK) {
        status = sl_fail(err, SYNCLINE_ENOMEM, "no memory to sign a membership entry");
    }
    return status;
}

/* Adds it to the set, as this device's own word of now. */
static enum syncline_status say(struct sl_core *core, struct sl_membership_word *word,
                                struct sl_error *err)
{
    struct sl_buf buf;
    bool added = false;
    word->author_key = core->ourselves.known.public_key;
    word->wall_ms = core->env->wall_ms(core->env->ctx);
    sl_buf_init(&buf, core->env->alloc);
    enum syncline_status status =
        sign(core->net_hasher, core->net_signer, &core->who.library_id, word, &buf, err);
    if (status == SYNCLINE_OK) {
        status = sl_membership_add(&core->membership, buf.data, buf.len, &added, err);
    }
    sl_buf_fini(&buf);
    return status == SYNCLINE_OK ? sl_membership_derive(&core->membership, err) : status;
}

/* What is here of one device. */
struct known {
    struct sl_cut *cuts;
    size_t cuts_len;
    struct syncline_uuid *ids;
    size_t ids_len;
    bool is_news; /* something of it is not covered by what counts already */
};

static void known_fini(struct sl_core *core, struct known *known)
{
    sl_free(core->env->alloc, known->cuts);
    sl_free(core->env->alloc, known->ids);
}

static int compare_cuts(const void *a, const void *b)
{
    uint64_t left = ((const struct sl_cut *)a)->epoch;
    uint64_t right = ((const struct sl_cut *)b)->epoch;
    return left < right ? -1 : left > right ? 1 : 0;
}

static int compare_ids(const void *a, const void *b)
{
    return sl_uuid_compare(a, b);
}

/* Of its entries those before that one. Ours until known_fini, on failure too. */
static enum syncline_status look_at(struct sl_core *core, const struct syncline_uuid *device,
                                    size_t before, struct known *known, struct sl_error *err)
{
    const struct sl_membership *set = &core->membership;
    size_t origins = atomic_load_explicit(&core->origin_count, memory_order_acquire);
    *known = (struct known){
        .cuts = sl_calloc(core->env->alloc, origins + 1, sizeof(*known->cuts)),
        .ids = sl_calloc(core->env->alloc, SL_MEMBERSHIP_AUTHOR_MAX, sizeof(*known->ids))};
    if (known->cuts == NULL || known->ids == NULL) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory for what is known of a device");
    }
    for (size_t i = 0; i < origins; i++) {
        struct sl_log_head head = sl_core_head(core, core->origins[i]);
        struct sl_cut said = {.seq = UINT64_MAX};
        if (head.held_seq == 0 || !sl_uuid_equal(&head.origin.device, device)) {
            continue;
        }
        struct sl_cut *cut = &known->cuts[known->cuts_len++];
        *cut = (struct sl_cut){.epoch = head.origin.epoch, .seq = head.held_seq};
        memcpy(cut->hash, head.held_hash, sizeof(cut->hash));
        known->is_news = known->is_news ||
                         (sl_membership_cut(set, &head.origin, &said) && said.seq < head.held_seq);
    }
    for (size_t k = 0; k < before && known->ids_len < SL_MEMBERSHIP_AUTHOR_MAX; k++) {
        const struct sl_membership_entry *entry = sl_membership_at(set, k);
        if (sl_uuid_equal(&entry->author, device)) {
            known->ids[known->ids_len++] = entry->id;
            known->is_news = known->is_news || !sl_membership_counts(set, k);
        }
    }
    qsort(known->cuts, known->cuts_len, sizeof(*known->cuts), compare_cuts);
    qsort(known->ids, known->ids_len, sizeof(*known->ids), compare_ids);
    return SYNCLINE_OK;
}

/* REVOKE, or WITNESS unless it would say nothing new. */
static enum syncline_status say_known(struct sl_core *core, enum sl_membership_kind kind,
                                      const struct syncline_uuid *device, size_t before, bool *said,
                                      struct sl_error *err)
{
    struct known known;
    enum syncline_status status = look_at(core, device, before, &known, err);
    *said = status == SYNCLINE_OK && (kind == SL_MEMBERSHIP_REVOKE || known.is_news);
    if (*said) {
        struct sl_membership_word word = {.kind = kind,
                                          .subject = *device,
                                          .cuts = known.cuts,
                                          .cuts_len = known.cuts_len,
                                          .ids = known.ids,
                                          .ids_len = known.ids_len};
        status = say(core, &word, err);
    }
    known_fini(core, &known);
    return status;
}

static bool is_member(const struct sl_core *core)
{
    return sl_membership_standing(&core->membership, &core->who.device_id) == SL_STANDING_MEMBER;
}

/* Was the device found to be revoked only now? What comes of it later is not had by anybody. */
static bool is_just_revoked(struct sl_core *core, const struct sl_membership_device *device)
{
    const struct sl_member_state *member = sl_core_member(core, &device->id);
    return device->standing == SL_STANDING_REVOKED &&
           (member == NULL || member->known.standing != SL_STANDING_REVOKED);
}

/* Says what this device had, before the entries from that one on came, of everybody who is found to
 * be revoked by them. */
static enum syncline_status witness(struct sl_core *core, size_t from, struct sl_error *err)
{
    enum syncline_status status = SYNCLINE_OK;
    for (size_t i = 0; i < core->membership.devices_len && status == SYNCLINE_OK; i++) {
        struct syncline_uuid device = core->membership.devices[i].id;
        bool said = false;
        if (is_just_revoked(core, &core->membership.devices[i]) && is_member(core)) {
            status = say_known(core, SL_MEMBERSHIP_WITNESS, &device, from, &said, err);
        }
        i = said ? SIZE_MAX : i; /* all of them again: others may count now */
    }
    return status;
}

/* ---- Making it durable ---- */

/* The row that the device is to have. false: it has it, or is to have none. */
static bool plan_row(struct sl_core *core, const struct sl_membership_device *device,
                     struct sl_member *row)
{
    const struct sl_member_state *member = sl_core_member(core, &device->id);
    struct syncline_uuid by = {.bytes = {0}};
    if (device->key == NULL || (member == NULL && device->standing == SL_STANDING_STRANGER)) {
        return false; /* this device, or a stranger */
    }
    if (!sl_uuid_equal(&device->let_in_by, &core->who.device_id)) {
        by = device->let_in_by;
    }
    *row = (struct sl_member){.device = device->id};
    if (member != NULL) {
        *row = member->known;
    } else {
        memcpy(row->public_key, device->key, sizeof(row->public_key));
        (void)snprintf(row->name, sizeof(row->name), "%s", device->name);
    }
    row->introduced_by = by;
    row->standing = device->standing;
    return member == NULL || row->standing != member->known.standing ||
           !sl_uuid_equal(&by, &member->known.introduced_by);
}

static bool is_self(const struct sl_core *core, const struct sl_membership_device *device)
{
    return sl_uuid_equal(&device->id, &core->who.device_id);
}

static enum syncline_status put_rows(struct sl_core *core, struct sl_error *err)
{
    size_t count = core->member_count;
    enum syncline_status status = SYNCLINE_OK;
    for (size_t i = 0; i < core->membership.devices_len && status == SYNCLINE_OK; i++) {
        const struct sl_membership_device *device = &core->membership.devices[i];
        struct sl_member row;
        if (is_self(core, device) || !plan_row(core, device, &row)) {
            continue;
        }
        count += sl_core_member(core, &device->id) == NULL ? 1u : 0u;
        if (count <= SL_MEMBER_COUNT_MAX) {
            status = sl_member_put(&core->log, &row, err);
        }
    }
    return status;
}

/* The entries from that one on, and what follows from them. */
static enum syncline_status put(struct sl_core *core, size_t from, struct sl_error *err)
{
    (void)pthread_mutex_lock(&core->log_lock);
    enum syncline_status status = sl_core_log_begin(core, err);
    for (size_t k = from; k < core->membership.len && status == SYNCLINE_OK; k++) {
        size_t size = 0;
        const uint8_t *bytes = sl_membership_bytes(&core->membership, k, &size);
        status = sl_membership_table_add(&core->log, bytes, size, err);
    }
    if (status == SYNCLINE_OK) {
        status = put_rows(core, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_core_log_commit(core, err);
    }
    sl_peer_log_rollback(&core->log);
    (void)pthread_mutex_unlock(&core->log_lock);
    return status;
}

/* What was added from that one on is not durable: it never was. */
static void take_back(struct sl_core *core, size_t from)
{
    struct sl_error ignored;
    while (core->membership.len > from) {
        sl_membership_drop_last(&core->membership);
    }
    (void)sl_membership_derive(&core->membership, &ignored); /* needs no more memory than it had */
}

/* ---- What follows from it here ---- */

static void tell_change(struct sl_core *core, const struct sl_member *row)
{
    const struct sl_membership_device *device =
        sl_membership_device(&core->membership, &row->device);
    char by[SL_DEVICE_TEXT_SIZE];
    char text[SL_ERROR_SIZE];
    sl_core_device_name(core, &device->out_by, by, sizeof(by));
    int len = 0;
    switch (row->standing) {
    case SL_STANDING_MEMBER:
        len = snprintf(text, sizeof(text), "device \"%s\" is a member now", row->name);
        if (!sl_uuid_equal(&row->introduced_by, &(struct syncline_uuid){.bytes = {0}}) && len > 0) {
            sl_core_device_name(core, &row->introduced_by, by, sizeof(by));
            (void)snprintf(text + len, sizeof(text) - (size_t)len, ", introduced by %s", by);
        }
        sl_core_news(core, SYNCLINE_CODE_MEMBER_ADDED, &row->device, text);
        return;
    case SL_STANDING_LEFT:
        (void)snprintf(text, sizeof(text), "device \"%s\" has left the library", row->name);
        sl_core_news(core, SYNCLINE_CODE_MEMBER_LEFT, &row->device, text);
        return;
    case SL_STANDING_REVOKED:
        (void)snprintf(text, sizeof(text), "device \"%s\" was revoked by %s", row->name, by);
        sl_core_news(core, SYNCLINE_CODE_MEMBER_REVOKED, &row->device, text);
        return;
    case SL_STANDING_STRANGER:
        return;
    }
}

/* Takes over the rows that were put. Returns whose standing changed, as bits by their index. */
static uint64_t adopt_rows(struct sl_core *core)
{
    uint64_t moved = 0;
    for (size_t i = 0; i < core->membership.devices_len; i++) {
        const struct sl_membership_device *device = &core->membership.devices[i];
        struct sl_member row;
        if (is_self(core, device) || !plan_row(core, device, &row)) {
            continue;
        }
        struct sl_member_state *member = sl_core_member(core, &device->id);
        bool changed = member == NULL || member->known.standing != row.standing;
        if (member == NULL && core->member_count == SL_MEMBER_COUNT_MAX) {
            struct sl_error text;
            (void)sl_fail(&text, SYNCLINE_EREFUSED,
                          "device \"%s\" is let in, and there is no room for it here: %u devices "
                          "are the limit",
                          row.name, SL_MEMBER_COUNT_MAX + 1);
            sl_core_notice(core, SYNCLINE_EREFUSED, text.text);
            continue;
        }
        if (member == NULL) {
            member = &core->members[core->member_count++];
            *member = (struct sl_member_state){.session = NULL};
        }
        member->known = row;
        moved |= changed ? UINT64_C(1) << (member - core->members) : 0;
    }
    return moved;
}

static void adopt_self(struct sl_core *core)
{
    const struct sl_membership_device *self =
        sl_membership_device(&core->membership, &core->who.device_id);
    int before = atomic_exchange(&core->own_standing, (int)self->standing);
    if (before == (int)self->standing || self->standing == SL_STANDING_MEMBER) {
        return;
    }
    if (self->standing == SL_STANDING_REVOKED && core->network != NULL) {
        sl_network_stop_dialling(core->network);
    }
    char text[SL_ERROR_SIZE];
    char by[SL_DEVICE_TEXT_SIZE];
    if (self->standing == SL_STANDING_LEFT) {
        sl_core_news(core, SYNCLINE_CODE_SELF_LEFT, NULL, LEFT_TEXT);
        return;
    }
    sl_core_device_name(core, &self->out_by, by, sizeof(by));
    (void)snprintf(text, sizeof(text),
                   REVOKED_TEXT " by %s: nothing is sent or taken any more; what is written here "
                                "stays here",
                   by);
    sl_core_trouble(core, SYNCLINE_CODE_SELF_REVOKED, SYNCLINE_EREFUSED, &self->out_by, text);
}

static bool is_any_out(const struct sl_core *core)
{
    bool out = false;
    for (size_t i = 0; i < core->membership.devices_len; i++) {
        enum sl_member_standing standing = core->membership.devices[i].standing;
        out = out || standing == SL_STANDING_LEFT || standing == SL_STANDING_REVOKED;
    }
    return out;
}

static void part_all(struct sl_core *core)
{
    bool revoked = atomic_load(&core->own_standing) == SL_STANDING_REVOKED;
    for (size_t i = 0; i < core->member_count; i++) {
        struct sl_session *session = core->members[i].session;
        if (session != NULL && revoked) {
            sl_session_close(session, SYNCLINE_EREFUSED, "the device was revoked");
        } else if (session != NULL) {
            (void)sl_members_part(core, session);
        }
    }
}

/* Of a log that ends, what was not taken while its end was lower is asked for. */
static void ask_up_to_cuts(struct sl_core *core)
{
    const struct sl_membership *set = &core->membership;
    for (size_t k = 0; k < set->len; k++) {
        const struct sl_membership_entry *entry = sl_membership_at(set, k);
        for (uint32_t c = 0; c < entry->cuts_len && sl_membership_counts(set, k); c++) {
            struct sl_vector_entry ask = {.origin = {.device = entry->subject}};
            struct sl_cut cut = sl_membership_entry_cut(entry, c);
            ask.origin.epoch = cut.epoch;
            const struct sl_origin_state *origin = sl_core_origin(core, &ask.origin);
            ask.held_seq = origin != NULL ? sl_core_held(core, origin) : 0;
            for (size_t i = 0; i < core->member_count && ask.held_seq < cut.seq; i++) {
                struct sl_member_state *member = &core->members[i];
                if (member->session != NULL && member->meeting == SL_MEETING_KNOWN) {
                    (void)sl_session_send_ask(member->session, &ask); /* or at the next meeting */
                }
            }
        }
    }
}

static void adopt(struct sl_core *core)
{
    uint64_t moved = adopt_rows(core);
    sl_core_progress_members(core); /* names are told from there */
    for (size_t i = 0; i < core->member_count; i++) {
        if ((moved >> i & 1) != 0) {
            tell_change(core, &core->members[i].known);
        }
    }
    adopt_self(core);
    sl_core_progress_members(core); /* nobody waits for who is out, nor does who is out */
    core->is_any_out = is_any_out(core);
    core->membership_moves++;
    core->roster_moves++;
    part_all(core);
    if (core->is_any_out) {
        ask_up_to_cuts(core);
    }
}

/* What was added from that one on, and what this device has to say to it, becomes durable, and so
 * in force; or never was. */
static enum syncline_status extend(struct sl_core *core, size_t from, enum syncline_status status,
                                   struct sl_error *err)
{
    if (status == SYNCLINE_OK && core->membership.len == from) {
        return SYNCLINE_OK;
    }
    if (status == SYNCLINE_OK) {
        status = sl_membership_derive(&core->membership, err);
    }
    if (status == SYNCLINE_OK) {
        status = witness(core, from, err);
    }
    if (status == SYNCLINE_OK) {
        status = put(core, from, err);
    }
    if (status != SYNCLINE_OK) {
        take_back(core, from);
        return status;
    }
    adopt(core);
    return SYNCLINE_OK;
}

enum syncline_status sl_members_load(struct sl_core *core, struct sl_error *err)
{
    struct sl_membership *set = &core->membership;
    if (sl_membership_init(set, core->env->alloc, core->net_hasher, &core->who.library_id,
                           &core->who.device_id) != SYNCLINE_OK) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory for the members");
    }
    enum syncline_status status = sl_membership_table_load(&core->log, set, err);
    if (status == SYNCLINE_OK) {
        core->is_any_out = is_any_out(core);
        atomic_store(&core->own_standing, (int)sl_membership_standing(set, &core->who.device_id));
    }
    return status;
}

void sl_members_fini(struct sl_core *core)
{
    if (core->membership.alloc != NULL) {
        sl_membership_fini(&core->membership);
    }
}

/* ---- Who comes ---- */

static enum syncline_status check_can_admit(const struct sl_core *core,
                                            enum sl_member_standing standing,
                                            enum sl_arrival arrival, struct sl_error *err)
{
    int own = atomic_load(&core->own_standing);
    if (own == SL_STANDING_REVOKED) {
        return sl_fail(err, SYNCLINE_EREFUSED, "the device that you reached was revoked");
    }
    if (arrival == SL_ARRIVAL_JOINS &&
        (standing == SL_STANDING_LEFT || standing == SL_STANDING_REVOKED)) {
        return sl_fail(err, SYNCLINE_EREFUSED, "%s",
                       standing == SL_STANDING_LEFT ? LEFT_TEXT : REVOKED_TEXT);
    }
    if (standing == SL_STANDING_STRANGER && own == SL_STANDING_LEFT) {
        return sl_fail(err, SYNCLINE_EREFUSED, "the device that you reached has left the library");
    }
    if (standing == SL_STANDING_STRANGER && core->member_count == SL_MEMBER_COUNT_MAX) {
        return sl_fail(err, SYNCLINE_EREFUSED, "the library has %u members, which is its limit",
                       SL_MEMBER_COUNT_MAX + 1);
    }
    return SYNCLINE_OK;
}

enum syncline_status sl_members_admit(struct sl_core *core, const struct sl_hello *device,
                                      enum sl_arrival arrival, struct sl_error *err)
{
    size_t from = core->membership.len;
    enum sl_member_standing standing =
        sl_membership_standing(&core->membership, &device->device_id);
    enum syncline_status status = check_can_admit(core, standing, arrival, err);
    if (status != SYNCLINE_OK || standing != SL_STANDING_STRANGER) {
        return status;
    }
    struct sl_membership_word word = {.kind = arrival == SL_ARRIVAL_DIALLED ? SL_MEMBERSHIP_JOINED
                                                                            : SL_MEMBERSHIP_ADMIT,
                                      .key = device->public_key,
                                      .name = device->device_name};
    return extend(core, from, say(core, &word, err), err);
}

/* ---- Who is out ---- */

static void pack_entry(const struct sl_membership *set, size_t index, struct sl_buf *buf)
{
    size_t size = 0;
    const uint8_t *bytes = sl_membership_bytes(set, index, &size);
    sl_membership_pack(buf, bytes, size);
}

/* The place of a device among those known: whom it is known by comes before it. */
static size_t place_of(const struct sl_membership *set, const struct syncline_uuid *device)
{
    size_t at = 0;
    while (at < set->devices_len && !sl_uuid_equal(&set->devices[at].id, device)) {
        at++;
    }
    return at;
}

/* What makes that device known to who knows this one: who let it in, or came in by it, after what
 * makes that one known. So each is known when its word is read. */
static void pack_way_to(const struct sl_membership *set, const struct syncline_uuid *device,
                        struct sl_buf *buf)
{
    size_t place = place_of(set, device);
    for (size_t k = 0; k < set->len && place > 0; k++) {
        const struct sl_membership_entry *entry = sl_membership_at(set, k);
        if (entry->key != NULL && sl_uuid_equal(&entry->subject, device) &&
            place_of(set, &entry->author) < place) {
            pack_way_to(set, &entry->author, buf);
            pack_entry(set, k, buf);
            return;
        }
    }
}

/* What says that the device is out, and nothing of others that it need not know. */
static void pack_proof(const struct sl_membership *set, const struct syncline_uuid *device,
                       struct sl_buf *buf)
{
    for (size_t k = 0; k < set->len; k++) {
        const struct sl_membership_entry *entry = sl_membership_at(set, k);
        bool says_it = entry->kind == SL_MEMBERSHIP_LEAVE || entry->kind == SL_MEMBERSHIP_REVOKE;
        if (says_it && sl_uuid_equal(&entry->subject, device)) {
            pack_way_to(set, &entry->author, buf);
            pack_entry(set, k, buf);
        }
    }
}

bool sl_members_part(struct sl_core *core, struct sl_session *session)
{
    const struct syncline_uuid *device = &session->peer.device_id;
    enum sl_member_standing standing = sl_membership_standing(&core->membership, device);
    if (standing != SL_STANDING_REVOKED && standing != SL_STANDING_LEFT) {
        return false;
    }
    struct sl_buf buf;
    sl_buf_init(&buf, core->env->alloc);
    pack_proof(&core->membership, device, &buf);
    if (!buf.failed) {
        /* Without it the device hears of it in words: it is out all the same. */
        (void)sl_session_send_members(session, buf.data, buf.len);
    }
    sl_buf_fini(&buf);
    sl_session_close(session, SYNCLINE_EREFUSED,
                     standing == SL_STANDING_LEFT ? LEFT_TEXT : REVOKED_TEXT);
    return true;
}

enum syncline_status sl_members_leave(struct sl_core *core, struct sl_error *err)
{
    size_t from = core->membership.len;
    int own = atomic_load(&core->own_standing);
    if (own != SL_STANDING_MEMBER) {
        return sl_fail(err, SYNCLINE_EREFUSED, "%s already",
                       own == SL_STANDING_LEFT ? LEFT_TEXT : REVOKED_TEXT);
    }
    bool alone = true;
    for (size_t i = 0; i < core->member_count; i++) {
        alone = alone && core->members[i].known.standing != SL_STANDING_MEMBER;
    }
    if (alone) {
        return sl_fail(err, SYNCLINE_EREFUSED,
                       "this device is the only member: there is nobody to leave");
    }
    struct sl_log_head head = sl_core_head(core, core->origins[0]);
    struct sl_cut cut = {.epoch = core->self.epoch, .seq = head.held_seq};
    memcpy(cut.hash, head.held_hash, sizeof(cut.hash));
    struct sl_membership_word word = {.kind = SL_MEMBERSHIP_LEAVE, .cuts = &cut, .cuts_len = 1};
    return extend(core, from, say(core, &word, err), err);
}

enum syncline_status sl_members_revoke(struct sl_core *core, const struct syncline_uuid *device,
                                       struct sl_error *err)
{
    size_t from = core->membership.len;
    int own = atomic_load(&core->own_standing);
    if (sl_uuid_equal(device, &core->who.device_id)) {
        return sl_fail(err, SYNCLINE_EREFUSED,
                       "a device cannot revoke itself: it can leave the library");
    }
    if (own != SL_STANDING_MEMBER) {
        return sl_fail(err, SYNCLINE_EREFUSED, "%s: it has no say in it any more",
                       own == SL_STANDING_LEFT ? LEFT_TEXT : REVOKED_TEXT);
    }
    enum sl_member_standing standing = sl_membership_standing(&core->membership, device);
    if (standing == SL_STANDING_STRANGER) {
        return sl_fail(err, SYNCLINE_ENOTFOUND, "no device of the library has this id");
    }
    if (standing == SL_STANDING_REVOKED) {
        return sl_fail(err, SYNCLINE_EREFUSED, "that device is revoked already");
    }
    bool said = false;
    return extend(core, from, say_known(core, SL_MEMBERSHIP_REVOKE, device, from, &said, err), err);
}

uint64_t sl_members_sendable(const struct sl_core *core, const struct sl_origin_state *origin,
                             uint64_t held)
{
    struct sl_cut cut;
    if (!core->is_any_out || !sl_membership_cut(&core->membership, &origin->name, &cut)) {
        return held;
    }
    return cut.seq < held ? cut.seq : held;
}

bool sl_members_refuses(const struct sl_core *core, const struct sl_origin *origin, uint64_t seq,
                        const uint8_t hash[SL_HASH_SIZE])
{
    return core->is_any_out && !sl_membership_allows(&core->membership, origin, seq, hash);
}

/* ---- Along the links ---- */

static enum syncline_status
check_signature(struct sl_core *core, const struct sl_membership_entry *entry, struct sl_error *err)
{
    struct sl_verifier *verifier = NULL;
    enum syncline_status status = sl_verifier_new(core->env->alloc, entry->author_key, &verifier);
    if (status != SYNCLINE_OK) {
        return sl_fail(err, status, "a membership entry could not be verified");
    }
    if (!sl_verify(verifier, entry->hash, sizeof(entry->hash), entry->signature)) {
        status = sl_fail(err, SYNCLINE_EPROTO,
                         "the signature of a membership entry is not its author's");
    }
    sl_verifier_free(verifier);
    return status;
}

/* Is its author known, if need be after what came just before it? */
static enum syncline_status is_known(struct sl_core *core, const struct syncline_uuid *author,
                                     bool *known, struct sl_error *err)
{
    struct sl_membership *set = &core->membership;
    enum syncline_status status = SYNCLINE_OK;
    *known = sl_membership_device(set, author) != NULL;
    if (!*known) {
        status = sl_membership_derive(set, err);
        *known = status == SYNCLINE_OK && sl_membership_device(set, author) != NULL;
    }
    return status;
}

/* Adds one, if it is new. What is not to be kept, and not its bringer's fault, is a notice. */
static enum syncline_status take_one(struct sl_core *core, const struct sl_member_state *from,
                                     const uint8_t *data, size_t size, struct sl_error *err)
{
    struct sl_membership *set = &core->membership;
    struct sl_membership_entry entry;
    struct sl_error why = {.text = ""};
    bool known = false;
    bool added = false;
    enum syncline_status status =
        sl_membership_parse(&entry, set->hasher, &set->library_id, data, size, err);
    if (status != SYNCLINE_OK || sl_membership_has(set, &entry.id)) {
        return status;
    }
    status = check_signature(core, &entry, err);
    if (status == SYNCLINE_OK) {
        status = is_known(core, &entry.author, &known, err);
    }
    if (status != SYNCLINE_OK) {
        return status;
    }
    status = known ? sl_membership_add(set, data, size, &added, &why)
                   : sl_fail(&why, SYNCLINE_EREFUSED, "its author is no device of the library");
    if (status == SYNCLINE_EREFUSED) {
        struct sl_error text;
        (void)sl_fail(&text, status, "a membership entry that \"%s\" sent was not kept: %s",
                      from->known.name, why.text);
        sl_core_notice(core, status, text.text);
        return SYNCLINE_OK;
    }
    if (status != SYNCLINE_OK) {
        *err = why;
    }
    return status;
}

enum syncline_status sl_members_take(struct sl_core *core, struct sl_member_state *from,
                                     const uint8_t *data, size_t size, struct sl_error *err)
{
    size_t before = core->membership.len;
    struct sl_reader reader;
    const uint8_t *entry = NULL;
    size_t entry_size = 0;
    enum syncline_status status = SYNCLINE_OK;
    sl_reader_init(&reader, data, size);
    while (status == SYNCLINE_OK && sl_membership_unpack(&reader, &entry, &entry_size)) {
        status = take_one(core, from, entry, entry_size, err);
    }
    if (status == SYNCLINE_OK && reader.failed) {
        status = sl_fail(err, SYNCLINE_EPROTO, "a MEMBERS frame is cut short at %zu bytes", size);
    }
    /* They need not go back to where they came from. */
    size_t told = from->members_told == before ? core->membership.len : from->members_told;
    status = extend(core, before, status, err);
    from->members_told = status == SYNCLINE_OK ? told : from->members_told;
    return status;
}

bool sl_members_all_told(const struct sl_core *core, const struct sl_member_state *member)
{
    return member->members_told == core->membership.len;
}

enum syncline_status sl_members_tell(struct sl_core *core, struct sl_member_state *member)
{
    if (sl_members_all_told(core, member)) {
        return SYNCLINE_OK;
    }
    struct sl_buf buf;
    sl_buf_init(&buf, core->env->alloc);
    for (size_t k = member->members_told; k < core->membership.len; k++) {
        pack_entry(&core->membership, k, &buf);
    }
    enum syncline_status status =
        buf.failed ? SYNCLINE_ENOMEM : sl_session_send_members(member->session, buf.data, buf.len);
    sl_buf_fini(&buf);
    if (status == SYNCLINE_OK) {
        member->members_told = core->membership.len;
    }
    return status;
}

/* ---- A device that has just joined ---- */

static enum syncline_status put_first(struct sl_peer_log *log, const struct sl_buf *entry,
                                      const struct sl_hello *member, struct sl_error *err)
{
    struct sl_member row = {.device = member->device_id, .standing = SL_STANDING_MEMBER};
    memcpy(row.public_key, member->public_key, sizeof(row.public_key));
    (void)snprintf(row.name, sizeof(row.name), "%s", member->device_name);
    enum syncline_status status = sl_peer_log_begin(log, err);
    if (status == SYNCLINE_OK) {
        status = sl_membership_table_add(log, entry->data, entry->len, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_member_put(log, &row, err);
    }
    if (status == SYNCLINE_OK) {
        status = sl_peer_log_commit(log, err);
    }
    sl_peer_log_rollback(log);
    return status;
}

enum syncline_status sl_members_begin(struct sl_peer_log *log, const struct sl_env *env,
                                      const struct sl_identity *self, const struct sl_hello *member,
                                      struct sl_error *err)
{
    struct sl_hasher *hasher = sl_hasher_new(env->alloc);
    struct sl_signer *signer = NULL;
    struct sl_membership_word word = {.kind = SL_MEMBERSHIP_JOINED,
                                      .wall_ms = env->wall_ms(env->ctx),
                                      .author_key = self->public_key,
                                      .key = member->public_key,
                                      .name = member->device_name};
    struct sl_buf buf;
    enum syncline_status status = SYNCLINE_ENOMEM;
    sl_buf_init(&buf, env->alloc);
    if (hasher != NULL && sl_signer_new(env->alloc, self, &signer) == SYNCLINE_OK) {
        status = sign(hasher, signer, &member->library_id, &word, &buf, err);
    } else {
        (void)sl_fail(err, status, "no memory for keys");
    }
    if (status == SYNCLINE_OK) {
        status = put_first(log, &buf, member, err);
    }
    sl_buf_fini(&buf);
    sl_signer_free(signer);
    sl_hasher_free(hasher);
    return status;
}
