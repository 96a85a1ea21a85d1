/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "storage/key_check.h"

#include <string.h>

#include "base/alloc.h"
#include "base/limits.h"

/* ---- The text of a CREATE TABLE ---- */

enum kind { END, WORD, QUOTED, OPEN, CLOSE, COMMA, OTHER };

struct token {
    enum kind kind;
    char text[SL_NAME_SIZE_MAX + 1]; /* of WORD and QUOTED, without the quotes; cut */
};

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '$' || (unsigned char)c >= 0x80;
}

static const char *skip_space(const char *at)
{
    for (;;) {
        if (at[0] == '-' && at[1] == '-') {
            at += strcspn(at, "\n");
        } else if (at[0] == '/' && at[1] == '*') {
            const char *end = strstr(at + 2, "*/");
            at = end != NULL ? end + 2 : at + strlen(at);
        } else if (*at != '\0' && strchr(" \t\n\r\f", *at) != NULL) {
            at++;
        } else {
            return at;
        }
    }
}

static void add(struct token *token, size_t *len, char c)
{
    if (*len < SL_NAME_SIZE_MAX) {
        token->text[(*len)++] = c;
    }
}

/* A name or text in quotes, which are doubled within it; `]` is not. */
static const char *read_quoted(const char *at, struct token *token)
{
    char quote = *at == '[' ? ']' : *at;
    size_t len = 0;
    for (at++; *at != '\0'; at++) {
        if (*at == quote && (quote == ']' || at[1] != quote)) {
            at++;
            break;
        }
        at += *at == quote ? 1 : 0;
        add(token, &len, *at);
    }
    token->text[len] = '\0';
    return at;
}

static const char *next_token(const char *at, struct token *token)
{
    at = skip_space(at);
    token->text[0] = '\0';
    if (*at != '\0' && strchr("\"'`[", *at) != NULL) {
        token->kind = QUOTED;
        return read_quoted(at, token);
    }
    if (is_word(*at)) {
        size_t len = 0;
        token->kind = WORD;
        for (; is_word(*at); at++) {
            add(token, &len, *at);
        }
        token->text[len] = '\0';
        return at;
    }
    token->kind = *at == '\0'  ? END
                  : *at == '(' ? OPEN
                  : *at == ')' ? CLOSE
                  : *at == ',' ? COMMA
                               : OTHER;
    return *at != '\0' ? at + 1 : at;
}

static bool is_keyword(const struct token *token, const char *keyword)
{
    return token->kind == WORD && sqlite3_stricmp(token->text, keyword) == 0;
}

/* The key read last; it is told when the next one begins, for what follows may defer it. */
struct keys {
    void (*found)(void *ctx, const char *column, bool deferred);
    void *ctx;
    char column[SL_NAME_SIZE_MAX + 1]; /* that the text is about */
    char key[SL_NAME_SIZE_MAX + 1];    /* column of the key */
    bool has_key;
    bool deferred;
};

static void tell(struct keys *keys)
{
    if (keys->has_key) {
        keys->found(keys->ctx, keys->key, keys->deferred);
    }
    keys->has_key = false;
}

/* One token between the outer parentheses and in no others; a table's FOREIGN KEY names its column
 * in parentheses of its own. */
static const char *take(struct keys *keys, const struct token *token, const struct token *before,
                        const char *at)
{
    struct token next;
    if (is_keyword(token, "FOREIGN")) {
        at = next_token(at, &next); /* KEY */
        at = next_token(at, &next); /* ( */
        const char *list = at;
        (void)next_token(at, &next);
        memcpy(keys->column, next.text, sizeof(keys->column));
        while (next.kind != CLOSE && next.kind != END) {
            list = next_token(list, &next);
        }
        return list;
    }
    if (is_keyword(token, "REFERENCES")) {
        tell(keys);
        memcpy(keys->key, keys->column, sizeof(keys->key));
        keys->has_key = true;
        keys->deferred = false;
        return next_token(at, &next); /* the parent, which may be called as it likes */
    }
    if (is_keyword(token, "DEFERRABLE")) {
        const char *after = next_token(at, &next);
        keys->deferred = false;
        if (!is_keyword(before, "NOT") && is_keyword(&next, "INITIALLY")) {
            (void)next_token(after, &next);
            keys->deferred = is_keyword(&next, "DEFERRED");
        }
    }
    return at;
}

void sl_each_declared_key(const char *sql,
                          void (*found)(void *ctx, const char *column, bool deferred), void *ctx)
{
    struct keys keys = {.found = found, .ctx = ctx};
    struct token token = {.kind = OTHER};
    unsigned depth = 0;
    bool first = false; /* of a column or constraint */
    while (token.kind != END) {
        struct token before = token;
        sql = next_token(sql, &token);
        depth += token.kind == OPEN ? 1 : 0;
        depth -= token.kind == CLOSE && depth > 0 ? 1 : 0;
        if (depth != 1) {
            continue;
        }
        if (first) {
            memcpy(keys.column, token.text, sizeof(keys.column));
        }
        first = token.kind == OPEN || token.kind == COMMA;
        sql = take(&keys, &token, &before, sql);
    }
    tell(&keys);
}

/* ---- Circles ---- */

/* Keys that must be there with the record, of all models. */
struct hard_keys {
    const struct sl_model_set *set;
    const struct sl_model *model;       /* whose table is read */
    bool immediate[SL_FIELD_COUNT_MAX]; /* by field of that */
    bool *hard;                         /* ours; by model and field */
};

