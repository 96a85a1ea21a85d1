/* SPDX-License-Identifier: Apache-2.0
 * Copyright (c) the Syncline authors */

/* Devices that join, leave and are revoked: who is a member is the same everywhere, a log that ends
 * ends at the same change everywhere, whoever brings it, and nobody waits for who is out. */

#include "tests/integration/stepped.h"

#include "stages/members.h"

static struct stepped_device *a;
static struct stepped_device *b;
static struct stepped_device *c;
static struct stepped_device *r; /* who goes */

static struct sl_core *core_of(struct stepped_device *device)
{
    return sl_library_core(device->library);
}

static enum sl_member_standing standing(struct stepped_device *at, struct stepped_device *of)
{
    return sl_membership_standing(&core_of(at)->membership, &of->identity.device_id);
}

static struct sl_origin origin_of(struct stepped_device *device)
{
    return core_of(device)->self;
}

/* How far the log of one device goes at another. */
static uint64_t held(struct stepped_device *at, const struct sl_origin *origin)
{
    const struct sl_origin_state *state = sl_core_origin(core_of(at), origin);
    return state == NULL ? 0 : sl_core_held(core_of(at), state);
}

static uint64_t cut(struct stepped_device *at, const struct sl_origin *origin)
{
    struct sl_cut found = {.seq = UINT64_MAX};
    (void)sl_membership_cut(&core_of(at)->membership, origin, &found);
    return found.seq;
}

static size_t entries(struct stepped_device *at)
{
    return core_of(at)->membership.len;
}

static void revoke(struct stepped_device *at, struct stepped_device *who)
{
    cr_assert_eq(sl_members_revoke(core_of(at), &who->identity.device_id, &stepped.err),
                 SYNCLINE_OK, "%s", stepped.err.text);
}

/* From now on it dials those alone. */
static void dials(struct stepped_device *device, struct stepped_device *first,
                  struct stepped_device *second)
{
    stepped_close(device);
    device->peers_len = 0;
    if (first != NULL) {
        device->peers[device->peers_len++] = first->name;
    }
    if (second != NULL) {
        device->peers[device->peers_len++] = second->name;
    }
    stepped_open(device);
}

static bool same_set(struct stepped_device *one, struct stepped_device *other)
{
    return memcmp(core_of(one)->membership.hash, core_of(other)->membership.hash, SL_HASH_SIZE) ==
           0;
}

static int64_t notes(struct stepped_device *device)
{
    return stepped_number(device, "SELECT count(*) FROM notes");
}

static bool equal(struct stepped_device *one, struct stepped_device *other)
{
    uint8_t here[SL_HASH_SIZE];
    uint8_t there[SL_HASH_SIZE];
    stepped_digest(one, here);
    stepped_digest(other, there);
    return memcmp(here, there, sizeof(here)) == 0;
}

/* Three devices that all know each other, and 5 notes of the one that goes. */
static void start(void)
{
    stepped_begin();
    a = stepped_make("a");
    b = stepped_make("b");
    r = stepped_make("r");
    c = NULL;
    stepped_insert(r, 5);
    STEPPED_UNTIL(notes(a) == 5 && notes(b) == 5 && same_set(a, b) && same_set(a, r));
}

TestSuite(members, .init = start, .fini = stepped_end);

/* Everybody has the same entries and so the same members, with who let whom in. */
Test(members, all_know_the_same)
{
    struct stepped_device *all[] = {a, b, r};
    for (size_t i = 0; i < 3; i++) {
        for (size_t k = 0; k < 3; k++) {
            cr_expect_eq(standing(all[i], all[k]), SL_STANDING_MEMBER);
        }
        cr_expect_eq(stepped_info(all[i]).members, 2);
    }
    size_t before = entries(a);
    stepped_reopen(a);
    stepped_rounds(200);
    cr_expect_eq(entries(a), before, "an entry is signed once");
    cr_expect_eq(core_of(a)->member_count, 2);
    cr_expect_eq(standing(a, r), SL_STANDING_MEMBER);
}

/* Who is revoked is told why, and its link is closed; what it wrote before stays, what it writes
 * then stays with it. Nobody waits for it. */
