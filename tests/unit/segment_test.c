/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/segment.h"

#include "stages/decode.h"
#include "tests/unit/golden_segment.h"
#include "tests/unit/storage_fixture.h"

/* The header and its signature, field by field as in base/segment.h. */
static const char golden_header_hex[] =
    "534c5347"                         /* SLSG */
    "0100"                             /* version */
    "0200"                             /* flags: continued */
    "11000000000000000000000000000022" /* library */
    "56475aa75463474c0285df5dbf2bcab7" /* device: of the key 00 01 ... 1f */
    "2a00000000000100"                 /* epoch */
    "6500000000000000"                 /* first seq */
    "09000000"                         /* changes */
    "70010000"                         /* bytes of the body */
    "00000068e5cf8b01"                 /* first HLC */
    "65000068e5cf8b01"                 /* last HLC */
    "cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc" /* predecessor */
    "fddc6294b1dc1565155b02c35ed9e2537bfa6321d7f5252379e5ecdaaa9bb325"
    "7fc6c2492e657d5ab5183cdb2ed56f310ce23f4458889869cab3f1611b330d0b"; /* signature */

/* The groups. */
static const char golden_body_hex[] =
    "98"                 /* group */
    "cf018bcfe568000000" /* hlc */
    "a5656e747279"       /* model */
    "01"                 /* change */
    "01"                 /* class */
    "04"                 /* n */
    "c0"                 /* births */
    "94c410010000000000000000000000000000fe03c41002000000000000000000"
    "00000000000001"               /* UUIDs */
    "94"                           /* columns */
    "93ab706172656e745f7575696403" /* parent_uuid: keys */
    "9294c4100300000000000000000000000000000101c410040000000000000000"
    "000000000000010196020101000102"
    "93a473697a6502" /* size: differences */
    "94ce000f42400100d2fff0bdba"
    "93a46b696e6401" /* kind: same */
    "02"
    "93a56d6978656400" /* mixed: values */
    "94cb3ff8000000000000c3c0c40200ff"
    "98"                                                           /* group */
    "cf018bcfe568000004"                                           /* hlc */
    "a3746167"                                                     /* model */
    "02"                                                           /* change */
    "00"                                                           /* class */
    "03"                                                           /* n */
    "92940207c0009401cd012cc410bb0000000000000000000000000000bb05" /* births */
    "94c4100500000000000000000000000000000102c41009000000000000000000"
    "00000000000901" /* UUIDs */
    "91"             /* columns */
    "93a46e616d6500" /* name: values */
    "93a3726564a0a4626c7565"
    "98"                                                           /* group */
    "cf018bcfe568000064"                                           /* hlc */
    "a3746167"                                                     /* model */
    "03"                                                           /* change */
    "00"                                                           /* class */
    "02"                                                           /* n */
    "92940108c0009701cd012cc410bb0000000000000000000000000000bb05" /* births */
    "09c000"                                                       /* of the last, one more */
    "94c4100500000000000000000000000000000201c41009000000000000000000"
    "00000000000901" /* UUIDs */
    "90";            /* columns */

static struct sl_buf golden;
static struct sl_decoded decoded;

static void start(void)
{
    sl_buf_init(&golden, &sl_allocator_libc);
    golden_segment(&golden, false);
    OK(sl_decoded_init(&decoded, &sl_allocator_libc, &err));
}

static void stop(void)
{
    sl_buf_fini(&golden);
    sl_decoded_fini(&decoded);
}

TestSuite(segment, .init = start, .fini = stop);

static void assert_hex(const uint8_t *data, size_t size, const char *hex)
{
    cr_assert_eq(strlen(hex), 2 * size, "%zu bytes", size);
    for (size_t i = 0; i < size; i++) {
        char byte[3];
        (void)snprintf(byte, sizeof(byte), "%02x", data[i]);
        cr_assert_eq(strncmp(byte, hex + 2 * i, 2), 0, "byte %zu is %s, not %.2s", i, byte,
                     hex + 2 * i);
    }
}

/* Decodes a copy of exactly that size, so that the sanitizer sees one byte too many. */
static enum syncline_status decode_copy(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);
    cr_assert_not_null(copy);
    if (size > 0) {
        memcpy(copy, data, size);
    }
    err.text[0] = '\0';
    enum syncline_status status = sl_decode(&decoded, copy, size, &err);
    free(copy);
    return status;
}

