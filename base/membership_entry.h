/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* An entry of the membership log: one device's signed word on who belongs to the library.
 *
 *     offset size
 *          0   32  Ed25519 public key of who says it
 *         32   64  its signature over the hash
 *         96    1  kind
 *         97    8  when, by its wall clock: ms since 1970 UTC. People are told; it decides nothing
 *        105       by kind:
 *
 *     1 ADMIT      I let this device in                 32 its public key, 1 + n its name
 *     2 JOINED     I came in by this device             likewise
 *     3 LEAVE      I have left, my log ends here         8 epoch, 8 seq, 32 hash
 *     4 REVOKE     this device is out, this is what     16 device id
 *     5 WITNESS      it had made that I know            4 n, n cuts: 8 epoch, 8 seq, 32 hash
 *                                                        4 n, n ids of its entries: 16
 *
 * Integers are little-endian. The hash is SHA-256 of "syncline membership" 0x00, the library's id,
 * the key, and everything from offset 96 on; its first 16 bytes are the entry's id. A device's id
 * is the first 16 bytes of SHA-256 of its key, so an entry can be checked by itself. It is valid if
 * its fields end where it ends, a name is UTF-8 without NUL of at most 127 bytes, epochs are below
 * 2^63, seqs at least 1 but in LEAVE, the epochs of cuts and the ids rise, and nobody speaks of
 * itself but with LEAVE. */

#ifndef SL_MEMBERSHIP_ENTRY_H
#define SL_MEMBERSHIP_ENTRY_H

#include "base/bytes.h"
#include "base/hash.h"
#include "base/limits.h"
#include "base/status.h"
#include "base/vector.h"

#define SL_MEMBERSHIP_KEY_SIZE 32u
#define SL_MEMBERSHIP_SIGNATURE_AT 32u
#define SL_MEMBERSHIP_SIGNATURE_SIZE 64u
#define SL_MEMBERSHIP_CUT_SIZE 48u
#define SL_MEMBERSHIP_ID_SIZE 16u

enum sl_membership_kind {
    SL_MEMBERSHIP_ADMIT = 1,
    SL_MEMBERSHIP_JOINED = 2,
    SL_MEMBERSHIP_LEAVE = 3,
    SL_MEMBERSHIP_REVOKE = 4,
    SL_MEMBERSHIP_WITNESS = 5
};

/* Where the log of one origin ends: with this change, which has this hash. */
struct sl_cut {
    uint64_t epoch;
    uint64_t seq;
    uint8_t hash[SL_HASH_SIZE];
};

/* What is to be said: the fields that its kind has. */
struct sl_membership_word {
    enum sl_membership_kind kind;
    uint64_t wall_ms;
    const uint8_t *author_key;       /* SL_MEMBERSHIP_KEY_SIZE bytes; borrowed, as are the others */
    const uint8_t *key;              /* ADMIT, JOINED: of the device, */
    const char *name;                /* and its name */
    struct syncline_uuid subject;    /* REVOKE, WITNESS: whom it is about */
    const struct sl_cut *cuts;       /* LEAVE: one. REVOKE, WITNESS: rising by their epochs */
    size_t cuts_len;                 /* of them */
    const struct syncline_uuid *ids; /* REVOKE, WITNESS: of entries, rising */
    size_t ids_len;                  /* of them */
};

/* One that was parsed. What it points at is borrowed from the bytes. */
struct sl_membership_entry {
    struct syncline_uuid id;
    struct syncline_uuid author;
    struct syncline_uuid subject; /* of LEAVE: its author */
    enum sl_membership_kind kind;
    uint64_t wall_ms;
    uint8_t hash[SL_HASH_SIZE]; /* that is signed */
    const uint8_t *author_key;
    const uint8_t *signature;
    const uint8_t *key;               /* ADMIT, JOINED; else NULL */
    char name[SL_NAME_SIZE_MAX + 1u]; /* likewise; else "" */
    const uint8_t *cuts;              /* SL_MEMBERSHIP_CUT_SIZE each */
    uint32_t cuts_len;                /* of them */
    const uint8_t *ids;               /* SL_MEMBERSHIP_ID_SIZE each */
    uint32_t ids_len;                 /* of them */
};

/* Appends the entry with a signature of zeros. Errors: ENOMEM, EINVAL (a name that cannot be). */
enum syncline_status sl_membership_put(struct sl_buf *buf, const struct sl_membership_word *word);
/* Everything but the signature is checked. Errors: EPROTO, ENOMEM. */
enum syncline_status sl_membership_parse(struct sl_membership_entry *entry,
                                         struct sl_hasher *hasher,
                                         const struct syncline_uuid *library_id, const void *data,
                                         size_t size, struct sl_error *err);
/* Appends an entry's length (4) and bytes; and takes the next of such a list. false: the list has
 * ended, or reader->failed. */
void sl_membership_pack(struct sl_buf *buf, const uint8_t *data, size_t size);
bool sl_membership_unpack(struct sl_reader *reader, const uint8_t **data, size_t *size);

/* The index-th of one that was parsed. */
struct sl_cut sl_membership_entry_cut(const struct sl_membership_entry *entry, uint32_t index);
struct syncline_uuid sl_membership_entry_id(const struct sl_membership_entry *entry,
                                            uint32_t index);
/* Does it list that entry? */
bool sl_membership_entry_lists(const struct sl_membership_entry *entry,
                               const struct syncline_uuid *id);

#endif
