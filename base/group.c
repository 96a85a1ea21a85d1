/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/group.h"

#include <string.h>

#include <msgpack.h>

uint32_t sl_group_len_max(const struct sl_model *model, uint32_t batch_len)
{
    uint32_t fields = model->field_count > 0 ? model->field_count : 1;
    uint32_t len_max = SL_GROUP_CELLS_MAX / fields;
    return batch_len < len_max ? batch_len : len_max;
}

/* Where msgpack-c's packer puts its bytes. */
static int pack_into(void *data, const char *bytes, size_t len)
{
    struct sl_buf *buf = data;
    sl_buf_bytes(buf, bytes, len);
    return buf->failed ? -1 : 0;
}

static void pack_uuid(msgpack_packer *pack, const struct syncline_uuid *uuid)
{
    msgpack_pack_bin(pack, sizeof(uuid->bytes));
    msgpack_pack_bin_body(pack, uuid->bytes, sizeof(uuid->bytes));
}

/* How many of uuids[0..n) count up by one from the first. */
static uint32_t uuid_run(const struct syncline_uuid *uuids, uint32_t n)
{
    uint32_t run = 1;
    while (run < n) {
        struct syncline_uuid next = sl_uuid_add(&uuids[run - 1], 1);
        if (!sl_uuid_equal(&next, &uuids[run])) {
            break;
        }
        run++;
    }
    return run;
}

static void pack_uuids(msgpack_packer *pack, const struct syncline_uuid *uuids, uint32_t n)
{
    uint32_t runs = 0;
    for (uint32_t i = 0; i < n; i += uuid_run(uuids + i, n - i)) {
        runs++;
    }
    msgpack_pack_array(pack, (size_t)runs * 2);
    for (uint32_t i = 0; i < n;) {
        uint32_t run = uuid_run(uuids + i, n - i);
        pack_uuid(pack, &uuids[i]);
        msgpack_pack_uint32(pack, run);
        i += run;
    }
}

static void pack_birth(msgpack_packer *pack, const struct sl_birth *birth,
                       const struct sl_origin *self)
{
    msgpack_pack_uint64(pack, birth->seq);
    if (sl_origin_equal(&birth->origin, self)) {
        msgpack_pack_nil(pack);
        msgpack_pack_uint8(pack, 0);
    } else {
        pack_uuid(pack, &birth->origin.device);
        msgpack_pack_uint64(pack, birth->origin.epoch);
    }
}

/* How many further births the change names; *at is the place in the list, which moves up to it. */
static uint32_t further_of(const struct sl_group_head *head, uint32_t i, uint32_t *at)
{
    while (*at < head->further_len && head->further[*at].i < i) {
        (*at)++;
    }
    uint32_t n = 0;
    while (*at + n < head->further_len && head->further[*at + n].i == i) {
        n++;
    }
    return n;
}

/* How many changes from `i` on go into one run. */
static uint32_t birth_run(const struct sl_group_head *head, uint32_t i, uint32_t *at)
{
    const struct sl_birth *births = head->births + i;
    uint32_t n = head->n - i;
    uint32_t run = 1;
    if (further_of(head, i, at) > 0) {
        return 1;
    }
    while (run < n && births[run].seq == births[0].seq + run &&
           sl_origin_equal(&births[run].origin, &births[0].origin) &&
           (*at >= head->further_len || head->further[*at].i != i + run)) {
        run++;
    }
    return run;
}

static void pack_births(msgpack_packer *pack, const struct sl_group_head *head)
{
    uint32_t runs = 0;
    uint32_t at = 0;
    for (uint32_t i = 0; i < head->n; i += birth_run(head, i, &at)) {
        runs++;
    }
    msgpack_pack_array(pack, runs);
    at = 0;
    for (uint32_t i = 0; i < head->n;) {
        uint32_t further = further_of(head, i, &at);
        uint32_t run = birth_run(head, i, &at);
        msgpack_pack_array(pack, 4 + (size_t)3 * further);
        msgpack_pack_uint32(pack, run);
        pack_birth(pack, &head->births[i], &head->self);
        for (uint32_t k = 0; k < further; k++) {
            pack_birth(pack, &head->further[at + k].birth, &head->self);
        }
        i += run;
    }
}