Test(members, revoked)
{
    struct sl_origin origin = origin_of(r);
    revoke(a, r);
    STEPPED_UNTIL(standing(b, r) == SL_STANDING_REVOKED &&
                  atomic_load(&core_of(r)->own_standing) == SL_STANDING_REVOKED);
    STEPPED_UNTIL(stepped_info(r).links == 0);
    cr_expect_eq(cut(a, &origin), 5);
    cr_expect_eq(cut(b, &origin), 5);
    stepped_insert(r, 3);
    stepped_insert(a, 2);
    STEPPED_UNTIL(notes(b) == 7);
    stepped_rounds(500);
    cr_expect_eq(notes(a), 7);
    cr_expect_eq(notes(r), 8, "its own, and none of what came after");
    cr_expect(equal(a, b));
    cr_expect_eq(stepped_info(a).members, 1);
    cr_expect_eq(stepped_info(a).acked_seq, stepped_info(a).own_seq, "nobody waits for it");
    cr_expect_eq(stepped_info(r).links, 0);
    STEPPED_UNTIL(stepped_events(r, SYNCLINE_CODE_SELF_REVOKED) == 1 &&
                  stepped_events(b, SYNCLINE_CODE_MEMBER_REVOKED) == 1);
    cr_expect_eq(stepped_events(a, SYNCLINE_CODE_MEMBER_REVOKED), 1);
    /* And so it stays. */
    stepped_reopen(a);
    stepped_reopen(r);
    stepped_insert(r, 1);
    stepped_rounds(500);
    cr_expect_eq(standing(a, r), SL_STANDING_REVOKED);
    cr_expect_eq(atomic_load(&core_of(r)->own_standing), SL_STANDING_REVOKED);
    cr_expect_eq(notes(a), 7);
    cr_expect_eq(stepped_info(r).links, 0);
    cr_expect_eq(entries(a), entries(b));
}

/* One that was away when it was revoked learns it when it comes. */
Test(members, revoked_while_away)
{
    stepped_close(r);
    revoke(a, r);
    STEPPED_UNTIL(standing(b, r) == SL_STANDING_REVOKED);
    stepped_open(r);
    stepped_insert(r, 3);
    STEPPED_UNTIL(atomic_load(&core_of(r)->own_standing) == SL_STANDING_REVOKED);
    stepped_rounds(300);
    cr_expect_eq(notes(a), 5);
    cr_expect_eq(notes(b), 5);
    cr_expect_eq(notes(r), 8);
}

/* What it is told does not name whom it need not know. */
Test(members, proof_names_nobody_else)
{
    stepped_close(r);
    revoke(a, r);
    c = stepped_make("c");
    STEPPED_UNTIL(same_set(a, c) && same_set(b, c));
    stepped_open(r);
    STEPPED_UNTIL(atomic_load(&core_of(r)->own_standing) == SL_STANDING_REVOKED);
    stepped_rounds(300);
    cr_expect_null(sl_membership_device(&core_of(r)->membership, &c->identity.device_id));
}

/* The race: a revoked device writes on, and a member that has not learned of it takes it. A member
 * that has, refuses it from that one, until that one has said how far it came; then all have the
 * same, and not one change more. */
Test(members, revocation_race)
{
    struct sl_origin origin = origin_of(r);
    /* b and r are alone with each other. */
    stepped_close(a);
    dials(r, b, NULL);
    stepped_insert(r, 3);
    STEPPED_UNTIL(notes(b) == 8);
    /* a revokes it, with what it has: 5. */
    stepped_close(b);
    stepped_close(r);
    stepped_open(a);
    revoke(a, r);
    cr_expect_eq(cut(a, &origin), 5);
    stepped_open(b); /* which brings 6 to 8, and then learns */
    STEPPED_UNTIL(standing(b, r) == SL_STANDING_REVOKED && same_set(a, b));
    STEPPED_UNTIL(notes(a) == 8);
    cr_expect_eq(cut(a, &origin), 8);
    cr_expect_eq(cut(b, &origin), 8);
    cr_expect_eq(held(a, &origin), 8);
    stepped_open(r);
    stepped_insert(r, 2);
    stepped_rounds(500);
    cr_expect_eq(notes(a), 8);
    cr_expect_eq(notes(b), 8);
    cr_expect(equal(a, b));
}

