// SPDX-FileCopyrightText: LLIA contributors
// SPDX-License-Identifier: GPL-2.0-or-later
/* An hour of picture and sound in a moment: what OBS is given stays together, whatever the daemon and the machine do. */
#include "clock.h"

#include <stdbool.h>

#include "check.h"

#define MS_NS INT64_C(1000000)
#define FRAME_SAMPLES 640 /* 25 frames a second */
#define FRAME_NS (40 * MS_NS)
#define HOUR_FRAMES (3600 * 25)

static uint64_t state = 88172645463325252;

static int64_t random_below(int64_t bound)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (int64_t)(state % (uint64_t)bound);
}

/* What the ears hear when: the stream given to OBS, sample by sample. */
struct ear {
	int64_t end_ns;
	int64_t silence_samples, skipped_samples;
	int64_t worst_step_ns;
};

/* Plays a piece; returns when its first sample that is played is heard, against when its picture is shown. */
static int64_t play(struct ear *ear, struct sound_line *line, const struct av_clock *clock, int64_t pts_samples)
{
	const bool first = !line->running;
	const struct sound_place place = sound_place(line, clock, pts_samples, FRAME_SAMPLES);
	const int64_t step_ns = place.at_ns - ear->end_ns;
	if (!first && step_ns < 500 * MS_NS && step_ns > -500 * MS_NS) {
		const int64_t size_ns = step_ns < 0 ? -step_ns : step_ns;
		ear->worst_step_ns = size_ns > ear->worst_step_ns ? size_ns : ear->worst_step_ns;
	}
	CHECK(place.skip_samples <= FRAME_SAMPLES);
	const int64_t played = (int64_t)place.silence_samples + FRAME_SAMPLES - (int64_t)place.skip_samples;
	ear->end_ns = place.at_ns + played * SAMPLE_NS;
	ear->silence_samples += (int64_t)place.silence_samples;
	ear->skipped_samples += (int64_t)place.skip_samples;
	const int64_t heard_ns = place.at_ns + (int64_t)place.silence_samples * SAMPLE_NS;
	return heard_ns - clock_at_ns(clock, pts_samples + (int64_t)place.skip_samples);
}

/*
 * One hour. `stall_every` frames the daemon's clock stands still for `stall_ms`; `hiccup_every` frames one message is
 * late by `hiccup_ms` (and those behind it wait); `cancel_every` frames there is a barge-in.
 */
static void run_hour(int stall_every, int stall_ms, int hiccup_every, int hiccup_ms, int cancel_every, struct ear *ear)
{
	struct av_clock clock = {0};
	struct sound_line line = {0};
	const int64_t zero_ns = -500000 * MS_NS; /* OBS's clock against the daemon's */
	int64_t daemon_ns = 1000000 * MS_NS, pts_samples = 123456, epoch = 0, free_ns = INT64_MIN, worst_ns = 0,
		worst_late_ns = 0;
	*ear = (struct ear){0};
	for (int i = 0; i < HOUR_FRAMES; i++) {
		if (stall_every && i % stall_every == stall_every - 1)
			daemon_ns += stall_ms * MS_NS;
		if (cancel_every && i % cancel_every == cancel_every - 1) {
			epoch++;
			daemon_ns += 80 * MS_NS;
			pts_samples += 80 * 16;
		}
		/* The daemon's threads wake a little late, the way takes a little. */
		const int64_t published_ns = daemon_ns + random_below(3 * MS_NS);
		int64_t arrives_ns = published_ns + MS_NS + random_below(5 * MS_NS) + zero_ns;
		if (hiccup_every && i % hiccup_every == hiccup_every - 1)
			arrives_ns += hiccup_ms * MS_NS;
		arrives_ns = arrives_ns > free_ns ? arrives_ns : free_ns; /* in order */
		free_ns = arrives_ns;
		clock_arrived(&clock, pts_samples, epoch, published_ns, arrives_ns);
		const int64_t shown_ns = arrives_ns; /* "lowest": at once */
		clock_arrived(&clock, pts_samples, -1, published_ns + MS_NS / 2, arrives_ns + MS_NS / 2);
		const int64_t apart_ns = play(ear, &line, &clock, pts_samples);
		worst_ns = llabs(apart_ns) > worst_ns ? llabs(apart_ns) : worst_ns;
		/* Against the picture as it is really shown, while nothing is stuck. */
		if (arrives_ns - daemon_ns - zero_ns <= 9 * MS_NS) {
			const int64_t late_ns = llabs(clock_at_ns(&clock, pts_samples) + apart_ns - shown_ns);
			worst_late_ns = late_ns > worst_late_ns ? late_ns : worst_late_ns;
		}
		daemon_ns += FRAME_NS;
		pts_samples += FRAME_SAMPLES;
	}
	printf("stall %d/%d ms, hiccup %d/%d ms, barge-in %d: sound %.2f ms from its time, %.2f ms from its picture; "
	       "%llu mappings, %.1f s silence put in, %.1f s cut\n",
	       stall_every, stall_ms, hiccup_every, hiccup_ms, cancel_every, (double)worst_ns / 1e6,
	       (double)worst_late_ns / 1e6, (unsigned long long)clock.anchors, (double)ear->silence_samples / 16000.0,
	       (double)ear->skipped_samples / 16000.0);
	CHECK(worst_ns <= 15 * MS_NS);
	CHECK(worst_late_ns <= FRAME_NS);
	CHECK(ear->worst_step_ns <= MS_NS); /* no gap and no overlap in what OBS is given */
	if (!stall_every && !hiccup_every && !cancel_every) {
		CHECK(clock.anchors == 1); /* mapped once */
		CHECK(ear->silence_samples == 0 && ear->skipped_samples == 0);
	}
}