void sl_group_write_hlc(struct sl_buf *buf, uint64_t hlc_first)
{
    msgpack_packer pack;
    msgpack_packer_init(&pack, buf, pack_into);
    msgpack_pack_array(&pack, 8);
    msgpack_pack_uint64(&pack, hlc_first);
}

void sl_group_write_head(struct sl_buf *buf, const struct sl_group_head *head)
{
    msgpack_packer pack;
    msgpack_packer_init(&pack, buf, pack_into);
    size_t len = strlen(head->model);
    msgpack_pack_str(&pack, len);
    msgpack_pack_str_body(&pack, head->model, len);
    msgpack_pack_uint8(&pack, (uint8_t)head->change);
    msgpack_pack_uint8(&pack, (uint8_t)head->class);
    msgpack_pack_uint32(&pack, head->n);
    if (head->change == SYNCLINE_INSERT) {
        msgpack_pack_nil(&pack);
    } else {
        pack_births(&pack, head);
    }
    pack_uuids(&pack, head->uuids, head->n);
    msgpack_pack_array(&pack, head->column_count);
}

static void pack_value(msgpack_packer *pack, const struct sl_value *value)
{
    switch (value->type) {
    case SL_NULL:
        msgpack_pack_nil(pack);
        return;
    case SL_INT64:
        msgpack_pack_int64(pack, value->as.int64);
        return;
    case SL_DOUBLE:
        msgpack_pack_double(pack, value->as.real);
        return;
    case SL_BOOL:
        if (value->as.int64 != 0) {
            msgpack_pack_true(pack);
        } else {
            msgpack_pack_false(pack);
        }
        return;
    case SL_TEXT:
        msgpack_pack_str(pack, value->size);
        msgpack_pack_str_body(pack, value->as.data, value->size);
        return;
    case SL_BLOB:
        msgpack_pack_bin(pack, value->size);
        msgpack_pack_bin_body(pack, value->as.data, value->size);
        return;
    }
}

static bool value_equal(const struct sl_value *a, const struct sl_value *b)
{
    if (a->type != b->type) {
        return false;
    }
    switch (a->type) {
    case SL_NULL:
        return true;
    case SL_INT64:
    case SL_BOOL:
        return a->as.int64 == b->as.int64;
    case SL_DOUBLE:
        /* What is stored counts: 0.0 is not -0.0, and a NaN is itself. */
        /* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison) */
        return memcmp(&a->as.real, &b->as.real, sizeof(a->as.real)) == 0;
    case SL_TEXT:
    case SL_BLOB:
        return a->size == b->size && (a->size == 0 || memcmp(a->as.data, b->as.data, a->size) == 0);
    }
    return false;
}

static int64_t difference(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a - (uint64_t)b);
}

/* Bytes of an integer in MessagePack. */
static uint32_t int_size(int64_t value)
{
    if (value >= -32 && value <= 127) {
        return 1;
    }
    if (value >= INT8_MIN && value <= UINT8_MAX) {
        return 2;
    }
    if (value >= INT16_MIN && value <= UINT16_MAX) {
        return 3;
    }
    return value >= INT32_MIN && value <= UINT32_MAX ? 5 : 9;
}

static enum sl_encoding choose_encoding(const struct sl_value *values, uint32_t n)
{
    bool same = true;
    bool integers = values[0].type == SL_INT64;
    uint64_t plain_size = 0;
    uint64_t delta_size = 0;
    for (uint32_t i = 1; i < n; i++) {
        same = same && value_equal(&values[0], &values[i]);
        integers = integers && values[i].type == SL_INT64;
        if (integers) {
            plain_size += int_size(values[i].as.int64);
            delta_size += int_size(difference(values[i].as.int64, values[i - 1].as.int64));
        }
    }
    if (same) {
        return SL_ENC_SAME;
    }
    return integers && delta_size < plain_size ? SL_ENC_DELTA : SL_ENC_VALUES;
}

