/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Births that live and are not shown, in library.db.
 *
 * Two devices may insert the same UUID. Both births live, and are kept apart: the row of the
 * application's table is the one that is shown, with its birth in _syncline_birth; each other one
 * is a row of _syncline_hidden_birth, with its stamp and its whole content (a segment group of one
 * insert, base/group.h). A hidden birth has no local id. Which one is shown, and when that changes,
 * is up to stages/living. All calls work inside the caller's transaction. */

#ifndef SL_HIDDEN_BIRTHS_H
#define SL_HIDDEN_BIRTHS_H

#include "base/arena.h"
#include "base/stamp.h"
#include "storage/library_db.h"

/* A handle keeps its own statements over the connection of a library_db. */
struct sl_hidden_births {
    struct sl_library_db *ldb; /* borrowed */
    struct sl_statements statements;
};

struct sl_hidden_birth {
    int64_t origin; /* of the birth: its number in _syncline_origin */
    uint64_t seq;
    uint64_t birth_hlc;
    enum syncline_ownership class;
    uint64_t hlc;        /* of its last change: the birth, or an update */
    int64_t hlc_origin;  /* where that was made */
    const uint8_t *body; /* its content; for reading in arena memory */
    size_t body_size;
};

void sl_hidden_births_init(struct sl_hidden_births *hidden, struct sl_library_db *ldb);
void sl_hidden_births_fini(struct sl_hidden_births *hidden);

/* Has any record of the model a hidden birth? */
enum syncline_status sl_hidden_birth_any(struct sl_hidden_births *hidden, int64_t model, bool *any,
                                         struct sl_error *err);
/* All of one record, in order of origin and seq: a list in the arena. `with_body`: their contents,
 * too. */
enum syncline_status sl_hidden_birth_list(struct sl_hidden_births *hidden, int64_t model,
                                          const struct syncline_uuid *uuid, bool with_body,
                                          struct sl_arena *arena, struct sl_hidden_birth **list,
                                          size_t *len, struct sl_error *err);
/* The first len_max of a range of UUIDs, by UUID, with their contents. */
struct sl_hidden_named {
    struct syncline_uuid uuid;
    struct sl_hidden_birth birth;
};
enum syncline_status sl_hidden_birth_range(struct sl_hidden_births *hidden, int64_t model,
                                           const struct syncline_uuid *lo,
                                           const struct syncline_uuid *hi, struct sl_arena *arena,
                                           struct sl_hidden_named *list, size_t len_max,
                                           size_t *len, struct sl_error *err);
/* Adds it, or replaces what is there of that birth. */
enum syncline_status sl_hidden_birth_put(struct sl_hidden_births *hidden, int64_t model,
                                         const struct syncline_uuid *uuid,
                                         const struct sl_hidden_birth *birth, struct sl_error *err);
enum syncline_status sl_hidden_birth_drop(struct sl_hidden_births *hidden, int64_t model,
                                          const struct syncline_uuid *uuid, int64_t origin,
                                          uint64_t seq, struct sl_error *err);

/* One that is of the highest rank, and cannot be shown while that record is not here; or, with
 * parent_model 0, that can. Replacing it says that, too. */
enum syncline_status sl_hidden_birth_set_lack(struct sl_hidden_births *hidden, int64_t model,
                                              const struct syncline_uuid *uuid,
                                              const struct sl_hidden_birth *birth,
                                              int64_t parent_model,
                                              const struct syncline_uuid *parent,
                                              struct sl_error *err);
/* A record with a birth that lacks this one; with parent_model 0, that lacks any, the next after
 * `after`, which counts up. *found = false: there is none. */
struct sl_hidden_lack {
    int64_t model;
    struct syncline_uuid uuid;
    struct sl_hidden_birth birth; /* without its body */
    int64_t lacks_model;
    struct syncline_uuid lacks_uuid;
};
enum syncline_status sl_hidden_birth_lacking(struct sl_hidden_births *hidden, int64_t parent_model,
                                             const struct syncline_uuid *parent, uint64_t after,
                                             bool *found, struct sl_hidden_lack *lack,
                                             struct sl_error *err);

#endif
