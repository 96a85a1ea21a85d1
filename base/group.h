/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The body of a segment: groups of changes, by columns, in MessagePack.
 *
 *     body     one group after the other; the changes of a segment are theirs, in order
 *     group    [hlc, model, change, class, n, births, uuids, columns]
 *       hlc      of the first change of the group; the others count up by one
 *       model    its name, a string
 *       change   1 insert, 2 update, 3 delete
 *       class    of the record: 0 shared, 1 owned by the device that inserted it
 *       n        changes in the group
 *     births   nil for inserts: the change itself is the record's birth. Else an array of runs:
 *              [count, seq, device, epoch]: count changes whose records were born at seq, seq + 1,
 *              ... of that origin (device nil: of this segment's origin, epoch then 0);
 *              [1, seq, device, epoch, seq, device, epoch, ...]: one change of a record with
 *              several births, of 16 at most
 *     uuids    an array of pairs (uuid, count): count records whose UUIDs count up from that one
 *     columns  an array, empty for deletes, of [name, encoding, payload] or [name, encoding,
 *              payload, present]: present is a bitmap of the changes that carry the column at all,
 *              first change in the lowest bit; payload is then of those alone
 *       encoding 0  values: an array of nil, boolean, integer, float, string, binary
 *                1  the same value in all changes: that value
 *                2  integers: an array of the first and of differences, modulo 2^64
 *                3  UUIDs of other records: [dictionary, runs]. dictionary: pairs as in uuids;
 *                   runs: pairs (count, i), i = 0 for nil, else the i-th UUID of the dictionary
 *
 * A key column travels under its name with `_id` replaced by `_uuid`. What a reader cannot read
 * - another encoding, a bitmap - it refuses whole with EUNSUPPORTED. */

#ifndef SL_GROUP_H
#define SL_GROUP_H

#include "base/arena.h"
#include "base/bytes.h"
#include "base/limits.h"
#include "base/model.h"
#include "base/msgpack_cursor.h"
#include "base/stamp.h"

#define SL_GROUP_CELLS_MAX (2u * 1024u * 1024u) /* values in the groups of a segment, decoded */

enum sl_encoding { SL_ENC_VALUES = 0, SL_ENC_SAME = 1, SL_ENC_DELTA = 2, SL_ENC_KEYS = 3 };

struct sl_birth {
    struct sl_origin origin;
    uint64_t seq; /* of the change that inserted the record; 0: not known */
};

/* One more birth of a change that names several. A list of them is ordered by `i`. */
struct sl_further_birth {
    uint32_t i; /* the change, counted in its group or batch */
    struct sl_birth birth;
};

/* At most this many changes of a model may go into one group, if batch_len are wanted. */
uint32_t sl_group_len_max(const struct sl_model *model, uint32_t batch_len);

/* ---- Writing ---- */

/* A column to write: value(ctx, i) for i < n gives its values. For keys a BLOB of 16 bytes or NULL.
 */
typedef struct sl_value (*sl_value_fn)(void *ctx, uint32_t i);

/* What a group is, but for its clock values, which are not known before the log takes it. */
struct sl_group_head {
    const char *model;
    enum syncline_change change;
    enum syncline_ownership class;
    uint32_t n;
    const struct syncline_uuid *uuids;      /* n */
    const struct sl_birth *births;          /* n, for update and delete */
    const struct sl_further_birth *further; /* further_len, at most 15 of a change */
    uint32_t further_len;
    struct sl_origin self; /* the origin that will be the segment's */
    uint32_t column_count; /* that will follow */
};

/* Appends the group from `model` on up to and with the header of `columns`; then as many
 * sl_group_column as promised. A failed buf says no memory. */
void sl_group_write_head(struct sl_buf *buf, const struct sl_group_head *head);
void sl_group_write_column(struct sl_buf *buf, const char *name, bool is_key, uint32_t n,
                           sl_value_fn value, void *ctx, struct sl_arena *scratch);
/* Appends the beginning of a group, to be followed by the bytes that the calls above wrote. */
void sl_group_write_hlc(struct sl_buf *buf, uint64_t hlc_first);
/* Writes the name under which a field travels. */
void sl_group_column_name(const struct sl_field *field, char name[SL_NAME_SIZE_MAX + 6]);

/* ---- Reading ---- */

struct sl_column {
    const char *name; /* borrowed, not terminated */
    uint32_t name_len;
    bool is_key;                /* dict and index, else values */
    struct sl_value *values;    /* n; data borrowed from the body */
    struct syncline_uuid *dict; /* dict_len distinct parents */
    uint32_t dict_len;
    uint32_t *index; /* n; 0 is NULL, else 1 + place in dict */
};

struct sl_group {
    uint64_t hlc_first;
    const char *model; /* borrowed, not terminated */
    uint32_t model_len;
    enum syncline_change change;
    enum syncline_ownership class;
    uint32_t n;
    struct sl_birth *births;          /* n; NULL for inserts: the first that each change names */
    struct sl_further_birth *further; /* further_len: the others */
    uint32_t further_len;
    struct syncline_uuid *uuids;
    struct sl_column *columns;
    uint32_t column_count;
};

/* The births that the i-th change, an update or a delete, names; returns how many. */
uint32_t sl_group_births(const struct sl_group *group, uint32_t i,
                         struct sl_birth births[SL_CHANGE_BIRTHS_MAX]);
/* Reads the next group into arena memory; borrows names and data from the body. At most n_max
 * changes are allowed. Errors: EPROTO, EUNSUPPORTED, ENOMEM. */
enum syncline_status sl_group_read(struct sl_msgpack *in, const struct sl_origin *self,
                                   uint32_t n_max, struct sl_arena *arena, struct sl_group *group,
                                   struct sl_error *err);

#endif