static void pack_plain_column(msgpack_packer *pack, const struct sl_value *values, uint32_t n)
{
    enum sl_encoding encoding = choose_encoding(values, n);
    msgpack_pack_uint8(pack, (uint8_t)encoding);
    if (encoding == SL_ENC_SAME) {
        pack_value(pack, &values[0]);
        return;
    }
    msgpack_pack_array(pack, n);
    for (uint32_t i = 0; i < n; i++) {
        if (encoding == SL_ENC_DELTA && i > 0) {
            msgpack_pack_int64(pack, difference(values[i].as.int64, values[i - 1].as.int64));
        } else {
            pack_value(pack, &values[i]);
        }
    }
}

/* Open addressing over a power of two of slots: UUID -> 1 + place in the dictionary. */
static uint32_t dict_add(struct syncline_uuid *dict, uint32_t *dict_len, uint32_t *slots,
                         uint32_t mask, const struct syncline_uuid *uuid)
{
    uint32_t slot = sl_uuid_hash(uuid) & mask;
    while (slots[slot] != 0) {
        if (sl_uuid_equal(&dict[slots[slot] - 1], uuid)) {
            return slots[slot];
        }
        slot = (slot + 1) & mask;
    }
    dict[(*dict_len)++] = *uuid;
    slots[slot] = *dict_len;
    return *dict_len;
}

static bool pack_key_column(msgpack_packer *pack, const struct sl_value *values, uint32_t n,
                            struct sl_arena *scratch)
{
    uint32_t mask = 16;
    while (mask < 2 * n) {
        mask *= 2;
    }
    mask--;
    struct syncline_uuid *dict = sl_arena_alloc(scratch, (size_t)n * sizeof(*dict));
    uint32_t *slots = sl_arena_alloc(scratch, ((size_t)mask + 1) * sizeof(*slots));
    uint32_t *index = sl_arena_alloc(scratch, (size_t)n * sizeof(*index));
    if (dict == NULL || slots == NULL || index == NULL) {
        return false;
    }
    uint32_t dict_len = 0;
    uint32_t runs = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (values[i].type == SL_BLOB) {
            struct syncline_uuid uuid;
            memcpy(&uuid, values[i].as.data, sizeof(uuid));
            index[i] = dict_add(dict, &dict_len, slots, mask, &uuid);
        }
        runs += i == 0 || index[i] != index[i - 1] ? 1u : 0u;
    }
    msgpack_pack_uint8(pack, SL_ENC_KEYS);
    msgpack_pack_array(pack, 2);
    pack_uuids(pack, dict, dict_len);
    msgpack_pack_array(pack, (size_t)runs * 2);
    for (uint32_t i = 0; i < n;) {
        uint32_t run = 1;
        while (i + run < n && index[i + run] == index[i]) {
            run++;
        }
        msgpack_pack_uint32(pack, run);
        msgpack_pack_uint32(pack, index[i]);
        i += run;
    }
    return true;
}

void sl_group_write_column(struct sl_buf *buf, const char *name, bool is_key, uint32_t n,
                           sl_value_fn value, void *ctx, struct sl_arena *scratch)
{
    struct sl_value *values = sl_arena_alloc(scratch, (size_t)n * sizeof(*values));
    if (values == NULL) {
        buf->failed = true;
        return;
    }
    for (uint32_t i = 0; i < n; i++) {
        values[i] = value(ctx, i);
    }
    msgpack_packer pack;
    msgpack_packer_init(&pack, buf, pack_into);
    msgpack_pack_array(&pack, 3);
    size_t len = strlen(name);
    msgpack_pack_str(&pack, len);
    msgpack_pack_str_body(&pack, name, len);
    if (!is_key) {
        pack_plain_column(&pack, values, n);
    } else if (!pack_key_column(&pack, values, n, scratch)) {
        buf->failed = true;
    }
}

