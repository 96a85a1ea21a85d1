/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "base/model.h"

#include "tests/unit/failing_malloc.h"
#include "tests/unit/storage_fixture.h"

struct row {
    int64_t id;
    struct syncline_uuid uuid;
    struct syncline_opt_int64 parent_id;
    struct syncline_uuid album;
    int64_t size;
    double rating;
    struct syncline_opt_double score;
    bool seen;
    struct syncline_opt_int64 made_at;
    const char *name;
    struct syncline_text note;
    struct syncline_bytes data;
    struct syncline_opt_bool liked;
    struct syncline_opt_uuid cover;
};

static const struct syncline_field all_fields[] = {
    SYNCLINE_ID(struct row, id),
    SYNCLINE_UUID(struct row, uuid),
    SYNCLINE_KEY(struct row, parent_id, "thing"),
    SYNCLINE_UUID_KEY(struct row, album, "album"),
    SYNCLINE_INT64(struct row, size),
    SYNCLINE_DOUBLE(struct row, rating),
    SYNCLINE_DOUBLE(struct row, score),
    SYNCLINE_BOOL(struct row, seen),
    SYNCLINE_TIME(struct row, made_at),
    SYNCLINE_TEXT(struct row, name),
    SYNCLINE_TEXT(struct row, note),
    SYNCLINE_BLOB(struct row, data),
    SYNCLINE_BOOL(struct row, liked),
    SYNCLINE_UUID_KEY(struct row, cover, "album"),
};
#define FIELDS (sizeof(all_fields) / sizeof(all_fields[0]))

static const struct syncline_model thing =
    SYNCLINE_MODEL("thing", "things", SYNCLINE_DEVICE_OWNED, struct row, all_fields);
static const struct syncline_field album_fields[] = {SYNCLINE_ID(struct row, id),
                                                     SYNCLINE_UUID(struct row, uuid)};
static const struct syncline_model album =
    SYNCLINE_MODEL("album", "albums", SYNCLINE_SHARED, struct row, album_fields);

/* A copy of `thing` to spoil, and the set it is given in. */
static struct syncline_field fields[FIELDS];
static struct syncline_model spoilt;
static struct sl_model_set set;

static void fresh(void)
{
    memcpy(fields, all_fields, sizeof(fields));
    spoilt = thing;
    spoilt.fields = fields;
}

static enum syncline_status make(void)
{
    const struct syncline_model *models[] = {&album, &spoilt};
    enum syncline_status status = sl_model_set_init(&set, &sl_allocator_libc, models, 2, &err);
    if (status == SYNCLINE_OK) {
        sl_model_set_fini(&set);
    } else {
        cr_assert_null(set.models); /* nothing is left, and nothing was written */
        cr_assert_eq(set.count, 0);
    }
    return status;
}

TestSuite(model, .init = fresh);

/* Whole descriptors give fields in order, with id and UUID apart and keys linked to models that
 * come later too. */
Test(model, good_models_are_taken)
{
    const struct syncline_model *models[] = {&thing, &album};
    OK(sl_model_set_init(&set, &sl_allocator_libc, models, 2, &err));
    cr_assert_eq(set.count, 2);
    const struct sl_model *made = &set.models[0];
    cr_assert_str_eq(made->name, "thing");
    cr_assert_str_eq(made->table, "things");
    cr_assert_eq(made->ownership, SYNCLINE_DEVICE_OWNED);
    cr_assert_eq(made->row_size, sizeof(struct row));
    cr_assert_eq(made->field_count, FIELDS - 2);
    cr_assert_eq(made->key_count, 3);
    cr_assert_eq(made->string_count, 3); /* name, note, data */
    cr_assert(made->strings[0] == 7 && made->strings[1] == 8 && made->strings[2] == 9);
    cr_assert_eq(made->plain_size, 32); /* album, cover */
    cr_assert_str_eq(made->id.name, "id");
    cr_assert_str_eq(made->uuid.name, "uuid");
    cr_assert_eq(made->fields[0].parent, &set.models[0]);
    cr_assert_eq(made->fields[1].parent, &set.models[1]);
    cr_assert_null(made->fields[2].parent);
    cr_assert_eq(set.models[1].index, 1);
    cr_assert_eq(set.models[1].field_count, 0);
    cr_assert_eq(set.models[1].string_count, 0);
    cr_assert_eq(set.models[1].plain_size, 0);
    cr_assert_eq(sl_model_find(&set, &album), &set.models[1]);
    cr_assert_null(sl_model_find(&set, &spoilt));
    cr_assert_eq(sl_model_find_name(&set, "album!", 5), &set.models[1]);
    cr_assert_null(sl_model_find_name(&set, "albums", 6));
    sl_model_set_fini(&set);
    sl_model_set_fini(&set);
    OK(make());
}

