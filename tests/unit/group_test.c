/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/group.h"

#include "tests/unit/golden_segment.h"
#include "tests/unit/storage_fixture.h"

/* A group in hex, part by part; a NULL part is that of a sound insert of two records. */
struct parts {
    const char *array, *hlc, *model, *change, *class, *n, *births, *uuids, *columns;
};

#define UUID_A "c41000000000000000000000000000000001"
#define UUID_B "c410000000000000000000000000000000ff"
#define BYTE_16 "c41011111111111111111111111111111111"

static uint8_t bytes[65536];
static size_t size;
static struct sl_arena arena;
static struct sl_group group;
static const struct sl_origin self = {.device = {{0xaa}}, .epoch = 9};

static void start(void)
{
    sl_arena_init(&arena, &sl_allocator_libc);
}

static void stop(void)
{
    sl_arena_fini(&arena);
}

TestSuite(group, .init = start, .fini = stop);

static void add_hex(const char *hex)
{
    for (; hex[0] != '\0'; hex += 2) {
        unsigned byte = 0;
        cr_assert_eq(sscanf(hex, "%2x", &byte), 1, "%s", hex);
        bytes[size++] = (uint8_t)byte;
    }
}

static void build(const struct parts *parts)
{
    size = 0;
    add_hex(parts->array != NULL ? parts->array : "98");
    add_hex(parts->hlc != NULL ? parts->hlc : "05");
    add_hex(parts->model != NULL ? parts->model : "a174");
    add_hex(parts->change != NULL ? parts->change : "01");
    add_hex(parts->class != NULL ? parts->class : "00");
    add_hex(parts->n != NULL ? parts->n : "02");
    add_hex(parts->births != NULL ? parts->births : "c0");
    add_hex(parts->uuids != NULL ? parts->uuids : "92" UUID_A "02");
    add_hex(parts->columns != NULL ? parts->columns : "9193a16300920102");
}

/* Reads a copy of exactly that size, so that the sanitizer sees one byte too many. */
static enum syncline_status read_max(uint32_t n_max)
{
    uint8_t *copy = malloc(size);
    cr_assert_not_null(copy);
    memcpy(copy, bytes, size);
    struct sl_msgpack in;
    sl_msgpack_init(&in, copy, size);
    sl_arena_reset(&arena);
    enum syncline_status status = sl_group_read(&in, &self, n_max, &arena, &group, &err);
    if (status == SYNCLINE_OK && !sl_msgpack_done(&in)) {
        status = sl_fail(&err, SYNCLINE_AGAIN, "bytes are left");
    }
    free(copy);
    return status;
}

#define READ(...) (build(&(struct parts){__VA_ARGS__}), read_max(2))

/* The group that all the others here differ from in one thing. */
Test(group, sound_groups_are_read)
{
    OK(READ(NULL));
    cr_assert_eq(group.n, 2);
    cr_assert_eq(group.hlc_first, 5);
    cr_assert_eq(group.columns[0].values[1].as.int64, 2);
    OK(READ(.uuids = "94" UUID_B "01" UUID_A "01"));
    cr_assert_eq(group.uuids[1].bytes[15], 1);
    OK(READ(.columns = "90"));
    OK(READ(.change = "03", .columns = "90",
            .births = "919402"
                      "07"
                      "c000"));
    cr_assert_eq(group.births[1].seq, 8);
    cr_assert(sl_origin_equal(&group.births[1].origin, &self));
}