static void test_hours(void)
{
	struct ear ear;
	run_hour(0, 0, 0, 0, 0, &ear);
	run_hour(250, 30, 0, 0, 0, &ear);
	CHECK(ear.silence_samples / 16 > 350 * 30 / 2); /* stalls were made up for */
	run_hour(1000, 400, 0, 0, 0, &ear);
	run_hour(0, 0, 500, 100, 0, &ear);
	CHECK(ear.silence_samples == 0 && ear.skipped_samples == 0); /* a hiccup changes nothing */
	run_hour(0, 0, 500, 300, 0, &ear);
	run_hour(0, 0, 0, 0, 200, &ear);
	run_hour(333, 55, 777, 120, 1234, &ear);
}

/* A daemon that was started anew, a source that was hidden, times that make no sense. */
static void test_jumps(void)
{
	struct av_clock clock = {0};
	struct sound_line line = {0};
	clock_arrived(&clock, 16000 * 3600, 3, 0, 1000 * MS_NS);
	CHECK(clock_at_ns(&clock, 16000 * 3600 + 16) == 1001 * MS_NS);
	clock_arrived(&clock, 0, 0, 1000 * MS_NS, 2000 * MS_NS); /* started anew */
	CHECK(clock_at_ns(&clock, 0) == 2000 * MS_NS);
	CHECK(sound_place(&line, &clock, 0, 640).at_ns == 2000 * MS_NS);
	clock_forget(&clock);
	clock_arrived(&clock, 160000, -1, 59000 * MS_NS,
		      60000 * MS_NS); /* shown again after a minute: no minute of silence is made */
	const struct sound_place place = sound_place(&line, &clock, 160000, 640);
	CHECK(place.at_ns == 60000 * MS_NS && place.silence_samples == 0 && place.skip_samples == 0);
	const int64_t times[] = {0, INT64_MAX, 1, INT64_MAX - 1, INT64_MAX / 2};
	for (int i = 0; i < 5; i++) {
		const int64_t now_ns = 70000 * MS_NS + i;
		clock_arrived(&clock, times[i], i % 2 ? i : -1, times[(i + 2) % 5], now_ns);
		CHECK(llabs(clock_at_ns(&clock, times[i]) - now_ns) <= 2000 * MS_NS);
		CHECK(sound_place(&line, &clock, times[i], 640).silence_samples <= 8000);
	}
}

int main(void)
{
	test_hours();
	test_jumps();
	return 0;
}
