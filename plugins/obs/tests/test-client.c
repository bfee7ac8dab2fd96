// SPDX-FileCopyrightText: LLIA contributors
// SPDX-License-Identifier: GPL-2.0-or-later
/* The client on real sockets, against a daemon that lives, dies, hangs, floods and talks nonsense. */
#include "client.h"

#include <math.h>
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "check.h"
#include "fake-daemon.h"

/* What the client has handed out. */
static struct {
	pthread_mutex_t lock;
	int frames, lost, live;
	uint8_t shade;
	int64_t pts_samples;
	size_t samples;
	float least, greatest;
	bool wrong;   /* a frame whose pixels are not of one shade */
	int delay_ms; /* that a frame takes to be shown */
	char log[4096];
} seen = {.lock = PTHREAD_MUTEX_INITIALIZER};

static struct client_status status;

static int64_t now_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static void sleep_ms(int ms)
{
	nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L}, NULL);
}

static void on_frame(void *user, const struct wire_frame *frame, const uint8_t *pixels, bool live)
{
	(void)user;
	pthread_mutex_lock(&seen.lock);
	for (int64_t i = 0; i < frame->width * frame->height * 4; i++)
		seen.wrong = seen.wrong || pixels[i] != pixels[0];
	seen.frames++;
	seen.live += live;
	seen.shade = pixels[0];
	seen.pts_samples = frame->pts_samples;
	const int delay_ms = seen.delay_ms;
	pthread_mutex_unlock(&seen.lock);
	if (delay_ms > 0)
		sleep_ms(delay_ms);
}

static void on_sound(void *user, const struct wire_echo *echo, int64_t pts_samples, const float *samples, size_t count)
{
	(void)user;
	pthread_mutex_lock(&seen.lock);
	CHECK(pts_samples >= echo->pts_samples);
	for (size_t i = 0; i < count; i++) {
		CHECK(!isnan(samples[i]));
		seen.least = fminf(seen.least, samples[i]);
		seen.greatest = fmaxf(seen.greatest, samples[i]);
	}
	seen.samples += count;
	pthread_mutex_unlock(&seen.lock);
}

static void on_lost(void *user)
{
	(void)user;
	pthread_mutex_lock(&seen.lock);
	seen.lost++;
	pthread_mutex_unlock(&seen.lock);
}

static void on_log(void *user, enum client_log_level level, const char *line)
{
	(void)user;
	(void)level;
	pthread_mutex_lock(&seen.lock);
	CHECK(strchr(line, '\n') == NULL);
	const size_t at = strlen(seen.log);
	snprintf(seen.log + at, sizeof seen.log - at, "%s\n", line);
	pthread_mutex_unlock(&seen.lock);
}

static void forget(void)
{
	pthread_mutex_lock(&seen.lock);
	seen.frames = seen.lost = seen.live = seen.delay_ms = 0;
	seen.samples = 0;
	seen.least = seen.greatest = 0.0f;
	seen.log[0] = '\0';
	pthread_mutex_unlock(&seen.lock);
}

static struct client *start(int control_port, bool video)
{
	const struct client_callbacks callbacks = {
		.now_ns = now_ns, .frame = on_frame, .sound = on_sound, .lost = on_lost, .log = on_log};
	struct client_wishes wishes = {.video = video, .sound = true};
	struct client *client = client_create(&callbacks);
	CHECK(client != NULL);
	snprintf(wishes.endpoint, sizeof wishes.endpoint, "tcp://127.0.0.1:%d", control_port);
	client_wish(client, &wishes);
	return client;
}

static void wish(struct client *client, int control_port, bool video, const char *avatar_id)
{
	struct client_wishes wishes = {.video = video, .sound = true};
	snprintf(wishes.endpoint, sizeof wishes.endpoint, "tcp://127.0.0.1:%d", control_port);
	snprintf(wishes.avatar_id, sizeof wishes.avatar_id, "%s", avatar_id);
	client_wish(client, &wishes);
}

