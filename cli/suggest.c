/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "cli/suggest.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define PREFIX_LEN_MIN 2u /* a beginning shorter than this could be that of anything */

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static bool is_same(char a, char b)
{
    return strncasecmp(&a, &b, 1) == 0;
}

/* The letters to put in, leave out, change or swap with their neighbour to make b of a; both are
 * shorter than CLI_SUGGEST_SIZE. */
static size_t distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t rows[3][CLI_SUGGEST_SIZE];
    for (size_t j = 0; j <= b_len; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        size_t *row = rows[i % 3];
        const size_t *before = rows[(i + 2) % 3];
        const size_t *before_that = rows[(i + 1) % 3];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t change = before[j - 1] + (is_same(a[i - 1], b[j - 1]) ? 0 : 1);
            row[j] = least(change, least(before[j], row[j - 1]) + 1);
            if (i > 1 && j > 1 && is_same(a[i - 1], b[j - 2]) && is_same(a[i - 2], b[j - 1])) {
                row[j] = least(row[j], before_that[j - 2] + 1);
            }
        }
    }
    return rows[a_len % 3][b_len];
}

void cli_suggest_init(struct cli_suggest *suggest, const char *typed)
{
    *suggest = (struct cli_suggest){.typed = typed, .cost = (size_t)-1};
}

void cli_suggest_offer(struct cli_suggest *suggest, const char *word, const char *tell)
{
    size_t typed_len = strlen(suggest->typed);
    size_t word_len = strlen(word);
    if (typed_len >= CLI_SUGGEST_SIZE || word_len >= CLI_SUGGEST_SIZE) {
        return;
    }
    size_t limit = least(typed_len, word_len) / 3;
    size_t cost = distance(suggest->typed, typed_len, word, word_len);
    if (typed_len >= PREFIX_LEN_MIN && strncasecmp(suggest->typed, word, typed_len) == 0) {
        limit = cost = least(cost, 1);
    }
    if (cost > (limit > 0 ? limit : 1) || cost >= word_len || cost > suggest->cost) {
        return;
    }
    suggest->is_tie = cost == suggest->cost && strcmp(suggest->best, tell) != 0;
    suggest->cost = cost;
    (void)snprintf(suggest->best, sizeof(suggest->best), "%s", tell);
}

const char *cli_suggest_text(const struct cli_suggest *suggest, char *out, size_t size)
{
    bool is_any = suggest->best[0] != '\0' && !suggest->is_tie;
    (void)snprintf(out, size, "%s%s%s", is_any ? ": did you mean " : ";",
                   is_any ? suggest->best : "", is_any ? "?" : "");
    return out;
}
