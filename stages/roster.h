/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* roster: who belongs to the library, and what each has stated to have, told along every link.
 *
 * Who belongs to it follows from the membership log (members.h), whose entries go along every link
 * before anything else of the devices that they name: whoever gets segments of a third device can
 * check its signature.
 *
 * What a member has it says itself, in VECTOR, to those that it meets. For the others it signs its
 * vector, at most once in SL_STATEMENT_MS: a statement (base/statement.h). The latest of each
 * member is kept, durably, and goes along every link whose other end has an earlier one or none. So
 * an acknowledgement comes to devices that its member never meets, and nobody can make one for
 * another. A library of two devices needs no statements and makes none. */

#ifndef SL_ROSTER_H
#define SL_ROSTER_H

#include "net/frame.h"
#include "stages/shared.h"

/* Reads the members and their statements. Errors: ECORRUPT, EDB, ENOMEM. */
enum syncline_status sl_roster_load(struct sl_core *core, struct sl_error *err);
void sl_roster_fini(struct sl_core *core);

/* STATEMENT came along it. One of a device that is not known here, and one that claims what cannot
 * be, is not kept, and a notice. Errors: EPROTO (its signature is not its author's), ENOMEM, EDB.
 */
enum syncline_status sl_roster_statement(struct sl_core *core, struct sl_member_state *from,
                                         const struct sl_statement *statement, const uint8_t *data,
                                         size_t size, struct sl_error *err);
/* ROSTER came: the member has a membership log with that hash, and these statements. */
void sl_roster_heard(struct sl_core *core, struct sl_member_state *member,
                     const uint8_t members[SL_HASH_SIZE], const struct sl_roster_entry *entries,
                     size_t len);
/* Nothing is known of what the member knows. */
void sl_roster_forget(struct sl_member_state *member);
/* The member knows exactly what is known here now. */
void sl_roster_is_same(struct sl_core *core, struct sl_member_state *member);

/* This device and the members, with the latest statement of each; for itself what it would state
 * with this vector. With one member only there are no statements. Returns how many. */
size_t sl_roster_list(const struct sl_core *core, const struct sl_vector_entry *entries, size_t len,
                      struct sl_roster_entry devices[SL_ROSTER_LEN_MAX]);
/* States anew what this device has, if that is due. */
bool sl_roster_state(struct sl_core *core, bool moved);
/* Tells the member what it may not know, as far as its link takes it. */
bool sl_roster_tell(struct sl_core *core, struct sl_member_state *member);

#endif