/* Waits for an expression to hold; tells how long it took, ms. */
#define WAIT_MS(limit_ms, condition)                                      \
	({                                                                \
		const int64_t start_ns = now_ns();                        \
		while (!(condition)) {                                    \
			CHECK(now_ns() - start_ns < (limit_ms) * 1000000LL); \
			sleep_ms(1);                                      \
		}                                                         \
		(double)(now_ns() - start_ns) / 1e6;                      \
	})

static int frames_seen(void)
{
	pthread_mutex_lock(&seen.lock);
	const int frames = seen.frames;
	pthread_mutex_unlock(&seen.lock);
	return frames;
}

static bool shows(uint8_t shade)
{
	pthread_mutex_lock(&seen.lock);
	const bool it_is = seen.frames > 0 && seen.shade == shade;
	pthread_mutex_unlock(&seen.lock);
	return it_is;
}

static bool is(struct client *client, enum client_state state)
{
	client_status(client, &status);
	return status.state == state;
}

static void test_endpoints(void)
{
	static const char *const GOOD[] = {"tcp://127.0.0.1:5570", "tcp://localhost:1", "tcp://[::1]:65535",
					   "tcp://192.168.0.17:5570"};
	static const char *const BAD[] = {"",
					  "5570",
					  "127.0.0.1:5570",
					  "tcp://127.0.0.1",
					  "tcp://:5570",
					  "tcp://127.0.0.1:0",
					  "tcp://127.0.0.1:65536",
					  "tcp://127.0.0.1:99999999999999999999",
					  "tcp://127.0.0.1:5570x",
					  "tcp://1.2.3:5570",
					  "tcp://example.com:5570",
					  "tcp://[::1:5570",
					  "udp://127.0.0.1:5570",
					  "ipc:///tmp/socket",
					  "tcp://127.0.0.1:55 70"};
	for (size_t i = 0; i < sizeof GOOD / sizeof GOOD[0]; i++)
		CHECK(client_endpoint_is_valid(GOOD[i]));
	for (size_t i = 0; i < sizeof BAD / sizeof BAD[0]; i++)
		CHECK(!client_endpoint_is_valid(BAD[i]));
}

static void test_frames_and_sound(void)
{
	struct fake_daemon *daemon = fake_start(FAKE_LIVES, 0, 0);
	struct client *client = start(fake_control_port(daemon), true);
	WAIT_MS(3000, is(client, CLIENT_CONNECTED) && fake_subscribers(daemon, "frame/default") == 1 &&
			      fake_subscribers(daemon, "audio/default") == 1);
	CHECK(status.avatars.count == 1 && strcmp(status.avatars.text[0], "default") == 0);
	CHECK(strcmp(status.expressions.text[0], "happy") == 0 && status.has_microphone);
	fake_publish_frame(daemon, 640, 0, 1);
	WAIT_MS(1000, shows(1));
	CHECK(seen.live == 0);                 /* perhaps repeated for this subscriber */
	fake_publish_frame(daemon, 640, 0, 2); /* the same, repeated for another subscriber */
	fake_publish_frame(daemon, 1280, 0, 3);
	WAIT_MS(1000, shows(3));
	CHECK(seen.frames == 2 && seen.live == 1);

	/* A barge-in: what is of an older epoch is out of date. */
	fake_publish_frame(daemon, 1920, 1, 4);
	WAIT_MS(1000, shows(4));
	fake_publish_frame(daemon, 2560, 0, 5);
	fake_publish_frame(daemon, 3200, 1, 6);
	WAIT_MS(1000, shows(6));
	CHECK(seen.frames == 4);
	/* A frame that never came is counted. */
	WAIT_MS(1000, (client_status(client, &status), status.infos[0].name[0] != '\0'));
	client_status(client, &status);
	const uint64_t lost = status.lost;
	fake_publish_frame(daemon, 3200 + 3 * 640, 1, 7);
	WAIT_MS(1000, shows(7));
	WAIT_MS(1000, (client_status(client, &status), status.frames == 5));
	CHECK(status.lost == lost + 2 && status.width == 4 && status.height == 2 && status.latency_ms >= 0.0);

	/* Sound: all of it, whatever the sizes; what is no number is silence, what is too loud is clipped. */
	fake_publish_sound(daemon, 0, 0.5f, 641);
	fake_publish_sound(daemon, 641, NAN, 3);
	fake_publish_sound(daemon, 644, -7.0f, 10001);
	WAIT_MS(1000,
		(pthread_mutex_lock(&seen.lock), pthread_mutex_unlock(&seen.lock), seen.samples == 641 + 3 + 10001));
	CHECK(seen.greatest == 0.5f && seen.least == -1.0f);

	/* Requests go to the avatar that is shown. */
	const struct wire_request request = {.type = WIRE_SET_EXPRESSION, .preset = "happy", .talk = "", .mute = ""};
	client_ask(client, &request);
	WAIT_MS(1000, fake_requests(daemon, "set_expression") == 1);
	CHECK(fake_requests(daemon, "default") >= 1);

	/* Hidden: nothing is asked for; shown again: all is. */
	wish(client, fake_control_port(daemon), false, "");
	WAIT_MS(1000, fake_subscribers(daemon, "frame/") == 0 && fake_subscribers(daemon, "audio/") == 0);
	WAIT_MS(1000, is(client, CLIENT_PAUSED));
	CHECK(seen.lost == 0);
	wish(client, fake_control_port(daemon), true, "");
	WAIT_MS(1000, fake_subscribers(daemon, "frame/default") == 1 && is(client, CLIENT_CONNECTED));

	/* An avatar that is not there, and one that goes. */
	wish(client, fake_control_port(daemon), true, "nobody");
	WAIT_MS(1000, is(client, CLIENT_NO_AVATAR));
	wish(client, fake_control_port(daemon), true, "default");
	WAIT_MS(1000, is(client, CLIENT_CONNECTED) && fake_subscribers(daemon, "event/default") >= 1);
	fake_close_avatar(daemon);
	WAIT_MS(1000, strstr(seen.log, "no such avatar") != NULL);
	CHECK(!seen.wrong);
	client_destroy(client);
	fake_stop(daemon);
}

