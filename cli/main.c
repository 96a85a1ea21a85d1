/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* The command `syncline`: the table of what it can do, and the way in. */

#include <stdio.h>

#include "cli/commands.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/stop.h"
#include "include/syncline.h"

#define SETTINGS_LISTED "`syncline config list --help` says what each setting takes and does.\n"

static int cmd_help(const struct cli_options *options);

static const struct cli_command commands[] = {
    {.group = "library",
     .name = "create",
     .args = "NAME",
     .args_count_min = 1,
     .args_count_max = 1,
     .options = CLI_OPT_DEVICE_NAME,
     .summary = "make a new library in the directory of -L",
     .details = "The directory is made if it is missing. This device becomes its first member.\n",
     .run = cmd_library_create},
    {.group = "library",
     .name = "join",
     .args = "ADDR",
     .args_count_min = 1,
     .args_count_max = 1,
     .options = CLI_OPT_DEVICE_NAME | CLI_OPT_INSECURE,
     .required = CLI_OPT_INSECURE,
     .summary = "make this device a member of the library served at ADDR",
     .details = "The directory of -L must not hold a library yet. The content comes with\n"
                "`syncline serve --peer ADDR`.\n",
     .run = cmd_library_join},
    {.group = "library",
     .name = "info",
     .args = "",
     .summary = "what the library is and how it stands",
     .details = "",
     .run = cmd_library_info},
    {.group = "library",
     .name = "members",
     .args = "",
     .summary = "who belongs to the library, and who did",
     .details = "Each device with who let it in and when, and if it has left or was revoked, how\n"
                "many of its changes stay. All members have the same list.\n",
     .run = cmd_library_members},
    {.group = "library",
     .name = "leave",
     .args = "",
     .options = CLI_OPT_TIMEOUT | CLI_OPT_LISTEN | CLI_OPT_PEER | CLI_OPT_INSECURE,
     .network_by_settings = true,
     .summary = "end the membership of this device, for ever",
     .details = "Waits until another member has all that was written here, at most a minute or\n"
                "--timeout; exit code 1 if none has, and nothing is changed then. What is written\n"
                "later stays here. `syncline serve` beside it, or --peer, tells the others.\n",
     .run = cmd_library_leave},
    {.group = "library",
     .name = "remove",
     .args = "",
     .summary = "remove everything of Syncline from the directory of -L",
     .details = "Locations, entries and tags stay in library.db, where other programs can read\n"
                "them; the log, the device's key and its membership go. Refused while an engine\n"
                "runs. The other devices are not told: `library leave` does that, before.\n",
     .run = cmd_library_remove},
    {.group = "network",
     .name = "devices",
     .args = "",
     .summary = "the other members, and who is connected",
     .details = "",
     .run = cmd_network_devices},
    {.group = "network",
     .name = "revoke",
     .args = "DEVICE",
     .args_count_min = 1,
     .args_count_max = 1,
     .summary = "put a lost or stolen device out of the library, for ever",
     .details =
         "DEVICE is its name, or its id or the beginning of that. What it wrote stays as far\n"
         "as a member had it; what it writes from now on is not taken by any member that\n"
         "has heard of this, whoever brings it.\n",
     .run = cmd_network_revoke},
    {.group = "location",
     .name = "add",
     .args = "PATH",
     .args_count_min = 1,
     .args_count_max = 1,
     .options = CLI_OPT_LISTEN | CLI_OPT_PEER | CLI_OPT_INSECURE | CLI_OPT_BATCH | CLI_OPT_PLAIN |
                CLI_OPT_WAIT | CLI_OPT_REPORT_FD,
     .summary = "index a folder into the library",
     .details =
         "Run again, after Ctrl-C or a crash too, it goes on where it was: inserts what is\n"
         "new, updates what has changed or was moved; entries that are gone from the disk\n"
         "stay until `location rescan`. Links are recorded, not followed; other file\n"
         "systems are not entered. While `syncline serve` runs on the same library, its process\n"
         "sends the rows. With --listen or --peer this process does, and it ends when\n"
         "all members have applied everything.\n"
         "--plain is for measuring what syncing costs: its rows are not captured, so\n"
         "other devices do not get them.\n",
     .run = cmd_location_add},
    {.group = "location",
     .name = "rescan",
     .args = "PATH",
     .args_count_min = 1,
     .args_count_max = 1,
     .options = CLI_OPT_LISTEN | CLI_OPT_PEER | CLI_OPT_INSECURE | CLI_OPT_BATCH | CLI_OPT_WAIT,
     .summary = "look what is new, changed, moved or gone in a location",
     .details = "What was moved keeps its UUID, and so does all that is in it: known by its\n"
                "device and inode, and the time of its birth where the file system keeps one.\n"
                "What is gone is removed from the library, what cannot be read stays. A folder\n"
                "that is empty and not the one that was indexed is refused: its disk is not\n"
                "mounted.\n",
     .run = cmd_location_rescan},
    {.group = "location",
     .name = "remove",
     .args = "PATH",
     .args_count_min = 1,
     .args_count_max = 1,
     .options = CLI_OPT_BATCH,
     .summary = "take a location and its entries out of the library",
     .details = "The disk is not touched, and the folder need not be there. Interrupted, the same\n"
                "command goes on where it was.\n",
     .run = cmd_location_remove},
    {.group = "location",
     .name = "list",
     .args = "",
     .summary = "the folders indexed by all devices",
     .details = "",
     .run = cmd_location_list},
    {.group = "tag",
     .name = "create",
     .args = "NAME",
     .args_count_min = 1,
     .args_count_max = 1,
     .options = CLI_OPT_COLOR,
     .summary = "make a tag",
     .details = "Prints its UUID. Names are not unique: two devices may make the same one.\n",
     .run = cmd_tag_create},
    {.group = "tag",
     .name = "rename",
     .args = "TAG NAME",
     .args_count_min = 2,
     .args_count_max = 2,
     .summary = "give a tag another name",
     .details = "TAG is its UUID, or its name if no other tag has it. A change made on another\n"
                "device at the same time may win: the later one does.\n",
     .run = cmd_tag_rename},
    {.group = "tag",
     .name = "delete",
     .args = "TAG",
     .args_count_min = 1,
     .args_count_max = 1,
     .summary = "delete a tag, on all devices",
     .details = "TAG is its UUID, or its name if no other tag has it.\n",
     .run = cmd_tag_delete},
    {.group = "tag",
     .name = "list",
     .args = "",
     .summary = "the tags made on all devices",
     .details = "",
     .run = cmd_tag_list},
    {.group = "entry",
     .name = "list",
     .args = "",
     .options = CLI_OPT_LOCATION | CLI_OPT_LIMIT,
     .surplus = "write --location PATH for what is in one location, and `syncline entry show PATH` "
                "for one entry",
     .summary = "what is indexed on all devices",
     .details = "Each location as a tree, a folder before what is in it, names in the order of\n"
                "their bytes.\n",
     .run = cmd_entry_list},
    {.group = "entry",
     .name = "show",
     .args = "UUID|PATH",
     .args_count_min = 1,
     .args_count_max = 1,
     .summary = "one entry and all that is known of it",
     .details = "A path is looked for on this device first, then on the others.\n",
     .run = cmd_entry_show},
    {.group = "config",
     .name = "list",
     .args = "",
     .options = CLI_OPT_MARKDOWN,
     .summary = "all settings, with where each value comes from",
     .details = "What a process started here and now would have: of the default, the preset,\n"
                "syncline.conf in the directory of -L, and the environment, the last counts.\n"
                "What each setting takes and does stands below.\n",
     .run = cmd_config_list,
     .more_help = cmd_config_help},
    {.group = "config",
     .name = "get",
     .args = "KEY",
     .args_count_min = 1,
     .args_count_max = 1,
     .summary = "the value of one setting",
     .details = SETTINGS_LISTED,
     .run = cmd_config_get},
    {.group = "config",
     .name = "set",
     .args = "KEY VALUE",
     .args_count_min = 2,
     .args_count_max = 2,
     .summary = "set one setting in syncline.conf",
     .details = "The rest of the file stays as it is. The value is in force from the next start\n"
                "on: a process that runs the engine meanwhile is named.\n" SETTINGS_LISTED,
     .run = cmd_config_set},
    {.group = "config",
     .name = "unset",
     .args = "KEY",
     .args_count_min = 1,
     .args_count_max = 1,
     .summary = "take one setting out of syncline.conf",
     .details = SETTINGS_LISTED,
     .run = cmd_config_unset},
    {.group = "config",
     .name = "preset",
     .args = "NAME",
     .args_count_min = 1,
     .args_count_max = 1,
     .summary = "choose values for all else: none, aggressive, conservative or mobile",
     .details =
         "Sets the setting `preset`: its values are in force wherever syncline.conf and the\n"
         "environment say nothing. What stands in their way is named.\n" SETTINGS_LISTED,
     .run = cmd_config_preset},
    {.name = "serve",
     .args = "",
     .options = CLI_OPT_LISTEN | CLI_OPT_PEER | CLI_OPT_INSECURE,
     .network_by_settings = true,
     .summary = "keep this device in step with the others until Ctrl-C",
     .details =
         "Without --listen the setting `listen` counts, without --peer the setting `peers`;\n"
         "one address must come of it: who has peers to dial need not listen, and with\n"
         "--listen '' does not. The first line printed, once ready, is the address in use,\n"
         "or `nothing`; with --json it is an object with the key `listen`, which is empty\n"
         "then. Peers are dialled until they answer, for ever.\n",
     .run = cmd_serve},
    {.name = "status",
     .args = "",
     .options = CLI_OPT_WATCH | CLI_OPT_MAX_LAG,
     .summary = "who runs the engine, what it does, and who is behind",
     .details =
         "Asks the process that runs the engine; without one, what is on the disk is shown.\n"
         "With --max-lag the exit code is 1 if a member, or this device, is behind by\n"
         "more than that.\n",
     .run = cmd_status},
    {.name = "log",
     .args = "",
     .options = CLI_OPT_LIMIT | CLI_OPT_FOLLOW,
     .summary = "the last changes, of all devices, by their clock",
     .details = "One line for each record, or for the records of a batch: when, on which device,\n"
                "what was done, to which model. Times are UTC. With --follow and --json each\n"
                "change is an object on a line of its own.\n",
     .run = cmd_log},
    {.name = "why",
     .args = "MODEL UUID|NAME|PATH",
     .args_count_min = 2,
     .args_count_max = 2,
     .summary = "what has become of each change of one record",
     .details =
         "MODEL is device, location, entry or tag; a tag may be said by its name, an entry by\n"
         "its path. For each change, of all devices: on its way, held, waiting, set aside,\n"
         "shown, hidden, superseded or dead, and why; of this device's also how far it has\n"
         "come. Reads the whole log. Exit code 1 if nothing is known of such a record.\n",
     .run = cmd_why},
    {.name = "stuck",
     .args = "[MODEL]",
     .args_count_max = 1,
     .options = CLI_OPT_LIMIT,
     .summary = "what waits on this device, and why",
     .details =
         "What has waited longest comes first: changes that do not come into the log, those\n"
         "of other devices that are not applied or cannot be, records that wait for others,\n"
         "and records that were set aside. Exit code 1 if anything is stuck.\n",
     .run = cmd_stuck},
    {.name = "events",
     .args = "",
     .options = CLI_OPT_LIMIT | CLI_OPT_FOLLOW,
     .summary = "what went wrong on this device, and what was mended",
     .details = "The newest of the last 1000 events, oldest first: when (UTC), what it is, and in\n"
                "words. A failure that lasts is one event, and one when it is over. With\n"
                "--follow and --json each event is an object on a line of its own.\n",
     .run = cmd_events},
    {.name = "wait",
     .args = "",
     .options = CLI_OPT_TIMEOUT | CLI_OPT_MEMBER,
     .summary = "until this device and the others have applied everything",
     .details = "That is: all members have applied what was captured here, and what they have\n"
                "announced is applied here. Exit code 1 and what is left if the time runs out.\n"
                "With --member: until that one has applied what was captured here.\n",
     .run = cmd_wait},
    {.name = "verify",
     .args = "",
     .options = CLI_OPT_MEMBER | CLI_OPT_TIMEOUT | CLI_OPT_LIMIT | CLI_OPT_LISTEN | CLI_OPT_PEER |
                CLI_OPT_INSECURE,
     .network_by_settings = true,
     .summary = "compare what is here with what the other devices have",
     .details =
         "Names each record that another device does not have, has alone, or has with other\n"
         "values; only digests and what differs go over the network. Changes that are on\n"
         "their way are waited for. The other devices must be connected: to `syncline\n"
         "serve` if that runs on this library, else to this process, which then listens and\n"
         "dials as serve does. Exit code 1 if something differs, 3 if a device could not be\n"
         "compared. Nothing is changed.\n",
     .run = cmd_verify},
    {.name = "digest",
     .args = "",
     .summary = "count and hash of what syncs, to compare devices",
     .details = "Equal digests on two devices mean equal content.\n",
     .run = cmd_digest},
    {.name = "demo",
     .args = "[PATH]",
     .args_count_max = 1,
     .options = CLI_OPT_PAIRS | CLI_OPT_KEEP,
     .summary = "index PATH (default /usr) on one device, equal on another",
     .details = "Makes two libraries in a temporary folder and runs both devices as processes.\n"
                "PATH is indexed into fresh libraries in pairs of runs, syncing off and on in\n"
                "alternating order, the second device running in both. Prints what syncing costs\n"
                "and how soon the rows are there, and proves that both devices are equal to each\n"
                "other and to the folder. Exit code 1 if they are not.\n",
     .run = cmd_demo},
    {.name = "help",
     .args = "[COMMAND]",
     .args_count_max = CLI_WORD_COUNT_MAX,
     .summary = "this text, or a command's own",
     .details = "The same as --help behind the command.\n",
     .run = cmd_help},
    {.name = NULL},
};

/* Without a command; with one the command line was read as that command's --help. */
static int cmd_help(const struct cli_options *options)
{
    (void)options;
    cli_help_all(stdout, commands, NULL);
    return cli_output_end();
}

int main(int argc, char *argv[])
{
    struct cli_options options;
    const char *help_group = NULL;
    int code = cli_options_parse(argc, argv, commands, &options, &help_group);
    if (code != CLI_EXIT_OK) {
        return code;
    }
    if (options.help) {
        if (options.command != NULL) {
            cli_help_command(stdout, options.command);
        } else {
            cli_help_all(stdout, commands, help_group);
        }
        return cli_output_end();
    }
    if (options.version) {
        printf("syncline %s\n", syncline_version());
        return cli_output_end();
    }
    code = cli_stop_watch();
    return code != CLI_EXIT_OK ? code : options.command->run(&options);
}
