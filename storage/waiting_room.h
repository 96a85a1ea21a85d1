/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The waiting room, in library.db: what was received and cannot be in its table yet, because the
 * record it points at, or the record it is about, is not here.
 *
 *     _syncline_waiting      one row for each birth about which something waits:
 *         id                 counts up; older ones are lower
 *         model, uuid        the record; model by its number
 *         change             1: the record itself waits, with its latest content, and is not in its
 *                            table; 2: content for a record that is in its table, or not here;
 *                            3: the delete of a record that is not here
 *         class              of the record, as its birth or the change states it
 *         birth_origin, birth_seq, birth_hlc   which birth; hlc 0 where change is not 1
 *         origin, seq, hlc   stamp of the content; seq 0: not known
 *         lacks_model, lacks_uuid              the record that was found missing; model 0: its
 * birth since_ms           wall clock, when it began to wait body               the content: a
 * group of one insert (base/group.h); of deletes empty _syncline_waiting_key  entry, model, uuid:
 * every record that the content points at, whether that is here or not
 *
 * What is there of a birth is all that is needed: of two changes of a record the later is the
 * content, and a delete is final. The room moves in the transaction of the rows and of the applied
 * vector. A handle is one connection's; the counts in it are those of the transaction under way. */

#ifndef SL_WAITING_ROOM_H
#define SL_WAITING_ROOM_H

#include "base/arena.h"
#include "storage/library_db.h"

struct sl_waiting {
    int64_t id;    /* in the room; 0: not in it yet */
    int64_t model; /* number */
    struct syncline_uuid uuid;
    enum syncline_change change;
    enum syncline_ownership class;
    int64_t birth_origin; /* number */
    uint64_t birth_seq;
    uint64_t birth_hlc;
    int64_t origin; /* number */
    uint64_t seq;
    uint64_t hlc;
    int64_t lacks_model; /* number; 0: it lacks its birth */
    struct syncline_uuid lacks_uuid;
    uint64_t since_ms;
    const uint8_t *body; /* borrowed by put; in the arena from get */
    size_t body_size;
};

/* A record that something points at. */
struct sl_waiting_key {
    int64_t model; /* number */
    struct syncline_uuid uuid;
};

/* How much waits. */
struct sl_waiting_count {
    uint64_t records;
    uint64_t unborn; /* of them without their birth */
    uint64_t bytes;  /* of content */
};

struct sl_waiting_room {
    struct sl_library_db *ldb; /* borrowed */
    struct sl_statements statements;
    struct sl_waiting_count count;
    uint64_t records_max;
    bool was_full; /* a put was refused for that; cleared by the caller */
};

void sl_waiting_room_init(struct sl_waiting_room *room, struct sl_library_db *ldb);
void sl_waiting_room_fini(struct sl_waiting_room *room);
/* Reads the counts. */
enum syncline_status sl_waiting_room_load(struct sl_waiting_room *room, struct sl_error *err);
/* When the oldest began to wait; 0: the room is empty. */
enum syncline_status sl_waiting_oldest(struct sl_waiting_room *room, uint64_t *since_ms,
                                       struct sl_error *err);

/* Puts one in, or over what waits with its id; `id` is set. Its birth must not have another. The
 * keys may name a record several times. Errors: EREFUSED (the room is full), EDB, ... */
enum syncline_status sl_waiting_put(struct sl_waiting_room *room, struct sl_waiting *waiting,
                                    const struct sl_waiting_key *keys, size_t key_count,
                                    struct sl_error *err);
/* Says what it waits for now: not its birth. */
enum syncline_status sl_waiting_set_lack(struct sl_waiting_room *room, struct sl_waiting *waiting,
                                         int64_t model, const struct syncline_uuid *uuid,
                                         struct sl_error *err);
enum syncline_status sl_waiting_remove(struct sl_waiting_room *room,
                                       const struct sl_waiting *waiting, struct sl_error *err);

/* The body is copied into the arena. *found = false: none. */
enum syncline_status sl_waiting_get(struct sl_waiting_room *room, int64_t id,
                                    struct sl_arena *arena, bool *found, struct sl_waiting *waiting,
                                    struct sl_error *err);
enum syncline_status sl_waiting_of_birth(struct sl_waiting_room *room, int64_t origin, uint64_t seq,
                                         struct sl_arena *arena, bool *found,
                                         struct sl_waiting *waiting, struct sl_error *err);

/* The next after *id, 0 before the first: *id becomes 0 when there is none. Of all that wait; of
 * those that point at a record; and of those that are about one. */
enum syncline_status sl_waiting_next(struct sl_waiting_room *room, int64_t *id,
                                     struct sl_error *err);
enum syncline_status sl_waiting_next_child(struct sl_waiting_room *room, int64_t model,
                                           const struct syncline_uuid *uuid, int64_t *id,
                                           struct sl_error *err);
enum syncline_status sl_waiting_next_of(struct sl_waiting_room *room, int64_t model,
                                        const struct syncline_uuid *uuid, int64_t *id,
                                        struct sl_error *err);
/* One that lacks its birth, which is of this origin and has a seq above `after`, up to this one. 0:
 * none. */
enum syncline_status sl_waiting_unborn(struct sl_waiting_room *room, int64_t origin, uint64_t after,
                                       uint64_t seq, int64_t *id, struct sl_error *err);
/* Does the record itself wait? Then which entry it is; of several births of the UUID the one that
 * came last. 0: no. */
enum syncline_status sl_waiting_record(struct sl_waiting_room *room, int64_t model,
                                       const struct syncline_uuid *uuid, int64_t *id,
                                       struct sl_error *err);
/* One of a device-owned record, about a birth of this origin with a lower seq. 0: none. */
enum syncline_status sl_waiting_earlier(struct sl_waiting_room *room, int64_t model,
                                        const struct syncline_uuid *uuid, int64_t origin,
                                        uint64_t seq, int64_t *id, struct sl_error *err);
/* The first len_max that are about records of a range of UUIDs, by UUID; bodies in the arena. */
enum syncline_status sl_waiting_range(struct sl_waiting_room *room, int64_t model,
                                      const struct syncline_uuid *lo,
                                      const struct syncline_uuid *hi, struct sl_arena *arena,
                                      struct sl_waiting *list, size_t len_max, size_t *len,
                                      struct sl_error *err);
/* Every record that an entry points at, in the arena. */
enum syncline_status sl_waiting_keys(struct sl_waiting_room *room, int64_t id,
                                     struct sl_arena *arena, struct sl_waiting_key **keys,
                                     size_t *count, struct sl_error *err);

#endif