/* Whatever is wrong in the head of a group is refused, before memory is taken for its changes. */
Test(group, malformed_heads)
{
    FAILS(READ(.array = "97"), SYNCLINE_EPROTO, "head");
    FAILS(READ(.array = "99"), SYNCLINE_EPROTO, "head");
    FAILS(READ(.array = "c0"), SYNCLINE_EPROTO, "head");
    FAILS(READ(.hlc = "ff"), SYNCLINE_EPROTO, "head");
    FAILS(READ(.model = "a0"), SYNCLINE_EPROTO, "head");
    FAILS(READ(.model = "05"), SYNCLINE_EPROTO, "head");
    FAILS(READ(.change = "00"), SYNCLINE_EPROTO, "head");
    FAILS(READ(.change = "04"), SYNCLINE_EPROTO, "head");
    FAILS(READ(.class = "02"), SYNCLINE_EPROTO, "head");
    FAILS(READ(.n = "00"), SYNCLINE_EPROTO, "head");
    FAILS(READ(.n = "03"), SYNCLINE_EPROTO, "head");
    FAILS(READ(.n = "cf0000000100000002"), SYNCLINE_EPROTO, "head");
    FAILS(READ(.n = "ceffffffff"), SYNCLINE_EPROTO, "head");
    cr_assert_eq(arena.used, 0);
}

/* A model's name has 127 bytes at most. */
Test(group, model_name_limit)
{
    char name[5 + 2 * 128];
    memcpy(name, "d97f", 5);
    for (int i = 0; i < 127; i++) {
        memcpy(name + 4 + 2 * i, "61", 3);
    }
    OK(READ(.model = name));
    cr_assert_eq(group.model_len, SL_NAME_SIZE_MAX);
    memcpy(name + 2, "80", 2);
    memcpy(name + 4 + 2 * 127, "61", 3);
    FAILS(READ(.model = name), SYNCLINE_EPROTO, "head");
}

/* Births: none for inserts; for others as many as changes, each of a seq that exists. */
Test(group, malformed_births)
{
    FAILS(READ(.births = "90"), SYNCLINE_EPROTO, "births");
    FAILS(READ(.change = "02"), SYNCLINE_EPROTO, "births");
    FAILS(READ(.change = "02", .births = "90"), SYNCLINE_EPROTO, "births");
    FAILS(READ(.change = "02", .births = "91940107c000"), SYNCLINE_EPROTO, "births");
    FAILS(READ(.change = "02", .births = "91940307c000"), SYNCLINE_EPROTO, "births");
    FAILS(READ(.change = "02", .births = "92940207c000940007c000"), SYNCLINE_EPROTO, "births");
    FAILS(READ(.change = "02", .births = "91940200c000"), SYNCLINE_EPROTO, "births");
    FAILS(READ(.change = "02", .births = "919402cf7ffffffffffffffec000"), SYNCLINE_EPROTO,
          "births");
    OK(READ(.change = "02", .births = "919402cf7ffffffffffffffdc000"));
    FAILS(READ(.change = "02", .births = "91940207c40faaaaaaaaaaaaaaaaaaaaaaaaaaaaaa00"),
          SYNCLINE_EPROTO, "births");
    FAILS(READ(.change = "02", .births = "9195020"
                                         "7c00000"),
          SYNCLINE_EPROTO, "births");
    FAILS(READ(.change = "02", .births = "91930207c0"), SYNCLINE_EPROTO, "births");
    OK(READ(.change = "02", .births = "91940207" BYTE_16 "03"));
    cr_assert_eq(group.births[1].origin.epoch, 3);
    cr_assert_eq(group.births[1].origin.device.bytes[7], 0x11);
}

/* A change may name several births, of any origins; each is of a seq that exists, and the run is of
 * one change. */
Test(group, several_births)
{
    struct sl_birth births[SL_CHANGE_BIRTHS_MAX];
    OK(READ(.change = "02", .births = "92970107c00008" BYTE_16 "03940109c000"));
    cr_assert_eq(group.further_len, 1);
    cr_assert_eq(sl_group_births(&group, 0, births), 2);
    cr_assert_eq(births[0].seq, 7);
    cr_assert_eq(births[1].seq, 8);
    cr_assert_eq(births[1].origin.epoch, 3);
    cr_assert_eq(sl_group_births(&group, 1, births), 1);
    cr_assert_eq(births[0].seq, 9);
    OK(READ(.change = "02", .births = "92940109c0009a0107c00008c00009c000"));
    cr_assert_eq(sl_group_births(&group, 1, births), 3);
    FAILS(READ(.change = "02", .births = "91970207c00008c000"), SYNCLINE_EPROTO, "births");
    FAILS(READ(.change = "02", .births = "92970107c00000c000940109c000"), SYNCLINE_EPROTO,
          "births");
    FAILS(READ(.change = "02", .births = "92970107c00008c0"), SYNCLINE_EPROTO, "births");
    FAILS(READ(.change = "02", .births = "92980107c00008c00001940109c000"), SYNCLINE_EPROTO,
          "births");
    FAILS(READ(.change = "02", .births = "92970107c00008c40faaaaaaaaaaaaaaaaaaaaaaaaaaaaaa00"),
          SYNCLINE_EPROTO, "births");
}

