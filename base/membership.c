/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/membership.h"

#include <string.h>

struct sl_membership_held {
    struct sl_membership_entry entry; /* borrows from bytes */
    uint8_t *bytes;                   /* ours */
    size_t size;                      /* of them */
    bool counts;                      /* as of the last derive */
    bool listed;                      /* by an entry that counts; likewise */
};

enum syncline_status sl_membership_init(struct sl_membership *set, const struct sl_allocator *alloc,
                                        struct sl_hasher *hasher,
                                        const struct syncline_uuid *library_id,
                                        const struct syncline_uuid *self)
{
    struct sl_error ignored;
    *set = (struct sl_membership){
        .alloc = alloc, .hasher = hasher, .library_id = *library_id, .self = *self};
    return sl_membership_derive(set, &ignored);
}

void sl_membership_fini(struct sl_membership *set)
{
    while (set->len > 0) {
        sl_free(set->alloc, set->held[--set->len].bytes);
    }
    sl_free(set->alloc, set->held);
    sl_free(set->alloc, set->order);
    sl_free(set->alloc, set->devices);
    *set = (struct sl_membership){.alloc = set->alloc};
}

/* ---- The set ---- */

/* The place in `order` of the entry with that id, or where it would be. */
static size_t place_of(const struct sl_membership *set, const struct syncline_uuid *id, bool *found)
{
    size_t from = 0;
    size_t to = set->len;
    *found = false;
    while (from < to && !*found) {
        size_t middle = from + (to - from) / 2;
        int order = sl_uuid_compare(&set->held[set->order[middle]].entry.id, id);
        *found = order == 0;
        from = *found ? middle : order < 0 ? middle + 1 : from;
        to = order > 0 ? middle : to;
    }
    return from;
}

static enum syncline_status check_room(const struct sl_membership *set,
                                       const struct sl_membership_entry *entry, size_t size,
                                       struct sl_error *err)
{
    size_t of_author = 0;
    for (size_t i = 0; i < set->len; i++) {
        of_author += sl_uuid_equal(&set->held[i].entry.author, &entry->author) ? 1u : 0u;
    }
    if (of_author >= SL_MEMBERSHIP_AUTHOR_MAX) {
        return sl_fail(err, SYNCLINE_EREFUSED,
                       "there are %u membership entries of one device, which is its limit",
                       SL_MEMBERSHIP_AUTHOR_MAX);
    }
    if (set->len >= SL_MEMBERSHIP_LEN_MAX || size > SL_MEMBERSHIP_SIZE_MAX - set->size) {
        return sl_fail(err, SYNCLINE_EREFUSED,
                       "the membership log is full: %u entries or %u bytes are its limit",
                       SL_MEMBERSHIP_LEN_MAX, SL_MEMBERSHIP_SIZE_MAX);
    }
    return SYNCLINE_OK;
}

/* Room for one more in both lists. */
static bool grow(struct sl_membership *set)
{
    struct sl_membership_held *held =
        sl_grow(set->alloc, set->held, set->len, &set->capacity, sizeof(*held));
    if (held == NULL) {
        return false;
    }
    set->held = held;
    uint32_t *order =
        sl_grow(set->alloc, set->order, set->len, &set->order_capacity, sizeof(*order));
    if (order == NULL) {
        return false;
    }
    set->order = order;
    return true;
}