/* No models at all are a set too. */
Test(model, empty_set)
{
    OK(sl_model_set_init(&set, &sl_allocator_libc, NULL, 0, &err));
    cr_assert_null(sl_model_find(&set, &thing));
    sl_model_set_fini(&set);
}

/* A model is said by its place until it has a name, and by its name from then on. */
Test(model, models_that_contradict_themselves)
{
    spoilt.struct_size--;
    FAILS(make(), SYNCLINE_EMODEL, "model 1: its size is 47: start from SYNCLINE_MODEL");
    fresh();
    spoilt.field_size--;
    FAILS(make(), SYNCLINE_EMODEL, "field 0: its size is 23: start from the SYNCLINE_ macros");
    fresh();
    spoilt.name = NULL;
    FAILS(make(), SYNCLINE_EMODEL, "model 1: name and table");
    spoilt.name = "";
    FAILS(make(), SYNCLINE_EMODEL, "model 1: name and table");
    fresh();
    spoilt.table = NULL;
    FAILS(make(), SYNCLINE_EMODEL, "model 1: name and table");
    fresh();
    spoilt.ownership = 2;
    FAILS(make(), SYNCLINE_EMODEL, "model 'thing': ownership 2");
    fresh();
    spoilt.flags = 8;
    FAILS(make(), SYNCLINE_EMODEL, "model 'thing': flags 8");
    fresh();
    spoilt.fields = NULL;
    FAILS(make(), SYNCLINE_EMODEL, "model 'thing': 1 to 200 fields");
    fresh();
    spoilt.field_count = 0;
    FAILS(make(), SYNCLINE_EMODEL, "model 'thing': 1 to 200 fields are allowed, not 0");
    fresh();
    spoilt.field_count = 201;
    FAILS(make(), SYNCLINE_EMODEL, "model 'thing': 1 to 200 fields are allowed, not 201");
    fresh();
    spoilt.name = "album";
    FAILS(make(), SYNCLINE_EMODEL, "model 'album' of table 'things'");
    fresh();
    spoilt.table = "albums";
    FAILS(make(), SYNCLINE_EMODEL, "model 'thing' of table 'albums'");
    spoilt.table = "Albums"; /* the same to SQLite */
    FAILS(make(), SYNCLINE_EMODEL, "model 'thing' of table 'Albums'");
    const struct syncline_model *models[] = {&thing, NULL};
    FAILS(sl_model_set_init(&set, &sl_allocator_libc, models, 2, &err), SYNCLINE_EMODEL,
          "model 1 is NULL");
    FAILS(sl_model_set_init(&set, &sl_allocator_libc, NULL, 2, &err), SYNCLINE_EMODEL,
          "models are allowed");
    FAILS(sl_model_set_init(&set, &sl_allocator_libc, models, SL_MODEL_COUNT_MAX + 1, &err),
          SYNCLINE_EMODEL, "at most 256 models are allowed, not 257");
}

static struct syncline_field *field(const char *name)
{
    fresh();
    for (size_t i = 0; i < FIELDS; i++) {
        if (strcmp(fields[i].name, name) == 0) {
            return &fields[i];
        }
    }
    cr_assert_fail("no field %s", name);
    return NULL;
}

