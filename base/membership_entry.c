/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/membership_entry.h"

#include <string.h>

#include "base/utf8.h"

#define KIND_AT (SL_MEMBERSHIP_SIGNATURE_AT + SL_MEMBERSHIP_SIGNATURE_SIZE)

_Static_assert(SL_MEMBERSHIP_KEY_SIZE == SL_MEMBERSHIP_SIGNATURE_AT, "the header's fields");
_Static_assert(sizeof(struct syncline_uuid) == SL_MEMBERSHIP_ID_SIZE, "an id is 16 bytes");

/* ---- Writing ---- */

static bool is_name(const char *name, size_t len)
{
    return len <= SL_NAME_SIZE_MAX && (len == 0 || memchr(name, 0, len) == NULL) &&
           sl_utf8_is_valid((const uint8_t *)name, len);
}

static void put_cut(struct sl_buf *buf, const struct sl_cut *cut)
{
    sl_buf_u64(buf, cut->epoch);
    sl_buf_u64(buf, cut->seq);
    sl_buf_bytes(buf, cut->hash, sizeof(cut->hash));
}

static void put_lists(struct sl_buf *buf, const struct sl_membership_word *word)
{
    sl_buf_bytes(buf, word->subject.bytes, sizeof(word->subject.bytes));
    sl_buf_u32(buf, (uint32_t)word->cuts_len);
    for (size_t i = 0; i < word->cuts_len; i++) {
        put_cut(buf, &word->cuts[i]);
    }
    sl_buf_u32(buf, (uint32_t)word->ids_len);
    for (size_t i = 0; i < word->ids_len; i++) {
        sl_buf_bytes(buf, word->ids[i].bytes, sizeof(word->ids[i].bytes));
    }
}

static bool names_device(enum sl_membership_kind kind)
{
    return kind == SL_MEMBERSHIP_ADMIT || kind == SL_MEMBERSHIP_JOINED;
}

enum syncline_status sl_membership_put(struct sl_buf *buf, const struct sl_membership_word *word)
{
    static const uint8_t no_signature[SL_MEMBERSHIP_SIGNATURE_SIZE];
    size_t name_len = names_device(word->kind) ? strnlen(word->name, SL_NAME_SIZE_MAX + 1u) : 0;
    if (names_device(word->kind) && !is_name(word->name, name_len)) {
        return SYNCLINE_EINVAL;
    }
    sl_buf_bytes(buf, word->author_key, SL_MEMBERSHIP_KEY_SIZE);
    sl_buf_bytes(buf, no_signature, sizeof(no_signature));
    sl_buf_u8(buf, (uint8_t)word->kind);
    sl_buf_u64(buf, word->wall_ms);
    if (names_device(word->kind)) {
        sl_buf_bytes(buf, word->key, SL_MEMBERSHIP_KEY_SIZE);
        sl_buf_u8(buf, (uint8_t)name_len);
        sl_buf_bytes(buf, word->name, name_len);
    } else if (word->kind == SL_MEMBERSHIP_LEAVE) {
        put_cut(buf, word->cuts);
    } else {
        put_lists(buf, word);
    }
    return buf->failed ? SYNCLINE_ENOMEM : SYNCLINE_OK;
}

void sl_membership_pack(struct sl_buf *buf, const uint8_t *data, size_t size)
{
    sl_buf_u32(buf, (uint32_t)size);
    sl_buf_bytes(buf, data, size);
}

/* ---- Reading ---- */

bool sl_membership_unpack(struct sl_reader *reader, const uint8_t **data, size_t *size)
{
    if (sl_reader_done(reader)) {
        return false;
    }
    *size = sl_read_u32(reader);
    *data = sl_read_bytes(reader, *size);
    return !reader->failed;
}

struct sl_cut sl_membership_entry_cut(const struct sl_membership_entry *entry, uint32_t index)
{
    const uint8_t *bytes = entry->cuts + (size_t)index * SL_MEMBERSHIP_CUT_SIZE;
    struct sl_cut cut = {.epoch = sl_get_u64(bytes), .seq = sl_get_u64(bytes + 8)};
    memcpy(cut.hash, bytes + 16, sizeof(cut.hash));
    return cut;
}

struct syncline_uuid sl_membership_entry_id(const struct sl_membership_entry *entry, uint32_t index)
{
    struct syncline_uuid id;
    memcpy(id.bytes, entry->ids + (size_t)index * SL_MEMBERSHIP_ID_SIZE, sizeof(id.bytes));
    return id;
}

bool sl_membership_entry_lists(const struct sl_membership_entry *entry,
                               const struct syncline_uuid *id)
{
    uint32_t from = 0;
    uint32_t to = entry->ids_len;
    while (from < to) {
        uint32_t middle = from + (to - from) / 2;
        struct syncline_uuid at = sl_membership_entry_id(entry, middle);
        int order = sl_uuid_compare(&at, id);
        if (order == 0) {
            return true;
        }
        from = order < 0 ? middle + 1 : from;
        to = order < 0 ? to : middle;
    }
    return false;
}

/* Rising, and each as it must be? */
static bool are_cuts_sound(const struct sl_membership_entry *entry)
{
    uint64_t before = 0;
    for (uint32_t i = 0; i < entry->cuts_len; i++) {
        struct sl_cut cut = sl_membership_entry_cut(entry, i);
        bool says_nothing = cut.seq == 0 && entry->kind != SL_MEMBERSHIP_LEAVE;
        if (cut.epoch >> 63 != 0 || says_nothing || (i > 0 && cut.epoch <= before)) {
            return false;
        }
        before = cut.epoch;
    }
    return true;
}

