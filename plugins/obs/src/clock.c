// SPDX-FileCopyrightText: LLIA contributors
// SPDX-License-Identifier: GPL-2.0-or-later
#include "clock.h"

#define MS_NS INT64_C(1000000)
/* A frame published later than this against the mapping: the daemon has moved its clock. It does so above half a frame. */
#define MOVED_NS (25 * MS_NS)
/* Everything of a window was late by more than this: it has moved its clock by a little. */
#define CREPT_NS (4 * MS_NS)
#define LATE_WINDOW_NS (500 * MS_NS)
/* The clocks of two machines drift apart; within one the offset stays. */
#define OFFSET_WINDOW_NS (10000 * MS_NS)
/* Times further from now than this make no sense. */
#define SENSE_NS (2000 * MS_NS)
/* A step of the sound this large is no gap to fill but another stream. */
#define JUMP_NS (500 * MS_NS)
/* Nobody hears that sound is off by this; a cut or a gap would be heard. Less than a frame at 60 a second. */
#define UNHEARD_NS (15 * MS_NS)

/* Unsigned arithmetic: a time from the wire may be anything, and only small differences are ever used. */
static int64_t difference(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a - (uint64_t)b);
}

static int64_t sum(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a + (uint64_t)b);
}

static int64_t samples_ns(int64_t from_samples, int64_t to_samples)
{
	return (int64_t)(((uint64_t)to_samples - (uint64_t)from_samples) * SAMPLE_NS);
}

static void anchor(struct av_clock *clock, int64_t pts_samples, int64_t published_ns, int64_t now_ns)
{
	clock->anchored = true;
	clock->pts_samples = pts_samples;
	clock->daemon_ns = published_ns;
	clock->least_late_ns = INT64_MAX;
	clock->late_since_ns = now_ns;
	clock->anchors++;
}

static void set_offset(struct av_clock *clock, int64_t offset_ns, int64_t now_ns)
{
	clock->offset_ns = offset_ns;
	clock->least_offset_ns = INT64_MAX;
	clock->offset_since_ns = now_ns;
}

void clock_forget(struct av_clock *clock)
{
	clock->anchored = false;
}

int64_t clock_at_ns(const struct av_clock *clock, int64_t pts_samples)
{
	return sum(sum(clock->daemon_ns, samples_ns(clock->pts_samples, pts_samples)), clock->offset_ns);
}

/* How far OBS's clock is from the daemon's, the way included: the least that was seen. */
static void compare_clocks(struct av_clock *clock, int64_t published_ns, int64_t now_ns)
{
	const int64_t offset_ns = difference(now_ns, published_ns);
	if (offset_ns < clock->least_offset_ns)
		clock->least_offset_ns = offset_ns;
	if (offset_ns < clock->offset_ns)
		clock->offset_ns = offset_ns;
	if (difference(now_ns, clock->offset_since_ns) < OFFSET_WINDOW_NS)
		return;
	set_offset(clock, clock->least_offset_ns, now_ns);
}

void clock_arrived(struct av_clock *clock, int64_t pts_samples, int64_t epoch, int64_t published_ns, int64_t now_ns)
{
	const bool barge_in = epoch >= 0 && epoch != clock->epoch;
	if (epoch >= 0)
		clock->epoch = epoch;
	if (!clock->anchored) {
		set_offset(clock, difference(now_ns, published_ns), now_ns);
		anchor(clock, pts_samples, published_ns, now_ns);
		return;
	}
	compare_clocks(clock, published_ns, now_ns);
	const int64_t late_ns =
		difference(published_ns, sum(clock->daemon_ns, samples_ns(clock->pts_samples, pts_samples)));
	if (barge_in || late_ns > MOVED_NS || late_ns < -MOVED_NS) {
		anchor(clock, pts_samples, published_ns, now_ns);
	} else {
		if (late_ns < clock->least_late_ns)
			clock->least_late_ns = late_ns;
		if (difference(now_ns, clock->late_since_ns) >= LATE_WINDOW_NS) {
			if (clock->least_late_ns > CREPT_NS || clock->least_late_ns < -CREPT_NS) {
				clock->daemon_ns = sum(clock->daemon_ns, clock->least_late_ns);
				clock->anchors++;
			}
			clock->least_late_ns = INT64_MAX;
			clock->late_since_ns = now_ns;
		}
	}
	const int64_t from_now_ns = difference(clock_at_ns(clock, pts_samples), now_ns);
	if (from_now_ns > SENSE_NS || from_now_ns < -SENSE_NS) {
		set_offset(clock, difference(now_ns, published_ns), now_ns);
		anchor(clock, pts_samples, published_ns, now_ns);
	}
}

struct sound_place sound_place(struct sound_line *line, const struct av_clock *clock, int64_t pts_samples, size_t count)
{
	const int64_t wanted_ns = clock_at_ns(clock, pts_samples);
	const int64_t gap_ns = difference(wanted_ns, line->next_ns);
	struct sound_place place = {wanted_ns, 0, 0};
	if (line->running && gap_ns > -JUMP_NS && gap_ns < JUMP_NS) {
		place.at_ns = line->next_ns;
		if (gap_ns > UNHEARD_NS) {
			place.silence_samples = (size_t)(gap_ns / SAMPLE_NS);
		} else if (gap_ns < -UNHEARD_NS) {
			const size_t skip = (size_t)(-gap_ns / SAMPLE_NS);
			place.skip_samples = skip < count ? skip : count;
		}
	}
	line->running = true;
	line->next_ns = sum(place.at_ns, (int64_t)(place.silence_samples + count - place.skip_samples) * SAMPLE_NS);
	return place;
}