/* The same with somebody who had more of it, and whom only the revoked device had met. */
Test(members, a_late_witness)
{
    struct sl_origin origin = origin_of(r);
    stepped_close(a);
    stepped_close(b);
    c = stepped_make("c");
    dials(c, r, NULL);
    STEPPED_UNTIL(notes(c) == 5);
    stepped_insert(r, 3);
    STEPPED_UNTIL(notes(c) == 8);
    stepped_close(r);
    stepped_open(a);
    revoke(a, r);
    dials(c, a, NULL);
    STEPPED_UNTIL(standing(c, r) == SL_STANDING_REVOKED);
    STEPPED_UNTIL(held(a, &origin) == 8);
    cr_expect_eq(cut(a, &origin), 8, "it is a member, and says what it had");
    STEPPED_UNTIL(notes(a) == 8);
}

/* Two that revoke each other, and each has reached somebody, are both out, and what both had sent
 * stays. */
Test(members, mutual_revocation)
{
    struct sl_origin of_a = origin_of(a);
    struct sl_origin of_r = origin_of(r);
    c = stepped_make("c");
    stepped_insert(a, 2);
    STEPPED_UNTIL(notes(b) == 7 && notes(r) == 7 && notes(c) == 7 && same_set(a, c) &&
                  same_set(b, c) && same_set(r, c));
    /* a and c are alone, then b and r. */
    stepped_close(b);
    stepped_close(r);
    revoke(a, r);
    STEPPED_UNTIL(standing(c, r) == SL_STANDING_REVOKED);
    stepped_close(a);
    stepped_close(c);
    stepped_open(b);
    stepped_open(r);
    revoke(r, a);
    STEPPED_UNTIL(standing(b, a) == SL_STANDING_REVOKED);
    stepped_close(r);
    stepped_open(c);
    STEPPED_UNTIL(standing(b, r) == SL_STANDING_REVOKED && standing(c, a) == SL_STANDING_REVOKED &&
                  same_set(b, c));
    struct stepped_device *const both[] = {b, c};
    for (size_t i = 0; i < 2; i++) {
        cr_expect_eq(cut(both[i], &of_a), 2);
        cr_expect_eq(cut(both[i], &of_r), 5);
        cr_expect_eq(stepped_info(both[i]).members, 1);
    }
    stepped_open(a);
    stepped_open(r);
    stepped_insert(a, 1);
    stepped_insert(r, 1);
    STEPPED_UNTIL(atomic_load(&core_of(a)->own_standing) == SL_STANDING_REVOKED &&
                  atomic_load(&core_of(r)->own_standing) == SL_STANDING_REVOKED);
    stepped_rounds(500);
    cr_expect_eq(notes(b), 7);
    cr_expect_eq(notes(c), 7);
    cr_expect(equal(b, c));
}

/* Who leaves is out at once; what it wrote before is everywhere, what it writes then stays. */
Test(members, leaving)
{
    struct sl_origin origin = origin_of(r);
    cr_assert_eq(sl_members_leave(core_of(r), &stepped.err), SYNCLINE_OK, "%s", stepped.err.text);
    stepped_insert(r, 2);
    STEPPED_UNTIL(standing(a, r) == SL_STANDING_LEFT && standing(b, r) == SL_STANDING_LEFT);
    stepped_rounds(500);
    cr_expect_eq(notes(a), 5);
    cr_expect_eq(notes(r), 7);
    cr_expect_eq(cut(a, &origin), 5);
    cr_expect_eq(stepped_info(a).members, 1);
    cr_expect_eq(stepped_info(r).links, 0);
    cr_expect_eq(stepped_events(r, SYNCLINE_CODE_SELF_LEFT), 1);
    STEPPED_UNTIL(stepped_events(a, SYNCLINE_CODE_MEMBER_LEFT) == 1);
    cr_expect_eq(sl_members_leave(core_of(r), &stepped.err), SYNCLINE_EREFUSED);
    cr_expect_eq(sl_members_revoke(core_of(r), &a->identity.device_id, &stepped.err),
                 SYNCLINE_EREFUSED);
    /* It can be revoked all the same. */
    revoke(a, r);
    STEPPED_UNTIL(standing(b, r) == SL_STANDING_REVOKED);
    cr_expect_eq(cut(b, &origin), 5);
}