/* The bytes of version 1 never change: header, signature and groups. */
Test(segment, golden_bytes)
{
    cr_assert_eq(golden.len, SL_SEGMENT_HEADER_SIZE + strlen(golden_body_hex) / 2);
    assert_hex(golden.data, SL_SEGMENT_HEADER_SIZE, golden_header_hex);
    assert_hex(golden.data + SL_SEGMENT_HEADER_SIZE, golden.len - SL_SEGMENT_HEADER_SIZE,
               golden_body_hex);
}

/* The end of a segment has its hash and its signature, without its body; and says what it is of. */
Test(segment, end_proves_the_hash)
{
    struct sl_hasher *hasher = sl_hasher_new(&sl_allocator_libc);
    struct sl_segment segment;
    struct sl_segment end_segment;
    uint8_t end[SL_SEGMENT_END_SIZE];
    uint8_t hash[SL_HASH_SIZE];
    uint8_t end_hash[SL_HASH_SIZE];
    OK(sl_segment_parse(&segment, golden.data, golden.len, &err));
    OK(sl_segment_hash(hasher, golden.data, segment.body, segment.body_size, hash));
    OK(sl_segment_end(hasher, golden.data, golden.len, end));
    OK(sl_segment_end_hash(hasher, end, end_hash));
    cr_assert_eq(memcmp(hash, end_hash, SL_HASH_SIZE), 0);
    OK(sl_segment_end_parse(&end_segment, end, &err));
    cr_assert_eq(sl_segment_last_seq(&end_segment), 109);
    cr_assert_null(end_segment.body);
    cr_assert_eq(memcmp(end_segment.signature, segment.signature, SL_SEGMENT_SIGNATURE_SIZE), 0);
    for (size_t i = 0; i < sizeof(end); i++) {
        bool is_signature = i >= SL_SEGMENT_HASHED_SIZE && i < SL_SEGMENT_HEADER_SIZE;
        end[i] ^= 1;
        OK(sl_segment_end_hash(hasher, end, end_hash));
        cr_assert_eq(memcmp(hash, end_hash, SL_HASH_SIZE) == 0, is_signature, "byte %zu", i);
        end[i] ^= 1;
    }
    end[0] ^= 1;
    FAILS(sl_segment_end_parse(&end_segment, end, &err), SYNCLINE_EPROTO, "does not begin");
    end[0] ^= 1;
    memset(end + 56, 0, 4);
    FAILS(sl_segment_end_parse(&end_segment, end, &err), SYNCLINE_EPROTO, "number of changes");
    sl_hasher_free(hasher);
}

/* What was written is read: every field of the header. */
Test(segment, header_round_trip)
{
    struct sl_segment wanted = golden_header();
    struct sl_segment segment;
    OK(sl_segment_parse(&segment, golden.data, golden.len, &err));
    cr_assert(sl_uuid_equal(&segment.library_id, &wanted.library_id));
    cr_assert(sl_origin_equal(&segment.origin, &wanted.origin));
    cr_assert_eq(segment.first_seq, 101);
    cr_assert_eq(segment.len, GOLDEN_LEN);
    cr_assert_eq(sl_segment_last_seq(&segment), 109);
    cr_assert_eq(segment.flags, SL_SEGMENT_CONTINUED);
    cr_assert_eq(segment.raw_size, golden.len - SL_SEGMENT_HEADER_SIZE);
    cr_assert_eq(segment.first_hlc, GOLDEN_HLC);
    cr_assert_eq(segment.last_hlc, GOLDEN_HLC + 101);
    cr_assert_eq(memcmp(segment.prev_hash, wanted.prev_hash, SL_HASH_SIZE), 0);
    cr_assert_eq(memcmp(segment.signature, golden.data + 112, SL_SEGMENT_SIGNATURE_SIZE), 0);
    cr_assert_eq(segment.body, golden.data + SL_SEGMENT_HEADER_SIZE);
    cr_assert_eq(segment.body_size, segment.raw_size);
}

