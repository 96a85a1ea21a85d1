/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The word that a mistyped one was most likely meant to be, out of those that there are.
 *
 * Thread: any; it touches nothing but the struct. */

#ifndef SL_CLI_SUGGEST_H
#define SL_CLI_SUGGEST_H

#include <stdbool.h>
#include <stddef.h>

#define CLI_SUGGEST_SIZE 64u /* longer words are not compared */

struct cli_suggest {
    const char *typed;           /* borrowed */
    size_t cost;                 /* of the best so far: the next has to be closer */
    bool is_tie;                 /* two of them are equally close: none is told */
    char best[CLI_SUGGEST_SIZE]; /* what to tell; "": none is close enough */
};

/* Starts with nothing found. `typed` is borrowed. */
void cli_suggest_init(struct cli_suggest *suggest, const char *typed);

/* One word that would have been right, and what to tell then. It is close if few letters are
 * missing, too many, wrong or swapped, capitals aside: one of three; or if the typed word is its
 * beginning. */
void cli_suggest_offer(struct cli_suggest *suggest, const char *word, const char *tell);

/* Writes ": did you mean WORD?", or ";" if no word was close; what comes next says where all of
 * them are listed. Returns `out`. */
const char *cli_suggest_text(const struct cli_suggest *suggest, char *out, size_t size);

#endif