/* Somebody who joins later gets all of the log of who is out, and none of it more. */
Test(members, a_newcomer_gets_what_stays)
{
    struct sl_origin origin = origin_of(r);
    revoke(a, r);
    STEPPED_UNTIL(same_set(a, b));
    stepped_close(r);
    c = stepped_make("c");
    STEPPED_UNTIL(notes(c) == 5 && same_set(a, c) && same_set(b, c));
    cr_expect_eq(standing(c, r), SL_STANDING_REVOKED);
    cr_expect_eq(held(c, &origin), 5);
    cr_expect_eq(stepped_info(c).members, 2);
}

/* What cannot be: to revoke oneself, nobody, or somebody twice; to leave when alone. */
Test(members, refusals)
{
    static const struct syncline_uuid nobody = {.bytes = {1}};
    struct sl_core *core = core_of(a);
    size_t before = entries(a);
    cr_expect_eq(sl_members_revoke(core, &a->identity.device_id, &stepped.err), SYNCLINE_EREFUSED);
    cr_expect_eq(sl_members_revoke(core, &nobody, &stepped.err), SYNCLINE_ENOTFOUND);
    cr_expect_eq(entries(a), before);
    revoke(a, r);
    cr_expect_eq(sl_members_revoke(core, &r->identity.device_id, &stepped.err), SYNCLINE_EREFUSED);
    revoke(a, b);
    cr_expect_eq(sl_members_leave(core, &stepped.err), SYNCLINE_EREFUSED);
    cr_expect_not_null(strstr(stepped.err.text, "only member"), "%s", stepped.err.text);
}

/* A revocation is durable or was never said, whatever becomes of the disk; and a power cut right
 * after it does not take it back. */
Test(members, revocation_is_durable)
{
    size_t before = entries(a);
    stepped_fail(1u << SL_SIM_DISK_WRITE, "sync.db-wal", SL_SIM_DISK_FULL, -1);
    cr_expect_neq(sl_members_revoke(core_of(a), &r->identity.device_id, &stepped.err), SYNCLINE_OK);
    stepped_heal();
    cr_expect_eq(entries(a), before);
    cr_expect_eq(standing(a, r), SL_STANDING_MEMBER);
    stepped_cut_power(a);
    stepped_rounds(100);
    cr_expect_eq(standing(a, r), SL_STANDING_MEMBER);
    revoke(a, r);
    stepped_cut_power(a);
    cr_expect_eq(standing(a, r), SL_STANDING_REVOKED);
    STEPPED_UNTIL(standing(b, r) == SL_STANDING_REVOKED);
    stepped_cut_power(b);
    cr_expect_eq(standing(b, r), SL_STANDING_REVOKED);
    STEPPED_UNTIL(same_set(a, b));
}

/* A device whose sync.db is lost gets the log of members again from the others, its own entries and
 * those about who is out included. */
Test(members, comes_back_from_the_others)
{
    revoke(a, r);
    STEPPED_UNTIL(same_set(a, b));
    stepped_close(a);
    sqlite3_vfs *vfs = sqlite3_vfs_find(SL_SIM_VFS_NAME);
    cr_assert_eq(vfs->xDelete(vfs, a->sync_db, 0), SQLITE_OK);
    (void)vfs->xDelete(vfs, "/d0/sync.db-wal", 0);
    stepped_open(a);
    STEPPED_UNTIL(standing(a, r) == SL_STANDING_REVOKED && same_set(a, b));
    stepped_insert(a, 1);
    STEPPED_UNTIL(notes(b) == 6 && notes(a) == 6);
    cr_expect_eq(standing(b, a), SL_STANDING_MEMBER);
}