void sl_group_column_name(const struct sl_field *field, char name[SL_NAME_SIZE_MAX + 6])
{
    size_t len = strlen(field->name);
    memcpy(name, field->name, len + 1);
    if (field->type != SYNCLINE_TYPE_KEY) {
        return;
    }
    if (len > 3 && strcmp(name + len - 3, "_id") == 0) {
        len -= 3;
    }
    memcpy(name + len, "_uuid", 6);
}

/* ---- Reading ---- */

static enum syncline_status malformed(struct sl_error *err, const char *what)
{
    return sl_fail(err, SYNCLINE_EPROTO, "segment: the %s of a group cannot be read", what);
}

static enum syncline_status read_uuids(struct sl_msgpack *in, uint32_t n,
                                       struct syncline_uuid *uuids, uint32_t *len)
{
    uint32_t pairs = sl_msgpack_array(in);
    uint32_t at = 0;
    for (uint32_t i = 0; i + 1 < pairs && !in->failed; i += 2) {
        uint32_t size = 0;
        const void *first = sl_msgpack_bin(in, &size);
        uint64_t count = sl_msgpack_uint(in);
        if (in->failed || size != sizeof(*uuids) || count == 0 || count > n - at) {
            return SYNCLINE_EPROTO;
        }
        memcpy(&uuids[at], first, sizeof(*uuids));
        for (uint64_t k = 1; k < count; k++) {
            uuids[at + k] = sl_uuid_add(&uuids[at], k);
        }
        at += (uint32_t)count;
    }
    if (in->failed || pairs % 2 != 0) {
        return SYNCLINE_EPROTO;
    }
    *len = at;
    return SYNCLINE_OK;
}

static struct sl_birth read_birth(struct sl_msgpack *in, const struct sl_origin *self)
{
    struct sl_birth birth = {.seq = sl_msgpack_uint(in), .origin = *self};
    bool own = sl_msgpack_nil(in);
    uint32_t size = sizeof(birth.origin.device);
    const void *device = own ? NULL : sl_msgpack_bin(in, &size);
    uint64_t epoch = sl_msgpack_uint(in);
    if (in->failed || size != sizeof(birth.origin.device)) {
        in->failed = true;
    } else if (!own) {
        memcpy(&birth.origin.device, device, sizeof(birth.origin.device));
        birth.origin.epoch = epoch;
    }
    return birth;
}

/* Appends to group->further, which grows by halves of what may come at most. */
static enum syncline_status add_further(struct sl_group *group, uint32_t *capacity, uint32_t i,
                                        const struct sl_birth *birth, struct sl_arena *arena,
                                        struct sl_error *err)
{
    if (group->further_len == *capacity) {
        uint32_t more = *capacity == 0 ? SL_CHANGE_BIRTHS_MAX : 2 * *capacity;
        struct sl_further_birth *grown = sl_arena_alloc_raw(arena, more * sizeof(*grown));
        if (grown == NULL) {
            return sl_fail(err, SYNCLINE_ENOMEM, "no memory for a segment");
        }
        if (group->further_len > 0) {
            memcpy(grown, group->further, group->further_len * sizeof(*grown));
        }
        group->further = grown;
        *capacity = more;
    }
    group->further[group->further_len++] = (struct sl_further_birth){.i = i, .birth = *birth};
    return SYNCLINE_OK;
}

static bool seq_is_sound(const struct sl_msgpack *in, uint64_t seq, uint64_t count)
{
    return !in->failed && seq != 0 && seq <= (uint64_t)INT64_MAX - count;
}