static void assert_golden_groups(void)
{
    cr_assert_eq(decoded.group_count, 3);
    const struct sl_group *inserts = &decoded.groups[0];
    cr_assert_eq(inserts->model_len, 5);
    cr_assert_eq(memcmp(inserts->model, "entry", 5), 0);
    cr_assert_eq(inserts->change, SYNCLINE_INSERT);
    cr_assert_eq(inserts->class, SYNCLINE_DEVICE_OWNED);
    cr_assert_eq(inserts->n, 4);
    cr_assert_eq(inserts->hlc_first, GOLDEN_HLC);
    cr_assert_null(inserts->births);
    struct syncline_uuid carried = {{1, [14] = 1}};
    cr_assert(sl_uuid_equal(&inserts->uuids[2], &carried));
    cr_assert_eq(inserts->column_count, 4);

    const struct sl_column *keys = &inserts->columns[0];
    cr_assert(keys->is_key);
    cr_assert_eq(keys->name_len, strlen("parent_uuid"));
    cr_assert_eq(keys->dict_len, 2);
    cr_assert_eq(keys->dict[1].bytes[0], 4);
    const uint32_t index[4] = {1, 1, 0, 2};
    cr_assert_eq(memcmp(keys->index, index, sizeof(index)), 0);

    const int64_t sizes[4] = {1000000, 1000001, 1000001, -5};
    for (uint32_t i = 0; i < 4; i++) {
        cr_assert_eq(inserts->columns[1].values[i].as.int64, sizes[i]);
        cr_assert_eq(inserts->columns[2].values[i].as.int64, 2);
    }
    const struct sl_value *mixed = inserts->columns[3].values;
    cr_assert_eq(mixed[0].type, SL_DOUBLE);
    cr_assert_eq(mixed[0].as.real, 1.5);
    cr_assert_eq(mixed[1].type, SL_BOOL);
    cr_assert_eq(mixed[1].as.int64, 1);
    cr_assert_eq(mixed[2].type, SL_NULL);
    cr_assert_eq(mixed[3].type, SL_BLOB);
    cr_assert_eq(mixed[3].size, 2);
    cr_assert_eq(memcmp(mixed[3].as.data, "\x00\xff", 2), 0);

    const struct sl_group *updates = &decoded.groups[1];
    cr_assert_eq(updates->change, SYNCLINE_UPDATE);
    cr_assert_eq(updates->class, SYNCLINE_SHARED);
    struct sl_origin self = golden_origin();
    cr_assert(sl_origin_equal(&updates->births[1].origin, &self));
    cr_assert_eq(updates->births[1].seq, 8);
    cr_assert_eq(updates->births[2].origin.device.bytes[0], 0xbb);
    cr_assert_eq(updates->births[2].origin.epoch, 5);
    cr_assert_eq(updates->births[2].seq, 300);
    cr_assert_eq(updates->columns[0].values[1].type, SL_TEXT);
    cr_assert_eq(updates->columns[0].values[1].size, 0);

    const struct sl_group *deletes = &decoded.groups[2];
    cr_assert_eq(deletes->change, SYNCLINE_DELETE);
    cr_assert_eq(deletes->n, 2);
    cr_assert_eq(deletes->hlc_first, GOLDEN_HLC + 100);
    cr_assert_eq(deletes->births[0].seq, 8);
    cr_assert_eq(deletes->births[1].seq, 300);
    struct sl_birth births[SL_CHANGE_BIRTHS_MAX];
    cr_assert_eq(sl_group_births(deletes, 0, births), 1);
    cr_assert_eq(sl_group_births(deletes, 1, births), 2);
    cr_assert_eq(births[0].seq, 300);
    cr_assert_eq(births[1].seq, 9);
    cr_assert(sl_origin_equal(&births[1].origin, &self));
    cr_assert_eq(deletes->column_count, 0);
}

/* The groups come back as they were written, from a plain and from a compressed body, one decoded
 * after the other into the same memory. */
Test(segment, decodes_plain_and_compressed)
{
    OK(sl_decode(&decoded, golden.data, golden.len, &err));
    assert_golden_groups();
    sl_buf_clear(&golden);
    golden_segment(&golden, true);
    OK(sl_decode(&decoded, golden.data, golden.len, &err));
    cr_assert_eq(decoded.segment.flags, SL_SEGMENT_CONTINUED | SL_SEGMENT_ZSTD);
    cr_assert_eq(decoded.segment.raw_size, strlen(golden_body_hex) / 2);
    assert_golden_groups();
}

/* No beginning of a segment is a segment. */
Test(segment, truncated_is_refused)
{
    for (int compressed = 0; compressed < 2; compressed++) {
        sl_buf_clear(&golden);
        golden_segment(&golden, compressed == 1);
        for (size_t size = 0; size < golden.len; size++) {
            enum syncline_status status = decode_copy(golden.data, size);
            cr_assert_eq(status, SYNCLINE_EPROTO, "%zu bytes: %s", size,
                         syncline_status_name(status));
            cr_assert_neq(err.text[0], '\0');
        }
    }
}

