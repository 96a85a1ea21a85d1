/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/statement.h"

#include <string.h>

#include "base/limits.h"

#define SIGNATURE_AT 24u
#define LEN_AT (SIGNATURE_AT + SL_STATEMENT_SIGNATURE_SIZE)

_Static_assert(LEN_AT + 4u == SL_STATEMENT_HEADER_SIZE, "the header's fields");

static uint64_t add(uint64_t sum, uint64_t seq)
{
    return sum > UINT64_MAX - seq ? UINT64_MAX : sum + seq;
}

uint64_t sl_statement_version(const struct sl_vector_entry *entries, size_t len)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < len; i++) {
        sum = add(add(sum, entries[i].held_seq), entries[i].applied_seq);
    }
    return sum;
}

enum syncline_status sl_statement_put(struct sl_buf *buf, const struct sl_origin *author,
                                      const struct sl_vector_entry *entries, size_t len)
{
    static const uint8_t no_signature[SL_STATEMENT_SIGNATURE_SIZE];
    if (len > SL_VECTOR_LEN_MAX) {
        return SYNCLINE_ETOOBIG;
    }
    if (!sl_buf_reserve(buf, SL_STATEMENT_HEADER_SIZE + len * SL_VECTOR_ENTRY_SIZE)) {
        return SYNCLINE_ENOMEM;
    }
    sl_buf_bytes(buf, author->device.bytes, sizeof(author->device.bytes));
    sl_buf_u64(buf, author->epoch);
    sl_buf_bytes(buf, no_signature, sizeof(no_signature));
    sl_buf_u32(buf, (uint32_t)len);
    for (size_t i = 0; i < len; i++) {
        uint8_t bytes[SL_VECTOR_ENTRY_SIZE];
        sl_vector_entry_encode(&entries[i], bytes);
        sl_buf_bytes(buf, bytes, sizeof(bytes));
    }
    return SYNCLINE_OK;
}

enum syncline_status sl_statement_parse(struct sl_statement *out, const void *data, size_t size,
                                        struct sl_error *err)
{
    struct sl_statement statement = {.len = 0};
    struct sl_reader reader;
    sl_reader_init(&reader, data, size);
    sl_read_copy(&reader, statement.device.bytes, sizeof(statement.device.bytes));
    statement.stated.epoch = sl_read_u64(&reader);
    statement.signature = sl_read_bytes(&reader, SL_STATEMENT_SIGNATURE_SIZE);
    statement.len = sl_read_u32(&reader);
    if (reader.failed || statement.len > SL_VECTOR_LEN_MAX ||
        size != SL_STATEMENT_HEADER_SIZE + (size_t)statement.len * SL_VECTOR_ENTRY_SIZE) {
        return sl_fail(err, SYNCLINE_EPROTO, "a statement of %zu bytes declares %u entries", size,
                       statement.len);
    }
    if (statement.stated.epoch >> 63 != 0) {
        return sl_fail(err, SYNCLINE_EPROTO, "a statement with an epoch of 2^63 or more");
    }
    statement.entries = (const uint8_t *)data + SL_STATEMENT_HEADER_SIZE;
    for (uint32_t i = 0; i < statement.len; i++) {
        struct sl_vector_entry entry;
        enum syncline_status status = sl_vector_entry_decode(
            statement.entries + (size_t)i * SL_VECTOR_ENTRY_SIZE, &entry, err);
        if (status != SYNCLINE_OK) {
            return status;
        }
        statement.stated.version =
            add(add(statement.stated.version, entry.held_seq), entry.applied_seq);
    }
    *out = statement;
    return SYNCLINE_OK;
}

struct sl_vector_entry sl_statement_entry(const struct sl_statement *statement, uint32_t index)
{
    struct sl_vector_entry entry;
    struct sl_error ignored; /* it was good when it was parsed */
    memset(&entry, 0, sizeof(entry));
    (void)sl_vector_entry_decode(statement->entries + (size_t)index * SL_VECTOR_ENTRY_SIZE, &entry,
                                 &ignored);
    return entry;
}

enum syncline_status sl_statement_hash(struct sl_hasher *hasher,
                                       const struct syncline_uuid *library_id, const uint8_t *data,
                                       size_t size, uint8_t hash[SL_HASH_SIZE])
{
    static const char domain[] = "syncline statement"; /* with its NUL */
    sl_hasher_update(hasher, domain, sizeof(domain));
    sl_hasher_update(hasher, library_id->bytes, sizeof(library_id->bytes));
    sl_hasher_update(hasher, data, SIGNATURE_AT);
    sl_hasher_update(hasher, data + LEN_AT, size - LEN_AT);
    return sl_hasher_finish(hasher, hash) ? SYNCLINE_OK : SYNCLINE_ENOMEM;
}
