// SPDX-FileCopyrightText: LLIA contributors
// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The avatar's clock (16 kHz samples) on OBS's clock (ns), and the sound laid on it without gaps.
 *
 * Picture and sound share one mapping, which is made once and stays: the daemon's clock runs with the machine's. It is
 * made anew where the daemon's own clock jumped: after a barge-in, a stall (the picture stood still), a restart.
 * Everything takes its times as arguments, so that an hour can be tried in a moment.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SAMPLE_NS 62500 /* 16 kHz */

struct av_clock {
	bool anchored;
	int64_t pts_samples; /* this sample ... */
	int64_t at_ns;       /* ... is now */
	int64_t epoch;
	int64_t least_late_ns; /* of this window */
	int64_t window_start_ns;
	uint64_t anchors; /* how often the mapping was made */
};

/*
 * Something of this time and epoch has arrived. Small differences are the transport's and change nothing.
 * `epoch` is -1 where it is not known (sound).
 */
void clock_arrived(struct av_clock *clock, int64_t pts_samples, int64_t epoch, int64_t now_ns);

/* Forgets the mapping: what arrives next makes it anew. */
void clock_forget(struct av_clock *clock);

/* When it is to be shown or heard, ns. The clock has to be anchored. */
int64_t clock_at_ns(const struct av_clock *clock, int64_t pts_samples);

/* The sound that OBS has been given. */
struct sound_line {
	bool running;
	int64_t next_ns; /* where the next sample belongs */
};

/* What to do with a piece: cut `skip_samples` off its beginning and play `silence_samples` before it, at `at_ns`. */
struct sound_place {
	int64_t at_ns; /* of the first sample played, silence or not */
	size_t silence_samples;
	size_t skip_samples;
};

/* Gives a piece its place: OBS sees one stream without gaps, in step with the clock within a millisecond. */
struct sound_place sound_place(struct sound_line *line, const struct av_clock *clock, int64_t pts_samples,
			       size_t count);
