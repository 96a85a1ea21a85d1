/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Every option has one name, one shape and one meaning in all commands that take it, so one pass
 * over argv sorts options from words; then the words name the command, and the command says which
 * of the options given it takes. Options may stand anywhere; `--` ends them. */

#include "cli/options.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "cli/output.h"
#include "cli/quantity.h"
#include "cli/suggest.h"

#define BATCH_LEN_MAX 65536u
#define PAIRS_DEFAULT 5u
#define PAIRS_MAX 1000u
#define WAIT_S_DEFAULT 60

enum option_id {
    OPTION_LIBRARY,
    OPTION_JSON,
    OPTION_HELP,
    OPTION_VERSION,
    OPTION_LISTEN,
    OPTION_PEER,
    OPTION_INSECURE,
    OPTION_BATCH,
    OPTION_PLAIN,
    OPTION_WAIT,
    OPTION_TIMEOUT,
    OPTION_COLOR,
    OPTION_PAIRS,
    OPTION_KEEP,
    OPTION_REPORT_FD,
    OPTION_DEVICE_NAME,
    OPTION_WATCH,
    OPTION_MAX_LAG,
    OPTION_MARKDOWN,
    OPTION_LOCATION,
    OPTION_LIMIT,
    OPTION_FOLLOW,
    OPTION_MEMBER
};

struct option {
    const char *name;  /* with its dashes */
    const char *value; /* what the value is called in help, or NULL: the option takes none */
    uint32_t bit;      /* CLI_OPT_ bit; 0: every command takes it */
    enum option_id id;
    const char *summary; /* one line */
};

static const struct option option_table[] = {
    {"--library", "DIR", 0, OPTION_LIBRARY,
     "the library's directory, also -L (default $SYNCLINE_LIBRARY, else .)"},
    {"--json", NULL, 0, OPTION_JSON, "print one JSON object"},
    {"--listen", "ADDR", CLI_OPT_LISTEN, OPTION_LISTEN,
     "address to serve, such as 127.0.0.1:4400; port 0 takes any free one; '': none"},
    {"--peer", "ADDR", CLI_OPT_PEER, OPTION_PEER,
     "address of another device, dialled until it answers; may be repeated"},
    {"--insecure-loopback", NULL, CLI_OPT_INSECURE, OPTION_INSECURE,
     "allow the network: loopback only, since nobody is authenticated yet"},
    {"--device-name", "NAME", CLI_OPT_DEVICE_NAME, OPTION_DEVICE_NAME,
     "what people call this device (default: the host's name)"},
    {"--batch", "N", CLI_OPT_BATCH, OPTION_BATCH,
     "rows per transaction (default 1000, and 100000 where entries are removed)"},
    {"--plain", NULL, CLI_OPT_PLAIN, OPTION_PLAIN,
     "index without syncing, for measuring: the rows stay on this device"},
    {"--wait", "TIME", CLI_OPT_WAIT, OPTION_WAIT,
     "with --listen or --peer: how long all members may take to apply it (default 60s)"},
    {"--report-fd", "N", CLI_OPT_REPORT_FD, OPTION_REPORT_FD,
     "write one line to this descriptor at the last commit, for measuring"},
    {"--timeout", "TIME", CLI_OPT_TIMEOUT, OPTION_TIMEOUT,
     "how long to wait, such as 30s, 5min or 2h (default: for ever)"},
    {"--member", "DEVICE", CLI_OPT_MEMBER, OPTION_MEMBER,
     "this one alone: its name, or the beginning of its id"},
    {"--color", "C", CLI_OPT_COLOR, OPTION_COLOR, "the tag's colour, such as #3366ff"},
    {"--location", "PATH", CLI_OPT_LOCATION, OPTION_LOCATION,
     "only what is in the location with this path, on any device"},
    {"--limit", "N", CLI_OPT_LIMIT, OPTION_LIMIT,
     "at most so many (default: all; log, events, stuck: 20; verify: 1000)"},
    {"--follow", NULL, CLI_OPT_FOLLOW, OPTION_FOLLOW, "go on with what comes, until Ctrl-C"},
    {"--pairs", "N", CLI_OPT_PAIRS, OPTION_PAIRS, "pairs of runs, off and on (default 5)"},
    {"--keep", NULL, CLI_OPT_KEEP, OPTION_KEEP,
     "keep the libraries of the last run, and name them"},
    {"--watch", NULL, CLI_OPT_WATCH, OPTION_WATCH, "look again every second, until Ctrl-C"},
    {"--max-lag", "LAG", CLI_OPT_MAX_LAG, OPTION_MAX_LAG,
     "exit code 1 if somebody is behind by more: changes (1000), or a time (30s, 5min, 2h)"},
    {"--markdown", NULL, CLI_OPT_MARKDOWN, OPTION_MARKDOWN,
     "print docs/CONFIG.md: all settings, for no library in particular"},
    {"--help", NULL, 0, OPTION_HELP, "this text, or a command's own"},
    {"--version", NULL, 0, OPTION_VERSION, "print the version"},
};

