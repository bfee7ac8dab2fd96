// SPDX-FileCopyrightText: LLIA contributors
// SPDX-License-Identifier: GPL-2.0-or-later
#include "clock.h"

#define MS_NS INT64_C(1000000)
/* Differences below this are jitter of the transport and of the thread's wake-up. */
#define JITTER_NS (20 * MS_NS)
/* Later than this is a stall of the daemon, not a hiccup: waiting for a window's end would push sound into the past. */
#define STALL_NS (150 * MS_NS)
#define WINDOW_NS (500 * MS_NS)
/* A step of the sound this large is no gap to fill but another stream. */
#define JUMP_NS (500 * MS_NS)

static void anchor(struct av_clock *clock, int64_t pts_samples, int64_t now_ns)
{
	clock->anchored = true;
	clock->pts_samples = pts_samples;
	clock->at_ns = now_ns;
	clock->least_late_ns = INT64_MAX;
	clock->window_start_ns = now_ns;
	clock->anchors++;
}

void clock_forget(struct av_clock *clock)
{
	clock->anchored = false;
}

void clock_arrived(struct av_clock *clock, int64_t pts_samples, int64_t epoch, int64_t now_ns)
{
	const bool barge_in = epoch >= 0 && epoch != clock->epoch;
	if (epoch >= 0)
		clock->epoch = epoch;
	if (!clock->anchored || barge_in) {
		anchor(clock, pts_samples, now_ns);
		return;
	}
	const int64_t late_ns = (int64_t)((uint64_t)now_ns - (uint64_t)clock_at_ns(clock, pts_samples));
	if (late_ns > STALL_NS || late_ns < -JITTER_NS) {
		anchor(clock, pts_samples, now_ns);
		return;
	}
	if (late_ns < clock->least_late_ns)
		clock->least_late_ns = late_ns;
	if (now_ns - clock->window_start_ns >= WINDOW_NS) {
		/* Everything of half a second was late: the daemon's clock stood still for so long. */
		if (clock->least_late_ns > JITTER_NS) {
			clock->at_ns += clock->least_late_ns;
			clock->anchors++;
		}
		clock->least_late_ns = INT64_MAX;
		clock->window_start_ns = now_ns;
	}
}

int64_t clock_at_ns(const struct av_clock *clock, int64_t pts_samples)
{
	/* Unsigned: a time from the wire may be anything, and only differences of seconds are ever used. */
	const uint64_t samples = (uint64_t)pts_samples - (uint64_t)clock->pts_samples;
	return (int64_t)((uint64_t)clock->at_ns + samples * SAMPLE_NS);
}

struct sound_place sound_place(struct sound_line *line, const struct av_clock *clock, int64_t pts_samples, size_t count)
{
	const int64_t wanted_ns = clock_at_ns(clock, pts_samples);
	const int64_t gap_ns = (int64_t)((uint64_t)wanted_ns - (uint64_t)line->next_ns);
	struct sound_place place = {wanted_ns, 0, 0};
	if (line->running && gap_ns > -JUMP_NS && gap_ns < JUMP_NS) {
		place.at_ns = line->next_ns;
		if (gap_ns > MS_NS) {
			place.silence_samples = (size_t)(gap_ns / SAMPLE_NS);
		} else if (gap_ns < -MS_NS) {
			const size_t skip = (size_t)(-gap_ns / SAMPLE_NS);
			place.skip_samples = skip < count ? skip : count;
		}
	}
	line->running = true;
	line->next_ns = place.at_ns + (int64_t)(place.silence_samples + count - place.skip_samples) * SAMPLE_NS;
	return place;
}