/* A field that contradicts itself is refused, with model and field named. */
Test(model, fields_that_contradict_themselves)
{
    field("name")->name = NULL;
    FAILS(make(), SYNCLINE_EMODEL, "model 'thing': field 9 has no name");
    field("name")->name = "";
    FAILS(make(), SYNCLINE_EMODEL, "model 'thing': field 9 has no name");
    field("name")->name = "note";
    FAILS(make(), SYNCLINE_EMODEL, "model 'thing', field 'note': described twice");
    field("cover")->offset = sizeof(struct row) - sizeof(struct syncline_opt_uuid) + 1;
    FAILS(make(), SYNCLINE_EMODEL, "model 'thing', field 'cover': lies outside");
    field("liked")->offset = sizeof(struct row) - sizeof(struct syncline_opt_bool) + 1;
    FAILS(make(), SYNCLINE_EMODEL, "model 'thing', field 'liked': lies outside");
    field("name")->offset = sizeof(struct row) - sizeof(char *) + 1;
    FAILS(make(), SYNCLINE_EMODEL, "model 'thing', field 'name': lies outside");
    field("name")->offset = sizeof(struct row) + 1;
    FAILS(make(), SYNCLINE_EMODEL, "model 'thing', field 'name': lies outside");
    field("name")->offset = UINT32_MAX;
    FAILS(make(), SYNCLINE_EMODEL, "model 'thing', field 'name': lies outside");
    field("name")->parent = "album";
    FAILS(make(), SYNCLINE_EMODEL, "model 'thing', field 'name': a key needs");
    field("parent_id")->parent = NULL;
    FAILS(make(), SYNCLINE_EMODEL, "model 'thing', field 'parent_id': a key needs");
    field("album")->parent = NULL;
    FAILS(make(), SYNCLINE_EMODEL, "model 'thing', field 'album': a key needs");
    field("album")->parent = "nowhere";
    FAILS(make(), SYNCLINE_EMODEL,
          "model 'thing', field 'album': its parent model 'nowhere' is not among");
    field("id")->type = SYNCLINE_TYPE_INT64;
    FAILS(make(), SYNCLINE_EMODEL, "model 'thing': no field is a SYNCLINE_ID");
    field("uuid")->type = SYNCLINE_TYPE_UUID_KEY;
    fields[1].parent = "album";
    FAILS(make(), SYNCLINE_EMODEL, "model 'thing': no field is a SYNCLINE_UUID");
    field("size")->type = SYNCLINE_TYPE_ID;
    FAILS(make(), SYNCLINE_EMODEL, "model 'thing', field 'size': a second SYNCLINE_ID");
    struct syncline_field *second = field("album");
    second->type = SYNCLINE_TYPE_UUID;
    second->parent = NULL;
    FAILS(make(), SYNCLINE_EMODEL, "model 'thing', field 'album': a second SYNCLINE_UUID");
}

/* The name under which a key travels may not be another field's. */
Test(model, names_that_collide_on_the_wire)
{
    field("name")->name = "parent_uuid";
    FAILS(make(), SYNCLINE_EMODEL,
          "model 'thing', field 'parent_uuid': it would travel as 'parent_uuid', as field "
          "'parent_id' does");
    struct syncline_field *key = field("size");
    key->type = SYNCLINE_TYPE_KEY;
    key->parent = "album";
    key->name = "parent";
    FAILS(make(), SYNCLINE_EMODEL, "field 'parent': it would travel as 'parent_uuid'");
}

/* Nor that of the record's UUID or id, which stand beside the fields in JSON. */
Test(model, names_that_collide_in_json)
{
    field("uuid")->name = "parent_uuid";
    FAILS(make(), SYNCLINE_EMODEL,
          "model 'thing', field 'parent_id': it would travel as 'parent_uuid', as field "
          "'parent_uuid' does");
    fields[1].name = "uuid";
    field("id")->name = "parent_uuid";
    FAILS(make(), SYNCLINE_EMODEL, "field 'parent_id': it would travel as 'parent_uuid'");
}