enum syncline_status sl_membership_add(struct sl_membership *set, const void *data, size_t size,
                                       bool *added, struct sl_error *err)
{
    struct sl_membership_entry entry;
    bool found = false;
    enum syncline_status status =
        sl_membership_parse(&entry, set->hasher, &set->library_id, data, size, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    size_t place = place_of(set, &entry.id, &found);
    *added = !found;
    if (found) {
        return SYNCLINE_OK;
    }
    status = check_room(set, &entry, size, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    uint8_t *bytes = grow(set) ? sl_alloc(set->alloc, size) : NULL;
    if (bytes == NULL) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory for a membership entry");
    }
    memcpy(bytes, data, size);
    struct sl_membership_held *held = &set->held[set->len];
    *held = (struct sl_membership_held){.bytes = bytes, .size = size};
    /* Again, so that it points into the copy: what was sound once is so twice. */
    status = sl_membership_parse(&held->entry, set->hasher, &set->library_id, bytes, size, err);
    if (status != SYNCLINE_OK) {
        sl_free(set->alloc, bytes);
        return status;
    }
    memmove(set->order + place + 1, set->order + place, (set->len - place) * sizeof(*set->order));
    set->order[place] = (uint32_t)set->len;
    set->len++;
    set->size += size;
    return SYNCLINE_OK;
}

void sl_membership_drop_last(struct sl_membership *set)
{
    bool found = false;
    struct sl_membership_held *held = &set->held[set->len - 1];
    size_t place = place_of(set, &held->entry.id, &found);
    memmove(set->order + place, set->order + place + 1,
            (set->len - place - 1) * sizeof(*set->order));
    set->len--;
    set->size -= held->size;
    sl_free(set->alloc, held->bytes);
}

const struct sl_membership_entry *sl_membership_at(const struct sl_membership *set, size_t index)
{
    return &set->held[index].entry;
}

const uint8_t *sl_membership_bytes(const struct sl_membership *set, size_t index, size_t *size)
{
    *size = set->held[index].size;
    return set->held[index].bytes;
}

bool sl_membership_counts(const struct sl_membership *set, size_t index)
{
    return set->held[index].counts;
}

bool sl_membership_has(const struct sl_membership *set, const struct syncline_uuid *id)
{
    bool found = false;
    (void)place_of(set, id, &found);
    return found;
}

/* ---- What follows from it ---- */

static bool names_device(const struct sl_membership_entry *entry)
{
    return entry->key != NULL;
}

static bool is_about_other(const struct sl_membership_entry *entry)
{
    return entry->kind == SL_MEMBERSHIP_REVOKE || entry->kind == SL_MEMBERSHIP_WITNESS;
}

static struct sl_membership_device *find(const struct sl_membership *set,
                                         const struct syncline_uuid *id)
{
    for (size_t i = 0; i < set->devices_len; i++) {
        if (sl_uuid_equal(&set->devices[i].id, id)) {
            return &set->devices[i];
        }
    }
    return NULL;
}

/* Was the one said before the other? The clocks of devices differ: what follows from it is shown to
 * people and nothing else. */
static bool is_earlier(const struct sl_membership_entry *entry,
                       const struct sl_membership_entry *other)
{
    return other == NULL || entry->wall_ms < other->wall_ms ||
           (entry->wall_ms == other->wall_ms && sl_uuid_compare(&entry->id, &other->id) < 0);
}

/* Everybody known, this device first. */
static void find_known(struct sl_membership *set)
{
    set->devices[0] = (struct sl_membership_device){.id = set->self, .name = "", .is_in = true};
    set->devices_len = 1;
    for (size_t i = 0; i < set->devices_len; i++) {
        for (size_t k = 0; k < set->len; k++) {
            const struct sl_membership_entry *entry = &set->held[k].entry;
            if (names_device(entry) && sl_uuid_equal(&entry->author, &set->devices[i].id) &&
                find(set, &entry->subject) == NULL) {
                set->devices[set->devices_len++] =
                    (struct sl_membership_device){.id = entry->subject, .name = ""};
            }
        }
    }
}

/* Who has left or was revoked, by the word of anybody known. */
static void find_out(struct sl_membership *set)
{
    for (size_t i = 0; i < set->devices_len; i++) {
        struct sl_membership_device *device = &set->devices[i];
        const struct sl_membership_entry *first = NULL;
        for (size_t k = 0; k < set->len; k++) {
            const struct sl_membership_entry *entry = &set->held[k].entry;
            bool is_leave = entry->kind == SL_MEMBERSHIP_LEAVE;
            if ((!is_leave && entry->kind != SL_MEMBERSHIP_REVOKE) ||
                !sl_uuid_equal(&entry->subject, &device->id) || find(set, &entry->author) == NULL) {
                continue;
            }
            bool is_graver = !is_leave && device->standing != SL_STANDING_REVOKED;
            bool is_milder = is_leave && device->standing == SL_STANDING_REVOKED;
            if (is_graver || (!is_milder && is_earlier(entry, first))) {
                first = entry;
                device->standing = is_leave ? SL_STANDING_LEFT : SL_STANDING_REVOKED;
            }
        }
        if (first != NULL) {
            device->out_ms = first->wall_ms;
            device->out_by = first->author;
        }
    }
}

static void list_all(struct sl_membership *set, const struct sl_membership_entry *entry)
{
    for (uint32_t i = 0; i < entry->ids_len; i++) {
        struct syncline_uuid id = sl_membership_entry_id(entry, i);
        bool found = false;
        size_t place = place_of(set, &id, &found);
        struct sl_membership_held *held = found ? &set->held[set->order[place]] : NULL;
        if (held != NULL && sl_uuid_equal(&held->entry.author, &entry->subject)) {
            held->listed = true;
        }
    }
}

/* The least that counts. */
static void find_counted(struct sl_membership *set)
{
    for (size_t k = 0; k < set->len; k++) {
        set->held[k].counts = false;
        set->held[k].listed = false;
    }
    for (bool more = true; more;) {
        more = false;
        for (size_t k = 0; k < set->len; k++) {
            struct sl_membership_held *held = &set->held[k];
            const struct sl_membership_device *author = find(set, &held->entry.author);
            if (held->counts || author == NULL || !author->is_in ||
                (author->standing == SL_STANDING_REVOKED && !held->listed)) {
                continue;
            }
            held->counts = true;
            more = true;
            if (names_device(&held->entry)) {
                find(set, &held->entry.subject)->is_in = true;
            }
            if (is_about_other(&held->entry)) {
                list_all(set, &held->entry);
            }
        }
    }
}

/* Key and name as first told, and who let it in first; what counts goes before what does not. */
static void describe(struct sl_membership *set, struct sl_membership_device *device)
{
    const struct sl_membership_entry *named = NULL;
    const struct sl_membership_entry *admit = NULL;
    bool by_counted = false;
    for (size_t k = 0; k < set->len; k++) {
        const struct sl_membership_entry *entry = &set->held[k].entry;
        bool counts = set->held[k].counts;
        if (!names_device(entry) || !sl_uuid_equal(&entry->subject, &device->id)) {
            continue;
        }
        if ((counts && !by_counted) || (counts == by_counted && is_earlier(entry, named))) {
            named = entry;
            by_counted = counts;
        }
        if (counts && entry->kind == SL_MEMBERSHIP_ADMIT && is_earlier(entry, admit)) {
            admit = entry;
        }
    }
    if (named != NULL) {
        device->key = named->key;
        device->name = named->name;
    }
    if (admit != NULL) {
        device->since_ms = admit->wall_ms;
        device->let_in_by = admit->author;
    }
}

static bool hash_set(struct sl_membership *set)
{
    static const char domain[] = "syncline members"; /* with its NUL */
    sl_hasher_update(set->hasher, domain, sizeof(domain));
    for (size_t i = 0; i < set->len; i++) {
        sl_hasher_update(set->hasher, set->held[set->order[i]].entry.hash, SL_HASH_SIZE);
    }
    return sl_hasher_finish(set->hasher, set->hash);
}

enum syncline_status sl_membership_derive(struct sl_membership *set, struct sl_error *err)
{
    size_t room = 1; /* this device, and one for each entry that names one */
    for (size_t k = 0; k < set->len; k++) {
        room += names_device(&set->held[k].entry) ? 1u : 0u;
    }
    if (room > set->devices_capacity) {
        struct sl_membership_device *devices =
            sl_resize(set->alloc, set->devices, room, sizeof(*devices));
        if (devices == NULL) {
            return sl_fail(err, SYNCLINE_ENOMEM, "no memory for the members");
        }
        set->devices = devices;
        set->devices_capacity = room;
    }
    if (!hash_set(set)) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory for the members");
    }
    find_known(set);
    find_out(set);
    find_counted(set);
    for (size_t i = 0; i < set->devices_len; i++) {
        struct sl_membership_device *device = &set->devices[i];
        if (device->standing == SL_STANDING_STRANGER && device->is_in) {
            device->standing = SL_STANDING_MEMBER;
        }
        describe(set, device);
    }
    return SYNCLINE_OK;
}

