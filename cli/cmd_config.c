/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* `syncline config`: list, get, set, unset, preset. Whatever is said about a setting, in docs/
 * CONFIG.md too, comes from the library's table. */

#include <inttypes.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/output.h"
#include "cli/session.h"
#include "cli/suggest.h"
#include "include/syncline.h"

#define HELP_WIDTH 70  /* columns of help's right side */
#define VALUE_WIDTH 20 /* columns; longer ones push what follows to the right */

static const char *const source_words[] = {"default", "preset", "file", "environment", "call"};

/* The index-th line of the table, with its default. */
static bool table_line(size_t index, struct syncline_setting *setting)
{
    *setting = (struct syncline_setting)SYNCLINE_SETTING_INIT;
    return syncline_setting_get(NULL, index, setting) == SYNCLINE_OK;
}

/* What the library said, and the setting or the choice that was meant, if that can be told. */
static int fail(enum syncline_status status, const char *text, const char *key, const char *value)
{
    char hint[2 * CLI_SUGGEST_SIZE];
    char words[sizeof(((struct syncline_setting *)NULL)->range)] = "";
    struct syncline_setting setting;
    struct cli_suggest suggest;
    cli_suggest_init(&suggest, status == SYNCLINE_ENOTFOUND || value == NULL ? key : value);
    for (size_t i = 0; table_line(i, &setting); i++) {
        if (status == SYNCLINE_ENOTFOUND) {
            cli_suggest_offer(&suggest, setting.key, setting.key);
        } else if (strcmp(setting.key, key) == 0 && setting.type == SYNCLINE_SETTING_CHOICE) {
            snprintf(words, sizeof(words), "%s", setting.range);
        }
    }
    char *rest = NULL;
    for (char *word = strtok_r(words, ", ", &rest); word != NULL;
         word = strtok_r(NULL, ", ", &rest)) {
        if (strcmp(word, "or") != 0) {
            cli_suggest_offer(&suggest, word, word);
        }
    }
    cli_suggest_text(&suggest, hint, sizeof(hint));
    return cli_fail("%s%s", text, strcmp(hint, ";") != 0 ? hint : "");
}

/* Reads one setting of the library of -L. */
static int read_setting(const struct cli_options *options, const char *key,
                        struct syncline_setting *setting)
{
    char text[512] = "";
    *setting = (struct syncline_setting)SYNCLINE_SETTING_INIT;
    enum syncline_status status =
        syncline_config_get(options->library, key, setting, text, sizeof(text));
    return status == SYNCLINE_OK ? CLI_EXIT_OK : fail(status, text, key, NULL);
}

static json_t *setting_json(const struct syncline_setting *setting)
{
    json_t *number =
        setting->type == SYNCLINE_SETTING_TEXT || setting->type == SYNCLINE_SETTING_CHOICE
            ? json_null()
            : json_integer((json_int_t)setting->number);
    json_t *presets = json_pack("{s:s, s:s, s:s}", "aggressive", setting->aggressive,
                                "conservative", setting->conservative, "mobile", setting->mobile);
    return json_pack(
        "{s:s, s:o, s:o, s:s, s:s, s:s, s:s, s:s, s:s, s:o, s:s?, s:s}", "key", setting->key,
        "value", cli_json_name(setting->value, strlen(setting->value)), "number", number, "unit",
        setting->unit, "source", source_words[setting->source], "where", setting->where, "range",
        setting->range, "default", setting->default_value, "variable", setting->variable, "presets",
        presets, "option", setting->option, "description", setting->description);
}

/* ---- list ---- */

static void print_line(const struct syncline_setting *setting)
{
    const char *value = setting->value[0] != '\0' ? setting->value : "nothing";
    int pad = VALUE_WIDTH - (int)strlen(value);
    printf("%-22s ", setting->key);
    cli_print_name(stdout, value, strlen(value));
    printf("%*s %s\n", pad > 0 ? pad : 0, "", setting->where);
}

/* "10ms", or "nothing" for a text. */
static const char *default_of(const struct syncline_setting *setting)
{
    return setting->type == SYNCLINE_SETTING_TEXT ? "nothing" : setting->default_value;
}

static void print_markdown(void)
{
    static const char head[] =
        "<!-- Made by `syncline config list --markdown`; a test compares the two. -->\n\n"
        "# Settings\n\n"
        "The value in force is the last of these: the default, the preset, `syncline.conf` in the\n"
        "library's directory, the environment, and what the application says in its call. It is\n"
        "read when the library is opened; what is changed later is in force from the next open\n"
        "on. `syncline config list` shows every value and where it comes from.\n\n"
        "```\n"
        "# syncline.conf: a line for each setting; this is a comment\n"
        "preset = mobile\n"
        "linger_ms = 20ms   ; and so is this\n"
        "```\n\n"
        "Lines begin with the key, have at most 198 bytes, and are not continued; there are no\n"
        "sections. `syncline config set KEY VALUE` changes one and keeps the rest of the file.\n"
        "Sizes take B, KiB, MiB and GiB, durations ms, s, min, h and d; bare numbers are bytes\n"
        "and milliseconds. A value that a setting does not take, or a key that does not exist, is\n"
        "an error that names key, value, range, file and line, or the variable; the library does\n"
        "not open then.\n\n"
        "The name of a device is none of these: it is given once, to `create` or `join`.\n\n"
        "## Values\n\n"
        "| setting | takes | default | aggressive | conservative | mobile |\n"
        "|---|---|---|---|---|---|\n";
    struct syncline_setting setting;
    fputs(head, stdout);
    for (size_t i = 0; table_line(i, &setting); i++) {
        bool none = setting.type == SYNCLINE_SETTING_TEXT || strcmp(setting.key, "preset") == 0;
        printf("| `%s` | %s | %s | %s | %s | %s |\n", setting.key, setting.range,
               default_of(&setting), none ? "" : setting.aggressive,
               none ? "" : setting.conservative, none ? "" : setting.mobile);
    }
    fputs("\n## What they do\n\n"
          "| setting | what it is | environment | member of `struct syncline_options` |\n"
          "|---|---|---|---|\n",
          stdout);
    for (size_t i = 0; table_line(i, &setting); i++) {
        bool own = setting.option != NULL;
        printf("| `%s` | %s | `%s` | `%s%s%s` |\n", setting.key, setting.description,
               setting.variable, own ? setting.option : "settings = {\"", own ? "" : setting.key,
               own ? "" : "=...\"}");
    }
}