/* Cut short with a header that agrees, the groups are what does not add up. */
Test(segment, truncated_body_is_refused)
{
    for (uint32_t cut = 1; cut < golden.len - SL_SEGMENT_HEADER_SIZE; cut++) {
        size_t size = golden.len - cut;
        sl_put_u32(golden.data + 60, (uint32_t)size - SL_SEGMENT_HEADER_SIZE);
        cr_assert_eq(decode_copy(golden.data, size), SYNCLINE_EPROTO, "%zu bytes", size);
    }
}

/* Any byte another: it may decode to something else, never to a crash, and what it decodes to is
 * within the bounds. */
Test(segment, flipped_bytes_never_crash)
{
    for (int compressed = 0; compressed < 2; compressed++) {
        sl_buf_clear(&golden);
        golden_segment(&golden, compressed == 1);
        for (size_t at = 0; at < golden.len; at++) {
            for (unsigned flip = 1; flip < 256; flip = flip == 128 ? 255 : flip * 2) {
                golden.data[at] ^= (uint8_t)flip;
                enum syncline_status status = decode_copy(golden.data, golden.len);
                golden.data[at] ^= (uint8_t)flip;
                cr_assert(status == SYNCLINE_OK || status == SYNCLINE_EPROTO ||
                              status == SYNCLINE_EFORMAT || status == SYNCLINE_EUNSUPPORTED,
                          "byte %zu ^ %u: %s", at, flip, syncline_status_name(status));
                cr_assert_eq(status == SYNCLINE_OK, err.text[0] == '\0');
                if (flip == 255) {
                    break;
                }
            }
        }
    }
}

/* The signature is over all of header and body: any byte another, and it does not hold. */
Test(segment, flipped_bytes_break_the_signature)
{
    struct sl_identity identity = golden_identity();
    struct sl_verifier *verifier = NULL;
    struct sl_hasher *hasher = sl_hasher_new(&sl_allocator_libc);
    cr_assert_not_null(hasher);
    OK(sl_verifier_new(&sl_allocator_libc, identity.public_key, &verifier));
    for (size_t at = 0; at <= golden.len; at++) {
        uint8_t *byte = at < golden.len ? &golden.data[at] : NULL;
        uint8_t hash[SL_HASH_SIZE];
        if (byte != NULL) {
            *byte ^= 0x10;
        }
        OK(sl_segment_hash(hasher, golden.data, golden.data + SL_SEGMENT_HEADER_SIZE,
                           golden.len - SL_SEGMENT_HEADER_SIZE, hash));
        bool holds = sl_verify(verifier, hash, sizeof(hash), golden.data + 112);
        cr_assert_eq(holds, byte == NULL, "byte %zu", at);
        if (byte != NULL) {
            *byte ^= 0x10;
        }
    }
    sl_verifier_free(verifier);
    sl_hasher_free(hasher);
}

/* The hash of an origin is over library, device and epoch, and no segment's. */
Test(segment, hash_of_an_origin)
{
    static const uint8_t zero_hash[] = {/* SHA-256 of "syncline origin", 0, 16 + 16 + 8 zeros */
                                        0x69, 0xd9, 0x56, 0x28, 0x3f, 0x70, 0x27, 0x36,
                                        0x6e, 0xf9, 0xcb, 0x96, 0x83, 0x35, 0x41, 0xcc,
                                        0x19, 0xef, 0x41, 0x7b, 0x59, 0xf1, 0x94, 0xa1,
                                        0xdb, 0x94, 0xe3, 0xf1, 0x49, 0xb6, 0x09, 0xff};
    struct sl_hasher *hasher = sl_hasher_new(&sl_allocator_libc);
    struct syncline_uuid library = {{0}};
    struct sl_origin origin = {.epoch = 0};
    uint8_t hash[SL_HASH_SIZE];
    uint8_t other[SL_HASH_SIZE];
    OK(sl_origin_hash(hasher, &library, &origin, hash));
    cr_assert_eq(memcmp(hash, zero_hash, sizeof(hash)), 0);
    library.bytes[15] = 1;
    OK(sl_origin_hash(hasher, &library, &origin, other));
    cr_assert_neq(memcmp(hash, other, sizeof(hash)), 0);
    library.bytes[15] = 0;
    origin.device.bytes[0] = 1;
    OK(sl_origin_hash(hasher, &library, &origin, other));
    cr_assert_neq(memcmp(hash, other, sizeof(hash)), 0);
    origin.device.bytes[0] = 0;
    origin.epoch = 1;
    OK(sl_origin_hash(hasher, &library, &origin, other));
    cr_assert_neq(memcmp(hash, other, sizeof(hash)), 0);
    sl_hasher_free(hasher);
}