/* As many births as one change may name are read, one more is refused. */
Test(group, births_limit)
{
    char text[1024];
    for (uint32_t n = SL_CHANGE_BIRTHS_MAX; n <= SL_CHANGE_BIRTHS_MAX + 1; n++) {
        int len = snprintf(text, sizeof(text), "92940107c000dc%04x01", 1 + 3 * n);
        for (uint32_t i = 0; i < n; i++) {
            len += snprintf(text + len, sizeof(text) - (size_t)len, "%02xc000", i + 1);
        }
        if (n > SL_CHANGE_BIRTHS_MAX) {
            FAILS(READ(.change = "03", .births = text, .columns = "90"), SYNCLINE_EPROTO, "births");
            continue;
        }
        struct sl_birth births[SL_CHANGE_BIRTHS_MAX];
        OK(READ(.change = "03", .births = text, .columns = "90"));
        cr_assert_eq(sl_group_births(&group, 1, births), n);
        cr_assert_eq(births[n - 1].seq, n);
    }
}

/* What is written of changes with several births is what is read, runs before and after them, too.
 */
Test(group, several_births_are_written)
{
    enum { N = 100 };
    struct sl_birth births[N];
    struct syncline_uuid uuids[N];
    struct sl_further_birth further[2 * N];
    uint32_t len = 0;
    for (uint32_t i = 0; i < N; i++) {
        births[i] = (struct sl_birth){.origin = self, .seq = 1000 + i};
        uuids[i] = sl_uuid_add(&(struct syncline_uuid){{1}}, i);
        for (uint32_t k = 0; k < (i % 7 == 3 ? 2u : i % 7 == 4 ? 1u : 0u); k++) {
            further[len++] = (struct sl_further_birth){
                .i = i,
                .birth = {.origin = {.device = {{k == 0 ? 0xaa : 2}}, .epoch = 9}, .seq = i}};
        }
    }
    struct sl_buf buf;
    sl_buf_init(&buf, &sl_allocator_libc);
    struct sl_group_head head = {.model = "m",
                                 .change = SYNCLINE_DELETE,
                                 .n = N,
                                 .uuids = uuids,
                                 .births = births,
                                 .further = further,
                                 .further_len = len,
                                 .self = self};
    sl_group_write_hlc(&buf, 1);
    sl_group_write_head(&buf, &head);
    cr_assert(!buf.failed);
    cr_assert_leq(buf.len, sizeof(bytes));
    size = buf.len;
    memcpy(bytes, buf.data, size);
    sl_buf_fini(&buf);
    OK(read_max(N));
    cr_assert_eq(group.further_len, len);
    for (uint32_t i = 0; i < N; i++) {
        cr_assert_eq(group.births[i].seq, births[i].seq);
    }
    for (uint32_t i = 0; i < len; i++) {
        cr_assert_eq(group.further[i].i, further[i].i);
        cr_assert_eq(group.further[i].birth.seq, further[i].birth.seq);
        cr_assert(sl_origin_equal(&group.further[i].birth.origin, &further[i].birth.origin));
    }
}

