/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Rows with columns that stand below one another, under headings, on stdout: collected first, since
 * a column is as wide as its widest cell. Cells are escaped like names (cli/output.h).
 *
 * Thread: the main one. */

#ifndef SL_CLI_TABLE_H
#define SL_CLI_TABLE_H

#include "cli/output.h"

#define CLI_TABLE_COLUMNS_MAX 8u

struct cli_table {
    size_t columns;                              /* in each row */
    const char *headings[CLI_TABLE_COLUMNS_MAX]; /* static */
    enum cli_style styles[CLI_TABLE_COLUMNS_MAX];
    bool is_number[CLI_TABLE_COLUMNS_MAX]; /* stands to the right */
    char **cells;                          /* row by row, ours */
    size_t cells_count;                    /* there */
    size_t cells_capacity;                 /* there is room for */
    bool failed;                           /* no memory for a cell */
};

/* One column each time, before any cell. A heading that starts with a '>' is that of numbers. */
void cli_table_column(struct cli_table *table, const char *heading, enum cli_style style);

/* The next cell, from left to right and row by row. */
void cli_table_cell(struct cli_table *table, const void *data, size_t len);
void cli_table_text(struct cli_table *table, const char *text);
void cli_table_number(struct cli_table *table, uint64_t number);

/* Prints it - headings only if there are rows - and frees what it holds. Returns the exit code. */
int cli_table_print(struct cli_table *table);

/* Frees what it holds, when it is not to be printed. */
void cli_table_drop(struct cli_table *table);

#endif
