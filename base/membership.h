/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The membership log as a set, and who belongs to the library by it: docs/decisions/0015.
 *
 * Entries (base/membership_entry.h) are added and never removed, in whatever order they come. What
 * follows from them is computed from the whole set, as seen by one device, which is where it
 * begins:
 *
 *     known      this device; and whom anybody known has let in, or come in by
 *     revoked    whom anybody known has revoked, at any time: so two that revoke each other are
 * both out, whichever word comes first an entry counts    if its author is in, and is not revoked;
 * or is, and an entry that counts, a REVOKE or WITNESS of another device about it, lists it in this
 * device; and whom an entry that counts has let in, or come in by member     who is in, and has not
 * left, and is not revoked cut        of a revoked device's log: the highest that an entry that
 * counts has of it; of one that has left, its own
 *
 * More entries make more known and revoked; for these as they are, what counts and who is in is the
 * least that follows, so no entry holds up itself. Two devices that are in, in each other's eyes,
 * have the same members, cuts and so on if they have the same set. */

#ifndef SL_MEMBERSHIP_H
#define SL_MEMBERSHIP_H

#include "base/membership_entry.h"

enum sl_member_standing {
    SL_STANDING_STRANGER = 0, /* not known, or only by entries that do not count */
    SL_STANDING_MEMBER,
    SL_STANDING_LEFT,
    SL_STANDING_REVOKED
};

/* What follows for one device. */
struct sl_membership_device {
    struct syncline_uuid id;
    const uint8_t *key; /* of the set; NULL: this device, of whom nobody has spoken */
    const char *name;   /* likewise; "" */
    enum sl_member_standing standing;
    bool is_in;                     /* entries that count have let it in */
    uint64_t since_ms;              /* when it was let in; 0: it made the library */
    struct syncline_uuid let_in_by; /* then all zero */
    uint64_t out_ms;                /* when it left or was revoked; 0: neither */
    struct syncline_uuid out_by;    /* who revoked it first */
};

struct sl_membership_held; /* an entry with its bytes */

struct sl_membership {
    const struct sl_allocator *alloc; /* borrowed */
    struct sl_hasher *hasher;         /* borrowed */
    struct syncline_uuid library_id;
    struct syncline_uuid self;            /* where it is seen from */
    struct sl_membership_held *held;      /* in the order in which they came */
    size_t len;                           /* of them */
    size_t capacity;                      /* room for so many */
    size_t size;                          /* bytes of all */
    uint32_t *order;                      /* their places, by id */
    size_t order_capacity;                /* room for so many */
    struct sl_membership_device *devices; /* this device first, then as they are found */
    size_t devices_len;                   /* of them */
    size_t devices_capacity;              /* room for so many */
    uint8_t hash[SL_HASH_SIZE]; /* over the set: SHA-256 of "syncline members" 0x00 and the
                                   hashes of its entries, rising */
};

/* Empty. Errors: ENOMEM. */
enum syncline_status sl_membership_init(struct sl_membership *set, const struct sl_allocator *alloc,
                                        struct sl_hasher *hasher,
                                        const struct syncline_uuid *library_id,
                                        const struct syncline_uuid *self);
/* Idempotent; all zero is allowed. */
void sl_membership_fini(struct sl_membership *set);

/* Adds a copy of the entry, whose signature is the caller's to check, unless it is there; what
 * follows is as before until sl_membership_derive. Errors: EPROTO, EREFUSED (the set, or what is
 * of that author, is full), ENOMEM. */
enum syncline_status sl_membership_add(struct sl_membership *set, const void *data, size_t size,
                                       bool *added, struct sl_error *err);
/* Takes the last one back. */
void sl_membership_drop_last(struct sl_membership *set);
/* Computes what follows from the set as it is now. Errors: ENOMEM: it is as before. */
enum syncline_status sl_membership_derive(struct sl_membership *set, struct sl_error *err);

/* The index-th entry, in the order in which they came. */
const struct sl_membership_entry *sl_membership_at(const struct sl_membership *set, size_t index);
const uint8_t *sl_membership_bytes(const struct sl_membership *set, size_t index, size_t *size);
/* Does it count? As of the last derive. */
bool sl_membership_counts(const struct sl_membership *set, size_t index);
bool sl_membership_has(const struct sl_membership *set, const struct syncline_uuid *id);

/* NULL: not known. Pointers die with the next derive. */
const struct sl_membership_device *sl_membership_device(const struct sl_membership *set,
                                                        const struct syncline_uuid *id);
enum sl_member_standing sl_membership_standing(const struct sl_membership *set,
                                               const struct syncline_uuid *id);
/* Where the origin's log ends, if its device has left or was revoked: *cut with seq 0, if with
 * nothing. false: it goes on. */
bool sl_membership_cut(const struct sl_membership *set, const struct sl_origin *origin,
                       struct sl_cut *cut);
/* May changes of the origin up to `seq`, which has that hash there, be taken? */
bool sl_membership_allows(const struct sl_membership *set, const struct sl_origin *origin,
                          uint64_t seq, const uint8_t hash[SL_HASH_SIZE]);

#endif