/* UUIDs: pairs of 16 bytes and a count, as many as there are changes. */
Test(group, malformed_uuids)
{
    FAILS(READ(.uuids = "90"), SYNCLINE_EPROTO, "UUIDs");
    FAILS(READ(.uuids = "92" UUID_A "01"), SYNCLINE_EPROTO, "UUIDs");
    FAILS(READ(.uuids = "92" UUID_A "03"), SYNCLINE_EPROTO, "UUIDs");
    FAILS(READ(.uuids = "94" UUID_A "02" UUID_B "00"), SYNCLINE_EPROTO, "UUIDs");
    FAILS(READ(.uuids = "92" UUID_A "cf7fffffffffffffff"), SYNCLINE_EPROTO, "UUIDs");
    FAILS(READ(.uuids = "93" UUID_A "02" UUID_B), SYNCLINE_EPROTO, "UUIDs");
    FAILS(READ(.uuids = "92c40f00000000000000000000000000000002"), SYNCLINE_EPROTO, "UUIDs");
    FAILS(READ(.uuids = "92a1"
                        "4102"),
          SYNCLINE_EPROTO, "UUIDs");
    FAILS(READ(.uuids = "92c0c0"), SYNCLINE_EPROTO, "UUIDs");
}

/* Columns: a name, a known encoding, as many values as changes. */
Test(group, malformed_columns)
{
    FAILS(READ(.columns = "c0"), SYNCLINE_EPROTO, "columns");
    FAILS(READ(.columns = "9192a16300"), SYNCLINE_EPROTO, "columns");
    FAILS(READ(.columns = "9193a000920102"), SYNCLINE_EPROTO, "columns");
    FAILS(READ(.columns = "91930500920102"), SYNCLINE_EPROTO, "columns");
    FAILS(READ(.columns = "9193a163c0920102"), SYNCLINE_EPROTO, "columns");
    FAILS(READ(.columns = "9193a163009101"), SYNCLINE_EPROTO, "values");
    FAILS(READ(.columns = "9193a1630093010203"), SYNCLINE_EPROTO, "values");
    FAILS(READ(.columns = "9193a1630001"), SYNCLINE_EPROTO, "values");
    FAILS(READ(.columns = "9193a1630092c101"), SYNCLINE_EPROTO, "values");
    FAILS(READ(.columns = "9193a1630190"), SYNCLINE_EPROTO, "values");
    FAILS(READ(.columns = "9193a163029201c0"), SYNCLINE_EPROTO, "values");
    FAILS(READ(.columns = "9193a1630292a16101"), SYNCLINE_EPROTO, "values");
}

/* Keys: a dictionary of at most n UUIDs, runs that name its places and cover all changes. */
Test(group, malformed_keys)
{
    OK(READ(.columns = "9193a1630392"
                       "92" UUID_A "01"
                       "9401000101"));
    cr_assert(group.columns[0].is_key);
    cr_assert_eq(group.columns[0].index[0], 0);
    cr_assert_eq(group.columns[0].index[1], 1);
    OK(READ(.columns = "9193a1630392"
                       "90"
                       "920200"));
    FAILS(READ(.columns = "9193a1630391"
                          "90"),
          SYNCLINE_EPROTO, "keys");
    FAILS(READ(.columns = "9193a1630393"
                          "90"
                          "920200"
                          "90"),
          SYNCLINE_EPROTO, "keys");
    FAILS(READ(.columns = "9193a1630392"
                          "92" UUID_A "03"
                          "920200"),
          SYNCLINE_EPROTO, "keys");
    FAILS(READ(.columns = "9193a1630392"
                          "90"
                          "920201"),
          SYNCLINE_EPROTO, "keys");
    FAILS(READ(.columns = "9193a1630392"
                          "90"
                          "920100"),
          SYNCLINE_EPROTO, "keys");
    FAILS(READ(.columns = "9193a1630392"
                          "90"
                          "920300"),
          SYNCLINE_EPROTO, "keys");
    FAILS(READ(.columns = "9193a1630392"
                          "90"
                          "9402000000"),
          SYNCLINE_EPROTO, "keys");
    FAILS(READ(.columns = "9193a1630392"
                          "90"
                          "93020001"),
          SYNCLINE_EPROTO, "keys");
    FAILS(READ(.columns = "9193a1630392"
                          "90"
                          "c0"),
          SYNCLINE_EPROTO, "keys");
}

