/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* holders: what each member holds of each origin's log, by its own word, for pruning
 * (stages/prune).
 *
 * Happy path: a member's vector says of each origin a seq and the hash of the log there; VECTOR if
 * it is met, a statement that it signed if not. A word counts once the log here has come to that
 * seq, and has that hash there: then both logs are one up to it. What counts is written to sync.db
 * with the other things that members say.
 *
 *     VECTOR         the whole truth of this moment: what it does not name the member does not have
 *     statement      of the same or an earlier epoch: raises only, since the member's own word may
 *                    have come before it; of a later epoch: as VECTOR
 *     it was sent    counts for nothing
 *
 * Failure modes: a word whose hash is another one (the log has split) counts for nothing, so that
 * log stays. A member that never said anything holds nothing. Without memory for its words it
 * counts as one that has said nothing.
 *
 * The network's; at open the opener's. */

#ifndef SL_HOLDERS_H
#define SL_HOLDERS_H

#include "stages/shared.h"
#include "storage/member_held.h"

/* What a member has said of one origin. */
struct sl_claim {
    uint64_t seq;                    /* it holds the log up to here: counts */
    uint64_t said_seq;               /* its latest word */
    uint8_t said_hash[SL_HASH_SIZE]; /* of the log there */
    bool judged;                     /* compared with the log here */
    bool dirty;                      /* `seq` is not written yet */
    bool named;                      /* by the vector under way */
};

struct sl_holder {
    struct sl_claim *claims; /* ours; by sl_origin_state.index */
    size_t len;
    struct sl_vector_entry
        *unknown; /* ours; what it said of origins of which nothing is here yet */
    size_t unknown_len;
    size_t unknown_capacity;
    struct sl_absence absence; /* see stages/absence.h */
    bool absence_dirty;
    bool is_known;   /* `absence` is set: it was in sync.db, or the member was seen since */
    bool has_spoken; /* since the library was opened, and since it was marked */
};

struct sl_holders {
    struct sl_holder of[SL_MEMBER_COUNT_MAX]; /* by the index of the member */
    size_t len;                               /* members that were looked up in sync.db */
    struct sl_contact contact;
    bool contact_dirty;
    bool dirty;     /* something is not written */
    uint64_t moves; /* rises with every word that is new */
};

/* Reads what is known of the members. Errors: EDB, ENOMEM, ... */
enum syncline_status sl_holders_load(struct sl_core *core, struct sl_error *err);
void sl_holders_fini(struct sl_core *core);

/* The member's vector came. */
void sl_holders_vector(struct sl_core *core, const struct sl_member_state *member,
                       const struct sl_vector_entry *entries, size_t len);
/* Its statement came, which is later than the one before, along another way. */
void sl_holders_statement(struct sl_core *core, const struct sl_member_state *member,
                          const struct sl_statement *statement);
/* It has just what was held here when the link's summary was made. */
void sl_holders_same(struct sl_core *core, const struct sl_member_state *member);

/* Up to where the member holds the origin's log, as far as the log here shows. Errors: EDB, ... */
enum syncline_status sl_holders_seq(struct sl_core *core, const struct sl_member_state *member,
                                    const struct sl_origin_state *origin, uint64_t *seq,
                                    struct sl_error *err);
/* Is it waited for? A member, by the membership log, for which what it lacks is kept. */
bool sl_holders_counts(const struct sl_core *core, size_t index);
/* The least of all members that count, and whose that is; *who NULL: none counts, and *seq is not
 * set. Errors: EDB, ... */
enum syncline_status sl_holders_least(struct sl_core *core, const struct sl_origin_state *origin,
                                      uint64_t *seq, const struct sl_member_state **who,
                                      struct sl_error *err);

/* Writes what is not written, inside a transaction on core->log; sl_holders_written after its
 * commit. */
enum syncline_status sl_holders_write(struct sl_core *core, struct sl_error *err);
void sl_holders_written(struct sl_core *core);

#endif
