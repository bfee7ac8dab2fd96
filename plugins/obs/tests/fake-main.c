// SPDX-FileCopyrightText: LLIA contributors
// SPDX-License-Identifier: GPL-2.0-or-later
/* A daemon that floods, for tests of the whole plug-in: prints its control port, ends with its standard input. */
#include "fake-daemon.h"

#include <stdio.h>

int main(void)
{
	struct fake_daemon *daemon = fake_start(FAKE_FLOODS, 0, 0);
	printf("%d\n", fake_control_port(daemon));
	fflush(stdout);
	while (getchar() != EOF)
		continue;
	fake_stop(daemon);
	return 0;
}