static bool do_ids_rise(const struct sl_membership_entry *entry)
{
    for (uint32_t i = 1; i < entry->ids_len; i++) {
        struct syncline_uuid before = sl_membership_entry_id(entry, i - 1);
        struct syncline_uuid id = sl_membership_entry_id(entry, i);
        if (sl_uuid_compare(&before, &id) >= 0) {
            return false;
        }
    }
    return true;
}

/* Items of that size, as many as their number before them says. No number is believed before there
 * are as many bytes. */
static const uint8_t *read_list(struct sl_reader *reader, uint32_t item_size, uint32_t *len)
{
    uint32_t count = sl_read_u32(reader);
    if (reader->failed || count > (reader->len - reader->offset) / item_size) {
        reader->failed = true;
        return NULL;
    }
    *len = count;
    return sl_read_bytes(reader, (size_t)count * item_size);
}

static bool device_of(struct sl_hasher *hasher, const uint8_t *key, struct syncline_uuid *device)
{
    uint8_t hash[SL_HASH_SIZE];
    sl_hasher_update(hasher, key, SL_MEMBERSHIP_KEY_SIZE);
    if (!sl_hasher_finish(hasher, hash)) {
        return false;
    }
    memcpy(device->bytes, hash, sizeof(device->bytes));
    return true;
}

static void read_device(struct sl_reader *reader, struct sl_membership_entry *entry)
{
    entry->key = sl_read_bytes(reader, SL_MEMBERSHIP_KEY_SIZE);
    size_t len = sl_read_u8(reader);
    const char *name = (const char *)sl_read_bytes(reader, len);
    if (reader->failed || !is_name(name, len)) {
        reader->failed = true;
        return;
    }
    if (len > 0) {
        memcpy(entry->name, name, len);
    }
    entry->name[len] = '\0';
}

static void read_fields(struct sl_reader *reader, struct sl_membership_entry *entry)
{
    switch (entry->kind) {
    case SL_MEMBERSHIP_ADMIT:
    case SL_MEMBERSHIP_JOINED:
        read_device(reader, entry);
        return;
    case SL_MEMBERSHIP_LEAVE:
        entry->cuts = sl_read_bytes(reader, SL_MEMBERSHIP_CUT_SIZE);
        entry->cuts_len = entry->cuts != NULL ? 1 : 0;
        return;
    case SL_MEMBERSHIP_REVOKE:
    case SL_MEMBERSHIP_WITNESS:
        sl_read_copy(reader, entry->subject.bytes, sizeof(entry->subject.bytes));
        entry->cuts = read_list(reader, SL_MEMBERSHIP_CUT_SIZE, &entry->cuts_len);
        entry->ids = read_list(reader, SL_MEMBERSHIP_ID_SIZE, &entry->ids_len);
        return;
    }
    reader->failed = true; /* a kind that this version does not know */
}

static bool hash_entry(struct sl_membership_entry *entry, struct sl_hasher *hasher,
                       const struct syncline_uuid *library_id, const uint8_t *data, size_t size)
{
    static const char domain[] = "syncline membership"; /* with its NUL */
    sl_hasher_update(hasher, domain, sizeof(domain));
    sl_hasher_update(hasher, library_id->bytes, sizeof(library_id->bytes));
    sl_hasher_update(hasher, data, SL_MEMBERSHIP_KEY_SIZE);
    sl_hasher_update(hasher, data + KIND_AT, size - KIND_AT);
    if (!sl_hasher_finish(hasher, entry->hash)) {
        return false;
    }
    memcpy(entry->id.bytes, entry->hash, sizeof(entry->id.bytes));
    return device_of(hasher, entry->author_key, &entry->author) &&
           (entry->key == NULL || device_of(hasher, entry->key, &entry->subject));
}

enum syncline_status sl_membership_parse(struct sl_membership_entry *out, struct sl_hasher *hasher,
                                         const struct syncline_uuid *library_id, const void *data,
                                         size_t size, struct sl_error *err)
{
    struct sl_membership_entry entry = {.key = NULL};
    struct sl_reader reader;
    sl_reader_init(&reader, data, size);
    entry.author_key = sl_read_bytes(&reader, SL_MEMBERSHIP_KEY_SIZE);
    entry.signature = sl_read_bytes(&reader, SL_MEMBERSHIP_SIGNATURE_SIZE);
    entry.kind = (enum sl_membership_kind)sl_read_u8(&reader);
    entry.wall_ms = sl_read_u64(&reader);
    if (!reader.failed) {
        read_fields(&reader, &entry);
    }
    if (!sl_reader_done(&reader) || !are_cuts_sound(&entry) || !do_ids_rise(&entry)) {
        return sl_fail(err, SYNCLINE_EPROTO,
                       "a membership entry of %zu bytes, kind %u, is not "
                       "sound",
                       size, (unsigned)entry.kind);
    }
    if (!hash_entry(&entry, hasher, library_id, data, size)) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory for a membership entry");
    }
    if (entry.kind == SL_MEMBERSHIP_LEAVE) {
        entry.subject = entry.author;
    } else if (sl_uuid_equal(&entry.subject, &entry.author)) {
        return sl_fail(err, SYNCLINE_EPROTO,
                       "a membership entry in which a device lets in or "
                       "revokes itself");
    }
    *out = entry;
    return SYNCLINE_OK;
}
