/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* A statement: the vector of a device, signed by it, so that others can pass it on and nobody can
 * acknowledge for another.
 *
 *     offset size
 *          0   16  device id of who states it
 *         16    8  its epoch, below 2^63
 *         24   64  Ed25519 signature over the hash
 *         88    4  entries, at most SL_VECTOR_LEN_MAX; then that many times:
 *                  72 an entry of a vector, see base/vector.h
 *
 * Integers are little-endian. The hash is SHA-256 of "syncline statement" 0x00, the library's id,
 * the first 24 bytes, and everything from offset 88 on. A statement is valid if its fields end
 * where it ends, every entry is valid, and the signature is by the key whose SHA-256 begins with
 * the device id.
 *
 * Vectors only grow. So the sum of all seqs in it is the version of a statement: of two of one
 * device the later is that of the higher epoch, or with the higher sum; and a device that starts
 * again needs to remember nothing to go on. A device that lost what it had applied to a power cut
 * is believed to have it until it has it again: its log, from where it applies anew, it cannot
 * lose. */

#ifndef SL_STATEMENT_H
#define SL_STATEMENT_H

#include "base/bytes.h"
#include "base/hash.h"
#include "base/status.h"
#include "base/vector.h"

#define SL_STATEMENT_HEADER_SIZE 92u
#define SL_STATEMENT_SIGNATURE_SIZE 64u

/* Which of a device's statements: (0, 0) is before all of them. */
struct sl_stated {
    uint64_t epoch;
    uint64_t version;
};

static inline bool sl_stated_is_later(struct sl_stated a, struct sl_stated b)
{
    return a.epoch > b.epoch || (a.epoch == b.epoch && a.version > b.version);
}

/* What a roster says of one device. */
struct sl_roster_entry {
    struct syncline_uuid device;
    struct sl_stated stated; /* its latest statement known */
};

struct sl_statement {
    struct syncline_uuid device;
    struct sl_stated stated;
    const uint8_t *signature; /* borrowed from the bytes parsed */
    const uint8_t *entries;   /* likewise */
    uint32_t len;             /* of them */
};

/* The version that these entries make. */
uint64_t sl_statement_version(const struct sl_vector_entry *entries, size_t len);
/* Appends the statement with a signature of zeros, which stands at +24 of it. Errors: ETOOBIG,
 * ENOMEM. */
enum syncline_status sl_statement_put(struct sl_buf *buf, const struct sl_origin *author,
                                      const struct sl_vector_entry *entries, size_t len);
/* Everything but the signature is checked. Errors: EPROTO. */
enum syncline_status sl_statement_parse(struct sl_statement *statement, const void *data,
                                        size_t size, struct sl_error *err);
/* An entry of one that was parsed. */
struct sl_vector_entry sl_statement_entry(const struct sl_statement *statement, uint32_t index);
/* What is signed; `data` is as for parse. Errors: ENOMEM. */
enum syncline_status sl_statement_hash(struct sl_hasher *hasher,
                                       const struct syncline_uuid *library_id, const uint8_t *data,
                                       size_t size, uint8_t hash[SL_HASH_SIZE]);

#endif