static enum syncline_status parse_changed(size_t at, uint64_t value, size_t size)
{
    static struct sl_segment untouched;
    struct sl_segment segment = untouched;
    uint8_t *copy = malloc(golden.len);
    cr_assert_not_null(copy);
    memcpy(copy, golden.data, golden.len);
    for (size_t i = 0; i < size; i++) {
        copy[at + i] = (uint8_t)(value >> (8 * i));
    }
    enum syncline_status status = sl_segment_parse(&segment, copy, golden.len, &err);
    if (status != SYNCLINE_OK) {
        cr_assert_eq(memcmp(&segment, &untouched, sizeof(segment)), 0);
    }
    free(copy);
    return status;
}

/* Every field that cannot be right is refused by its name; the last right value is taken. */
Test(segment, header_fields_have_limits)
{
    const uint64_t max = INT64_MAX;
    FAILS(parse_changed(0, 'X', 1), SYNCLINE_EPROTO, "does not begin like one");
    FAILS(parse_changed(4, 2, 2), SYNCLINE_EFORMAT, "version 2");
    FAILS(parse_changed(4, 0, 2), SYNCLINE_EFORMAT, "version 0");
    FAILS(parse_changed(6, 8, 2), SYNCLINE_EPROTO, "flags");
    FAILS(parse_changed(6, 0x8000, 2), SYNCLINE_EPROTO, "flags");
    FAILS(parse_changed(40, max + 1, 8), SYNCLINE_EPROTO, "epoch");
    OK(parse_changed(40, max, 8));
    FAILS(parse_changed(48, 0, 8), SYNCLINE_EPROTO, "first seq");
    FAILS(parse_changed(48, max - SL_BATCH_LEN_MAX + 1, 8), SYNCLINE_EPROTO, "first seq");
    OK(parse_changed(48, max - SL_BATCH_LEN_MAX, 8));
    FAILS(parse_changed(56, 0, 4), SYNCLINE_EPROTO, "number of changes");
    FAILS(parse_changed(56, SL_BATCH_LEN_MAX + 1, 4), SYNCLINE_EPROTO, "number of changes");
    FAILS(parse_changed(60, 0, 4), SYNCLINE_EPROTO, "size before compression");
    FAILS(parse_changed(60, SL_SEGMENT_RAW_MAX + 1, 4), SYNCLINE_EPROTO, "size before compression");
    FAILS(parse_changed(60, SL_SEGMENT_RAW_MAX, 4), SYNCLINE_EPROTO, "size of the body");
    FAILS(parse_changed(64, GOLDEN_HLC + 94, 8), SYNCLINE_EPROTO, "clock values");
    OK(parse_changed(64, GOLDEN_HLC + 93, 8));
    FAILS(parse_changed(64, GOLDEN_HLC + 102, 8), SYNCLINE_EPROTO, "clock values");
    FAILS(parse_changed(72, max + 1, 8), SYNCLINE_EPROTO, "clock values");
    OK(parse_changed(72, max, 8));
}

/* A segment over its limit is refused before a byte of it is read; one at the limit is read. */
Test(segment, size_limit)
{
    struct sl_segment segment;
    FAILS(sl_segment_parse(&segment, NULL, SL_SEGMENT_SIZE_MAX + 1, &err), SYNCLINE_EPROTO,
          "3145729 bytes");
    FAILS(sl_segment_parse(&segment, NULL, 0, &err), SYNCLINE_EPROTO, "0 bytes");
    FAILS(sl_segment_parse(&segment, golden.data, SL_SEGMENT_HEADER_SIZE, &err), SYNCLINE_EPROTO,
          "176 bytes");
    uint8_t *large = calloc(1, SL_SEGMENT_SIZE_MAX);
    cr_assert_not_null(large);
    memcpy(large, golden.data, golden.len);
    sl_put_u32(large + 60, SL_SEGMENT_SIZE_MAX - SL_SEGMENT_HEADER_SIZE);
    OK(sl_segment_parse(&segment, large, SL_SEGMENT_SIZE_MAX, &err));
    FAILS(sl_decode(&decoded, large, SL_SEGMENT_SIZE_MAX, &err), SYNCLINE_EPROTO, "after its last");
    free(large);
}

