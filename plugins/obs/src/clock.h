// SPDX-FileCopyrightText: LLIA contributors
// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The avatar's clock (16 kHz samples) on OBS's clock (ns), and the sound laid on it without gaps.
 *
 * Picture and sound share one mapping, which is made once and stays. It is made anew where the avatar's clock itself
 * was moved: after a barge-in, a stall (the picture stood still), a restart. The times at which the daemon published
 * tell that from a message that was only late on its way, which changes nothing.
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
	int64_t daemon_ns;   /* ... is published at this time of the daemon's clock ... */
	int64_t offset_ns;   /* ... to which this is added for OBS's: another machine's zero, and the way */
	int64_t epoch;
	int64_t least_late_ns, late_since_ns;     /* behind the mapping, of this window */
	int64_t least_offset_ns, offset_since_ns; /* likewise */
	uint64_t anchors;                         /* how often the mapping was made */
};

/*
 * Something of this time and epoch has arrived. `epoch` is -1 where it is not known (sound); `published_ns` is the
 * daemon's clock, `now_ns` OBS's.
 */
void clock_arrived(struct av_clock *clock, int64_t pts_samples, int64_t epoch, int64_t published_ns, int64_t now_ns);

/* Forgets the mapping: what arrives next makes it anew. */
void clock_forget(struct av_clock *clock);

/* When it is to be shown or heard, ns of OBS's clock. The clock has to be anchored. */
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

/* Gives a piece its place: OBS sees one stream without gaps, in step with the clock within 15 ms. */
struct sound_place sound_place(struct sound_line *line, const struct av_clock *clock, int64_t pts_samples,
			       size_t count);