#define OPTION_TABLE_LEN (sizeof(option_table) / sizeof(option_table[0]))

static const struct option *option_find(const char *name, size_t len)
{
    for (size_t i = 0; i < OPTION_TABLE_LEN; i++) {
        if (strlen(option_table[i].name) == len && memcmp(option_table[i].name, name, len) == 0) {
            return &option_table[i];
        }
    }
    return NULL;
}

static int option_set(struct cli_options *options, const struct option *option, const char *value)
{
    uint64_t number = 0;
    int code = CLI_EXIT_OK;
    if (option->value != NULL && value[0] == '\0' && option->id != OPTION_LISTEN) {
        return cli_usage("%s needs a value that is not empty: %s", option->name, option->value);
    }
    switch (option->id) {
    case OPTION_LIBRARY:
        options->library = value;
        break;
    case OPTION_JSON:
        options->json = true;
        break;
    case OPTION_HELP:
        options->help = true;
        break;
    case OPTION_VERSION:
        options->version = true;
        break;
    case OPTION_LISTEN:
        options->listen = value;
        break;
    case OPTION_PEER:
        if (options->peers_count == CLI_PEER_COUNT_MAX) {
            return cli_usage("--peer is given more than %u times; give fewer", CLI_PEER_COUNT_MAX);
        }
        options->peers[options->peers_count++] = value;
        break;
    case OPTION_INSECURE:
        options->insecure_loopback = true;
        break;
    case OPTION_BATCH:
        code = cli_parse_number(option->name, value, 1, BATCH_LEN_MAX, &number);
        options->batch_len = (uint32_t)number;
        break;
    case OPTION_PLAIN:
        options->plain = true;
        break;
    case OPTION_WAIT:
        code = cli_parse_time(option->name, value, &options->wait_ms);
        break;
    case OPTION_TIMEOUT:
        code = cli_parse_time(option->name, value, &options->timeout_ms);
        break;
    case OPTION_COLOR:
        options->color = value;
        break;
    case OPTION_PAIRS:
        code = cli_parse_number(option->name, value, 1, PAIRS_MAX, &number);
        options->pairs = (uint32_t)number;
        break;
    case OPTION_KEEP:
        options->keep = true;
        break;
    case OPTION_MARKDOWN:
        options->markdown = true;
        break;
    case OPTION_REPORT_FD:
        code = cli_parse_number(option->name, value, 3, INT_MAX, &number);
        options->report_fd = (int)number;
        break;
    case OPTION_FOLLOW:
        options->follow = true;
        break;
    case OPTION_WATCH:
        options->watch = true;
        break;
    case OPTION_MAX_LAG:
        options->has_max_lag = true;
        code = cli_parse_lag(option->name, value, &options->max_lag);
        break;
    case OPTION_DEVICE_NAME:
        options->device_name = value;
        break;
    case OPTION_LOCATION:
        options->location = value;
        break;
    case OPTION_MEMBER:
        options->member = value;
        break;
    case OPTION_LIMIT:
        code = cli_parse_number(option->name, value, 0, INT64_MAX, &options->limit);
        break;
    }
    return code;
}

static void command_name(const struct cli_command *command, char *out, size_t size)
{
    snprintf(out, size, "%s%s%s", command->group != NULL ? command->group : "",
             command->group != NULL ? " " : "", command->name);
}