const struct sl_membership_device *sl_membership_device(const struct sl_membership *set,
                                                        const struct syncline_uuid *id)
{
    return find(set, id);
}

enum sl_member_standing sl_membership_standing(const struct sl_membership *set,
                                               const struct syncline_uuid *id)
{
    const struct sl_membership_device *device = find(set, id);
    return device != NULL ? device->standing : SL_STANDING_STRANGER;
}

/* ---- Where a log ends ---- */

/* Of two for one epoch the further one; of two hashes for one seq one and the same, everywhere. */
static void raise_cut(struct sl_cut *cut, const struct sl_cut *other)
{
    if (other->seq > cut->seq ||
        (other->seq == cut->seq && memcmp(other->hash, cut->hash, SL_HASH_SIZE) < 0)) {
        *cut = *other;
    }
}

static void raise_from(const struct sl_membership_entry *entry, uint64_t epoch, struct sl_cut *cut)
{
    for (uint32_t i = 0; i < entry->cuts_len; i++) {
        struct sl_cut other = sl_membership_entry_cut(entry, i);
        if (other.epoch == epoch) {
            raise_cut(cut, &other);
        }
    }
}

/* Of a device that left: what it said when it did. It had earlier epochs whole, or knows them from
 * others; a later one would begin after. false: it goes on. */