static enum syncline_status read_births(struct sl_msgpack *in, const struct sl_origin *self,
                                        struct sl_group *group, struct sl_arena *arena,
                                        struct sl_error *err)
{
    uint32_t runs = sl_msgpack_array(in);
    uint32_t at = 0;
    uint32_t capacity = 0;
    for (uint32_t i = 0; i < runs && !in->failed; i++) {
        uint32_t len = sl_msgpack_array(in);
        uint64_t count = sl_msgpack_uint(in);
        struct sl_birth birth = read_birth(in, self);
        bool several = len > 4;
        if (!seq_is_sound(in, birth.seq, count) || len < 4 || len % 3 != 1 ||
            len > 1 + 3 * SL_CHANGE_BIRTHS_MAX || count == 0 || count > group->n - at ||
            (several && count != 1)) {
            return malformed(err, "births");
        }
        for (uint64_t k = 0; k < count; k++) {
            group->births[at + k] = birth;
            group->births[at + k].seq += k;
        }
        for (uint32_t k = 1; several && k < len / 3; k++) {
            birth = read_birth(in, self);
            if (!seq_is_sound(in, birth.seq, 1)) {
                return malformed(err, "births");
            }
            enum syncline_status status = add_further(group, &capacity, at, &birth, arena, err);
            if (status != SYNCLINE_OK) {
                return status;
            }
        }
        at += (uint32_t)count;
    }
    return in->failed || at != group->n ? malformed(err, "births") : SYNCLINE_OK;
}

uint32_t sl_group_births(const struct sl_group *group, uint32_t i,
                         struct sl_birth births[SL_CHANGE_BIRTHS_MAX])
{
    uint32_t n = 0;
    uint32_t low = 0;
    uint32_t high = group->further_len;
    births[n++] = group->births[i];
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (group->further[middle].i < i) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (; low < group->further_len && group->further[low].i == i; low++) {
        births[n++] = group->further[low].birth;
    }
    return n;
}

static enum syncline_status read_keys(struct sl_msgpack *in, uint32_t n, struct sl_arena *arena,
                                      struct sl_column *column, struct sl_error *err)
{
    column->is_key = true;
    column->dict = sl_arena_alloc(arena, (size_t)n * sizeof(*column->dict));
    column->index = sl_arena_alloc(arena, (size_t)n * sizeof(*column->index));
    if (column->dict == NULL || column->index == NULL) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory for a segment");
    }
    if (sl_msgpack_array(in) != 2 ||
        read_uuids(in, n, column->dict, &column->dict_len) != SYNCLINE_OK) {
        return malformed(err, "keys");
    }
    uint32_t pairs = sl_msgpack_array(in);
    uint32_t at = 0;
    for (uint32_t i = 0; i + 1 < pairs && !in->failed; i += 2) {
        uint64_t count = sl_msgpack_uint(in);
        uint64_t index = sl_msgpack_uint(in);
        if (in->failed || count == 0 || count > n - at || index > column->dict_len) {
            return malformed(err, "keys");
        }
        for (uint64_t k = 0; k < count; k++) {
            column->index[at + k] = (uint32_t)index;
        }
        at += (uint32_t)count;
    }
    return in->failed || pairs % 2 != 0 || at != n ? malformed(err, "keys") : SYNCLINE_OK;
}

static enum syncline_status read_values(struct sl_msgpack *in, enum sl_encoding encoding,
                                        uint32_t n, struct sl_arena *arena,
                                        struct sl_column *column, struct sl_error *err)
{
    column->values = sl_arena_alloc(arena, (size_t)n * sizeof(*column->values));
    if (column->values == NULL) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory for a segment");
    }
    if (encoding == SL_ENC_SAME) {
        struct sl_value value = sl_msgpack_value(in);
        for (uint32_t i = 0; i < n; i++) {
            column->values[i] = value;
        }
        return in->failed ? malformed(err, "values") : SYNCLINE_OK;
    }
    if (sl_msgpack_array(in) != n) {
        return malformed(err, "values");
    }
    for (uint32_t i = 0; i < n; i++) {
        column->values[i] = sl_msgpack_value(in);
        if (encoding == SL_ENC_DELTA) {
            if (column->values[i].type != SL_INT64) {
                return malformed(err, "values");
            }
            if (i > 0) {
                column->values[i].as.int64 = (int64_t)((uint64_t)column->values[i - 1].as.int64 +
                                                       (uint64_t)column->values[i].as.int64);
            }
        }
    }
    return in->failed ? malformed(err, "values") : SYNCLINE_OK;
}

