// SPDX-FileCopyrightText: LLIA contributors
// SPDX-License-Identifier: GPL-2.0-or-later
/* A daemon on loopback that does what a test asks, also what no daemon should: hang, flood, talk nonsense. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fake_daemon;

enum fake_mood {
	FAKE_LIVES,  /* answers, and publishes what it is told to */
	FAKE_HANGS,  /* its sockets are open, nobody serves them */
	FAKE_FLOODS, /* answers, and publishes frames and sound as fast as it can */
};

/* Starts at these ports, 0 for the system's choice. */
struct fake_daemon *fake_start(enum fake_mood mood, int control_port, int frames_port);
void fake_stop(struct fake_daemon *daemon);
int fake_control_port(const struct fake_daemon *daemon);
int fake_frames_port(const struct fake_daemon *daemon);
void fake_set_mood(struct fake_daemon *daemon, enum fake_mood mood);

/* Publishes a 4 x 2 frame whose bytes are all `shade`. */
void fake_publish_frame(struct fake_daemon *daemon, int64_t pts_samples, int64_t epoch, uint8_t shade);
/* Publishes `count` samples of this value. */
void fake_publish_sound(struct fake_daemon *daemon, int64_t pts_samples, float value, uint32_t count);
/* Publishes anything under the topic of the frames. */
void fake_publish_raw(struct fake_daemon *daemon, const void *header, size_t header_bytes, const void *payload,
		      size_t payload_bytes);
void fake_close_avatar(struct fake_daemon *daemon);

/* How many now subscribe to topics with this beginning. */
int fake_subscribers(struct fake_daemon *daemon, const char *topic);
/* How many requests have come that hold this text. */
int fake_requests(struct fake_daemon *daemon, const char *text);