/* What a later version may write is told from what nobody may: EUNSUPPORTED, with the column. */
Test(group, later_encodings_are_not_supported)
{
    FAILS(READ(.columns = "9193a16304920102"), SYNCLINE_EUNSUPPORTED, "'c'");
    FAILS(READ(.columns = "9193a163ccff920102"), SYNCLINE_EUNSUPPORTED, "another encoding");
    FAILS(READ(.columns = "9194a163009101c40101"), SYNCLINE_EUNSUPPORTED, "only some changes");
    FAILS(READ(.columns = "9195a163009101c40101c0"), SYNCLINE_EUNSUPPORTED, "only some changes");
}

/* Differences are modulo 2^64: every step between two integers can be written. */
Test(group, differences_wrap)
{
    OK(READ(.columns = "9193a1630292cf7fffffffffffffff01"));
    cr_assert_eq(group.columns[0].values[1].as.int64, INT64_MIN);
    OK(READ(.columns = "9193a1630292d38000000000000000ff"));
    cr_assert_eq(group.columns[0].values[1].as.int64, INT64_MAX);
}

/* Lengths that the bytes cannot bear out take no memory, wherever they stand. */
Test(group, length_bombs_take_no_memory)
{
    static const struct parts bombs[] = {
        {.array = "ddffffffff"},
        {.model = "dbffffffff"},
        {.uuids = "ddffffffff"},
        {.uuids = "92c6ffffffff"},
        {.columns = "ddffffffff"},
        {.columns = "dd00ffffff"},
        {.columns = "9193dbffffffff"},
        {.columns = "9193a16300ddffffffff"},
        {.columns = "9193a16301c6ffffffff"},
        {.columns = "9193a16301dbffffffff"},
        {.columns = "9193a1630392ddffffffff"},
        {.columns = "9193a163039290ddffffffff"},
        {.change = "02", .births = "ddffffffff"},
        {.change = "02", .births = "91ddffffffff"},
        {.change = "02", .births = "9194ceffffffff07c000"},
    };
    for (size_t i = 0; i < sizeof(bombs) / sizeof(bombs[0]); i++) {
        build(&bombs[i]);
        cr_assert_eq(read_max(SL_BATCH_LEN_MAX), SYNCLINE_EPROTO, "bomb %zu", i);
        cr_assert_leq(arena.used, 4096, "bomb %zu took %zu bytes", i, arena.used);
    }
}

/* Appends an insert of n records and `columns` columns that each hold one byte for all of them. */
static void build_wide(uint32_t n, uint32_t columns)
{
    char text[64];
    (void)snprintf(text, sizeof(text), "92" UUID_A "ce%08x", n);
    char count[16];
    (void)snprintf(count, sizeof(count), "ce%08x", n);
    char array[16];
    (void)snprintf(array, sizeof(array), "dd%08x", columns);
    build(&(struct parts){.n = count, .uuids = text, .columns = array});
    for (uint32_t i = 0; i < columns; i++) {
        add_hex("93a16301c0");
    }
}

/* One byte may stand for a value in each of n changes, so their product has a limit. */
Test(group, cell_limit)
{
    build_wide(65536, 32);
    OK(read_max(SL_BATCH_LEN_MAX));
    build_wide(65536, 33);
    FAILS(read_max(SL_BATCH_LEN_MAX), SYNCLINE_EPROTO, "columns");
    cr_assert_leq(arena.used, 2 * 1024 * 1024, "%zu", arena.used);
}

/* No model has more columns than the limit says, so no group has: with few changes in each of many
 * groups, they would get round the limit on cells. */
Test(group, column_limit)
{
    build_wide(2, SL_FIELD_COUNT_MAX);
    OK(read_max(2));
    build_wide(2, SL_FIELD_COUNT_MAX + 1);
    FAILS(read_max(2), SYNCLINE_EPROTO, "columns");
}