static void note_key(void *ctx, const char *column, bool deferred)
{
    struct hard_keys *keys = ctx;
    for (uint32_t f = 0; f < keys->model->field_count; f++) {
        if (!deferred && sqlite3_stricmp(keys->model->fields[f].name, column) == 0) {
            keys->immediate[f] = true;
        }
    }
}

/* The keys of one model's table: columns that are NOT NULL and have an immediate key. */
static enum syncline_status read_table(const struct sl_db *db, struct hard_keys *keys,
                                       struct sl_error *err)
{
    const struct sl_model *model = keys->model;
    sqlite3_stmt *stmt = NULL;
    bool row = true;
    enum syncline_status status =
        sl_db_prepare(db,
                      "SELECT s.sql,i.name FROM sqlite_schema s,pragma_table_info(?1) i"
                      " WHERE s.type='table' AND s.name=?1 COLLATE NOCASE AND i.\"notnull\"",
                      false, &stmt, err);
    if (status != SYNCLINE_OK) {
        return status;
    }
    (void)sqlite3_bind_text(stmt, 1, model->table, -1, SQLITE_STATIC);
    memset(keys->immediate, 0, sizeof(keys->immediate));
    for (bool first = true; status == SYNCLINE_OK; first = false) {
        status = sl_db_row(db, stmt, &row, err);
        if (status != SYNCLINE_OK || !row) {
            break;
        }
        const char *sql = (const char *)sqlite3_column_text(stmt, 0);
        const char *name = (const char *)sqlite3_column_text(stmt, 1);
        if (first && sql != NULL) {
            sl_each_declared_key(sql, note_key, keys);
        }
        for (uint32_t f = 0; f < model->field_count && name != NULL; f++) {
            const struct sl_field *field = &model->fields[f];
            if (keys->immediate[f] && field->parent != NULL &&
                sqlite3_stricmp(field->name, name) == 0) {
                keys->hard[(size_t)model->index * SL_FIELD_COUNT_MAX + f] = true;
            }
        }
    }
    (void)sqlite3_finalize(stmt);
    return status;
}

/* A hard key of the model to another one that is left; NULL: it has none. */
static const struct sl_field *key_to_others(const struct hard_keys *keys, const bool *left,
                                            const struct sl_model *model)
{
    for (uint32_t f = 0; f < model->field_count; f++) {
        const struct sl_field *field = &model->fields[f];
        if (keys->hard[(size_t)model->index * SL_FIELD_COUNT_MAX + f] && field->parent != model &&
            left[field->parent->index]) {
            return field;
        }
    }
    return NULL;
}

/* Takes away what points at none that is left, until only circles are left and what leads to them.
 * Returns how many those are. */
static size_t leave_circles(const struct hard_keys *keys, bool *left)
{
    size_t count = keys->set->count;
    size_t before = count + 1;
    memset(left, 1, keys->set->count * sizeof(*left));
    while (count < before) {
        before = count;
        for (size_t i = 0; i < keys->set->count; i++) {
            if (left[i] && key_to_others(keys, left, &keys->set->models[i]) == NULL) {
                left[i] = false;
                count--;
            }
        }
    }
    return count;
}

static enum syncline_status refuse(const struct hard_keys *keys, const bool *left,
                                   struct sl_error *err)
{
    const struct sl_model *at = keys->set->models;
    while (!left[at->index]) {
        at++;
    }
    for (size_t i = 0; i < keys->set->count; i++) {
        at = key_to_others(keys, left, at)->parent; /* by then it is within a circle */
    }
    const struct sl_model *start = at;
    for (size_t i = 0; i < keys->set->count; i++) { /* the one of it that was given first */
        at = key_to_others(keys, left, at)->parent;
        start = at->index < start->index ? at : start;
    }
    at = start;
    char names[SL_ERROR_SIZE / 2] = "";
    size_t len = 0;
    do {
        const struct sl_field *field = key_to_others(keys, left, at);
        (void)sqlite3_snprintf((int)(sizeof(names) - len), names + len, "%smodel '%s', field '%s'",
                               len > 0 ? "; " : "", at->name, field->name);
        len += strlen(names + len);
        at = field->parent;
    } while (at != start);
    return sl_fail(err, SYNCLINE_EMODEL,
                   "%s: models point at each other in a circle of keys that are NOT NULL and "
                   "immediate, so none can have a first record; make one DEFERRABLE INITIALLY "
                   "DEFERRED, or let it be NULL",
                   names);
}

enum syncline_status sl_key_cycles_check(const struct sl_db *db, const struct sl_model_set *set,
                                         struct sl_error *err)
{
    struct hard_keys keys = {.set = set};
    bool *left = sl_calloc(set->alloc, set->count + 1, sizeof(*left));
    keys.hard = sl_calloc(set->alloc, (set->count + 1) * SL_FIELD_COUNT_MAX, sizeof(*keys.hard));
    enum syncline_status status = SYNCLINE_OK;
    if (left == NULL || keys.hard == NULL) {
        status = sl_fail(err, SYNCLINE_ENOMEM, "no memory to look for circles of keys");
    }
    for (size_t i = 0; i < set->count && status == SYNCLINE_OK; i++) {
        keys.model = &set->models[i];
        status = read_table(db, &keys, err);
    }
    if (status == SYNCLINE_OK && leave_circles(&keys, left) > 0) {
        status = refuse(&keys, left, err);
    }
    sl_free(set->alloc, left);
    sl_free(set->alloc, keys.hard);
    return status;
}
