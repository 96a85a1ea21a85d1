/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

#include "cli/table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/options.h"

#define GAP 2u /* between columns */

void cli_table_column(struct cli_table *table, const char *heading, enum cli_style style)
{
    bool is_number = heading[0] == '>';
    table->headings[table->columns] = heading + (is_number ? 1 : 0);
    table->is_number[table->columns] = is_number;
    table->styles[table->columns++] = style;
}

void cli_table_cell(struct cli_table *table, const void *data, size_t len)
{
    if (table->cells_count == table->cells_capacity) {
        size_t capacity = table->cells_capacity == 0 ? 64 : table->cells_capacity * 2;
        void *grown = reallocarray(table->cells, capacity, sizeof(*table->cells));
        if (grown == NULL) {
            table->failed = true;
            return;
        }
        table->cells = grown;
        table->cells_capacity = capacity;
    }
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    if (stream == NULL) {
        table->failed = true;
        return;
    }
    cli_print_name(stream, data, len);
    if (fclose(stream) != 0) {
        free(text);
        table->failed = true;
        return;
    }
    table->cells[table->cells_count++] = text;
}

void cli_table_text(struct cli_table *table, const char *text)
{
    cli_table_cell(table, text, strlen(text));
}

void cli_table_number(struct cli_table *table, uint64_t number)
{
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, number);
    cli_table_text(table, text);
}

/* Characters, which is columns on a terminal for most scripts. */
static size_t width_of(const char *text)
{
    size_t width = 0;
    for (; *text != '\0'; text++) {
        width += (*text & 0xc0) != 0x80;
    }
    return width;
}

static void print_spaces(size_t count)
{
    printf("%*s", (int)count, "");
}

/* The last column is not filled up: no line ends in spaces. */
static void print_cell(const struct cli_table *table, size_t column, const char *text,
                       enum cli_style style, size_t width)
{
    size_t rest = width - width_of(text);
    if (table->is_number[column]) {
        print_spaces(rest);
    }
    cli_style_begin(stdout, style);
    fputs(text, stdout);
    cli_style_end(stdout, style);
    if (column + 1 < table->columns) {
        print_spaces((table->is_number[column] ? 0 : rest) + GAP);
    } else {
        fputc('\n', stdout);
    }
}

static void print_rows(const struct cli_table *table)
{
    size_t widths[CLI_TABLE_COLUMNS_MAX] = {0};
    for (size_t i = 0; i < table->columns; i++) {
        widths[i] = width_of(table->headings[i]);
    }
    for (size_t i = 0, column = 0; i < table->cells_count; i++) {
        size_t width = width_of(table->cells[i]);
        widths[column] = width > widths[column] ? width : widths[column];
        column = column + 1 < table->columns ? column + 1 : 0;
    }
    for (size_t i = 0; i < table->columns; i++) {
        print_cell(table, i, table->headings[i], CLI_STYLE_HEADING, widths[i]);
    }
    for (size_t i = 0, column = 0; i < table->cells_count; i++) {
        print_cell(table, column, table->cells[i], table->styles[column], widths[column]);
        column = column + 1 < table->columns ? column + 1 : 0;
    }
}

void cli_table_drop(struct cli_table *table)
{
    for (size_t i = 0; i < table->cells_count; i++) {
        free(table->cells[i]);
    }
    free(table->cells);
    table->cells = NULL;
    table->cells_count = 0;
    table->cells_capacity = 0;
}

int cli_table_print(struct cli_table *table)
{
    bool failed = table->failed;
    cli_progress_end();
    if (!failed && table->cells_count > 0) {
        print_rows(table);
    }
    cli_table_drop(table);
    return failed ? cli_fail("no memory for the answer; free some and try again")
                  : cli_output_end();
}