/* A type has the forms that the macros can give it, and no others. */
Test(model, types_and_forms)
{
    static const bool allowed[12][5] = {
        [SYNCLINE_TYPE_ID] = {true},
        [SYNCLINE_TYPE_UUID] = {true},
        [SYNCLINE_TYPE_INT64] = {true, true},
        [SYNCLINE_TYPE_DOUBLE] = {true, true},
        [SYNCLINE_TYPE_BOOL] = {true, true},
        [SYNCLINE_TYPE_TIME] = {true, true},
        [SYNCLINE_TYPE_TEXT] = {false, false, true, true},
        [SYNCLINE_TYPE_BLOB] = {false, false, false, true},
        [SYNCLINE_TYPE_KEY] = {true, true},
        [SYNCLINE_TYPE_UUID_KEY] = {true, true},
    };
    for (uint16_t type = 0; type < 12; type++) {
        for (uint16_t form = 0; form < 5; form++) {
            struct syncline_field *changed = field("note"); /* has room for all of them */
            changed->type = type;
            changed->form = form;
            changed->parent =
                type == SYNCLINE_TYPE_KEY || type == SYNCLINE_TYPE_UUID_KEY ? "album" : NULL;
            char wanted[64];
            (void)snprintf(wanted, sizeof(wanted), "type %u in form %u", type, form);
            if (!allowed[type][form]) {
                FAILS(make(), SYNCLINE_EMODEL, wanted);
            } else if (type == SYNCLINE_TYPE_ID || type == SYNCLINE_TYPE_UUID) {
                FAILS(make(), SYNCLINE_EMODEL, "a second");
            } else {
                OK(make());
            }
        }
    }
}

/* Names have a limit; the longest works. */
Test(model, longest_names)
{
    char name[SL_NAME_SIZE_MAX + 2];
    memset(name, 'n', sizeof(name));
    name[SL_NAME_SIZE_MAX + 1] = '\0';
    spoilt.name = name;
    FAILS(make(), SYNCLINE_EMODEL, "1 to 127 bytes");
    fresh();
    spoilt.table = name;
    FAILS(make(), SYNCLINE_EMODEL, "1 to 127 bytes");
    field("note")->name = name;
    FAILS(make(), SYNCLINE_EMODEL, "field 10 has no name, or one over 127 bytes");
    name[SL_NAME_SIZE_MAX] = '\0';
    OK(make());
    field("parent_id")->parent = name;
    spoilt.name = name;
    OK(make());
}

/* A header of a later version may describe fields with more members: its stride is believed, as
 * long as they are zero. One that is not asks for something that this version would not do. */
Test(model, larger_fields_of_a_later_header)
{
    struct later {
        struct syncline_field field;
        uint64_t more;
    } later[FIELDS];
    for (size_t i = 0; i < FIELDS; i++) {
        later[i].field = all_fields[i];
        later[i].more = 0;
    }
    spoilt.fields = &later[0].field;
    spoilt.field_size = sizeof(struct later);
    OK(make());
    sl_model_set_fini(&set);
    later[2].more = UINT64_MAX;
    FAILS(make(), SYNCLINE_EMODEL, "field 2: made by the SYNCLINE_ macros of a newer syncline.h");
}

