/* SPDX-License-Identifier: ISC */
/* SPDX-FileCopyrightText: The tryst authors */
#include <stdio.h>
#include <string.h>

#include "admin_internal.h"

/* What takes the store long. The answer comes when it is done; a client that goes interrupts it. */

void admin_run_check_store(struct admin_client *c, const json_t *args)
{
    struct store_query q;

    memset(&q, 0, sizeof(q));
    q.what = QUERY_CHECK;
    q.quick = admin_flag_arg(args, "quick");
    admin_ask(c, &q);
}

void admin_run_backup(struct admin_client *c, const json_t *args)
{
    const char *name = admin_text_arg(args, "name");
    struct store_query q;

    memset(&q, 0, sizeof(q));
    q.what = QUERY_BACKUP;
    q.force = admin_flag_arg(args, "force");
    if (*name && !store_backup_name(name)) {
        admin_refuse(c,
                     "'%.80s' is no name for a backup: letters, digits, '.', '_' and '-', without a"
                     " directory; it is made in 'backups' in the state directory",
                     name);
        return;
    }
    snprintf(q.name, sizeof(q.name), "%s", name);
    admin_note(c, "backup", *name ? name : "(named by the time)");
    admin_ask(c, &q);
}