static bool left_cut(const struct sl_membership *set, const struct sl_origin *origin,
                     struct sl_cut *cut)
{
    uint64_t last = 0;
    for (size_t k = 0; k < set->len; k++) {
        const struct sl_membership_entry *entry = &set->held[k].entry;
        if (entry->kind == SL_MEMBERSHIP_LEAVE && sl_uuid_equal(&entry->subject, &origin->device)) {
            struct sl_cut left = sl_membership_entry_cut(entry, 0);
            last = left.epoch > last ? left.epoch : last;
            raise_from(entry, origin->epoch, cut);
        }
    }
    return origin->epoch >= last;
}

bool sl_membership_cut(const struct sl_membership *set, const struct sl_origin *origin,
                       struct sl_cut *out)
{
    struct sl_cut cut = {.epoch = origin->epoch};
    enum sl_member_standing standing = sl_membership_standing(set, &origin->device);
    if (standing == SL_STANDING_LEFT && left_cut(set, origin, &cut)) {
        *out = cut;
        return true;
    }
    if (standing != SL_STANDING_REVOKED) {
        return false;
    }
    for (size_t k = 0; k < set->len; k++) {
        const struct sl_membership_entry *entry = &set->held[k].entry;
        if (set->held[k].counts && is_about_other(entry) &&
            sl_uuid_equal(&entry->subject, &origin->device)) {
            raise_from(entry, origin->epoch, &cut);
        }
    }
    *out = cut;
    return true;
}

bool sl_membership_allows(const struct sl_membership *set, const struct sl_origin *origin,
                          uint64_t seq, const uint8_t hash[SL_HASH_SIZE])
{
    struct sl_cut cut;
    if (!sl_membership_cut(set, origin, &cut)) {
        return true;
    }
    return seq < cut.seq || (seq == cut.seq && memcmp(hash, cut.hash, SL_HASH_SIZE) == 0);
}