/* The command that the words of a line name whose options are not all understood; or NULL. */
static const struct cli_command *command_guess(int argc, char *const argv[],
                                               const struct cli_command *commands)
{
    const char *words[2] = {"", ""};
    size_t count = 0;
    for (int i = 1; i < argc && count < 2 && strcmp(argv[i], "--") != 0; i++) {
        if (argv[i][0] != '-') {
            words[count++] = argv[i];
            continue;
        }
        const struct option *option =
            strcmp(argv[i], "-L") == 0 ? &option_table[0] : option_find(argv[i], strlen(argv[i]));
        i += option != NULL && option->value != NULL ? 1 : 0;
    }
    for (const struct cli_command *c = commands; c->name != NULL; c++) {
        bool is_it = c->group == NULL
                         ? strcmp(c->name, words[0]) == 0
                         : strcmp(c->group, words[0]) == 0 && strcmp(c->name, words[1]) == 0;
        if (is_it) {
            return c;
        }
    }
    return NULL;
}

/* An option that does not exist: what was meant, and where those are listed that do. */
static int option_unknown(int argc, char *const argv[], const struct cli_command *commands,
                          const char *word, size_t len)
{
    char typed[CLI_SUGGEST_SIZE];
    char text[2 * CLI_SUGGEST_SIZE];
    char name[64] = "";
    struct cli_suggest suggest;
    const struct cli_command *command = command_guess(argc, argv, commands);
    snprintf(typed, sizeof(typed), "%.*s", (int)len, word);
    cli_suggest_init(&suggest, typed);
    for (size_t i = 0; i < OPTION_TABLE_LEN; i++) {
        uint32_t bit = option_table[i].bit;
        if (command == NULL || bit == 0 || (bit & command->options) != 0) {
            cli_suggest_offer(&suggest, option_table[i].name, option_table[i].name);
        }
    }
    if (command != NULL) {
        command_name(command, name, sizeof(name));
    }
    return cli_usage("%.*s is not an option%s%s%s%s `syncline %s%s--help` lists them", (int)len,
                     word, name[0] != '\0' ? " of `" : "", name, name[0] != '\0' ? "`" : "",
                     cli_suggest_text(&suggest, text, sizeof(text)), name,
                     name[0] != '\0' ? " " : "");
}

/* Takes argv[*index], which starts with a dash, and its value if that is the next one. */
static int option_take(int argc, char *const argv[], int *index, const struct cli_command *commands,
                       struct cli_options *options, uint32_t *given)
{
    const char *word = argv[*index];
    const struct option *option = NULL;
    const char *value = NULL;
    if (word[1] != '-') {
        bool is_library = word[1] == 'L';
        bool is_help = strcmp(word, "-h") == 0;
        if (!is_library && !is_help) {
            return option_unknown(argc, argv, commands, word, strlen(word));
        }
        option = is_library ? option_find("--library", 9) : option_find("--help", 6);
        value = is_library && word[2] != '\0' ? word + 2 : NULL;
    } else {
        size_t len = strcspn(word, "=");
        option = option_find(word, len);
        value = word[len] == '=' ? word + len + 1 : NULL;
        if (option == NULL) {
            return option_unknown(argc, argv, commands, word, len);
        }
    }
    if (option->value == NULL && value != NULL) {
        return cli_usage("%s takes no value; leave out what follows the =", option->name);
    }
    if (option->value != NULL && value == NULL) {
        if (*index + 1 >= argc) {
            return cli_usage("%s needs a value: %s %s", option->name, option->name, option->value);
        }
        value = argv[++*index];
    }
    *given |= option->bit;
    return option_set(options, option, value);
}

/* A command that does not exist: two words with a right first one are compared with the commands of
 * that group; one word with all first words, and it may be the second word of a single command. */