/* Any beginning of the groups, and any byte of them another, is read within bounds. */
Test(group, truncated_and_flipped)
{
    struct sl_buf body;
    sl_buf_init(&body, &sl_allocator_libc);
    golden_body(&body);
    for (size_t cut = 0; cut < body.len; cut++) {
        for (unsigned flip = 0; flip < 256; flip += 51) {
            size_t end = flip == 0 ? cut : body.len;
            uint8_t *copy = malloc(end > 0 ? end : 1);
            cr_assert_not_null(copy);
            memcpy(copy, body.data, end);
            if (flip != 0) {
                copy[cut] ^= (uint8_t)flip;
            }
            struct sl_msgpack in;
            sl_msgpack_init(&in, copy, end);
            sl_arena_reset(&arena);
            uint32_t left = GOLDEN_LEN;
            while (left > 0 &&
                   sl_group_read(&in, &self, left, &arena, &group, &err) == SYNCLINE_OK) {
                cr_assert_leq(group.n, left);
                left -= group.n;
            }
            cr_assert(flip != 0 || left > 0, "%zu bytes", cut);
            free(copy);
        }
    }
    sl_buf_fini(&body);
}

/* ---- Writing ---- */

static uint32_t round_trip(const char *name, bool is_key, const struct sl_value *values, uint32_t n)
{
    static struct syncline_uuid uuids[300];
    struct sl_buf buf;
    struct sl_arena scratch;
    sl_buf_init(&buf, &sl_allocator_libc);
    sl_arena_init(&scratch, &sl_allocator_libc);
    struct sl_group_head head = {.model = "m",
                                 .change = SYNCLINE_INSERT,
                                 .n = n,
                                 .uuids = uuids,
                                 .self = self,
                                 .column_count = 1};
    sl_group_write_hlc(&buf, 1);
    sl_group_write_head(&buf, &head);
    size_t before = buf.len;
    /* The callback's ctx is not const, as callbacks' are. */
    struct sl_value *copy = malloc(n * sizeof(*copy));
    cr_assert_not_null(copy);
    memcpy(copy, values, n * sizeof(*copy));
    sl_group_write_column(&buf, name, is_key, n, golden_value, copy, &scratch);
    free(copy);
    cr_assert(!buf.failed);
    cr_assert_leq(buf.len, sizeof(bytes));
    size = buf.len;
    memcpy(bytes, buf.data, size);
    uint32_t encoding = bytes[before + 2 + strlen(name)];
    sl_buf_fini(&buf);
    sl_arena_fini(&scratch);
    OK(read_max(n));
    return encoding;
}

/* The writer takes the encoding that is shortest, and every one is read back as it was. */
Test(group, writer_chooses_the_encoding)
{
    struct sl_value values[300];
    for (uint32_t i = 0; i < 300; i++) {
        values[i] = golden_int(1000000 + (int64_t)i);
    }
    cr_assert_eq(round_trip("c", false, values, 300), SL_ENC_DELTA);
    cr_assert_eq(group.columns[0].values[299].as.int64, 1000299);
    cr_assert_eq(round_trip("c", false, values, 1), SL_ENC_SAME);

    for (uint32_t i = 0; i < 300; i++) {
        values[i] = golden_int(i % 2 == 0 ? 0 : INT64_MAX);
    }
    cr_assert_eq(round_trip("c", false, values, 300), SL_ENC_VALUES);
    cr_assert_eq(group.columns[0].values[299].as.int64, INT64_MAX);

    values[299].type = SL_NULL; /* not an integer: no differences */
    cr_assert_eq(round_trip("c", false, values, 300), SL_ENC_VALUES);
    cr_assert_eq(group.columns[0].values[299].type, SL_NULL);

    struct sl_value zeros[2] = {{.type = SL_DOUBLE, .as = {.real = 0.0}},
                                {.type = SL_DOUBLE, .as = {.real = -0.0}}};
    cr_assert_eq(round_trip("c", false, zeros, 2), SL_ENC_VALUES); /* equal, not the same */
    struct sl_value texts[2] = {golden_span(SL_TEXT, "a", 1), golden_span(SL_BLOB, "a", 1)};
    cr_assert_eq(round_trip("c", false, texts, 2), SL_ENC_VALUES);
    texts[1].type = SL_TEXT;
    cr_assert_eq(round_trip("c", false, texts, 2), SL_ENC_SAME);
    struct sl_value empty[2] = {golden_span(SL_TEXT, "", 0), golden_span(SL_TEXT, "x", 0)};
    cr_assert_eq(round_trip("c", false, empty, 2), SL_ENC_SAME);
    struct sl_value truth[2] = {{.type = SL_BOOL, .as = {.int64 = 1}}, {.type = SL_BOOL}};
    cr_assert_eq(round_trip("c", false, truth, 2), SL_ENC_VALUES);
    cr_assert_eq(group.columns[0].values[0].as.int64, 1);
    cr_assert_eq(group.columns[0].values[1].as.int64, 0);
}