int cmd_config_list(const struct cli_options *options)
{
    struct syncline_setting setting;
    if (options->markdown) {
        print_markdown();
        return cli_output_end();
    }
    json_t *list = options->json ? json_array() : NULL;
    for (size_t i = 0; table_line(i, &setting); i++) {
        int code = read_setting(options, setting.key, &setting);
        if (code != CLI_EXIT_OK) {
            json_decref(list);
            return code;
        }
        if (options->json) {
            json_array_append_new(list, setting_json(&setting));
        } else {
            print_line(&setting);
        }
    }
    return options->json ? cli_print_json(json_pack("{s:o}", "settings", list)) : cli_output_end();
}

/* Words in lines of HELP_WIDTH columns, below one another. */
static void print_wrapped(FILE *out, const char *text)
{
    while (*text != '\0') {
        size_t len = strlen(text);
        for (size_t at = len > HELP_WIDTH ? HELP_WIDTH : 0; at > 0; at--) {
            if (text[at] == ' ') {
                len = at;
                break;
            }
        }
        fprintf(out, "%-25s%.*s\n", "", (int)len, text);
        text += len;
        text += *text == ' ' ? 1 : 0;
    }
}

void cmd_config_help(FILE *out)
{
    struct syncline_setting setting;
    fputs("\nSettings:\n", out);
    for (size_t i = 0; table_line(i, &setting); i++) {
        fprintf(out, "  %-22s default %s\n", setting.key, default_of(&setting));
        print_wrapped(out, setting.range);
        print_wrapped(out, setting.description);
    }
}

/* ---- get, set, unset, preset ---- */

int cmd_config_get(const struct cli_options *options)
{
    struct syncline_setting setting;
    int code = read_setting(options, options->args[0], &setting);
    if (code != CLI_EXIT_OK) {
        return code;
    }
    if (options->json) {
        return cli_print_json(setting_json(&setting));
    }
    cli_print_name(stdout, setting.value, strlen(setting.value));
    fputc('\n', stdout);
    return cli_output_end();
}

/* What is in force after a change; a fault elsewhere is told, and the change was made. */
static int print_changed(const struct cli_options *options, const char *key)
{
    char text[512] = "";
    struct syncline_setting setting = SYNCLINE_SETTING_INIT;
    if (syncline_config_get(options->library, key, &setting, text, sizeof(text)) != SYNCLINE_OK) {
        cli_warn("%s is changed, but the library does not open yet: %s", key, text);
        return options->json ? cli_print_json(json_pack("{s:s}", "key", key)) : CLI_EXIT_OK;
    }
    if (setting.source == SYNCLINE_SETTING_ENVIRONMENT) {
        cli_warn("%s in the environment is over it", setting.variable);
    }
    int64_t pid = cli_session_engine(options);
    if (pid != 0) {
        cli_warn("process %" PRId64
                 " runs the engine with what it was started with: start it again",
                 pid);
    }
    if (options->json) {
        return cli_print_json(setting_json(&setting));
    }
    print_line(&setting);
    return cli_output_end();
}

static int change(const struct cli_options *options, const char *key, const char *value)
{
    char text[512] = "";
    enum syncline_status status =
        syncline_config_set(options->library, key, value, text, sizeof(text));
    if (status != SYNCLINE_OK) {
        return fail(status, text, key, value);
    }
    return print_changed(options, key);
}

int cmd_config_set(const struct cli_options *options)
{
    return change(options, options->args[0], options->args[1]);
}

int cmd_config_unset(const struct cli_options *options)
{
    return change(options, options->args[0], NULL);
}

int cmd_config_preset(const struct cli_options *options)
{
    struct syncline_setting setting;
    int code = change(options, "preset", options->args[0]);
    if (code != CLI_EXIT_OK) {
        return code;
    }
    for (size_t i = 0; table_line(i, &setting); i++) {
        char key[64];
        snprintf(key, sizeof(key), "%s", setting.key);
        setting = (struct syncline_setting)SYNCLINE_SETTING_INIT;
        if (syncline_config_get(options->library, key, &setting, NULL, 0) == SYNCLINE_OK &&
            setting.type != SYNCLINE_SETTING_TEXT && strcmp(key, "preset") != 0 &&
            setting.source > SYNCLINE_SETTING_PRESET) {
            cli_warn("%s stays %s, as %s says", key, setting.value, setting.where);
        }
    }
    return CLI_EXIT_OK;
}