static int command_unknown(const struct cli_command *commands, const char *const *words,
                           bool is_group)
{
    char typed[CLI_SUGGEST_SIZE];
    char text[2 * CLI_SUGGEST_SIZE];
    char name[64];
    struct cli_suggest suggest;
    snprintf(typed, sizeof(typed), "%s%s%s", words[0], is_group ? " " : "",
             is_group ? words[1] : "");
    cli_suggest_init(&suggest, is_group ? words[1] : words[0]);
    for (const struct cli_command *c = commands; c->name != NULL; c++) {
        bool is_of_it = c->group != NULL && strcmp(c->group, words[0]) == 0;
        command_name(c, name, sizeof(name));
        if (is_group && is_of_it) {
            cli_suggest_offer(&suggest, c->name, name);
        } else if (!is_group) {
            const char *first = c->group != NULL ? c->group : c->name;
            cli_suggest_offer(&suggest, first, first);
            if (c->group != NULL && strcmp(c->name, words[0]) == 0) {
                cli_suggest_offer(&suggest, c->name, name);
            }
        }
    }
    return cli_usage("%s is not a command%s `syncline %s%s--help` lists them", typed,
                     cli_suggest_text(&suggest, text, sizeof(text)), is_group ? words[0] : "",
                     is_group ? " " : "");
}

/* Finds the command that words[0..count) begin with; *used receives how many words name it. */
static int command_find(const struct cli_command *commands, const char *const *words, size_t count,
                        bool help, const struct cli_command **out, size_t *used,
                        const char **help_group)
{
    bool is_group = false;
    for (const struct cli_command *c = commands; c->name != NULL; c++) {
        if (c->group == NULL && strcmp(words[0], c->name) == 0) {
            *out = c;
            *used = 1;
            return CLI_EXIT_OK;
        }
        if (c->group == NULL || strcmp(words[0], c->group) != 0) {
            continue;
        }
        is_group = true;
        if (count > 1 && strcmp(words[1], c->name) == 0) {
            *out = c;
            *used = 2;
            return CLI_EXIT_OK;
        }
    }
    if (!is_group) {
        return command_unknown(commands, words, false);
    }
    if (count > 1) {
        return command_unknown(commands, words, true);
    }
    if (help) {
        *help_group = words[0];
        return CLI_EXIT_OK;
    }
    return cli_usage("%s needs to know what to do; `syncline %s --help` lists it", words[0],
                     words[0]);
}

/* Checks the options given and the words left against what the command takes. */
static int command_check(const struct cli_options *options, uint32_t given)
{
    const struct cli_command *command = options->command;
    char name[64];
    command_name(command, name, sizeof(name));
    for (size_t i = 0; i < OPTION_TABLE_LEN; i++) {
        uint32_t bit = option_table[i].bit;
        if ((given & bit & ~command->options) != 0) {
            return cli_usage("%s does not go with `%s`; `syncline %s --help` lists what does",
                             option_table[i].name, name, name);
        }
        if ((bit & command->required & ~given) != 0) {
            return cli_usage("`%s` needs %s%s%s: %s", name, option_table[i].name,
                             option_table[i].value != NULL ? " " : "",
                             option_table[i].value != NULL ? option_table[i].value : "",
                             option_table[i].summary);
        }
    }
    if (options->args_count < command->args_count_min) {
        return cli_usage("`%s` needs %s; `syncline %s --help` says more", name, command->args,
                         name);
    }
    if (options->args_count > command->args_count_max) {
        return cli_usage("%s is one word too many for `%s`; %s",
                         options->args[command->args_count_max], name,
                         command->surplus != NULL   ? command->surplus
                         : command->args[0] == '\0' ? "it takes none"
                                                    : "put names with spaces in quotes");
    }
    if ((given & (CLI_OPT_LISTEN | CLI_OPT_PEER)) != 0 && !options->insecure_loopback) {
        return cli_usage("--listen and --peer need --insecure-loopback, since nobody is "
                         "authenticated yet; add it if loopback is what you want");
    }
    if (options->plain && (given & (CLI_OPT_LISTEN | CLI_OPT_PEER)) != 0) {
        return cli_usage("--plain does not sync, so it does not go with --listen or --peer; leave "
                         "one of them out");
    }
    return CLI_EXIT_OK;
}

int cli_options_parse(int argc, char *const argv[], const struct cli_command *commands,
                      struct cli_options *options, const char **help_group)
{
    const char *words[CLI_WORD_COUNT_MAX];
    size_t words_count = 0;
    uint32_t given = 0;
    bool options_ended = false;