/* Values come out of the row as what they are; NULLs are NULL, whatever lies beside them. */
Test(model, values_of_a_row)
{
    const struct syncline_model *models[] = {&thing, &album};
    OK(sl_model_set_init(&set, &sl_allocator_libc, models, 2, &err));
    const struct sl_model *made = &set.models[0];
    struct row row = {.id = -7,
                      .uuid = {{1, 2}},
                      .parent_id = {.value = 5, .is_set = true},
                      .album = {{9}},
                      .size = INT64_MIN,
                      .rating = -0.5,
                      .score = {.value = 2.5, .is_set = true},
                      .seen = true,
                      .made_at = {.value = 8, .is_set = true},
                      .name = "name",
                      .note = {.data = "a\0b", .len = 3},
                      .data = {.data = "", .len = 0},
                      .liked = {.value = true, .is_set = true},
                      .cover = {.value = {{7}}, .is_set = true}};
    struct sl_value value[FIELDS];
    for (uint32_t i = 0; i < made->field_count; i++) {
        value[i] = sl_field_get(&made->fields[i], &row);
    }
    cr_assert_eq(sl_row_id(made, &row), -7);
    struct syncline_uuid uuid = sl_row_uuid(made, &row);
    cr_assert_eq(memcmp(&uuid, &row.uuid, 16), 0);
    cr_assert(value[0].type == SL_INT64 && value[0].as.int64 == 5);
    cr_assert(value[1].type == SL_BLOB && value[1].size == 16 && value[1].as.data == &row.album);
    cr_assert(value[2].type == SL_INT64 && value[2].as.int64 == INT64_MIN);
    cr_assert(value[3].type == SL_DOUBLE && value[3].as.real == -0.5);
    cr_assert(value[4].type == SL_DOUBLE && value[4].as.real == 2.5);
    cr_assert(value[5].type == SL_BOOL && value[5].as.int64 == 1);
    cr_assert(value[6].type == SL_INT64 && value[6].as.int64 == 8);
    cr_assert(value[7].type == SL_TEXT && value[7].size == 4 && value[7].as.data == row.name);
    cr_assert(value[8].type == SL_TEXT && value[8].size == 3);
    cr_assert(value[9].type == SL_BLOB && value[9].size == 0 && value[9].as.data != NULL);

    cr_assert(value[10].type == SL_BOOL && value[10].as.int64 == 1);
    cr_assert(value[11].type == SL_BLOB && value[11].size == 16 &&
              value[11].as.data == &row.cover.value);
    row.liked.value = false;
    struct sl_value no = sl_field_get(&made->fields[10], &row);
    cr_assert(no.type == SL_BOOL && no.as.int64 == 0);

    row.liked = (struct syncline_opt_bool){.value = true, .is_set = false};
    row.cover.is_set = false;
    row.parent_id.is_set = false;
    row.score.is_set = false;
    row.name = NULL;
    row.note.data = NULL;
    row.data.data = NULL;
    row.data.len = 5;
    static const uint32_t nulls[] = {0, 4, 7, 8, 9, 10, 11};
    for (size_t i = 0; i < sizeof(nulls) / sizeof(nulls[0]); i++) {
        cr_assert_eq(sl_field_get(&made->fields[nulls[i]], &row).type, SL_NULL);
    }
    row.data.data = "x";
    row.data.len = (size_t)UINT32_MAX + 5; /* cut, so that the limit refuses it */
    cr_assert_eq(sl_field_get(&made->fields[9], &row).size, UINT32_MAX);
    sl_model_set_fini(&set);
}

/* Without memory there is no set, and nothing leaks. */
Test(model, no_memory)
{
    if (!SL_MALLOC_CAN_FAIL) {
        cr_skip_test("the sanitizer has an allocator of its own");
    }
    const struct syncline_model *models[] = {&thing, &album};
    int refused = 0;
    enum syncline_status status = SYNCLINE_ENOMEM;
    for (long n = 1; status != SYNCLINE_OK; n++) {
        (void)sl_malloc_fail_at(n);
        status = sl_model_set_init(&set, &sl_allocator_libc, models, 2, &err);
        (void)sl_malloc_fail_at(0);
        cr_assert(status == SYNCLINE_OK || status == SYNCLINE_ENOMEM);
        refused += status == SYNCLINE_ENOMEM;
    }
    cr_assert_eq(refused, 3); /* the set, and the fields of each model */
    sl_model_set_fini(&set);
}