/* A key column is a dictionary of distinct parents and runs of places in it. */
Test(group, keys_share_a_dictionary)
{
    struct syncline_uuid parents[3] = {golden_uuid(1, 1), golden_uuid(1, 2), golden_uuid(7, 7)};
    struct sl_value values[300];
    for (uint32_t i = 0; i < 300; i++) {
        values[i] = i % 4 == 3 ? (struct sl_value){.type = SL_NULL}
                               : golden_span(SL_BLOB, &parents[i % 4], 16);
    }
    cr_assert_eq(round_trip("k", true, values, 300), SL_ENC_KEYS);
    const struct sl_column *column = &group.columns[0];
    cr_assert_eq(column->dict_len, 3);
    for (uint32_t i = 0; i < 300; i++) {
        cr_assert_eq(column->index[i], i % 4 == 3 ? 0 : i % 4 + 1);
    }
    cr_assert(sl_uuid_equal(&column->dict[1], &parents[1]));
}

/* A key's column travels as what it then holds; other columns keep their names. */
Test(group, column_names)
{
    char name[SL_NAME_SIZE_MAX + 6];
    char longest[SL_NAME_SIZE_MAX + 1];
    memset(longest, 'x', SL_NAME_SIZE_MAX);
    longest[SL_NAME_SIZE_MAX] = '\0';
    struct sl_field field = {.name = "parent_id", .type = SYNCLINE_TYPE_KEY};
    sl_group_column_name(&field, name);
    cr_assert_str_eq(name, "parent_uuid");
    field.name = "parent";
    sl_group_column_name(&field, name);
    cr_assert_str_eq(name, "parent_uuid");
    field.name = "_id"; /* nothing would be left */
    sl_group_column_name(&field, name);
    cr_assert_str_eq(name, "_id_uuid");
    field.name = longest;
    sl_group_column_name(&field, name);
    cr_assert_eq(strlen(name), SL_NAME_SIZE_MAX + 5);
    field.type = SYNCLINE_TYPE_UUID_KEY;
    sl_group_column_name(&field, name);
    cr_assert_str_eq(name, longest);
}

/* A buffer without memory stays failed through all calls and is not written. */
Test(group, writer_keeps_a_failed_buffer)
{
    struct sl_buf buf;
    struct sl_arena scratch;
    struct sl_value value = golden_int(1);
    struct syncline_uuid uuid = {{1}};
    struct sl_group_head head = {.model = "m",
                                 .change = SYNCLINE_INSERT,
                                 .n = 1,
                                 .uuids = &uuid,
                                 .self = self,
                                 .column_count = 1};
    sl_buf_init(&buf, &sl_allocator_libc);
    sl_arena_init(&scratch, &sl_allocator_libc);
    buf.failed = true;
    sl_group_write_hlc(&buf, 1);
    sl_group_write_head(&buf, &head);
    sl_group_write_column(&buf, "c", false, 1, golden_value, &value, &scratch);
    sl_group_write_column(&buf, "k", true, 1, golden_value, &value, &scratch);
    cr_assert(buf.failed);
    cr_assert_eq(buf.len, 0);
    sl_buf_fini(&buf);
    sl_arena_fini(&scratch);
}