static enum syncline_status read_column(struct sl_msgpack *in, uint32_t n, struct sl_arena *arena,
                                        struct sl_column *column, struct sl_error *err)
{
    uint32_t len = sl_msgpack_array(in);
    column->name = sl_msgpack_str(in, &column->name_len);
    uint64_t encoding = sl_msgpack_uint(in);
    if (in->failed || len < 3 || column->name_len == 0 || column->name_len > SL_NAME_SIZE_MAX + 5) {
        return malformed(err, "columns");
    }
    if (len > 3 || encoding > SL_ENC_KEYS) {
        return sl_fail(err, SYNCLINE_EUNSUPPORTED,
                       "segment: column '%.*s' is written in a way (%s) that this version cannot "
                       "read; upgrade it",
                       (int)column->name_len, column->name,
                       len > 3 ? "only some changes carry it" : "another encoding");
    }
    if (encoding == SL_ENC_KEYS) {
        return read_keys(in, n, arena, column, err);
    }
    return read_values(in, (enum sl_encoding)encoding, n, arena, column, err);
}

enum syncline_status sl_group_read(struct sl_msgpack *in, const struct sl_origin *self,
                                   uint32_t n_max, struct sl_arena *arena, struct sl_group *group,
                                   struct sl_error *err)
{
    struct sl_group read = {0};
    uint32_t len = sl_msgpack_array(in);
    read.hlc_first = sl_msgpack_uint(in);
    read.model = sl_msgpack_str(in, &read.model_len);
    uint64_t change = sl_msgpack_uint(in);
    uint64_t class = sl_msgpack_uint(in);
    uint64_t n = sl_msgpack_uint(in);
    if (in->failed || len != 8 || n == 0 || n > n_max || read.model_len == 0 ||
        read.model_len > SL_NAME_SIZE_MAX || change < SYNCLINE_INSERT || change > SYNCLINE_DELETE ||
        class > SYNCLINE_DEVICE_OWNED) {
        return malformed(err, "head");
    }
    read.change = (enum syncline_change)change;
    read.class = (enum syncline_ownership) class;
    read.n = (uint32_t)n;
    read.uuids = sl_arena_alloc(arena, (size_t)n * sizeof(*read.uuids));
    if (read.uuids == NULL) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory for a segment");
    }
    if (read.change == SYNCLINE_INSERT) {
        if (!sl_msgpack_nil(in)) {
            return malformed(err, "births");
        }
    } else {
        read.births = sl_arena_alloc(arena, (size_t)n * sizeof(*read.births));
        if (read.births == NULL) {
            return sl_fail(err, SYNCLINE_ENOMEM, "no memory for a segment");
        }
        enum syncline_status status = read_births(in, self, &read, arena, err);
        if (status != SYNCLINE_OK) {
            return status;
        }
    }
    uint32_t uuid_count = 0;
    if (read_uuids(in, read.n, read.uuids, &uuid_count) != SYNCLINE_OK || uuid_count != read.n) {
        return malformed(err, "UUIDs");
    }
    read.column_count = sl_msgpack_array(in);
    if (in->failed || read.column_count > SL_FIELD_COUNT_MAX ||
        (uint64_t)read.column_count * n > SL_GROUP_CELLS_MAX) {
        return malformed(err, "columns");
    }
    read.columns = sl_arena_alloc(arena, (size_t)read.column_count * sizeof(*read.columns));
    if (read.columns == NULL) {
        return sl_fail(err, SYNCLINE_ENOMEM, "no memory for a segment");
    }
    for (uint32_t i = 0; i < read.column_count; i++) {
        enum syncline_status status = read_column(in, read.n, arena, &read.columns[i], err);
        if (status != SYNCLINE_OK) {
            return status;
        }
    }
    *group = read;
    return SYNCLINE_OK;
}