/* Whoever takes his time gets the newest, and never falls behind. */
static void test_newest_wins(void)
{
	struct fake_daemon *daemon = fake_start(FAKE_LIVES, 0, 0);
	forget();
	struct client *client = start(fake_control_port(daemon), true);
	WAIT_MS(3000, fake_subscribers(daemon, "frame/default") == 1);
	seen.delay_ms = 40;
	int64_t worst_samples = 0;
	for (int i = 1; i <= 300; i++) {
		fake_publish_frame(daemon, i * 640, 0, (uint8_t)i);
		sleep_ms(4);
		pthread_mutex_lock(&seen.lock);
		if (seen.frames > 2 && i * 640 - seen.pts_samples > worst_samples)
			worst_samples = i * 640 - seen.pts_samples;
		pthread_mutex_unlock(&seen.lock);
	}
	WAIT_MS(1000, shows((uint8_t)300));
	client_status(client, &status);
	printf("newest wins: %d of 300 frames shown, %llu overtaken, %.0f frames behind at worst\n", frames_seen(),
	       (unsigned long long)status.lost, (double)worst_samples / 640.0);
	CHECK(frames_seen() > 10 && frames_seen() < 100);
	CHECK(worst_samples / 640 <= 30); /* 40 ms of showing, 4 ms a frame, and a busy machine */
	client_destroy(client);
	fake_stop(daemon);
}

static void test_restart(void)
{
	struct fake_daemon *daemon = fake_start(FAKE_LIVES, 0, 0);
	const int control_port = fake_control_port(daemon), frames_port = fake_frames_port(daemon);
	forget();
	struct client *client = start(control_port, true);
	WAIT_MS(3000, fake_subscribers(daemon, "frame/default") == 1);
	fake_publish_frame(daemon, 16000 * 60, 5, 1);
	WAIT_MS(1000, shows(1));
	fake_stop(daemon);
	WAIT_MS(1000, is(client, CLIENT_SEARCHING));
	CHECK(seen.lost == 1);
	const struct wire_request request = {.type = WIRE_CANCEL};
	client_ask(client, &request); /* nobody is there: dropped, not kept for later */
	WAIT_MS(1000, strstr(seen.log, "was not sent") != NULL);
	sleep_ms(300);
	daemon = fake_start(FAKE_LIVES, control_port, frames_port);
	const double back_ms = WAIT_MS(3000, (fake_publish_frame(daemon, 640, 0, 2), shows(2)));
	printf("back %.0f ms after the daemon\n", back_ms);
	CHECK(back_ms < 1000.0 && fake_requests(daemon, "cancel") == 0);
	fake_stop(daemon);

	/* Elsewhere: the frames' port is another one. */
	daemon = fake_start(FAKE_LIVES, control_port, 0);
	CHECK(WAIT_MS(3000, (fake_publish_frame(daemon, 640, 0, 3), shows(3))) < 1000.0);
	client_destroy(client);
	fake_stop(daemon);
}