    memset(options, 0, sizeof(*options));
    *help_group = NULL;
    options->pairs = PAIRS_DEFAULT;
    options->wait_ms = WAIT_S_DEFAULT * 1000;
    options->timeout_ms = -1;
    options->report_fd = -1;
    options->limit = UINT64_MAX;

    for (int i = 1; i < argc; i++) {
        if (!options_ended && strcmp(argv[i], "--") == 0) {
            options_ended = true;
            continue;
        }
        if (!options_ended && argv[i][0] == '-' && argv[i][1] != '\0') {
            int code = option_take(argc, argv, &i, commands, options, &given);
            if (code != CLI_EXIT_OK) {
                return code;
            }
            continue;
        }
        if (words_count == CLI_WORD_COUNT_MAX) {
            return cli_usage("%s is one word too many; put names with spaces in quotes", argv[i]);
        }
        words[words_count++] = argv[i];
    }
    if (options->library == NULL) {
        const char *from_env = getenv("SYNCLINE_LIBRARY");
        options->library = from_env != NULL && from_env[0] != '\0' ? from_env : ".";
    }
    if (words_count == 0) {
        if (options->help || options->version) {
            return CLI_EXIT_OK;
        }
        return cli_usage("no command given; `syncline --help` lists them");
    }
    /* `help` in front of other words is --help behind them. */
    size_t first = 0;
    if (strcmp(words[0], "help") == 0 && words_count > 1) {
        options->help = true;
        first = 1;
    }
    size_t used = 0;
    int code = command_find(commands, words + first, words_count - first, options->help,
                            &options->command, &used, help_group);
    if (code != CLI_EXIT_OK || options->help || options->version) {
        return code;
    }
    for (size_t i = used; i < words_count; i++) {
        options->args[options->args_count++] = words[i];
    }
    return command_check(options, given);
}

static void help_options(FILE *out, uint32_t bits)
{
    fputs("\nOptions:\n", out);
    for (size_t i = 0; i < OPTION_TABLE_LEN; i++) {
        const struct option *option = &option_table[i];
        if (option->bit != 0 && (option->bit & bits) == 0) {
            continue;
        }
        char left[48];
        snprintf(left, sizeof(left), "%s%s%s", option->name, option->value != NULL ? " " : "",
                 option->value != NULL ? option->value : "");
        fprintf(out, "  %-22s %s\n", left, option->summary);
    }
}

void cli_help_all(FILE *out, const struct cli_command *commands, const char *group)
{
    fputs("syncline: one library of files and tags, equal on all of your devices\n\n"
          "Usage: syncline [-L DIR] [--json] COMMAND ...\n\nCommands:\n",
          out);
    for (const struct cli_command *c = commands; c->name != NULL; c++) {
        if (group != NULL && (c->group == NULL || strcmp(c->group, group) != 0)) {
            continue;
        }
        char name[64];
        char left[80];
        command_name(c, name, sizeof(name));
        snprintf(left, sizeof(left), "%s%s%s", name, c->args[0] != '\0' ? " " : "", c->args);
        fprintf(out, "  %-22s %s\n", left, c->summary);
    }
    help_options(out, 0);
    fputs("\n`syncline COMMAND --help` says more. Exit codes: 0 done, 1 what was asked is not so, "
          "2 wrong\ncommand line, 3 it could not be done, 4 interrupted.\n",
          out);
}

void cli_help_command(FILE *out, const struct cli_command *command)
{
    char name[64];
    command_name(command, name, sizeof(name));
    fprintf(out, "Usage: syncline [-L DIR] [--json] %s%s%s", name,
            command->args[0] != '\0' ? " " : "", command->args);
    for (size_t i = 0; i < OPTION_TABLE_LEN; i++) {
        const struct option *option = &option_table[i];
        if ((option->bit & command->options) == 0) {
            continue;
        }
        bool required = (option->bit & command->required) != 0;
        fprintf(out, " %s%s%s%s%s", required ? "" : "[", option->name,
                option->value != NULL ? " " : "", option->value != NULL ? option->value : "",
                required ? "" : "]");
    }
    fprintf(out, "\n\n%s\n", command->summary);
    if (command->details[0] != '\0') {
        fprintf(out, "\n%s", command->details);
    }
    help_options(out, command->options);
    if (command->more_help != NULL) {
        command->more_help(out);
    }
}