/* A body that is not what the header says of it: not zstd, or of another size. */
Test(segment, bad_compression_is_refused)
{
    golden.data[6] |= SL_SEGMENT_ZSTD;
    FAILS(sl_decode(&decoded, golden.data, golden.len, &err), SYNCLINE_EPROTO, "decompress");
    sl_buf_clear(&golden);
    golden_segment(&golden, true);
    uint32_t raw_size = sl_get_u32(golden.data + 60);
    sl_put_u32(golden.data + 60, raw_size - 1);
    FAILS(sl_decode(&decoded, golden.data, golden.len, &err), SYNCLINE_EPROTO, "decompress");
    sl_put_u32(golden.data + 60, raw_size + 1);
    FAILS(sl_decode(&decoded, golden.data, golden.len, &err), SYNCLINE_EPROTO, "decompress");
}

/* The changes of the groups are those of the header: fewer or more are refused. */
Test(segment, changes_must_add_up)
{
    sl_put_u32(golden.data + 56, GOLDEN_LEN - 2);
    FAILS(sl_decode(&decoded, golden.data, golden.len, &err), SYNCLINE_EPROTO, "after its last");
    sl_put_u32(golden.data + 56, GOLDEN_LEN - 1);
    FAILS(sl_decode(&decoded, golden.data, golden.len, &err), SYNCLINE_EPROTO, "head");
    sl_put_u32(golden.data + 56, GOLDEN_LEN + 1);
    FAILS(sl_decode(&decoded, golden.data, golden.len, &err), SYNCLINE_EPROTO, "head");
}

/* Clock values rise over the whole segment and stay within what the header says. */
Test(segment, clocks_must_rise)
{
    sl_put_u64(golden.data + 72, GOLDEN_HLC + 100); /* the last change has + 101 */
    FAILS(sl_decode(&decoded, golden.data, golden.len, &err), SYNCLINE_EPROTO, "clock values");
    sl_put_u64(golden.data + 72, GOLDEN_HLC + 102);
    OK(sl_decode(&decoded, golden.data, golden.len, &err));
    sl_put_u64(golden.data + 64, GOLDEN_HLC + 1); /* the first change has + 0 */
    FAILS(sl_decode(&decoded, golden.data, golden.len, &err), SYNCLINE_EPROTO, "clock values");
    sl_put_u64(golden.data + 64, GOLDEN_HLC - 1);
    OK(sl_decode(&decoded, golden.data, golden.len, &err));
    uint8_t *first = golden.data + SL_SEGMENT_HEADER_SIZE + 2; /* big-endian, in the first group */
    first[7] += 1; /* its four changes then reach into the second group's */
    FAILS(sl_decode(&decoded, golden.data, golden.len, &err), SYNCLINE_EPROTO, "clock values");
}

/* The log's segment is decoded by any seq in it; one that should be there and is not, is damage. */
Test(segment, decode_from_the_log)
{
    set_up();
    const char *path = in_folder("sync.db");
    struct sl_library_identity who = {.library_id = {{1}}, .device_id = {{2}}, .epoch = 3};
    struct sl_peer_log log;
    OK(sl_peer_log_create(sl_env_posix(), path, &who, &err));
    OK(sl_peer_log_open(&log, sl_env_posix(), path, SL_DB_WRITE, &err));
    struct sl_log_head head = {.origin = golden_origin(), .held_seq = 100};
    OK(sl_peer_log_add_origin(&log, &head, &err));
    head.held_seq = 109;
    OK(sl_peer_log_append(&log, &head, golden.data, golden.len, &err));
    OK(sl_decode_from_log(&decoded, &log, head.number, 105, &err));
    assert_golden_groups();
    FAILS(sl_decode_from_log(&decoded, &log, head.number, 110, &err), SYNCLINE_ECORRUPT,
          "the segment with seq 110 is not there");
    OK(sl_db_exec(&log.db, "UPDATE segment SET bytes=x'00'", &err));
    FAILS(sl_decode_from_log(&decoded, &log, head.number, 105, &err), SYNCLINE_EPROTO, "1 bytes");
    sl_peer_log_fini(&log);
    tear_down();
}