static void test_hang(void)
{
	struct fake_daemon *daemon = fake_start(FAKE_LIVES, 0, 0);
	forget();
	struct client *client = start(fake_control_port(daemon), true);
	WAIT_MS(3000, fake_subscribers(daemon, "frame/default") == 1);
	fake_publish_frame(daemon, 640, 0, 1);
	WAIT_MS(1000, shows(1));
	fake_set_mood(daemon, FAKE_HANGS);
	WAIT_MS(4000, is(client, CLIENT_SILENT));
	CHECK(seen.lost == 1);
	fake_set_mood(daemon, FAKE_LIVES);
	CHECK(WAIT_MS(2000, (fake_publish_frame(daemon, 1280, 0, 2), shows(2))) < 1000.0);
	// Frames come on a socket of their own: the answer that ends the silence may be a moment later.
	WAIT_MS(1000, is(client, CLIENT_CONNECTED));
	client_destroy(client);
	fake_stop(daemon);
}

static void test_nonsense(void)
{
	struct fake_daemon *daemon = fake_start(FAKE_LIVES, 0, 0);
	forget();
	struct client *client = start(fake_control_port(daemon), true);
	WAIT_MS(3000, fake_subscribers(daemon, "frame/default") == 1);
	uint8_t large[4096] = {0};
	fake_publish_raw(daemon, "", 0, NULL, 0);
	fake_publish_raw(daemon, "\x81", 1, large, sizeof large);
	fake_publish_raw(daemon, "\xdf\xff\xff\xff\xff", 5, large, 1);
	fake_publish_raw(daemon,
			 "\x82\xa1v\x01\xa4type\xa5"
			 "frame",
			 15, large, 32);
	WAIT_MS(1000, (client_status(client, &status), status.refused == 4));
	CHECK(seen.frames == 0 && seen.lost == 0);
	fake_publish_frame(daemon, 640, 0, 9);
	WAIT_MS(1000, shows(9));
	CHECK(strstr(seen.log, "passed over") != NULL);
	client_destroy(client);
	fake_stop(daemon);
}

/* 100 rounds: no way of the daemon holds the end. */
static void test_ends(void)
{
	static const char *const MOODS[] = {"lives", "hangs", "floods", "is not there"};
	for (int mood = 0; mood < 4; mood++) {
		struct fake_daemon *daemon = fake_start(mood < 3 ? (enum fake_mood)mood : FAKE_LIVES, 0, 0);
		const int port = fake_control_port(daemon);
		double worst_ms = 0.0;
		if (mood == 3)
			fake_stop(daemon);
		forget();
		for (int i = 0; i < 25; i++) {
			struct client *client = start(port, true);
			sleep_ms(i % 5 * 15);
			const int64_t start_ns = now_ns();
			client_destroy(client);
			const double spent_ms = (double)(now_ns() - start_ns) / 1e6;
			worst_ms = spent_ms > worst_ms ? spent_ms : worst_ms;
		}
		printf("the daemon %s: %.0f ms to end at worst, %d frames shown\n", MOODS[mood], worst_ms,
		       frames_seen());
		CHECK(worst_ms < 1000.0);
		CHECK(mood != FAKE_FLOODS || frames_seen() > 0);
		if (mood != 3)
			fake_stop(daemon);
	}
}

int main(void)
{
	test_endpoints();
	test_frames_and_sound();
	test_newest_wins();
	test_restart();
	test_hang();
	test_nonsense();
	test_ends();
	return 0;
}
